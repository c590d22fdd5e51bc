"""Each call of an enrolment with each fault that it may have, survived or died of: one borrower whose PIN works."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from broker.adapters.stores.open_store import open_store
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.borrowers.pins import PinAnswer
from broker.core.errors import BrokerError, LibraryRefused, LibraryUnavailable, MailUnavailable, RecipientRefused

CPR: Final = "0101990000"
LATE: Final = timedelta(seconds=30)  # a call of 15 seconds that is carried out 15 seconds after it was given up
TICK: Final = timedelta(seconds=10)

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
FAULTS: Final = ("refused", "500 before", "500 after", "dropped", "late", "without effect")
# Lies after which nobody can know that a PIN is owed still: the borrower was said to be gone, the mail to be sent.
SILENT: Final = {("read", "without effect"), ("DATA", "without effect")}


class Killed(BaseException):
    """What kill -9 looks like from inside."""


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
            self.world.now += timedelta(seconds=15)
        if self.dies:
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


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=[pytest.mark.server, pytest.mark.slow])])
def anywhere(request: pytest.FixtureRequest, world: Any, tmp_path: Path) -> Any:
    """Give the world on each store."""
    if request.param == "sqlite":
        return world
    store = open_store(request.getfixturevalue("redis_url"), tmp_path, accept_loss=True)
    return type(world)(tmp_path / "unused.db", kept_in=store)


def live_on(world: Any, faulty: FaultyCall | None = None, minutes: int = 10) -> None:
    """Let workers carry out what is due, each a process of its own, and what was given up come late."""
    for _ in range(minutes * 6):
        if faulty:
            faulty.come_late()
        with suppress(Killed):
            while world.live.step():
                pass
        world.now += TICK


def come_back(world: Any, wish: Any) -> Enrolment:
    """Let staff retry what waits for them, and the person log in again; give the enrolment in the end."""
    stored = world.live.stored(CPR)
    if stored.state is EnrolmentState.CASE or stored.pin_given_up:
        assert world.cases.retry(stored.id)
        live_on(world)
    world.now += timedelta(hours=2)
    if world.known(wish).enrolment is None:
        world.live.want(wish)
    live_on(world)
    ended: Enrolment = world.live.stored(CPR)
    return ended


def table() -> list[tuple[str, str]]:
    """Give every call with every fault; to accept a recipient has no effect to be without."""
    return [(call, fault) for call in CALLS for fault in FAULTS if (call, fault) != ("RCPT", "without effect")]


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize(("call", "fault"), table())
def test_one_borrower_whose_last_mailed_pin_works(anywhere: Any, call: str, fault: str, *, dies: bool) -> None:
    """As wished in the end, with a PIN mailed that works, whether the process lives on or dies of it."""
    world = anywhere
    wish = world.wish()
    if call == "change":
        world.live.want(wish)
        live_on(world)
        wish = world.wish(affiliation="employee", category="EMPL", upgrades=("STUD",), upgrade=True)
    if call == "marked":
        world.hooks.after["create"] = lambda: world.library.cprs.update({"1": "0202990000"})
    faulty = FaultyCall(world, call, fault, dies=dies)
    world.live.want(wish)
    live_on(world, faulty)
    assert faulty.met
    if call == "marked":
        world.library.cprs["1"] = CPR
    enrolment = come_back(world, wish)
    (borrower,) = world.library.borrowers.values()
    assert (enrolment.state, enrolment.number, enrolment.reason) == (EnrolmentState.DONE, borrower.number, None)
    assert (borrower.category, enrolment.pin_owed, enrolment.pin_given_up) == (wish.category, False, None)
    pins = [sent.pin for sent in world.post.sent if sent.pin]
    assert pins or (call, fault) in SILENT
    assert set(pins[-1:]) <= {world.library.pins.get(borrower.number)}
    assert len(pins) <= 2
