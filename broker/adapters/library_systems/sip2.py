"""SIP2 client, which asks like a self-service machine whether card and PIN are right.

It sends login (93) and patron information (63) and reads their answers (94, 64), with sequence
number and checksum (3M SIP2 2.00). A conversation has one deadline, and answers are bounded.

Source: docs/reference/koha.md#sip2.
"""

import re
import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from broker.adapters.connectors import LOOPBACK
from broker.adapters.deadline_sockets import seconds_left, set_deadline
from broker.adapters.http_exchange import moment
from broker.core.borrowers.library_setup import LibraryCallObserver, SetupFault
from broker.core.errors import LibraryUnavailable, name_cause

_SETTING: Final = "library.sip2"
_TAKES_ANY: Final = "the machine port takes any PIN; have its profile ask for the PIN"
_TRUSTED_S: Final = 3600.0
_END: Final = b"\r"
_LARGEST_ANSWER: Final = 16 * 1024
_PIECE: Final = 4096
_ENDS: Final = re.compile(rb"[\r\n]")
_SENDABLE: Final = re.compile(r"[^|\x00-\x1f\x7f]+")
_CHECKED: Final = re.compile(rb"(?P<text>.*AY(?P<sequence>[0-9])AZ)(?P<sum>[0-9A-F]{4})", re.DOTALL)
_PATRON_STATUS: Final = 14
# The fixed part of a 64: code, patron status, language, date and time, six counts of four digits.
_FIXED: Final = 2 + _PATRON_STATUS + 3 + 18 + 6 * 4
_DANISH: Final = "009"
_NO_SUMMARY: Final = " " * 10
_NO_ANSWER: Final = "sip2: the machine port gave no answer that can be read"
_LOGIN_REFUSED: Final = "sip2: the login of [library.sip2] is refused"


class Sip2Keys(BaseModel):
    """The keys of ``[library.sip2]``: the account with which a self-service machine checks a PIN.

    ``location`` is sent as institution and as location. SIP2 is plain text, so it needs ``tls``
    unless the host is loopback (a tunnel).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = Field(min_length=1)
    port: int = Field(6001, ge=1, le=65_535)
    login: str = Field(min_length=1, pattern=r"^[^|\r\n]*$")
    password: SecretStr = Field(min_length=1)
    location: str = Field("", pattern=r"^[^|\r\n]*$")
    tls: bool = False

    @model_validator(mode="after")
    def _no_pin_in_the_clear(self) -> Self:
        if not self.tls and self.host not in LOOPBACK:
            raise ValueError("needs tls = true off loopback: CPR numbers and PINs travel over it")
        return self


class PinMachine:
    """Checks PINs at a SIP2 server, with a new connection each time; threads may share it."""

    def __init__(
        self, account: Sip2Keys, ca_file: str, timeout: float, observe: LibraryCallObserver
    ) -> None:
        self._account = account
        self._tls = ssl.create_default_context(cafile=ca_file or None) if account.tls else None
        self._timeout = timeout
        self._observe = observe
        self._trusted_until = time.monotonic()

    def accepts(self, card: str, pin: str, deadline: datetime) -> bool:
        """Return whether the server accepts this card and PIN, as ``ask`` does.

        Raises LibraryUnavailable if it also accepts a random PIN: then any PIN would open any
        account.
        """
        if not self.ask(card, pin, moment(deadline, self._timeout)):
            return False
        if time.monotonic() >= self._trusted_until:
            if self.takes_any(card, deadline):
                raise LibraryUnavailable(f"sip2: {_TAKES_ANY}", _SETTING)
            self._trusted_until = time.monotonic() + _TRUSTED_S
        return True

    def takes_any(self, card: str, deadline: datetime) -> bool:
        """Return whether a random PIN is accepted for this card.

        Raises LibraryUnavailable if the server does not answer.
        """
        return self.ask(card, secrets.token_urlsafe(16), moment(deadline, self._timeout))

    def ask(self, card: str, pin: str, until: float) -> bool:
        """Return whether the server accepts this card and PIN.

        ``until`` is a moment of ``time.monotonic``. Raises LibraryUnavailable if there is no answer
        by then, the login is refused, or the answer is about another card.
        """
        if not (_SENDABLE.fullmatch(card) and _SENDABLE.fullmatch(pin)):
            return False
        began = time.monotonic()
        outcome = "unavailable"
        try:
            accepted = _read_acceptance(self._converse_until(card, pin, until), card)
            outcome = "done"
        finally:
            self._observe("sip2", outcome, time.monotonic() - began)
        return accepted

    def _converse_until(self, card: str, pin: str, until: float) -> bytes:
        set_deadline(until)
        try:
            return self._conversation(card, pin)
        except (OSError, ValueError) as error:
            cause = name_cause(error)
        # Raise outside ``except``, so that no traceback shows what was sent.
        raise LibraryUnavailable(f"sip2: no answer: {cause}", _SETTING)

    def _conversation(self, card: str, pin: str) -> bytes:
        account = self._account
        password = account.password.get_secret_value()
        with closing(self._connect()) as connection:
            login = _fields(CN=account.login, CO=password, CP=account.location)
            _demand_login(_exchange(connection, f"9300{login}", 0))
            sent_at = datetime.now(UTC).strftime("%Y%m%d   Z%H%M%S")
            question = _fields(AO=account.location, AA=card, AC="", AD=pin)
            return _exchange(connection, f"63{_DANISH}{sent_at}{_NO_SUMMARY}{question}", 1)

    def _connect(self) -> socket.socket:
        account = self._account
        connection = socket.create_connection((account.host, account.port), timeout=seconds_left())
        if self._tls is None:
            return connection
        return self._tls.wrap_socket(connection, server_hostname=account.host)


def message(text: str, sequence: int) -> bytes:
    """Return a message with sequence number, checksum and carriage return."""
    octets = f"{text}AY{sequence}AZ".encode()
    return octets + _checksum(octets) + _END


def _fields(**values: str) -> str:
    """Return the variable fields of a message: two letters, the value and a bar."""
    return "".join(f"{name}{value}|" for name, value in values.items())


def _checksum(octets: bytes) -> bytes:
    """Return four hexadecimal digits that make the sum of all octets 0."""
    return f"{-sum(octets) & 0xFFFF:04X}".encode()


def _exchange(connection: socket.socket, text: str, sequence: int) -> bytes:
    """Return the answer to a message without its checksum. Raises ValueError if that is wrong."""
    connection.settimeout(seconds_left())
    connection.sendall(message(text, sequence))
    answer = _line(connection)
    checked = _CHECKED.fullmatch(answer)
    if checked is None:
        return answer  # a server need not send one
    whole = _checksum(checked["text"]) == checked["sum"]
    if not whole or int(checked["sequence"]) != sequence:
        raise ValueError
    return answer[: -len("AY0AZ0000")]


def _line(connection: socket.socket) -> bytes:
    """Return the next line."""
    received = bytearray()
    while len(received) <= _LARGEST_ANSWER:
        connection.settimeout(seconds_left())
        piece = connection.recv(_PIECE)
        if not piece:
            raise ConnectionError
        received += piece
        line = bytes(received).lstrip(b"\r\n")
        if end := _ENDS.search(line):
            return line[: end.start()]
    raise ValueError


def _demand_login(answer: bytes) -> None:
    if answer.startswith(b"940"):
        raise LibraryUnavailable(_LOGIN_REFUSED, _SETTING)
    if not answer.startswith(b"941"):
        raise LibraryUnavailable(_NO_ANSWER)


def _read_acceptance(answer: bytes, card: str) -> bool:
    """Return whether an answer 64 accepts card and PIN: BL and CQ are Y."""
    text = answer.decode(errors="replace")
    if not text.startswith("64") or len(text) < _FIXED:
        raise LibraryUnavailable(_NO_ANSWER)
    fields: dict[str, str] = {}
    for field in text[_FIXED:].split("|"):
        fields.setdefault(field[:2], field[2:])
    if fields.get("BL") != "Y" or fields.get("CQ") != "Y":
        return False
    if fields.get("AA", "").casefold() != card.casefold():
        raise LibraryUnavailable("sip2: an answer about another card")
    return True


def find_machine_faults(machine: PinMachine | None, deadline: datetime) -> Iterator[SetupFault]:
    """Ask a machine about a random card and PIN."""
    if machine and machine.takes_any(secrets.token_hex(16), deadline):
        yield SetupFault(_SETTING, f"{_SETTING}: {_TAKES_ANY}")
