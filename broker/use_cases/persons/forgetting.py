"""A person is forgotten step by step; what a process that died had begun is done again."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.errors import LeadsNowhere
from broker.core.login.transaction import Arrival, Transaction
from broker.core.logout.sessions import Session
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Kept, Key, RecordKind, RecordUnreadable, Store, lease_of
from broker.core.retention.table import FORGETTING, LEASE
from broker.use_cases.login.arrivals import Arrivals
from broker.use_cases.logout.sessions import Sessions
from broker.use_cases.person_records import PersonRecords
from broker.use_cases.persons.legible_records import legible
from broker.use_cases.persons.person_search import FoundPerson, PersonSearch, PersonTrail
from broker.use_cases.persons.their_counters import TheirCounters
from broker.use_cases.persons.their_records import TheirRecord, TheirRecords
from broker.use_cases.persons.tombstones import Tombstone, Tombstones
from broker.use_cases.records import Content, Record, Records, load

# Longer than any lease that nobody renews.
_PATIENCE: Final = timedelta(seconds=120)
_LOOK_EVERY: Final = 0.25
# Redis keeps what has ended for five minutes more, SQLite until it is swept: it goes too.
_JUST_ENDED: Final = timedelta(minutes=6)
_QUEUED: Final[tuple[RecordKind, ...]] = ("person",)
_LEASED: Final[Mapping[str, RecordKind]] = {each: each for each in _QUEUED}
# What has begun meanwhile, under an id that a login had read before, is gone after the second turn.
_TURNS: Final = 2
# Longer than a request takes that was begun before the person was forgotten.
_UNDER_WAY: Final = timedelta(seconds=30)


class StillCarriedOut(LeadsNowhere):
    """A worker holds the lease on something of the person's, and does not let go of it."""

    about = "person"


class RecordsUnread(LeadsNowhere):
    """Something in the store cannot be read, and may be the person's."""

    about = "person"


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Forgets persons; each step can be done again, and is, after a death at any point."""

    store: Store
    hmacs: LookupHmacs
    search: PersonSearch
    records: TheirRecords
    counters: TheirCounters
    trail: PersonTrail
    tombstones: Tombstones
    now: Callable[[], datetime]
    pause: Callable[[float], None]

    def forget(self, person: FoundPerson) -> int:
        """Forget a person, and return how many records were dropped.

        The order, with all that leads to the person, is written first, then the tombstone.
        StillCarriedOut where a worker does not end, and RecordsUnread where something may be left:
        the order stands, and is resumed.
        """
        now = self.now()
        key = Key("forgetting", secrets.token_hex(16))
        whole = person
        order = self._orders.write(key, Content(whole, FORGETTING.until(now)), None, now)
        return self._carried_out(order, self.now) if order else 0

    def order(self, person: FoundPerson, name: str) -> None:
        """Order that a person be forgotten, by ``broker work``; the same name again is one order.

        What they have authenticated is over at once.
        """
        now = self.now()
        whole = person
        until = FORGETTING.until(now)
        self._orders.add(Key("forgetting", name), whole, until, now, due=now)
        self._end_sessions(self.records.of(whole, now), now)

    def resume(self, *, due_only: bool = False) -> int:
        """Carry out every order that was begun, and return how many there were.

        ``due_only``: those that nobody else is at. Where one cannot be ended the others are, and
        what hindered the first is raised then.
        """
        now = self.now()
        found = legible(self.store, "forgetting", _order, now)
        orders = [
            order for _, _, order in found if not due_only or (order.due and order.due <= now)
        ]
        hindered = [error for order in orders if (error := self._hindrance(order))]
        if hindered:
            raise hindered[0]
        return len(orders)

    def _hindrance(self, order: Record[FoundPerson]) -> RecordUnreadable | LeadsNowhere | None:
        """Carry out an order, and return what hindered it."""
        # Who comes again after the order has the same ids: what they leave then stays.
        ordered_at = order.until - FORGETTING.span
        try:
            self._carried_out(order, lambda: ordered_at + _UNDER_WAY)
        except (RecordUnreadable, LeadsNowhere) as error:
            return error
        return None

    def repeat(self, *, everything: bool = False) -> int:
        """Forget again whom a store that was put back knows again, and return how many.

        Looked for are those whose tombstone the store has lost with it, or ``everything``. What was
        written after a person was forgotten stays: they have come again.
        """
        again = 0
        stones = self.tombstones.all() if everything else self.tombstones.unknown_to_store()
        for stone in stones:
            person = self.search.by_ids(stone.ids)
            dropped = sum(self._turn(person, stone.at) for _ in range(_TURNS))
            again += dropped > 0
            self.tombstones.keep(stone)
        if again:
            self._drop_ended()
        return again

    def _carried_out(self, order: Record[FoundPerson], before: Callable[[], datetime]) -> int:
        """Drop what was written before ``before``, which is asked at each turn."""
        stone = Tombstone(order.until - FORGETTING.span, order.value.ids)
        self.tombstones.keep(stone)
        dropped = sum(self._turn(order.value, before()) for _ in range(_TURNS))
        self._drop_ended()
        self.tombstones.keep(stone)
        self._end(order)
        return dropped

    def _drop_ended(self) -> None:
        self._drop_orphaned_leases()
        while self.store.sweep(self.now()):
            pass

    def _end(self, order: Record[FoundPerson]) -> None:
        """Drop an order; it stands, to be tried again each hour, where something is unread."""
        now = self.now()
        unread = self.records.unread(now)
        if not unread.keys:
            self._orders.drop(order.key)
            return
        self._orders.write(order.key, Content(order.value, order.until), order.version, now)
        kinds = ", ".join(sorted(unread.counts))
        what = f"what cannot be read may be the person's ({kinds}; see broker check)"
        raise RecordsUnread(f"{what}; the order stands: broker person forget --resume")

    def _turn(self, person: FoundPerson, before: datetime) -> int:
        """Drop all that is found and was written before ``before``."""
        now = self.now()
        found = self.records.of(person, now - _JUST_ENDED)
        records = tuple(record for record in found if record.written_at <= before)
        self._end_sessions(records, now)
        # Before the records: some are named after what only these hold.
        for key in self.counters.keys(person, records):
            self.store.drop(key)
        for record in records:
            self._drop(record)
        self._erase_trail(person, before)
        return len(records)

    def _end_sessions(self, records: tuple[TheirRecord, ...], now: datetime) -> None:
        """Mark as over whatever was authenticated: a request under way delivers nothing more."""
        sessions = Sessions(self.store, self.hmacs)
        for record in records:
            match record.fact:
                case Session(browser=browser, person=person):
                    sessions.close(browser, person, now)
                case Transaction(browser=str(browser), person=person) if person:
                    sessions.close(browser, person.id, now)

    def _drop(self, record: TheirRecord) -> None:
        if isinstance(record.fact, Arrival):
            self._spend(record)
        elif record.key.kind in _LEASED:
            with self._leased(record.key):
                self._drop_leased(record.key)
        else:
            self.store.drop(record.key)

    def _drop_leased(self, key: Key) -> None:
        if key.kind == "person":
            PersonRecords(self.store, self.hmacs).drop(key.group, self.now())
        else:
            self.store.drop(key)

    def _spend(self, record: TheirRecord) -> None:
        """Take the answer out, and leave that it came: it must not come a second time."""
        now = self.now()
        arrivals = Arrivals(self.store, self.hmacs)
        kept = Records(self.store, Arrival).get(record.key, now)
        if kept is None:
            self.store.drop(record.key)  # ended a moment ago: so has its assertion
        else:
            arrivals.spend(kept, now)

    @contextmanager
    def _leased(self, key: Key) -> Iterator[None]:
        """Hold the lease on a record, once no worker does; it is dropped with the record."""
        place = lease_of(key)
        token = secrets.token_hex(8)
        began = self.now()
        while not self._has_taken(place, token):
            if self.now() - began > _PATIENCE:
                what = "broker work does not let go of what it carries out for the person"
                raise StillCarriedOut(f"{what}; the order stands: broker person forget --resume")
            self.pause(_LOOK_EVERY)
        try:
            yield
        finally:
            self.store.drop(place)

    def _has_taken(self, place: Key, token: str) -> bool:
        now = self.now()
        return self.store.put(place, Kept(b"", token, LEASE.until(now)), None, now)

    def _drop_orphaned_leases(self) -> None:
        """Drop the leases on records that are gone: whoever died between the two left one."""
        now = self.now()
        for place, _ in tuple(self.store.list("lease", None, now - _JUST_ENDED)):
            name, _, group = place.group.partition("/")
            kind = _LEASED.get(name)
            if kind and self.store.get(Key(kind, group, place.name), now) is None:
                self.store.drop(place)

    def _erase_trail(self, person: FoundPerson, before: datetime) -> None:
        now = self.now()
        erased = sum(self.trail.erase(group, now, before) for group in person.trail)
        if erased:
            self.trail.erased(erased, now)

    @property
    def _orders(self) -> Records[FoundPerson]:
        return Records(self.store, FoundPerson, durable=True)


def _order(key: Key, kept: Kept) -> Record[FoundPerson]:
    return Record(key, load(FoundPerson, kept.value), kept.version, kept.until, kept.due)
