"""What changes between two policy sets, for whom: wider, refused, other, narrower."""

from dataclasses import dataclass

from broker.core.analysis.asked_again import AskedAgain, asked_again
from broker.core.analysis.compared_logins import Analysis, ComparedLogin
from broker.core.analysis.directed_change import Change, Direction
from broker.core.analysis.outcome_changes import NOBODY, changes
from broker.core.analysis.outcomes import Outcome
from broker.core.login.described_login import DescribedLogin


@dataclass(frozen=True, slots=True)
class Row:
    """One change at one service for the people of one affiliation, with a login that shows it.

    ``classes`` is how many classes it happens to.
    """

    change: Change
    service: str
    affiliation: str
    login: DescribedLogin
    classes: int


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

    @property
    def wider(self) -> bool:
        """Return whether anybody gets more, or a service does, or less is asked."""
        return any(row.change.direction is Direction.WIDER for row in self.rows)


_Key = tuple[Direction, str, str, str]


def difference(analysis: Analysis) -> Difference:
    """Compare the two sets of ``analysis``, class by class."""
    rows: dict[_Key, Row] = {}
    pairs: set[tuple[str, str]] = set()
    changed: set[tuple[str, str]] = set()
    classes = set()
    again: dict[AskedAgain, None] = {}
    for login in analysis.logins():
        classes.add((login.day, login.found))
        before, after = login.outcomes
        group = _affiliation(before, after)
        pair = (before.affiliation or after.affiliation or NOBODY, login.service.name)
        pairs.add(pair)
        again |= dict.fromkeys(asked_again(login.service.name, before, after))
        for change in changes(before, after):
            changed.add(pair)
            _count(
                rows,
                change,
                login,
                group,
            )
    order = list(Direction)
    found = sorted(
        rows.values(),
        key=lambda row: (order.index(row.change.direction), row.service, row.affiliation),
    )
    same = len(pairs - changed)
    return Difference(tuple(found), same, len(pairs), len(classes), tuple(again))


def _count(rows: dict[_Key, Row], change: Change, login: ComparedLogin, group: str) -> None:
    service = login.service.name
    key = (change.direction, service, group, change.text)
    row = rows.get(key)
    classes = row.classes + 1 if row else 1
    shown = row.login if row else login.login
    rows[key] = Row(
        row.change if row else change,
        service,
        group,
        shown,
        classes,
    )


def _affiliation(before: Outcome, after: Outcome) -> str:
    one = before.affiliation or NOBODY
    other = after.affiliation or NOBODY
    return one if one == other else f"{one} -> {other}"
