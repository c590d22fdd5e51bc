"""What changes between two policy sets, for whom: wider, refused, other, narrower."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date

from broker.core.analysis.asked_again import AskedAgain, asked_again
from broker.core.analysis.compared_logins import Analysis, ComparedLogin
from broker.core.analysis.directed_change import Change, Direction
from broker.core.analysis.outcome_changes import MOVES, NOBODY, account_words, changes
from broker.core.analysis.outcomes import Outcome
from broker.core.analysis.partial_logins import AgeRange
from broker.core.analysis.row_ages import ages_of, in_words
from broker.core.analysis.row_days import EVERY_DAY, DayRange, days_of_row
from broker.core.analysis.set_pairs import days_of
from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.entities import Names
from broker.core.login.described_login import DescribedLogin


@dataclass(frozen=True, slots=True)
class Row:
    """One change at one service for the people of one affiliation, with a login that shows it.

    ``classes`` is how many classes it happens to, ``ages`` in words the ages that it is about, and
    ``days`` when it happens.
    ``offered``: it happens to people who chose nothing, or what a page offers. ``arrives``: their
    affiliation is one that the set before has not.
    """

    change: Change
    service: str
    affiliation: str
    login: DescribedLogin
    classes: int
    ages: str = ""
    offered: bool = True
    arrives: bool = False
    days: DayRange = EVERY_DAY


@dataclass(frozen=True, slots=True)
class Arrival:
    """What people of an affiliation that the set before has not get at one service.

    ``before`` are the affiliations that they had, ``leaving`` the attributes, None where nobody is
    let in; ``accounts`` says in words which are made or changed.
    """

    affiliation: str
    service: str
    before: Names
    leaving: Names | None
    accounts: Names = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """All that two sets decide differently.

    ``same`` of ``all_pairs`` affiliations at services have no row; ``classes`` were compared.
    ``asked_again`` is why a remembered answer does not cover what is asked now.
    """

    rows: tuple[Row, ...]
    same: int
    all_pairs: int
    classes: int
    asked_again: tuple[AskedAgain, ...]
    arrivals: tuple[Arrival, ...] = ()

    @property
    def wider(self) -> bool:
        """Return whether anybody gets more, or a service does, or less is asked."""
        return any(row.change.direction is Direction.WIDER for row in self.rows)


@dataclass(slots=True)
class _Counted:
    """A row that is being counted."""

    change: Change
    login: DescribedLogin
    offered: bool
    arrives: bool
    classes: int = 0
    ages: set[AgeRange | None] = field(default_factory=set)
    days: set[date] = field(default_factory=set)


@dataclass(slots=True)
class _Arriving:
    """An arrival that is being gathered, in the order in which it is seen."""

    before: dict[str, None] = field(default_factory=dict)
    leaving: dict[str, None] = field(default_factory=dict)
    accounts: dict[str, None] = field(default_factory=dict)
    let_in: bool = False


_Key = tuple[Direction, str, str, str]


@dataclass(slots=True)
class _Comparison:
    """The rows of two sets as far as they are counted; ``intents`` that pages offer, None: all."""

    analysis: Analysis
    intents: Collection[str] | None
    known: frozenset[str] = field(init=False)
    rows: dict[_Key, _Counted] = field(default_factory=dict)
    arriving: dict[tuple[str, str], _Arriving] = field(default_factory=dict)

    def __post_init__(self) -> None:
        before, _ = self.analysis.sets
        self.known = frozenset(policy.affiliation for policy in before.policies)

    def offered(self, login: DescribedLogin) -> bool:
        """Return whether people come to such a login by what pages offer."""
        return login.intent is None or self.intents is None or login.intent in self.intents

    def arrives(self, outcome: Outcome) -> bool:
        """Return whether the affiliation of an outcome is new."""
        return outcome.affiliation is not None and outcome.affiliation not in self.known

    def count(self, change: Change, login: ComparedLogin) -> None:
        """Count a change of a class; shown is a login of it that pages offer, if there is one."""
        before, after = login.outcomes
        key = (change.direction, login.service.name, _affiliation(before, after), change.text)
        offered = self.offered(login.login)
        row = self.rows.get(key)
        if row is None:
            row = _Counted(change, login.login, offered, self.arrives(after))
            self.rows[key] = row
        elif offered and not row.offered:
            row.login, row.offered = login.login, True
        row.classes += 1
        age = login.login.reading.age
        row.ages.add(ages_of(login.found, age, self.analysis.sets))
        row.days.add(login.day)

    def gather(self, login: ComparedLogin) -> None:
        """Gather what comes of people whose affiliation is new."""
        before, after = login.outcomes
        if not self.arrives(after) or not self.offered(login.login):
            return
        key = (after.affiliation or "", login.service.name)
        arriving = self.arriving.setdefault(key, _Arriving())
        arriving.before[before.affiliation or NOBODY] = None
        if after.refusal is None:
            arriving.let_in = True
            arriving.leaving |= {each.name: None for each in after.leaving}
            if after.borrower and after.borrower.outcome is not EnrolmentOutcome.UNCHANGED:
                arriving.accounts[account_words(after.borrower)] = None

    def in_order(self) -> Iterator[Row]:
        """Yield the rows, the widest first."""
        order = list(Direction)
        keys = sorted(self.rows, key=lambda key: (order.index(key[0]), key[1], key[2]))
        compared = days_of(self.analysis.sets, self.analysis.now.date())
        for key in keys:
            row = self.rows[key]
            _, service, affiliation, _ = key
            yield Row(
                change=row.change,
                service=service,
                affiliation=affiliation,
                login=row.login,
                classes=row.classes,
                ages=in_words(row.ages),
                offered=row.offered,
                arrives=row.arrives,
                days=days_of_row(row.days, compared),
            )

    def arrivals(self) -> Iterator[Arrival]:
        """Yield what was gathered, by affiliation and service."""
        for (affiliation, service), found in sorted(self.arriving.items()):
            leaving = tuple(found.leaving) if found.let_in else None
            yield Arrival(affiliation, service, tuple(found.before), leaving, tuple(found.accounts))


def difference(analysis: Analysis, intents: Collection[str] | None = None) -> Difference:
    """Compare the two sets of ``analysis``, class by class.

    ``intents`` are the affiliations that the sign-up pages offer: the rows of other intents, which
    only an address that no page has leads to, say so. Without them every one counts as offered.
    """
    compared = _Comparison(analysis, intents)
    pairs: set[tuple[str, str]] = set()
    changed: set[tuple[str, str]] = set()
    classes = set()
    again: dict[AskedAgain, None] = {}
    for login in analysis.logins():
        classes.add((login.day, login.found))
        before, after = login.outcomes
        pair = (before.affiliation or after.affiliation or NOBODY, login.service.name)
        pairs.add(pair)
        again |= dict.fromkeys(asked_again(login.service.name, before, after))
        compared.gather(login)
        for change in changes(before, after):
            changed.add(pair)
            compared.count(change, login)
    return Difference(
        rows=tuple(compared.in_order()),
        same=len(pairs - changed),
        all_pairs=len(pairs),
        classes=len(classes),
        asked_again=tuple(again),
        arrivals=tuple(compared.arrivals()),
    )


def _affiliation(before: Outcome, after: Outcome) -> str:
    one = before.affiliation or NOBODY
    other = after.affiliation or NOBODY
    return one if one == other else f"{one}{MOVES}{other}"
