"""A person's own records, for whoever has logged in for them: shown, and ordered to be deleted."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import Semaphore
from typing import Any, Final

from broker.app import person_report
from broker.app.assembly import Parts, now
from broker.app.person_operations import NoPerson, PersonDesk, desk
from broker.core.errors import TooMany
from broker.use_cases.persons.person_search import FoundPerson
from broker.use_cases.persons.their_counters import OWN_LOOKS
from broker.use_cases.proofs.rate_limits import Limits

# A request waits no longer for the library system (docs/reference/design.md#waiting).
_PATIENCE: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class OwnPerson:
    """The port ``OwnRecords``: by the person id of a login and nothing else.

    All that is kept is looked through for it, so that a worker does it for one person at a time.
    """

    desk: PersonDesk
    limits: Limits
    turn: Semaphore = field(default_factory=Semaphore)

    @classmethod
    def of(cls, parts: Parts) -> "OwnPerson":
        """Return it over the parts of a broker."""
        return cls(
            replace(desk(parts), patience=_PATIENCE), Limits(parts.store, parts.keys.index, now)
        )

    def report(self, person: str) -> Mapping[str, Any] | None:
        """Return everything that is kept, as ``broker person export`` does.

        None where it may be two people; TooMany where they look again and again.
        """
        self.limits.take((OWN_LOOKS, person))
        with self._in_turn():
            found = self._found(person)
            return person_report.report(self.desk, found) if found else None

    def forget(self, person: str, order: str) -> Mapping[str, Any] | None:
        """Order that the person be forgotten, and return what was kept.

        None, and nothing is ordered, where it may be two. The same order again is one.
        """
        with self._in_turn():
            found = self._found(person)
            if found is None:
                return None
            kept = person_report.report(self.desk, found)
            self.desk.forgetting.order(found, order)
        return kept

    def _found(self, person: str) -> FoundPerson | None:
        try:
            return self.desk.of_login(person)
        except NoPerson:
            return None

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        if not self.turn.acquire(timeout=_PATIENCE.total_seconds()):
            raise TooMany("somebody else's records are being looked through")
        try:
            yield
        finally:
            self.turn.release()
