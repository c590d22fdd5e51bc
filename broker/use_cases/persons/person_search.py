"""Everything that one person goes by in the store, from their person ids or borrower number."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from broker.core.entities import Names
from broker.core.identity.person_id import compute_person_id_of_borrower
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import PersonRecord
from broker.core.ports import Store
from broker.use_cases.persons.legible_records import legible
from broker.use_cases.records import load


@dataclass(frozen=True, slots=True, repr=False)
class FoundPerson:
    """What leads to a person's records.

    ``ids`` are person ids: of the CPR number or of identifiers, and of the library account of the
    borrower. ``numbers`` are borrower numbers, ``enrolments`` ids of enrolments; ``trail`` the
    groups of the keys on the audit trail,
    and ``services``, ``references``, ``receipts`` what its events name. ``is_several``: more than
    one person may be meant.
    """

    ids: Names = ()
    numbers: Names = ()
    enrolments: Names = ()
    trail: Names = ()
    services: Names = ()
    references: Names = ()
    receipts: Names = ()
    is_several: bool = False


class PersonTrail(Protocol):
    """The audit trail of this machine, as far as it is one person's."""

    def of_person(self, person: str) -> str:
        """Return the group of the keys of a person id."""
        ...

    def of_borrower(self, number: str) -> str:
        """Return the group of the keys of a borrower number."""
        ...

    def events(self, groups: Names, now: datetime) -> Iterable[Mapping[str, Any]]:
        """Return the events that the keys of ``groups`` open, oldest first."""
        ...

    def has_keys(self, group: str, now: datetime) -> bool:
        """Return whether there is an event that a key of ``group`` opens."""
        ...

    def services(self) -> Names:
        """Return every service that an event names: those that are gone, too."""
        ...

    def erase(self, group: str, now: datetime, before: datetime) -> int:
        """Delete the keys of a group up to the month of ``before``; return how many there were."""
        ...

    def erased(self, count: int, now: datetime) -> None:
        """Write that ``count`` keys of a person are deleted: whose, no line says."""
        ...


@dataclass(frozen=True, slots=True)
class _Row:
    """The borrower and the enrolment that the record of a person names."""

    person_id: str
    number: str | None
    enrolment_id: str | None


Rows = Iterable[_Row]


@dataclass(frozen=True, slots=True)
class PersonSearch:
    """Finds all that belongs to a person; nothing is written.

    ``services`` names those that are configured. ``holds`` is whether a borrower number is still
    that of a person of these ids, as far as the library system says.
    """

    store: Store
    hmacs: LookupHmacs
    trail: PersonTrail
    services: Callable[[], Iterable[str]]
    now: Callable[[], datetime]
    holds: Callable[[str, frozenset[str]], bool] = lambda _number, _ids: True

    def by_number(self, number: str) -> FoundPerson:
        """Return the person of a borrower number: led to it by CPR number, and its account itself.

        Several where two have been led to it.
        """
        rows = self._rows()
        ids = _once((), (row.person_id for row in rows if row.number == number))
        person = FoundPerson(ids, (number,), is_several=len(ids) > 1)
        if ids and not self.holds(number, frozenset(ids)):
            return replace(person, is_several=True)
        return self._whole(person, rows)

    def by_ids(self, ids: Iterable[str], numbers: Names = ()) -> FoundPerson:
        """Return the person of these ids; ``numbers`` are those of borrowers known to be theirs."""
        return self._whole(FoundPerson(tuple(dict.fromkeys(ids)), numbers), self._rows())

    def with_more(self, person: FoundPerson, numbers: Names) -> FoundPerson:
        """Return the person with what the library system knows of their borrower."""
        more = replace(person, numbers=_once(person.numbers, numbers))
        return self._whole(more, self._rows())

    def _whole(self, person: FoundPerson, rows: Rows) -> FoundPerson:
        """Return the person with all that their ids and borrower numbers lead to."""
        own = frozenset(person.ids)
        found = _once((), (row.number for row in rows if row.number and row.person_id in own))
        numbers = _once(person.numbers, (each for each in found if self.holds(each, own)))
        accounts = [compute_person_id_of_borrower(self.hmacs, number) for number in numbers]
        ids = _once(person.ids, accounts)
        enrolments = [row.enrolment_id for row in rows if row.enrolment_id and row.person_id in ids]
        whole = replace(person, ids=ids, numbers=numbers, enrolments=tuple(enrolments))
        return self._with_trail(whole, self.now())

    def _with_trail(self, person: FoundPerson, now: datetime) -> FoundPerson:
        trail = self.trail
        groups = (*map(trail.of_person, person.ids), *map(trail.of_borrower, person.numbers))
        events = tuple(trail.events(groups, now))
        return replace(
            person,
            trail=tuple(groups),
            services=_once(person.services, (*self.services(), *trail.services())),
            references=_once(person.references, _facts(events, "reference")),
            receipts=_once(person.receipts, _facts(events, "about")),
        )

    def _rows(self) -> tuple[_Row, ...]:
        """Return the borrower and enrolment of every person record that can be read."""
        found = legible(
            self.store, "person", lambda _, kept: load(PersonRecord, kept.value), self.now()
        )
        return tuple(
            _Row(key.group, each.borrower_number, each.enrolment.id if each.enrolment else None)
            for key, _, each in found
        )


def _facts(events: Iterable[Mapping[str, object]], name: str) -> Iterator[str]:
    """Yield one fact of the events that have it."""
    for event in events:
        if event.get(name):
            yield str(event[name])


def _once(before: Names, more: Iterable[str]) -> Names:
    return tuple(dict.fromkeys((*before, *more)))
