"""All that changes between two policy sets: one row for each change, with a persona that shows it."""

from dataclasses import dataclass, field

from broker.core.login.described_login import DescribedLogin
from broker.core.policy_analysis.changes import MOVES, Change, Direction, affiliation_of, changes
from broker.core.policy_analysis.plays import Play, Trial


@dataclass(slots=True)
class Row:
    """One change at one service for the people of one affiliation, with a login that shows it.

    ``values`` are those of an attribute that leave, or no longer do.
    """

    change: Change
    service: str
    affiliation: str
    login: DescribedLogin
    values: list[str] = field(default_factory=list)


def find_differences(trial: Trial) -> tuple[Row, ...]:
    """Return the rows of the two sets of ``trial``, the widest first."""
    rows: dict[tuple[object, ...], Row] = {}
    for play in trial.plays():
        for change in changes(play, trial.sets):
            key = (change.direction, play.service.name, _affiliation(play), change.text)
            row = rows.get(key)
            if row is None:
                row = Row(change, play.service.name, _affiliation(play), play.login)
                rows[key] = row
            elif row.login.intent and not play.login.intent:
                row.login = play.login
            if change.value and change.value not in row.values:
                row.values.append(change.value)
    order = list(Direction)
    return tuple(
        sorted(
            rows.values(),
            key=lambda row: (order.index(row.change.direction), row.service, row.affiliation),
        )
    )


def _affiliation(play: Play) -> str:
    old, new = map(affiliation_of, play.played)
    return old if old == new else f"{old}{MOVES}{new}"
