"""What staff do for a person who asks: find what is kept about them, show it, and forget it."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from broker.adapters.trail.audit_trail import KeptTrail
from broker.adapters.trail.event_search import EventSearch
from broker.app.assembly import Parts, now
from broker.app.tombstone_file import StateTombstones
from broker.core.audit_events import AuditEvent, AuditEventKind
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.pins import identifier_of
from broker.core.entities import Names
from broker.core.errors import AttributesRefused, LeadsNowhere, LibraryError
from broker.core.identity.cpr import looks_like_cpr
from broker.core.identity.person_id import (
    compute_person_id_of_cpr,
    compute_person_ids_of_identifier,
)
from broker.core.login.authentication_reading import read_authentication
from broker.core.login.transaction import Authentication
from broker.use_cases.identity.person_resolution import compute_id
from broker.use_cases.persons.forgetting import Forgetting, RecordsUnread
from broker.use_cases.persons.person_search import FoundPerson, PersonSearch
from broker.use_cases.persons.their_counters import TheirCounters
from broker.use_cases.persons.their_records import TheirRecords
from broker.use_cases.persons.tombstones import Tombstones
from broker.use_cases.proofs.rate_limits import Limits

_CALL: Final = timedelta(seconds=10)


class NoPerson(LeadsNowhere):
    """What was named leads to nobody, or to several.

    What was typed is quoted nowhere: it may be a person's number.
    """

    about = "person"


@dataclass(frozen=True, slots=True)
class NamedPerson:
    """A person by one thing that is known of them; exactly one is some.

    ``typed`` is a CPR number or an identifier that an institution asserted, ``borrower`` the
    library system's own number.
    """

    typed: str | None = None
    borrower: str | None = None


@dataclass(frozen=True, slots=True)
class MachineTrail:
    """The audit trail of this machine as the port ``PersonTrail``."""

    kept: KeptTrail
    searching: EventSearch

    def of_person(self, person: str) -> str:
        """Return the group of the keys of a person id."""
        return self.kept.person_keys.of_person(person)

    def of_borrower(self, number: str) -> str:
        """Return the group of the keys of a borrower number."""
        return self.kept.person_keys.of_borrower(number)

    def events(self, groups: Names, now: datetime) -> Iterator[Mapping[str, Any]]:
        """Return the events that the keys of ``groups`` open, oldest first."""
        return self.searching.of(groups, now)

    def has_keys(self, group: str, now: datetime) -> bool:
        """Return whether there is an event that a key of ``group`` opens."""
        return self.kept.person_keys.has_any(group, now)

    def services(self) -> Names:
        """Return every service that an event names."""
        return self.searching.services()

    def erase(self, group: str, now: datetime, before: datetime) -> int:
        """Delete the keys of a group up to the month of ``before``; return how many there were."""
        return self.kept.person_keys.erase(group, now, before)

    def erased(self, count: int, now: datetime) -> None:
        """Write that ``count`` keys of a person are deleted."""
        self.kept.add(AuditEvent(AuditEventKind.PERSON_ERASED, now, count=count))


@dataclass(frozen=True, slots=True)
class NoMachineTrail:
    """The same where no trail is kept."""

    def of_person(self, person: str) -> str:
        """Return the person: it leads to no key."""
        return person

    def of_borrower(self, number: str) -> str:
        """Return the number: it leads to no key."""
        return number

    def events(self, groups: Names, now: datetime) -> Iterator[Mapping[str, Any]]:
        """Find nothing."""
        del groups, now
        return iter(())

    def has_keys(self, group: str, now: datetime) -> bool:
        """Find nothing."""
        del group, now
        return False

    def services(self) -> Names:
        """Find nothing."""
        return ()

    def erase(self, group: str, now: datetime, before: datetime) -> int:
        """Erase nothing."""
        del group, now, before
        return 0

    def erased(self, count: int, now: datetime) -> None:
        """Write nothing."""


@dataclass(frozen=True, slots=True)
class PersonDesk:
    """The parts of a broker, joined for one person's questions."""

    parts: Parts
    search: PersonSearch
    records: TheirRecords
    counters: TheirCounters
    forgetting: Forgetting
    patience: timedelta = _CALL  # for what the library system says

    def found(self, named: NamedPerson, services: Iterable[str] = ()) -> FoundPerson:
        """Return the person; NoPerson where nothing is kept, or two may be meant.

        ``services`` are names of services that are gone and may have receipts of theirs.
        """
        asking = self._asking()
        person = _one(self._named(asking, named))
        person = replace(person, services=tuple(dict.fromkeys((*person.services, *services))))
        whole = _one(self._with_library(asking, person, named))
        moment = now()
        if not self.records.of(whole, moment) and not any(
            self.search.trail.events(whole.trail, moment)
        ):
            raise NoPerson(_NOBODY)
        return whole

    def of_login(self, id_: str) -> FoundPerson:
        """Return the person who has logged in, by their person id."""
        asking = self._asking()
        return _one(self._with_library(asking, asking.by_ids([id_]), NamedPerson()))

    def _asking(self) -> PersonSearch:
        """Return the search, which asks the library system once about each borrower number."""
        return replace(self.search, holds=cache(self._is_held))

    def _is_held(self, number: str, ids: frozenset[str]) -> bool:
        """Return whether staff have not given the record to another person, as far as is known."""
        try:
            borrower = self.parts.library.read(number, now() + self.patience)
        except LibraryError:
            return True
        return borrower is None or self._is_theirs(borrower, ids)

    def _named(self, search: PersonSearch, named: NamedPerson) -> FoundPerson:
        if named.borrower is not None:
            return search.by_number(named.borrower.strip())
        cpr = _cpr_in(named)
        if cpr:
            return search.by_ids([compute_person_id_of_cpr(self.parts.keys.index, cpr)])
        ids = tuple(self._ids_of_identifier((named.typed or "").strip()))
        known = tuple(each for each in ids if self._has_left_anything(each))
        person = search.by_ids(known)
        return replace(person, is_several=len(known) > 1)

    def _ids_of_identifier(self, typed: str) -> Iterator[str]:
        """Yield the person ids of an identifier: of each type, at each institution."""
        for upstream in self.parts.federated.values():
            institutions = {each.entity_id for each in upstream.institutions}
            for institution in sorted(institutions | {upstream.entity_id}):
                yield from compute_person_ids_of_identifier(
                    self.parts.keys.index, upstream.name, institution, typed
                )

    def _has_left_anything(self, id_: str) -> bool:
        moment = now()
        records = self.records.has_any_of(id_, tuple(self.parts.services), moment)
        return records or self.search.trail.has_keys(self.search.trail.of_person(id_), moment)

    def _with_library(
        self, search: PersonSearch, person: FoundPerson, named: NamedPerson
    ) -> FoundPerson:
        """Add the borrower numbers that the library system knows."""
        numbers = tuple(borrower.number for borrower in self._borrowers(person, named))
        return search.with_more(person, numbers)

    def _borrowers(self, person: FoundPerson, named: NamedPerson) -> Iterator[Borrower]:
        """Yield the person's borrowers as the library system has them, as far as it answers."""
        library = self.parts.library
        by = now() + self.patience
        cpr = _cpr_in(named)
        with suppress(LibraryError):
            for number in person.numbers:
                borrower = library.read(number, by)
                if borrower is not None and self._is_theirs(borrower, person.ids):
                    yield borrower
            theirs = library.find(cpr, by) if cpr is not None else ()
            if len(theirs) == 1 and theirs[0].cpr == cpr:
                # Of two records with one number staff must say whose each is.
                yield theirs[0]

    def _is_theirs(self, borrower: Borrower, ids: Collection[str]) -> bool:
        """Return whether staff have not given the record to somebody else since."""
        if borrower.cpr is None:
            return True
        return compute_person_id_of_cpr(self.parts.keys.index, borrower.cpr) in ids


_TWO: Final = (
    "it may be two people: an account that changed hands, or an identifier that two institutions "
    "use; name the person by CPR number, on standard input"
)
_NOBODY: Final = (
    "nothing is kept that this leads to; a CPR number, a borrower number, or an identifier of a "
    "login without CPR number leads somewhere"
)


def _cpr_in(named: NamedPerson) -> str | None:
    """Return the ten digits of the CPR number that was typed; None where none was."""
    typed = named.typed or ""
    return identifier_of(typed) if looks_like_cpr(typed, apart=True) else None


def _one(person: FoundPerson) -> FoundPerson:
    if person.is_several:
        raise NoPerson(_TWO)
    return person


def desk(parts: Parts) -> PersonDesk:
    """Join the parts of a broker for one person's questions."""
    trail = _machine_trail(parts)
    index = parts.keys.index
    search = PersonSearch(parts.store, index, trail, lambda: tuple(parts.services), now)

    def id_of(answer: Authentication) -> str | None:
        upstream = parts.upstreams.get(answer.upstream)
        if upstream is None:
            return None
        try:
            reading = read_authentication(answer, upstream, parts.maps.maps, now())
        except AttributesRefused:
            return None
        return compute_id(index, answer, reading, reading.ground)

    records = TheirRecords(parts.store, index, id_of)
    limits = Limits(parts.store, index, now)
    counters = TheirCounters(parts.mailbox_proof, limits)
    tombstones = Tombstones(parts.store, StateTombstones(parts.config.state), now)
    forgetting = Forgetting(
        parts.store, index, search, records, counters, trail, tombstones, now, time.sleep
    )
    return PersonDesk(parts, search, records, counters, forgetting)


def _machine_trail(parts: Parts) -> MachineTrail | NoMachineTrail:
    kept = parts.trail
    if not isinstance(kept, KeptTrail):
        return NoMachineTrail()
    return MachineTrail(kept, EventSearch(kept.journal, kept.person_keys, parts.store))


def forgotten(of: PersonDesk, person: FoundPerson) -> "ForgetOutcome":
    """Forget a person, and take the octets out of the store's files too.

    RecordsUnread where something may be left that cannot be read; what could be is gone.
    """
    try:
        dropped = of.forgetting.forget(person)
    except RecordsUnread:
        of.parts.store.purge()
        raise
    return ForgetOutcome(dropped, tuple(of.parts.store.purge()))


def ended(of: PersonDesk, *, everything: bool) -> "ForgetOutcome":
    """End what was begun, and forget again whom a store that was put back knows again."""
    count, pending = 0, []
    try:
        count = of.forgetting.resume()
    except RecordsUnread as error:
        pending.append(str(error))
    count += of.forgetting.repeat(everything=everything)
    pending += of.parts.store.purge()
    return ForgetOutcome(count, tuple(pending))


@dataclass(frozen=True, slots=True)
class ForgetOutcome:
    """How many records, or persons, are gone, and what is pending in the files of the store."""

    count: int
    pending: Sequence[str]
