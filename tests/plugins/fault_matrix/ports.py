"""Faults of single calls at the ports of a world: its library and its post."""

from collections.abc import Callable
from typing import Any, Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.pins import PinAnswer
from broker.core.errors import BrokerError, LibraryRefused, LibraryUnavailable, MailUnavailable, RecipientRefused
from tests.plugins.fault_matrix.life import GIVEN_UP, LATE, Killed

# The calls, with the port, the method and which of its calls it is.
CALLS: Final = {
    "find": ("library", "find", 0),
    "count": ("library", "find", 1),
    "marked": ("library", "marked", 0),
    "create": ("library", "create", 0),
    "change": ("library", "change", 0),
    "read": ("library", "read", 0),
    "RCPT": ("post", "address", 0),
    "set_pin": ("library", "set_pin", 0),
    "check_pin": ("library", "check_pin", 0),
    "DATA": ("letter", "send", 0),
}
MAIL: Final = {"RCPT", "DATA"}
# What a call answers that says it is done and has done nothing.
VOID: Final[dict[str, object]] = {
    "find": (),
    "count": (),
    "marked": (),
    "change": Borrower("1", "EMPL"),
    "read": None,
    "set_pin": None,
    "check_pin": PinAnswer.WRONG,
    "DATA": None,
}


class FaultyCall:
    """One call of a port that goes wrong once; ``dies`` kills the process at that moment."""

    def __init__(self, world: Any, call: str, fault: str, *, dies: bool) -> None:
        """Break the call."""
        self.world, self.call, self.fault, self.dies = world, call, fault, dies
        self.met = False
        self.late: list[tuple[Any, Callable[[], object]]] = []
        port, method, self.place = CALLS[call]
        if port == "letter":
            self._wrap_letters()
        else:
            self._wrap(getattr(world, port), method)

    def come_late(self) -> None:
        """Carry out what was given up long enough ago."""
        for sent, carry_out in list(self.late):
            if self.world.now - sent >= LATE:
                self.late.remove((sent, carry_out))
                carry_out()

    def bury(self) -> None:
        """Let the next process write."""
        self.world.store.dead = False

    def _wrap(self, port: Any, method: str) -> None:
        right, place = getattr(port, method), iter(range(1000))

        def called(*given: Any) -> Any:
            if next(place) != self.place:
                return right(*given)
            return self._go_wrong(lambda: right(*given), *given)

        setattr(port, method, called)

    def _wrap_letters(self) -> None:
        address = self.world.post.address

        def addressed(*given: Any) -> Any:
            return _Letter(address(*given), self)

        self.world.post.address = addressed

    def _void(self, *given: Any) -> object:
        if self.call == "create":
            wish, mark, _ = given
            fields = {field.name: field.value for field in wish.fields}
            return Borrower("999", wish.category, wish.expires, mark, fields=fields, card=wish.cpr)
        return VOID[self.call]

    def _go_wrong(self, carry_out: Callable[[], object], *given: Any) -> object:
        self.met = True
        if self.fault == "500 after":
            carry_out()
        if self.fault == "late":
            self.late.append((self.world.now, carry_out))
        if self.fault in {"late", "dropped"}:
            self.world.now += GIVEN_UP
        if self.dies:
            self.world.store.dead = True
            raise Killed
        if self.fault == "without effect":
            return self._void(*given)
        raise self._error()

    def _error(self) -> BrokerError:
        if self.call in MAIL:
            refused = self.fault == "refused" and self.call == "RCPT"
            return RecipientRefused("550") if refused else MailUnavailable(self.fault)
        return LibraryRefused("400") if self.fault == "refused" else LibraryUnavailable(self.fault)


class _Letter:
    """A letter whose first text goes wrong."""

    def __init__(self, letter: Any, faulty: FaultyCall) -> None:
        self._letter, self._faulty = letter, faulty

    def send(self, subject: str, text: str) -> None:
        """Send the text, the first not rightly."""
        faulty = self._faulty
        if faulty.met:
            self._letter.send(subject, text)
        else:
            faulty._go_wrong(lambda: self._letter.send(subject, text))

    def close(self) -> None:
        """End."""
        self._letter.close()
