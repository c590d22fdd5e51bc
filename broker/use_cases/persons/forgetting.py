"""A person is forgotten: step by step, links last, resumed by whoever comes after one that died."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
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
_QUEUED: Final[tuple[RecordKind, ...]] = ("person", "enrolment", "pin")
_LEASED: Final[Mapping[str, RecordKind]] = {each: each for each in _QUEUED}
# What has begun meanwhile, under an id that a login had read before, is gone after the second turn.
_TURNS: Final = 2


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

    def forget(self, person: FoundPerson, *, stone_last: bool = False) -> int:
        """Forget a person, and return how many records were dropped.

        The order, with all that leads to the person, is written first, then the tombstone; that
        last where other machines go by it. StillCarriedOut where a worker does not end, and
        RecordsUnread where something may be left: the order stands, and is resumed.
        """
        now = self.now()
        key = Key("forgetting", secrets.token_hex(16))
        whole = self.records.with_typed(person, now)
        order = self._orders.write(key, Content(whole, FORGETTING.until(now)), None, now)
        return self._carried_out(order, stone_last=stone_last) if order else 0

    def order(self, person: FoundPerson, name: str) -> None:
        """Order that a person be forgotten, by ``broker work``; the same name again is one order.

        What they have authenticated is over at once.
        """
        now = self.now()
        whole = self.records.with_typed(person, now)
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
        try:
            self._carried_out(order)
        except (RecordUnreadable, LeadsNowhere) as error:
            return error
        return None

    def repeat(self, *, everything: bool = False) -> int:
        """Forget again whom a store that was put back knows again, and return how many.

        Looked for are those whose tombstone the store has lost with it, or ``everything``. Nobody
        is there to say which of several is meant: those are ``undecided``.
        """
        again = 0
        for stone in self._stones(everything=everything):
            person = self._of_stone(stone)
            if person.is_several:
                continue
            if not person.is_nobody:
                with suppress(RecordsUnread):  # the order stands, and each hour says so
                    self.forget(person, stone_last=True)
                again += 1
            self.tombstones.keep(stone)
        return again

    def undecided(self, *, everything: bool = False) -> tuple[Tombstone, ...]:
        """Return the tombstones that lead to several persons: staff must say which is meant."""
        stones = self.tombstones.all() if everything else self.tombstones.lost_by_store()
        return tuple(each for each in stones if self._of_stone(each).is_several)

    def _stones(self, *, everything: bool) -> tuple[Tombstone, ...]:
        return self.tombstones.all() if everything else self.tombstones.unknown_to_store()

    def _of_stone(self, stone: Tombstone) -> FoundPerson:
        return self.search.by_ids(partial(self.tombstones.is_marked, stone))

    def _carried_out(self, order: Record[FoundPerson], *, stone_last: bool = False) -> int:
        stone = self.tombstones.of(order.value)
        if stone is not None and not stone_last:
            self.tombstones.keep(stone)
        dropped = sum(self._turn(order.value) for _ in range(_TURNS))
        self._drop_orphaned_leases()
        while self.store.sweep(self.now()):
            pass
        if stone is not None:
            self.tombstones.keep(stone)
        self._end(order)
        return dropped

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

    def _turn(self, person: FoundPerson) -> int:
        """Drop all that is found, in the order of ``TheirRecords.of``: links last."""
        now = self.now()
        records = self.records.of(person, now - _JUST_ENDED)
        counters = self.counters.keys(person, records)
        links = [record for record in records if record.key.kind == "link"]
        others = [record for record in records if record.key.kind != "link"]
        self._end_sessions(records, now)
        # Before the records: some are named after what only these hold.
        for key in counters:
            self.store.drop(key)
        for record in others:
            self._drop(record)
        self._erase_trail(person)
        for record in links:
            self.search.links.forget_person(record.key.group, person.ids, person.cprs)
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

    def _erase_trail(self, person: FoundPerson) -> None:
        now = self.now()
        erased = sum(self.trail.erase(group, now) for group in person.trail)
        if erased:
            self.trail.erased(erased, now)

    @property
    def _orders(self) -> Records[FoundPerson]:
        return Records(self.store, FoundPerson, durable=True)


def _order(key: Key, kept: Kept) -> Record[FoundPerson]:
    return Record(key, load(FoundPerson, kept.value), kept.version, kept.until, kept.due)
