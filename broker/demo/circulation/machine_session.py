"""One connection of a self-service machine: it logs in, then asks; every answer can be repeated."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Final

from broker.demo.circulation.sip2_messages import ChecksumWrong, Message, read_message

_RESEND: Final = "96"
_RESEND_DAMAGED: Final = b"96AZFEF6\r"

Answers = Mapping[str, Callable[[Message], Message]]


class MachineSession(ABC):
    """What all systems have in common over SIP2; a system adds its answers.

    ``is_over`` says that the machine's login was refused: the connection ends behind the answer.
    """

    def __init__(self, terminals: Mapping[str, str]) -> None:
        self._terminals = terminals
        self._is_logged_in = False
        self.is_over = False
        self._last = Message(_RESEND, "")

    @abstractmethod
    def answers(self) -> Answers:
        """Return what answers the messages of each code."""

    def received(self, line: bytes) -> bytes:
        """Return the message of a line, as the system cuts it."""
        return line

    def reply(self, line: bytes) -> bytes | None:
        """Return the answer to a message, or None where the connection ends without one.

        It ends for a machine that asks before it has logged in.
        """
        try:
            message = read_message(self.received(line))
        except ChecksumWrong:
            return _RESEND_DAMAGED
        if message.code == "97":
            return self._last.written()
        if message.code != "93" and not self._is_logged_in:
            return None
        answer = self._answer(message)
        self._last = answer
        sent = Message(answer.code, answer.fixed, answer.fields, message.sequence)
        return sent.written()

    def _answer(self, message: Message) -> Message:
        if message.code == "93":
            return self._login(message)
        answer = self.answers().get(message.code)
        if answer is None:
            return Message(_RESEND, "")
        return answer(message)

    def _login(self, message: Message) -> Message:
        password = self._terminals.get(message.field("CN") or "", "")
        sent = message.field("CO") or ""
        right = bool(password) and secrets.compare_digest(password.encode(), sent.encode())
        self._is_logged_in = right and message.fixed == "00"
        self.is_over = not self._is_logged_in
        return Message("94", "1" if self._is_logged_in else "0")
