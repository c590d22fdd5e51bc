"""The server side of one SIP2 connection: login and answers."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from broker.demo.circulation.sip2_messages import ChecksumWrong, Message, read_message

_RESEND: Final = "96"  # please send that again

Answers = Mapping[str, Callable[[Message], Message]]


class MachineSession(ABC):
    """The part of a SIP2 session that all library systems share.

    A subclass supplies ``answers``. ``is_over`` is set when the login was refused: the server sends
    the answer and closes the connection.
    """

    def __init__(self, terminals: Mapping[str, str]) -> None:
        self._terminals = terminals
        self._is_logged_in = False
        self.is_over = False

    @abstractmethod
    def answers(self) -> Answers:
        """Return the handler of each message code."""

    def cut_message(self, line: bytes) -> bytes:
        """Return the message in a line. A system may remove characters from its end."""
        return line

    def reply(self, line: bytes) -> bytes | None:
        """Return the answer to a message, or None to close the connection without an answer.

        The connection is closed when a machine sends another message before its login.
        """
        try:
            message = read_message(self.cut_message(line))
        except ChecksumWrong:
            return Message(_RESEND, "").encode_message()
        if message.code != "93" and not self._is_logged_in:
            return None
        answer = replace(self._answer(message), sequence=message.sequence)
        return answer.encode_message()

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
