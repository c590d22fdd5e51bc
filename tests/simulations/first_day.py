"""Simulates the first day with an existing library: first logins through the real login, enrolment and worker.

``make first-day`` prints 5,000 logins at a library of 40,000 borrowers.
"""

import sys
from argparse import ArgumentParser
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from broker.adapters.stores import sqlite
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.enrolment import Claim
from broker.core.borrowers.matching import PersonFacts, can_be_claimed, has_surname, is_possible_duplicate
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.login.steps import Ask, ClaimBorrower, ConfirmAddress, Enrol, Issue, Refuse
from broker.use_cases.transactions.transactions import LoginContext
from tests.use_cases.conftest import Hooks, Shelf, World
from tests.use_cases.login.conftest import Logins

_SURNAMES: Final = "Nielsen Jensen Hansen Pedersen Andersen Christensen Larsen Sørensen Rasmussen Jørgensen Møller"
_BEGINNINGS: Final = "Øster Vester Nør Lind Birk Ege Dal Holm Kirke Sø Skov Lille"
_ENDINGS: Final = "gaard lund bjerg toft borg strøm vig by mark holt rup sted"
_GIVEN_NAMES: Final = (
    "Anne Mette Kirsten Hanne Anna Åse Ida Freja Karla Sofie Emma Laura Maja Julie Camilla Louise Line Signe Rikke "
    "Peter Jens Lars Michael Henrik Thomas Søren Niels Emil William Noah Oscar Lucas Victor Malthe Mads Rasmus Jonas "
    "Kasper Mikkel Aage Jørgen Bjørn Frederik Anders Simon Jakob Magnus Tobias Bo"
)
SURNAMES: Final = (
    *_SURNAMES.split(),
    *(beginning + ending for beginning in _BEGINNINGS.split() for ending in _ENDINGS.split()),
)
GIVEN_NAMES: Final = tuple(_GIVEN_NAMES.split())
# Fewer than two of name, birth date and mail address agree with the person's existing borrower.
_SECOND: Final = "  of them with a second account: too little agrees with the first"
_SECOND_UNLESS_TOLD: Final = '  of them with a second account unless they press "I already have a library account"'


@dataclass(frozen=True, slots=True)
class Person:
    """A person with the facts that their university asserts."""

    facts: PersonFacts
    cpr: str
    mail: str


class IndexedShelf(Shelf):
    """A simulated library system with indexes by CPR number, birth date and mail address."""

    def __init__(self) -> None:
        super().__init__(Hooks())
        self._index: defaultdict[object, set[str]] = defaultdict(set)

    def keep(self, borrower: Borrower) -> Borrower:
        """Store a borrower."""
        self.borrowers[borrower.number] = borrower
        for key in {borrower.cpr, borrower.born, borrower.email} - {None}:
            self._index[key].add(borrower.number)
        return borrower

    def find(self, cpr: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Find borrowers by CPR number."""
        del deadline
        return tuple(each for each in self._list(cpr) if each.cpr == cpr)

    def find_similar(self, birth_date: date | None, email: str | None, deadline: datetime) -> tuple[Borrower, ...]:
        """Find borrowers by birth date and by mail address."""
        del deadline
        return tuple({each.number: each for key in (birth_date, email) if key for each in self._list(key)}.values())

    def _list(self, key: object) -> list[Borrower]:
        return [self.borrowers[number] for number in sorted(self._index.get(key, ()))]

    def _create(self, wanted: WantedBorrower, mark: str) -> Borrower | None:
        if self._list(wanted.cpr):
            return None
        fields = {each.name: each.value for each in wanted.fields}
        fields["firstname"] = wanted.person.given_name
        number = str(len(self.borrowers) + 1)
        made = Borrower(
            number, wanted.category, wanted.expires, mark, fields.get("email"), fields, wanted.person.birth_date
        )
        return self.keep(replace(made, cpr=wanted.cpr, card=wanted.cpr))

    def _change(self, change: Change) -> Borrower:
        before = self.borrowers[change.number]
        changed = {"category": change.category, "expires": change.expires, "cpr": change.cpr}
        fields = {**before.fields, **dict(change.fields)}
        values = {name: value for name, value in changed.items() if value}
        return self.keep(replace(before, fields=fields, email=fields.get("email"), **values))  # type: ignore[arg-type]


@dataclass
class Population:
    """The simulated persons, and the borrowers that the desk registered for them."""

    random: Random
    library: IndexedShelf = field(default_factory=IndexedShelf)
    owners: dict[str, Person] = field(default_factory=dict)
    _serials: Counter[date] = field(default_factory=Counter)
    _made: int = 0

    def make_person(self, twin_of: Person | None = None) -> Person:
        """Return a new person. Most are students; a twin shares surname and birth date."""
        draw = self.random
        age = int(min(draw.triangular(17, 32, 21), 32) if draw.random() < 0.7 else draw.uniform(17, 85))
        born = date(2026, 11, 25) - timedelta(days=366 * age + draw.randrange(365))
        surname = SURNAMES[int(len(SURNAMES) * draw.random() ** 2)]
        given_name = GIVEN_NAMES[int(len(GIVEN_NAMES) * draw.random() ** 1.5)]
        if twin_of:
            born, surname = twin_of.facts.birth_date or born, twin_of.facts.surname
            given_name = next(each for each in GIVEN_NAMES if each != twin_of.facts.given_name)
        self._serials[born] += 1
        serial = self._serials[born] + (4000 if born.year >= 2000 else 0)
        number = f"{born:%d%m%y}{serial:04}"
        self._made += 1
        return Person(PersonFacts(surname, given_name, born), number, f"st{self._made}@student.example")

    def register(self, person: Person) -> None:
        """Register a borrower with the errors that a library's records have."""
        born = person.facts.birth_date
        if self._draws(0.03):
            born = None if self._draws(0.5) else date(1900, 1, 1)
        surname = "Gift" + person.facts.surname if self._draws(0.05) else person.facts.surname
        email = None
        if not self._draws(0.3):
            # Half of the addresses are those that the university asserts. Some belong to a whole family.
            email = person.mail if self._draws(0.5) else f"own-{person.mail}"
            email = f"family@{person.facts.surname}.example" if self._draws(0.02) else email
        fields = {"surname": surname, "firstname": person.facts.given_name, **({"email": email} if email else {})}
        number = str(len(self.library.borrowers) + 1)
        cpr = None if self._draws(0.2) else person.cpr
        expires = date(2028, 11, 25)
        made = Borrower(number, "STUD", expires, None, email, fields, born, cpr, card=f"C-{number}")
        self.library.keep(made)
        self.owners[number] = person

    def _draws(self, share: float) -> bool:
        return self.random.random() < share

    def exchange_index(self, pairs: int) -> None:
        """Swap the CPR numbers of some pairs of borrowers, as mistakes at the desk do."""
        numbered = [each for each in self.library.borrowers.values() if each.cpr]
        for one, other in zip(numbered[:pairs], numbered[-pairs:], strict=True):
            self.library.keep(replace(one, cpr=other.cpr))
            self.library.keep(replace(other, cpr=one.cpr))


class FirstDay:
    """First logins of many persons, and a count of the results."""

    def __init__(self, folder: Path, borrowers: int, logins: int, seed: int = 22) -> None:
        """Create the population. 70 % of the logins are by persons with a borrower."""
        sqlite.prepare(folder / "broker.db")
        draw = Random(seed)
        population = Population(draw)
        persons: list[Person] = []
        while len(population.library.borrowers) < borrowers:
            persons.append(population.make_person(persons[-1] if persons and draw.random() < 0.005 else None))
            for _ in range(2 if draw.random() < 0.01 else 1):
                population.register(persons[-1])
        population.exchange_index(max(2, borrowers // 2000))
        known = logins * 7 // 10
        newcomers = [population.make_person() for _ in range(logins - known)]
        self.persons = [*draw.sample(persons, known), *newcomers]
        draw.shuffle(self.persons)
        self.library, self.owners = population.library, population.owners
        self.world = World(folder / "broker.db", library=self.library)
        self.logins = Logins(self.world)
        self.met: Counter[str] = Counter()
        self.had = {number: self.library.borrowers[number] for number in self.owners}

    def run(self) -> None:
        """Log each person in once. A person who can claim a borrower claims it and logs in again."""
        for person in self.persons:
            met = self.log_in(person)
            if met == "case possible_duplicate":
                met = self._claim(person) or met
            self.met[met] += 1

    def log_in(self, person: Person) -> str:
        """Log a person in to a service that needs a borrower, and return the result as text."""
        flow, now, facts = self.logins.flow, self.world.now, person.facts
        said = {"sn": facts.surname, "gn": facts.given_name, "mail": person.mail}
        answer = self.logins.student(eppn=person.mail.replace("student.example", "au.dk"), cpr=person.cpr, **said)
        context = self._agree(self.logins.log_in(self.logins.begun(), answer))
        step = flow.next_step(context, now)
        if isinstance(step, ConfirmAddress):
            context = self._agree(flow.answer_address(context, now, is_own=True))
            step = flow.next_step(context, now)
        while isinstance(step, Enrol):
            context = flow.enrol(context, now, language="da", patience=0)
            while self.world.worker.step():
                pass
            step = flow.next_step(context, now)
        self.world.now += timedelta(seconds=5)
        account = context.transaction.account
        if isinstance(step, Refuse):
            return f"case {step.reason}"
        if isinstance(step, ClaimBorrower):
            return "case possible_duplicate"
        assert isinstance(step, Issue), step
        assert account
        assert account.number
        self.check_owner(person, account.number)
        return "gets in at once"

    def check_owner(self, person: Person, number: str) -> None:
        """Assert that the borrower belongs to this person and is no duplicate that the broker could have found."""
        if number not in self.owners:
            for had, owner in self.owners.items():
                if owner == person:
                    before = self.had[had]
                    assert not is_possible_duplicate(person.facts, person.mail, before), "a second account"
                    told = can_be_claimed(person.facts, before) and (before.email or has_surname(person.facts, before))
                    self.met[_SECOND_UNLESS_TOLD if told else _SECOND] += 1
            self.owners[number] = person
        assert self.owners[number] == person, "another person's account"

    def _agree(self, context: LoginContext) -> LoginContext:
        flow, now = self.logins.flow, self.world.now
        step = flow.next_step(context, now)
        if not isinstance(step, Ask):
            return context
        shown = step.question.disclosure.page_digest(flow.hmacs)
        return flow.answers.record_answer(context, step, shown, "yes", now, remember=False, chosen=(), language="da")

    def _claim(self, person: Person) -> str | None:
        """Claim the person's own borrower, with the mailed code or with the card number."""
        person_id = self.world.id_of(person.cpr)
        enrolment = self.world.read_enrolment(person_id)
        assert enrolment
        for borrower in (self.library.borrowers[number] for number in enrolment.borrowers):
            if self.owners[borrower.number] != person or not can_be_claimed(person.facts, borrower):
                continue
            way = "mailed code" if borrower.email else "card number"
            if borrower.email is None and not has_surname(person.facts, borrower):
                continue
            claimed = enrolment.claim(Claim(borrower.number, is_by_card=borrower.email is None), self.world.now)
            change = self.world.persons.change
            change(person_id, lambda each: each.set_enrolment(claimed), self.world.now)  # noqa: B023
            while self.world.worker.step():
                pass
            assert self.log_in(person) == "gets in at once"
            return f"claims by {way}"
        return None

    def lines(self) -> list[str]:
        """Return the counts as lines of text."""
        head = f"{len(self.persons)} first logins, {len(self.had)} borrowers"
        return [head, *(f"{count:6}  {what}" for what, count in sorted(self.met.items(), key=_rank))]


def _rank(met: tuple[str, int]) -> tuple[bool, bool, str]:
    what, _ = met
    return "case" in what, "claims" in what, what


def main() -> None:
    """Print the results of a simulated first day."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--borrowers", type=int, default=40_000)
    parser.add_argument("--logins", type=int, default=5_000)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        day = FirstDay(Path(folder), given.borrowers, given.logins)
        day.run()
        sys.stdout.write("\n".join(day.lines()) + "\n")


if __name__ == "__main__":
    main()
