"""The enrolments: durable wishes that a borrower be so, each carried out once whatever dies meanwhile (design 4c)."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol, TypeVar

from broker.attempt import Attempt, Tools
from broker.cases import Cases
from broker.core.borrower import Borrower, Enrolment, Nothing, Outcome, State, Wish, near, plan, would
from broker.core.errors import LibraryRefused, LibraryUnavailable, StoreUnavailable
from broker.core.ports import Key
from broker.ledger import Entry

Mode = Literal["live", "observe", "frozen"]
T = TypeVar("T")

_LOOK: Final = timedelta(seconds=3)
_TRUSTED: Final = timedelta(days=1)  # how long a finished enrolment is believed without a look at the library
_POLL: Final = 0.05
_TURNS: Final = 50
_OBSERVED: Final = "observed"  # apart, so that a wish accepted while live is not lost to it


class Signal(Protocol):
    """A ``threading.Event``: a request sets it, the loop waits for it."""

    def set(self) -> None:
        """Wake who waits."""

    def clear(self) -> None:
        """Sleep again."""

    def wait(self, timeout: float) -> bool:
        """Wait until it is set, at most ``timeout`` seconds."""


class Seats(Protocol):
    """A ``threading.Semaphore``: how many requests may wait at a time (at most half the threads)."""

    def acquire(self, *, blocking: bool) -> bool:
        """Take a seat, or say that none is free."""

    def release(self) -> None:
        """Give the seat back."""


@dataclass(frozen=True, slots=True)
class Enrolments:
    """Takes wishes, carries them out, and says how they stand.

    ``pause`` sleeps for some seconds (``time.sleep``); ``seats`` None sets no bound on who waits.
    """

    tools: Tools
    mode: Mode
    wake: Signal
    pause: Callable[[float], object]
    seats: Seats | None = None

    def person_key(self, cpr: str) -> Key:
        """Give the key of the one enrolment of the person with this CPR; the number itself is not in it."""
        return Key("enrolment", self.tools.links.of_cpr(cpr))

    def look(self, cpr: str) -> tuple[Borrower, ...]:
        """Give the borrowers with this CPR now, within 3 s; LibraryUnavailable, LibraryRefused.

        Without a seat it answers LibraryUnavailable at once: a slow library must not hold every thread.
        """
        return self._seated(lambda by: self.tools.library.find(cpr, by))

    def read(self, number: str) -> Borrower | None:
        """Give the borrower with this number of the library system's, or None; as ``look``."""
        return self._seated(lambda by: self.tools.library.read(number, by))

    def standing(self, cpr: str) -> Enrolment | None:
        """Give the enrolment of the person as it stands, or None; no call to the library."""
        key = self.person_key(cpr)
        return self._at(key._replace(name=_OBSERVED) if self.mode == "observe" else key)

    def settled(self, cpr: str) -> str | None:
        """Give the number of the borrower that this CPR was found to have within the last day, or None."""
        standing = self.standing(cpr)
        fresh = standing and standing.state is State.DONE and _looked(standing, self.tools.now(), _TRUSTED)
        return standing.number if standing and fresh else None

    def known(self, wish: Wish, linked: str | None) -> Enrolment | None:
        """Give the finished enrolment of a person whose borrower is as wished already, or None: then ``want``.

        Within a day of the last look this asks the library nothing; later it looks once, and where the library does
        not answer, a borrower that was as wished is believed to be so still.
        """
        cpr = _number(wish)
        key, now = self.person_key(cpr), self.tools.now()
        entry = self.tools.ledger.read(key)
        before = entry.enrolment if entry else None
        if before and before.state is not State.DONE:
            return None
        as_wished = before is not None and self._as_wished(before, wish, now)
        if before and as_wished and _looked(before, now, _TRUSTED):
            return before
        try:
            found = self.look(cpr)
        except (LibraryUnavailable, LibraryRefused):
            return before if as_wished else None
        if not isinstance(plan(found, wish, linked, now.date()), Nothing):
            return None
        known = self._found(found[0], before or self._new(key, wish, linked), wish)
        if self.mode == "live":
            self.tools.links.remember(key.group, known.number)
            place = entry or Entry(key, known, None, None)
            return known if self.tools.ledger.write(place, known, place.due) else None
        return known

    def want(self, wish: Wish, linked: str | None) -> Enrolment:
        """Write the wish durably and give the enrolment; a later wish replaces the earlier, under the same mark.

        ``linked`` is the borrower number that a link remembers. In observe mode what would be written is recorded
        under another key, without the CPR; frozen raises LibraryUnavailable.
        """
        key = self.person_key(_number(wish))
        if self.mode == "frozen":
            raise LibraryUnavailable("library.mode is frozen")
        if self.mode == "observe":
            return self._observed(key, wish, linked)
        for _ in range(_TURNS):
            entry = self.tools.ledger.read(key)
            wanted, due = self._wanted(key, entry, wish, linked)
            if entry and wanted is entry.enrolment and due == entry.due:
                return wanted
            if self.tools.ledger.write(entry or Entry(key, wanted, None, None), wanted, due):
                self.wake.set()
                return wanted
        raise StoreUnavailable("an enrolment is changed by others all the time")

    def step(self) -> Enrolment | None:
        """Carry out the enrolment that has been due longest and give it as it then stands; None where none is due."""
        if self.mode != "live":
            return None
        entry = self.tools.ledger.claim()
        return Attempt(entry, self.tools).run() if entry else None

    def run(self, stop: Callable[[], bool], idle: float, report: Callable[[Exception], None]) -> None:
        """Carry out what is due until ``stop``; sleep ``idle`` seconds, or until woken, when nothing is.

        ``report`` is told what went wrong outside the plan; what was under way is due again when its lease ends.
        """
        while not stop():
            self.wake.clear()
            try:
                busy = self.step() is not None
            except Exception as error:  # noqa: BLE001 - one broken enrolment must not end the loop for all others
                report(error)
                busy = False
            if not busy:
                self.wake.wait(idle)

    def wait(self, key: Key, seconds: float) -> Enrolment | None:
        """Give the enrolment once it is no longer under way, or as it stands after ``seconds`` or without a seat."""
        if self.seats is not None and not self.seats.acquire(blocking=False):
            return self._at(key)
        try:
            for _ in range(round(seconds / _POLL)):
                enrolment = self._at(key)
                if enrolment is None or enrolment.state is not State.WANTED or enrolment.reason:
                    return enrolment
                self.pause(_POLL)
            return self._at(key)
        finally:
            if self.seats is not None:
                self.seats.release()

    def dispute(self, name: str, cpr: str, number: str | None = None) -> Enrolment:  # noqa: ARG002
        """List for staff that the link of ``name`` and ``cpr`` disagree, as ``Cases.dispute``."""
        return Cases(self.tools.ledger, self.tools.links).dispute(name, cpr)

    def _seated(self, ask: Callable[[datetime], T]) -> T:
        if self.seats is not None and not self.seats.acquire(blocking=False):
            raise LibraryUnavailable("no seat to wait for the library in")
        try:
            return ask(self.tools.now() + _LOOK)
        finally:
            if self.seats is not None:
                self.seats.release()

    def _at(self, key: Key) -> Enrolment | None:
        entry = self.tools.ledger.read(key)
        return entry.enrolment if entry else None

    def _wanted(
        self, key: Key, entry: Entry | None, wish: Wish, linked: str | None
    ) -> tuple[Enrolment, datetime | None]:
        now = self.tools.now()
        if entry is None:
            return self._new(key, wish, linked), now
        before = entry.enrolment
        if before.state is State.DONE and self._as_wished(before, wish, now) and _looked(before, now, _LOOK):
            return before, entry.due
        if before.state is State.WANTED and (before.wish, before.link) == (wish, linked):
            soon = self.tools.ledger.soon(entry)
            return (before if soon == entry.due else replace(before, reason=None)), soon
        wanted = replace(before, state=State.WANTED, wanted_at=now, wish=wish, link=linked, attempts=0, reason=None)
        return wanted, self.tools.ledger.soon(entry)

    def _new(self, key: Key, wish: Wish, linked: str | None) -> Enrolment:
        return Enrolment(secrets.token_hex(16), State.WANTED, self.tools.now(), wish, key.group, link=linked)

    def _as_wished(self, before: Enrolment, wish: Wish, now: datetime) -> bool:
        if before.number is None or before.carried != self.tools.carried(wish):
            return False
        return before.expires is None or not near(before.expires, wish.expires, now.date())

    def _found(self, borrower: Borrower, before: Enrolment, wish: Wish) -> Enrolment:
        owed = before.pin_owed and before.number == borrower.number
        return replace(
            before,
            state=State.DONE,
            wish=before.wish if owed else None,
            pin_owed=owed,
            number=borrower.number,
            category=borrower.category,
            expires=borrower.expires,
            outcome=Outcome.UNCHANGED,
            carried=self.tools.carried(wish),
            settled=self.tools.now(),
        )

    def _observed(self, key: Key, wish: Wish, linked: str | None) -> Enrolment:
        observed = replace(self._new(key, wish, linked), state=State.OBSERVED, wish=None)
        try:
            found = self.look(_number(wish))
        except (LibraryUnavailable, LibraryRefused) as error:
            observed = replace(observed, reason=error.reason)
        else:
            observed = would(observed, plan(found, wish, linked, self.tools.now().date()))
        place = key._replace(name=_OBSERVED)
        entry = self.tools.ledger.read(place) or Entry(place, observed, None, None)
        self.tools.ledger.write(entry, observed, None)
        return observed


def _number(wish: Wish) -> str:
    if wish.cpr is None:
        raise LibraryRefused("a wish without a CPR number enrols nobody")
    return wish.cpr


def _looked(before: Enrolment, now: datetime, within: timedelta) -> bool:
    return before.settled is not None and now - before.settled < within
