"""The machine's side of SIP2: checks a borrower's number and PIN, and lends books."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import create_connection, socket
from typing import Final

from broker.core.errors import BrokerError
from broker.demo.circulation.sip2_messages import Message, read_message, receive_lines, timestamp

_WITHIN: Final = 10.0  # seconds for a connection, and for each answer
_LOANS_WANTED: Final = "  Y       "
_FLAGS: Final = 14  # of the patron status; one that is set forbids something
_ANSWERS: Final = {"93": "94", "63": "64", "11": "12"}


class MachineFailed(BrokerError):
    """Raised when the library system does not answer, or answers something unexpected."""

    reason = "library_unavailable"


@dataclass(frozen=True, slots=True)
class BorrowerAtMachine:
    """A borrower as a machine sees them: the fields of a 64, without the internal number.

    ``is_proven`` says that number and PIN match.
    """

    is_proven: bool
    may_borrow: bool
    name: str
    message: str
    loans: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """A self-service machine: the address of the library system, and the machine's login."""

    port: int
    user: str
    password: str
    host: str = "127.0.0.1"

    def borrower(self, typed: str, pin: str) -> BorrowerAtMachine:
        """Return the borrower with this number and PIN. Raise MachineFailed without an answer.

        The number is sent as typed, but stripped.
        """
        with self._connect() as session:
            return self._information(session, typed, pin)

    def lend(self, typed: str, pin: str, book: str) -> tuple[BorrowerAtMachine, bool]:
        """Lend a book if number and PIN match. Return the borrower, and whether it was lent."""
        with self._connect() as session:
            borrower = self._information(session, typed, pin)
            if not borrower.is_proven:
                return borrower, False
            number = typed.strip()
            times = timestamp() + timestamp()
            answer = session.ask("11", f"NN{times}", ("AO", ""), ("AA", number), ("AB", book))
            after = self._information(session, typed, pin)
        return after, answer.fixed.startswith("1")

    def _information(self, session: "_Session", typed: str, pin: str) -> BorrowerAtMachine:
        number = typed.strip()
        fixed = f"009{timestamp()}{_LOANS_WANTED}"
        answer = session.ask("63", fixed, ("AO", ""), ("AA", number), ("AC", ""), ("AD", pin))
        is_proven = (answer.field("BL"), answer.field("CQ")) == ("Y", "Y")
        return BorrowerAtMachine(
            is_proven=is_proven,
            may_borrow=is_proven and not answer.fixed[:_FLAGS].strip(),
            name=(answer.field("AE") or "").strip(),
            message=answer.field("AF") or "",
            loans=answer.list_values("AU"),
        )

    @contextmanager
    def _connect(self) -> Iterator["_Session"]:
        try:
            with create_connection((self.host, self.port), _WITHIN) as connection:
                session = _Session(connection)
                login = session.ask("93", "00", ("CN", self.user), ("CO", self.password))
                if login.fixed != "1":
                    raise MachineFailed("the machine's own login was refused")
                yield session
        except OSError as error:
            raise MachineFailed(str(error)) from None


class _Session:
    """Sends messages with sequence numbers and checksums over one connection."""

    def __init__(self, connection: socket) -> None:
        self._connection = connection
        self._lines = receive_lines(connection)
        self._sequence = 0

    def ask(self, code: str, fixed: str, *fields: tuple[str, str]) -> Message:
        """Send a message and return its answer. Raise MachineFailed without an answer."""
        sequence = str(self._sequence % 10)
        self._sequence += 1
        self._connection.sendall(Message(code, fixed, fields, sequence).encode_message())
        line = next(self._lines, None)
        if line is None:
            raise MachineFailed("the library system ended the connection")
        try:
            answer = read_message(line)
        except ValueError:
            raise MachineFailed("an answer was damaged") from None
        if answer.code != _ANSWERS[code]:
            raise MachineFailed(f"{answer.code} is no answer to {code}")
        return answer
