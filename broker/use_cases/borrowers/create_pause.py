"""The pause of creates that a fault in the set-up refuses: one trial a minute in place of cases."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.entities import Names
from broker.core.errors import LibraryUnavailable
from broker.core.ports import Key, Store
from broker.core.retention.table import PAUSE
from broker.use_cases.records import Content, Reads, Record, Records

# One person's create may be refused for what they alone bring; three people share the set-up.
PEOPLE: Final = 3
TRIAL_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, repr=False)
class RefusedCreates:
    """The people whose creates one fault in the set-up refused, and when a create was last tried.

    ``people`` are pseudonyms, ``setting`` is the library system's own name of what is at fault.
    """

    setting: str
    people: Names
    tried: datetime


@dataclass(frozen=True, slots=True)
class CreatePause:
    """The pauses in a store, one for each category of borrowers: a fault may be in one alone."""

    store: Store
    now: Callable[[], datetime]

    @staticmethod
    def key(category: str) -> Key:
        """Return the key of the pause of a category."""
        return Key("pause", category)

    def admit(self, category: str, reads: Reads) -> None:
        """Let a create be sent, or raise LibraryUnavailable while creates are paused.

        Of all workers one sends a trial each minute. ``reads`` holds the pause of the category.
        """
        now = self.now()
        record = self._records.found(self.key(category), reads)
        if record is None or len(record.value.people) < PEOPLE:
            return
        refused = record.value
        tried = replace(refused, tried=now)
        content = Content(tried, PAUSE.until(now))
        due = refused.tried + TRIAL_EVERY <= now
        if due and self._records.write(record.key, content, record.version, now):
            return
        raise LibraryUnavailable(f"creates are paused: {refused.setting}", refused.setting)

    def refused(self, category: str, person: str, setting: str) -> None:
        """Record that ``person`` (a pseudonym) met a fault in the set-up."""
        now = self.now()

        def counted(record: Record[RefusedCreates] | None) -> Content[RefusedCreates]:
            people = record.value.people if record else ()
            others = tuple(other for other in people if other != person)
            # No more are needed to tell that it is not one person's fault.
            latest = (*others, person)[-PEOPLE:]
            return Content(RefusedCreates(setting, latest, now), PAUSE.until(now))

        self._records.amend(self.key(category), counted, now)

    def lifted(self, category: str) -> None:
        """Record that a create of the category went through: the set-up is mended."""
        key = self.key(category)
        if self._records.get(key, self.now()):
            self._records.drop(key)

    @property
    def _records(self) -> Records[RefusedCreates]:
        return Records(self.store, RefusedCreates)
