"""The lending machine's side of SIP2: proves a borrower by number and PIN, and lends to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import create_connection, socket
from typing import Final

from broker.core.errors import BrokerError
from broker.demo.circulation.sip2_messages import Message, read_message, received_lines, timestamp

_WITHIN: Final = 10.0  # seconds for a connection, and for each answer
_LOANS_WANTED: Final = "  Y       "
_FLAGS: Final = 14
_ANSWERS: Final = {"93": "94", "99": "98", "63": "64", "35": "36", "11": "12"}


class MachineFailed(BrokerError):
    """The library system did not answer, or not as a machine understands."""

    reason = "library_unavailable"


@dataclass(frozen=True, slots=True)
class BorrowerAtMachine:
    """A borrower as a machine sees them: no internal number, only what a 64 holds.

    ``flags`` are the fourteen of the patron status.
    """

    valid_patron: bool
    valid_pin: bool
    flags: str
    card: str
    name: str
    message: str
    loans: tuple[str, ...] = ()

    @property
    def is_proven(self) -> bool:
        """Return whether number and PIN belong together."""
        return self.valid_patron and self.valid_pin

    @property
    def may_borrow(self) -> bool:
        """Return whether nothing bars lending."""
        return self.is_proven and not self.flags.strip()


@dataclass(frozen=True, slots=True)
class Machine:
    """A self-service machine: where the library system listens, and the machine's own login."""

    port: int
    user: str
    password: str
    host: str = "127.0.0.1"

    def borrower(self, typed: str, pin: str) -> BorrowerAtMachine:
        """Ask for the borrower whose number and PIN were typed; MachineFailed without an answer.

        The number goes out as it was typed, without blanks at its ends.
        """
        with self._connected() as session:
            asked = self._information(session, typed, pin)
            session.ask("35", timestamp(), ("AO", ""), ("AA", typed.strip()))
        return asked

    def lend(self, typed: str, pin: str, book: str) -> tuple[BorrowerAtMachine, bool]:
        """Lend a book to who proves to be a borrower; return them with their loans, and whether."""
        with self._connected() as session:
            asked = self._information(session, typed, pin)
            if not asked.is_proven:
                return asked, False
            number = typed.strip()
            times = timestamp() + timestamp()
            answer = session.ask("11", f"NN{times}", ("AO", ""), ("AA", number), ("AB", book))
            after = self._information(session, typed, pin)
            session.ask("35", timestamp(), ("AO", ""), ("AA", number))
        return after, answer.fixed.startswith("1")

    def _information(self, session: "_Session", typed: str, pin: str) -> BorrowerAtMachine:
        number = typed.strip()
        fixed = f"009{timestamp()}{_LOANS_WANTED}"
        answer = session.ask("63", fixed, ("AO", ""), ("AA", number), ("AC", ""), ("AD", pin))
        return BorrowerAtMachine(
            valid_patron=answer.field("BL") == "Y",
            valid_pin=answer.field("CQ") == "Y",
            flags=answer.fixed[:_FLAGS],
            card=answer.field("AA") or "",
            name=(answer.field("AE") or "").strip(),
            message=answer.field("AF") or "",
            loans=answer.every("AU"),
        )

    @contextmanager
    def _connected(self) -> Iterator["_Session"]:
        try:
            with create_connection((self.host, self.port), _WITHIN) as connection:
                session = _Session(connection)
                login = session.ask("93", "00", ("CN", self.user), ("CO", self.password))
                if login.fixed != "1":
                    raise MachineFailed("the machine's own login was refused")
                session.ask("99", "0" + "080" + "2.00")
                yield session
        except OSError as error:
            raise MachineFailed(str(error)) from None


class _Session:
    """Messages with sequence numbers and checksums over one connection, answered one by one."""

    def __init__(self, connection: socket) -> None:
        self._connection = connection
        self._lines = received_lines(connection)
        self._sequence = 0

    def ask(self, code: str, fixed: str, *fields: tuple[str, str]) -> Message:
        """Send a message and return its answer; MachineFailed where there is none."""
        sequence = str(self._sequence % 10)
        self._sequence += 1
        self._connection.sendall(Message(code, fixed, fields, sequence).written())
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
