"""Everything that one person goes by in the store, from their person ids or borrower number."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from broker.core.borrowers.enrolment import Enrolment
from broker.core.entities import Names
from broker.core.identity.person_id import compute_person_id_of_borrower
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Store
from broker.use_cases.borrowers.enrolment_records import StoredEnrolment
from broker.use_cases.persons.legible_records import legible
from broker.use_cases.records import load


@dataclass(frozen=True, slots=True, repr=False)
class FoundPerson:
    """What leads to a person's records.

    ``ids`` are person ids: of the CPR number or of identifiers, and of the library account of the
    borrower. ``numbers`` are borrower numbers, ``typed`` pseudonyms of what may be typed for them,
    ``enrolments`` ids of enrolments and cases; ``trail`` the groups of the keys on the audit trail,
    and ``services``, ``references``, ``receipts`` what its events name. ``is_several``: more than
    one person may be meant.
    """

    ids: Names = ()
    numbers: Names = ()
    typed: Names = ()
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


Rows = Iterable[StoredEnrolment]


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
        led = [row.key.group for row in rows if row.enrolment.number == number and not row.key.name]
        ids = tuple(dict.fromkeys(led))
        person = FoundPerson(ids, (number,), is_several=len(ids) > 1)
        if ids and not self.holds(number, frozenset(ids)):
            return replace(person, is_several=True)
        return self._whole(person, rows)

    def by_ids(self, ids: Iterable[str], numbers: Names = ()) -> FoundPerson:
        """Return the person of these ids; ``numbers`` are those of borrowers known to be theirs."""
        return self._whole(FoundPerson(tuple(dict.fromkeys(ids)), numbers), self._rows())

    def with_more(self, person: FoundPerson, numbers: Names, typed: Names) -> FoundPerson:
        """Return the person with what the library system knows of their borrower."""
        more = replace(
            person, numbers=_once(person.numbers, numbers), typed=_once(person.typed, typed)
        )
        return self._whole(more, self._rows())

    def _whole(self, person: FoundPerson, rows: Rows) -> FoundPerson:
        """Return the person with all that their ids and borrower numbers lead to."""
        own = frozenset(person.ids)
        led = [row.enrolment.number for row in rows if row.key.group in own and not row.key.name]
        found = _once((), (number for number in led if number))
        numbers = _once(person.numbers, (each for each in found if self.holds(each, own)))
        accounts = [compute_person_id_of_borrower(self.hmacs, number) for number in numbers]
        ids = _once(person.ids, accounts)
        enrolments = [
            row.enrolment.id for row in rows if row.key.group in ids or row.enrolment.person in ids
        ]
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

    def _rows(self) -> tuple[StoredEnrolment, ...]:
        """Return every enrolment and case that can be read."""
        found = legible(
            self.store, "enrolment", lambda _, kept: load(Enrolment, kept.value), self.now()
        )
        return tuple(
            StoredEnrolment(key, fact, kept.version, kept.due) for key, kept, fact in found
        )


def _facts(events: Iterable[Mapping[str, object]], name: str) -> Iterator[str]:
    """Yield one fact of the events that have it."""
    for event in events:
        if event.get(name):
            yield str(event[name])


def _once(before: Names, more: Iterable[str]) -> Names:
    return tuple(dict.fromkeys((*before, *more)))
