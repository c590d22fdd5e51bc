"""What staff do for a person who asks: find what is kept about them, show it, and forget it."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE
from broker.core.identity.cpr import looks_like_cpr
from broker.core.login.authentication_reading import read_authentication
from broker.core.login.transaction import Authentication
from broker.use_cases.identity.person_resolution import NAMES, PersonResolution
from broker.use_cases.persons.forgetting import Forgetting, RecordsUnread
from broker.use_cases.persons.person_search import FoundPerson, PersonSearch
from broker.use_cases.persons.their_counters import TheirCounters
from broker.use_cases.persons.their_records import AssertedNames, TheirRecords
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

    ``typed`` is a CPR number or an eppn, ``reference`` that of a page, ``borrower`` the library
    system's own number.
    """

    typed: str | None = None
    reference: str | None = None
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

    def groups_of(self, reference: str, now: datetime) -> Names:
        """Return the groups of the keys of the person of a page's reference."""
        return self.searching.groups_of(reference, now)

    def events(self, groups: Names, now: datetime) -> Iterator[Mapping[str, Any]]:
        """Return the events that the keys of ``groups`` open, oldest first."""
        return self.searching.of(groups, now)

    def services(self) -> Names:
        """Return every service that an event names."""
        return self.searching.services()

    def erase(self, group: str, now: datetime) -> int:
        """Delete every key of a group, and return how many there were."""
        return self.kept.person_keys.erase(group, now)

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

    def groups_of(self, reference: str, now: datetime) -> Names:
        """Find nothing."""
        del reference, now
        return ()

    def events(self, groups: Names, now: datetime) -> Iterator[Mapping[str, Any]]:
        """Find nothing."""
        del groups, now
        return iter(())

    def services(self) -> Names:
        """Find nothing."""
        return ()

    def erase(self, group: str, now: datetime) -> int:
        """Erase nothing."""
        del group, now
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
        """Return the person; NoPerson where nobody, or more than one, is meant.

        ``services`` are names of services that are gone and may have receipts of theirs.
        """
        asking = self._asking()
        person = _one(self._named(asking, named))
        if person.is_nobody:
            raise NoPerson(_NOBODY)
        person = replace(person, services=tuple(dict.fromkeys((*person.services, *services))))
        return _one(self._with_library(asking, person, named))

    def of_login(self, id_: str) -> FoundPerson:
        """Return whoever has logged in, by the id that the login led to: nobody of the same name.

        NoPerson where it may be two people after all.
        """
        asking = self._asking()
        person = _one(asking.by_id(id_))
        return _one(self._with_library(asking, person, NamedPerson()))

    def _asking(self) -> PersonSearch:
        """Return the search, which asks the library system once about each borrower number."""
        return replace(self.search, holds=cache(self._is_held))

    def _is_held(self, number: str, cprs: frozenset[str]) -> bool:
        """Return whether staff have not given the record to another person, as far as is known."""
        try:
            borrower = self.parts.library.read(number, now() + self.patience)
        except LibraryError:
            return True
        if borrower is None or borrower.cpr is None or not cprs:
            return True
        return self.parts.links.of_cpr(borrower.cpr) in cprs

    def _named(self, search: PersonSearch, named: NamedPerson) -> FoundPerson:
        if named.reference is not None:
            return search.by_reference(named.reference)
        if named.borrower is not None:
            return _known(search, search.by_number(named.borrower.strip()))
        cpr = _cpr_in(named)
        if cpr:
            return _known(search, search.by_names([self.parts.links.of_cpr(cpr)]))
        own = self._own_names((named.typed or "").strip())
        return search.by_names(own, lasting=False)

    def _own_names(self, typed: str) -> Iterator[str]:
        """Yield the pseudonyms of a name at each institution: it is good within its own only."""
        persons = self._persons
        for upstream in self.parts.federated.values():
            institutions = {each.entity_id for each in upstream.institutions}
            for institution in sorted(institutions | {upstream.entity_id}):
                for kind in NAMES:
                    yield persons.of_own(kind, institution, typed)

    def _with_library(
        self, search: PersonSearch, person: FoundPerson, named: NamedPerson
    ) -> FoundPerson:
        """Add what the library system knows: what may be typed leads to letters that wait."""
        found = tuple(self._borrowers(person, named))
        numbers = tuple(borrower.number for borrower in found)
        return search.with_more(person, numbers)

    def _borrowers(self, person: FoundPerson, named: NamedPerson) -> Iterator[Borrower]:
        """Yield the person's borrowers as the library system has them, as far as it answers."""
        library = self.parts.library
        by = now() + self.patience
        cpr = _cpr_in(named)
        with suppress(LibraryError):
            for number in person.numbers:
                borrower = library.read(number, by)
                if borrower is not None and self._is_theirs(borrower, person):
                    yield borrower
            theirs = library.find(cpr, by) if cpr is not None else ()
            if len(theirs) == 1 and theirs[0].cpr == cpr:
                # Of two records with one number staff must say whose each is.
                yield theirs[0]

    def _is_theirs(self, borrower: Borrower, person: FoundPerson) -> bool:
        """Return whether staff have not given the record to somebody else since."""
        return borrower.cpr is None or self.parts.links.of_cpr(borrower.cpr) in person.names

    @property
    def _persons(self) -> PersonResolution:
        parts = self.parts
        return _resolution(parts)


_TWO: Final = (
    "it may be two people: an account, a name or a page that changed hands; name the person by CPR "
    "number, on standard input"
)
_NOBODY: Final = (
    "nothing is kept that this leads to; a CPR number, a name (eppn) that was seen within a year, "
    "a borrower number, or a page's reference of the last 30 days leads somewhere"
)


def _cpr_in(named: NamedPerson) -> str | None:
    """Return the ten digits of the CPR number that was typed; None where none was."""
    typed = named.typed or ""
    return identifier_of(typed) if looks_like_cpr(typed, apart=True) else None


def _one(person: FoundPerson) -> FoundPerson:
    if person.is_several:
        raise NoPerson(_TWO)
    return person


def _known(search: PersonSearch, person: FoundPerson) -> FoundPerson:
    """Return the person, or nobody where the pseudonym that was looked for leads nowhere."""
    if person.ids or person.enrolments or any(search.trail.events(person.trail, now())):
        return person
    return FoundPerson()


def _resolution(parts: Parts) -> PersonResolution:
    question = parts.enrolments.question
    return PersonResolution(parts.configured(), parts.links, parts.cases, question)


def desk(parts: Parts) -> PersonDesk:
    """Join the parts of a broker for one person's questions."""
    trail = _machine_trail(parts)
    links = parts.links
    index = parts.keys.index
    search = PersonSearch(parts.store, links, trail, lambda: tuple(parts.services), now)
    persons = _resolution(parts)

    def names_in(answer: Authentication) -> AssertedNames:
        upstream = parts.upstreams.get(answer.upstream)
        if upstream is None:
            return AssertedNames(frozenset())
        try:
            reading = read_authentication(answer, upstream, parts.maps.maps, now())
        except AttributesRefused:
            return AssertedNames(frozenset())
        cpr = reading.attributes.one(CPR_ATTRIBUTE)
        return AssertedNames(
            persons.asserted(answer, reading.attributes),
            links.of_cpr(cpr) if cpr else None,
            persons.lasting(answer, reading),
        )

    records = TheirRecords(parts.store, index, links, names_in, trail.of_person)
    limits = Limits(parts.store, index, now)
    counters = TheirCounters(links, parts.mailbox_proof, limits)
    tombstones = Tombstones(parts.store, index, StateTombstones(parts.config.state), now)
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
    undecided = of.forgetting.undecided(everything=everything)
    pending += [*of.parts.store.purge(), *(sentence_of_two(each.at) for each in undecided)]
    return ForgetOutcome(count, tuple(pending))


@dataclass(frozen=True, slots=True)
class ForgetOutcome:
    """How many records, or persons, are gone, and what is pending in the files of the store."""

    count: int
    pending: Sequence[str]


def sentence_of_two(at: datetime) -> str:
    """Return what is to be done about a tombstone that leads to more than one person."""
    what = f"who was forgotten on {at:%Y-%m-%d} is known again by a backup, among others"
    return f"{what}: find the request of that day, and give broker person forget the CPR number"
