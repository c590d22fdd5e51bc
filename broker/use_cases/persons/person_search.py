"""Everything that one person goes by in the store, from whatever of it is known."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations
from typing import Any, Protocol

from broker.core.entities import Names
from broker.core.identity.identifier_reassignment import PersonLink, is_stale
from broker.core.person_record import PersonRecord
from broker.core.ports import Store
from broker.core.stateless_references import compact
from broker.use_cases.identity.person_links import PersonLinks
from broker.use_cases.login.support_traces import SupportTraces
from broker.use_cases.persons.legible_records import legible
from broker.use_cases.records import load


@dataclass(frozen=True, slots=True, repr=False)
class FoundPerson:
    """What leads to a person's records.

    ``names`` are pseudonyms of names and accounts and of the CPR numbers ``cprs``, ``holders`` the
    ids of whoever has those numbers: one, where the number was changed. ``ids`` are the random ids
    that NameIDs and receipts are made of, ``numbers`` borrower numbers, ``typed`` pseudonyms of
    what may be typed for them, ``enrolments`` ids of enrolments and cases; ``trail`` the groups of
    the keys on the audit trail, and ``services``, ``references``, ``receipts`` what its events
    name.
    """

    names: Names = ()
    cprs: Names = ()
    holders: Names = ()
    ids: Names = ()
    numbers: Names = ()
    typed: Names = ()
    enrolments: Names = ()
    trail: Names = ()
    services: Names = ()
    references: Names = ()
    receipts: Names = ()
    is_mixed: bool = False

    @property
    def is_several(self) -> bool:
        """Return whether more than one person may be meant: staff must say whose number it is.

        It leads to the CPR numbers of two, or by what nothing joins (``is_mixed``): a name that
        came with a number and alone may have had two holders, a page two visitors.
        """
        return self.is_mixed or len(self.holders) > 1

    @property
    def is_nobody(self) -> bool:
        """Return whether nothing leads anywhere."""
        return not (self.names or self.ids or self.enrolments or self.trail or self.references)


class PersonTrail(Protocol):
    """The audit trail of this machine, as far as it is one person's."""

    def of_person(self, person: str) -> str:
        """Return the group of the keys of a person id."""
        ...

    def of_borrower(self, number: str) -> str:
        """Return the group of the keys of a borrower number."""
        ...

    def groups_of(self, reference: str, now: datetime) -> Names:
        """Return the groups of the keys of the person of a page's reference."""
        ...

    def events(self, groups: Names, now: datetime) -> Iterable[Mapping[str, Any]]:
        """Return the events that the keys of ``groups`` open, oldest first."""
        ...

    def services(self) -> Names:
        """Return every service that an event names: those that are gone, too."""
        ...

    def erase(self, group: str, now: datetime) -> int:
        """Delete every key of a group, and return how many there were."""
        ...

    def erased(self, count: int, now: datetime) -> None:
        """Write that ``count`` keys of a person are deleted: whose, no line says."""
        ...


@dataclass(frozen=True, slots=True)
class _Row:
    """The borrower and enrolment of a person; ``group`` is their CPR number's pseudonym, or id."""

    group: str
    number: str | None
    enrolment_id: str | None


Links = Mapping[str, PersonLink]
Rows = Iterable[_Row]


@dataclass(frozen=True, slots=True)
class PersonSearch:
    """Finds a person by any one thing, and by that everything else; nothing is written.

    ``services`` names those that are configured. ``holds`` is whether a borrower number is still
    that of a person of these CPR numbers, as far as the library system says.
    """

    store: Store
    links: PersonLinks
    trail: PersonTrail
    services: Callable[[], Iterable[str]]
    now: Callable[[], datetime]
    holds: Callable[[str, frozenset[str]], bool] = lambda _number, _cprs: True

    def by_names(self, names: Iterable[str], *, lasting: bool = True) -> FoundPerson:
        """Return the person of some pseudonyms of names, or of CPR numbers where ``lasting``.

        A name that nobody came by for a year may be somebody else's by now, and leads to nobody.
        """
        links = self._links()
        known = frozenset(name for name in names if lasting or self._is_current(links, name))
        two_holders = not lasting and any(links[each].cpr and links[each].alone for each in known)
        return self._whole(FoundPerson(names=tuple(known), is_mixed=two_holders), links)

    def by_number(self, number: str) -> FoundPerson:
        """Return the person of a borrower number: by its enrolment, and by the account itself."""
        groups = [row.group for row in self._rows() if row.number == number]
        names = (*groups, self.links.of_borrower(number))
        links = self._links()
        mixed = self._are_apart(names, links, self._rows())
        found = FoundPerson(names=names, numbers=(number,), is_mixed=mixed)
        return self._whole(found, links)

    def by_ids(self, is_theirs: Callable[[str], bool]) -> FoundPerson:
        """Return the person of whose ids of links or enrolments ``is_theirs`` holds.

        A case leads to nobody: it may stand under the one of two whose number it names.
        """
        links = self._links()
        names = [name for name, link in links.items() if is_theirs(_id(link))]
        names += [row.group for row in self._rows() if is_theirs(row.enrolment_id or "")]
        alone = tuple(sorted(id_ for id_ in _beside_numbers(links) if is_theirs(id_)))
        if not names and not alone:
            return FoundPerson()
        return self._whole(FoundPerson(names=tuple(names), ids=alone), links)

    def by_id(self, id_: str) -> FoundPerson:
        """Return the person of a login, by the id that it led to, and nobody of its name beside.

        Where nothing leads to the id any more, it is still what its records are kept under.
        """
        links = self._links()
        numbers = []
        alone = []
        for name, link in links.items():
            if (link.cpr, link.person) == (name, id_):
                numbers.append(name)
            if not link.cpr and link.alone_id == id_:
                alone.append(name)
        return self._whole(FoundPerson(names=tuple(numbers or alone), ids=(id_,)), links)

    def by_reference(self, reference: str) -> FoundPerson:
        """Return the person of a page's reference: by its trace's enrolment, and by the trail.

        A case leads to nobody, as in ``by_ids``. Two people may have used one page.
        """
        now = self.now()
        links = self._links()
        groups = self.trail.groups_of(reference, now)
        trace = SupportTraces(self.store).find(reference, now)
        rows = self._rows()
        names = [n for n, link in links.items() if self.trail.of_person(_id(link)) in groups]
        if trace and trace.enrolment:
            names += [row.group for row in rows if row.enrolment_id == trace.enrolment]
        person = FoundPerson(
            names=tuple(names),
            numbers=self._numbers_of(groups, rows),
            trail=tuple(groups),
            references=(compact(reference),) if trace else (),
            is_mixed=self._are_apart(names, links, rows),
        )
        return self._whole(person, links)

    def _numbers_of(self, groups: Names, rows: Rows) -> Names:
        """Return the borrower numbers that some groups of keys on the trail belong to."""
        known = {row.number for row in rows if row.number}
        return tuple(sorted(n for n in known if self.trail.of_borrower(n) in groups))

    def _are_apart(self, names: Iterable[str], links: Links, rows: Rows) -> bool:
        """Return whether two of some names lead to nothing that is the other's too."""
        closed = [self._closed(FoundPerson(names=(name,)), links, rows)[0] for name in names]
        return any(one.isdisjoint(other) for one, other in combinations(closed, 2))

    def with_more(self, person: FoundPerson, numbers: Names) -> FoundPerson:
        """Return the person with what the library system knows of their borrower."""
        more = replace(person, numbers=_once(person.numbers, numbers))
        return self._whole(more, self._links())

    def _whole(self, person: FoundPerson, links: Links) -> FoundPerson:
        """Return the person with all that one thing leads to from another."""
        now = self.now()
        rows = self._rows()
        names, numbers = self._closed(person, links, rows)
        ids = sorted({_id(links[name]) for name in names & links.keys()})
        cprs = _cprs(names, links)
        found = replace(
            person,
            names=tuple(sorted(names)),
            cprs=tuple(sorted(cprs)),
            holders=tuple(sorted({_holder(cpr, links) for cpr in cprs})),
            ids=_once(person.ids, ids),
            numbers=numbers,
            # What was asked for is another's by now.
            is_mixed=person.is_mixed or not {*person.numbers} <= {*numbers},
        )
        owners = {*found.names, *found.ids}
        enrolments = [row.enrolment_id for row in rows if row.group in owners and row.enrolment_id]
        return self._with_trail(replace(found, enrolments=tuple(enrolments)), now)

    def _closed(self, person: FoundPerson, links: Links, rows: Rows) -> tuple[set[str], Names]:
        """Return all names and borrower numbers that lead to one another."""
        names = set(person.names)
        numbers = dict.fromkeys(person.numbers)
        size = -1
        while size != len(names) + len(numbers):
            size = len(names) + len(numbers)
            names |= _led_on(names, links)
            theirs = [row.number for row in rows if row.group in names]
            numbers |= dict.fromkeys(number for number in theirs if number)
            names |= self._accounts(numbers, names, links)
        return self._own(person, names, tuple(numbers), links)

    def _own(
        self, person: FoundPerson, names: set[str], numbers: Names, links: Links
    ) -> tuple[set[str], Names]:
        """Return of names and numbers those that nobody else holds by now."""
        own = frozenset(_cprs(names, links))
        held = [n for n in numbers if n in person.numbers or self._is_held(n, own, links)]
        kept = tuple(n for n in held if self.holds(n, own))
        others = {self.links.of_borrower(n) for n in held if n not in kept}
        return names - others, kept

    def _is_held(self, number: str, cprs: frozenset[str], links: Links) -> bool:
        """Return whether nobody else has come by the account of a number since."""
        link = links.get(self.links.of_borrower(number))
        return link is None or link.cpr in cprs

    def _accounts(self, numbers: Iterable[str], names: set[str], links: Links) -> set[str]:
        """Return the pseudonyms of the accounts of numbers, but of one that another has by now.

        Staff may have given the record to somebody else: the last login by its PIN tells.
        """
        accounts = {self.links.of_borrower(number) for number in numbers}
        own = _cprs(names, links)
        return {each for each in accounts if each not in links or links[each].cpr in own}

    def _with_trail(self, person: FoundPerson, now: datetime) -> FoundPerson:
        trail = self.trail
        # A case of a number that nobody had come with yet stands under the number itself, and one
        # of a mailbox under what proofs are kept under.
        owners = map(self.links.proofs_of, person.ids)
        persons = map(trail.of_person, (*person.ids, *person.names, *owners))
        groups = _once(person.trail, (*persons, *map(trail.of_borrower, person.numbers)))
        events = tuple(trail.events(groups, now))
        about = _facts(events, "about")
        references = _facts(events, "reference")
        return replace(
            person,
            trail=groups,
            services=_once(person.services, (*self.services(), *trail.services())),
            references=_once(person.references, references),
            receipts=_once(person.receipts, about),
        )

    def _is_current(self, links: Links, name: str) -> bool:
        link = links.get(name)
        return link is not None and not is_stale(link, self.now())

    def _links(self) -> Links:
        found = legible(
            self.store, "link", lambda _, kept: load(PersonLink, kept.value), self.now()
        )
        return {key.group: link for key, _, link in found}

    def _rows(self) -> tuple[_Row, ...]:
        """Return the borrower and enrolment of every person whose record can be read."""
        links = self._links()
        found = legible(
            self.store, "person", lambda _, kept: load(PersonRecord, kept.value), self.now()
        )
        rows = []
        for key, _, record in found:
            id_ = key.group
            cprs = [name for name, link in links.items() if (link.cpr, link.person) == (name, id_)]
            enrolment_id = record.enrolment.id if record.enrolment else None
            rows += [_Row(each, record.borrower_number, enrolment_id) for each in cprs or [id_]]
        return tuple(rows)


def _facts(events: Iterable[Mapping[str, object]], name: str) -> Iterator[str]:
    """Yield one fact of the events that have it."""
    for event in events:
        if event.get(name):
            yield str(event[name])


def _led_on(names: set[str], links: Links) -> set[str]:
    """Return the CPR numbers of some names, and every name that last came with one of them.

    A person whose number was changed has two, with one id.
    """
    cprs = _cprs(names, links)
    holders = {_holder(cpr, links) for cpr in cprs}
    for name, link in links.items():
        if link.cpr == name and link.person in holders:
            cprs.add(name)
    led_on = set(cprs)
    for name, link in links.items():
        if link.cpr in cprs:
            led_on.add(name)
    return led_on


def _cprs(names: set[str], links: Links) -> set[str]:
    found = set()
    for name in names & links.keys():
        cpr = links[name].cpr
        if cpr:
            found.add(cpr)
    return found


def _holder(cpr: str, links: Links) -> str:
    """Return the id of whoever has a CPR number; its pseudonym where its link is gone."""
    return links[cpr].person if cpr in links else cpr


def _id(link: PersonLink) -> str:
    """Return the id of whoever a name leads to: the link's other id may be another holder's."""
    if link.cpr is None and link.alone:
        return link.alone
    return link.person


def _beside_numbers(links: Links) -> set[str]:
    """Return the ids of whoever came alone by a name that a CPR number came with too."""
    return {link.alone for link in links.values() if link.cpr and link.alone}


def _once(before: Names, more: Iterable[str]) -> Names:
    return tuple(dict.fromkeys((*before, *more)))
