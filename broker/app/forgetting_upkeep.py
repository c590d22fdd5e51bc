"""What ``broker work`` does for the forgotten: ends what was begun, and forgets them again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker.app.assembly import Parts, now
from broker.app.person_operations import PersonDesk, desk
from broker.core.errors import StoreUnavailable
from broker.core.event_routes import BrokerEvent, EventKind
from broker.use_cases.persons.forgetting import Forgetting, RecordsUnread, StillCarriedOut
from broker.use_cases.persons.legible_records import Unread

_EVERY: Final = timedelta(hours=1)


@dataclass(slots=True)
class ForgettingUpkeep:
    """Ends what people or a command that died had begun, and forgets whom a backup brought back.

    Orders that are due are looked for at each step; everything when ``broker work`` begins, each
    hour, and as soon as the store lacks the last tombstone: it was put back.
    """

    parts: Parts
    _of: PersonDesk = field(init=False)
    _next: datetime | None = None
    _is_looking: bool = False

    def __post_init__(self) -> None:
        """Join the parts once: a step is made every other second."""
        self._of = desk(self.parts)

    def step(self) -> bool:
        """Look if it is time; True where somebody was forgotten."""
        moment = now()
        is_whole = self._next is None or moment >= self._next or self._is_put_back()
        count = 0
        if is_whole:
            count = self._repeated()
            self._next = moment + _EVERY
            self.parts.wake.local.set()  # what was held back
            self._tell_unread(moment)
        try:
            count += self._forgetting.resume(due_only=not is_whole)
        except RecordsUnread as error:
            self.parts.tell(BrokerEvent(EventKind.FORGET_PENDING, {"fault": str(error)}))
            self._purge()
        finally:
            self._tell(EventKind.FORGOTTEN_AGAIN if is_whole else EventKind.FORGOTTEN, count)
        return count > 0

    def _tell(self, kind: EventKind, count: int) -> None:
        if not count:
            return
        self.parts.tell(BrokerEvent(kind, {"count": count}))
        self._purge()

    def _purge(self) -> None:
        for sentence in self.parts.store.purge():
            self.parts.tell(BrokerEvent(EventKind.FORGET_PENDING, {"fault": sentence}))

    def _tell_unread(self, moment: datetime) -> None:
        for sentence in sentences_of_unread(self._of.records.unread(moment)):
            self.parts.tell(BrokerEvent(EventKind.RECORD_UNREAD, {"fault": sentence}))

    def may_go_on(self) -> bool:
        """Return whether what is due may be carried out; StoreUnavailable.

        Not before whom a store that was put back knows again is forgotten again: their request
        would make a borrower of them, and a letter would reach them.
        """
        return self._next is not None and not self._is_looking and not self._is_put_back()

    def _repeated(self) -> int:
        self._is_looking = True
        try:
            return self._forgetting.repeat()
        finally:
            self._is_looking = False

    def _is_put_back(self) -> bool:
        return self._forgetting.tombstones.last_lost() is not None

    @property
    def _forgetting(self) -> Forgetting:
        return self._of.forgetting


def repeat_first(parts: Parts) -> None:
    """Forget whom a store that was put back knows again, before anybody logs in by it.

    What a worker of another machine still carries out is left to ``broker work``.
    """
    forgetting = desk(parts).forgetting
    if forgetting.tombstones.last_lost() is None:
        return
    try:
        ForgettingUpkeep(parts).step()
    except StillCarriedOut as error:
        parts.tell(BrokerEvent(EventKind.FORGET_PENDING, {"fault": str(error)}))


def findings(parts: Parts) -> tuple[str, ...]:
    """Return in sentences what is left to be forgotten."""
    forgetting = desk(parts).forgetting
    try:
        lost = forgetting.tombstones.lost_by_store()
        unread = forgetting.records.unread(now())
    except StoreUnavailable:
        return ()  # a fault of the store
    except OSError as error:
        return (f"person: the record of who was forgotten cannot be read: {error.strerror}",)
    found = [f"person: {each}" for each in sentences_of_unread(unread)]
    if lost:
        what = "broker work does it when it begins, or broker person forget --restored"
        found.append(f"person: a backup was put back, {len(lost)} to be forgotten again: {what}")
    return tuple(found)


def sentences_of_unread(unread: Unread) -> Iterator[str]:
    """Yield which records cannot be read, what that stops, and how to mend it."""
    what = "nobody knows whose it is, and nobody is forgotten to the end"
    mend = "put its key back, or the store of a backup"
    for key in unread.keys:
        name = f"{key.kind} {key.group} {key.name}".strip()
        yield f"the record {name} cannot be read: {what}; {mend}"
    if unread.unnamed:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(unread.counts.items()))
        yield f"{unread.unnamed} more records cannot be read (in all: {kinds})"
