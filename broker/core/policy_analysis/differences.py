"""The changes between two policy sets: one row for each, with a persona that shows it."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from broker.core.consent.consent import find_question, make_receipt
from broker.core.entities import Names
from broker.core.login.described_login import DescribedLogin
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy_analysis.changes import (
    AT,
    MOVES,
    Change,
    Direction,
    affiliation_of,
    find_changes,
)
from broker.core.policy_analysis.persona_words import has_withheld_affiliation
from broker.core.policy_analysis.plays import Analysis, Play

_HMACS: Final = LookupHmacs("analysis", b"no person is behind it")


@dataclass(slots=True)
class Row:
    """One change at one service for one affiliation, with a login that shows it.

    ``values`` are the attribute values that are released, or no longer are. ``day`` is the first
    day on which the change shows, because a mail domain may end later.
    """

    change: Change
    service: str
    affiliation: str
    login: DescribedLogin
    day: date
    values: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Differences:
    """The changes between two sets, the widest first, and the number of compared logins.

    ``asked_again`` are the services where people must answer again.
    """

    rows: tuple[Row, ...]
    logins: int
    today: date
    asked_again: Names = ()


def find_differences(trial: Analysis) -> Differences:
    """Compare the two sets of ``trial``."""
    rows: dict[tuple[object, ...], Row] = {}
    logins = 0
    again: set[str] = set()
    for play in trial.plays():
        logins += 1
        if play.service.name not in again and _is_asked_again(play, trial.now):
            again.add(play.service.name)
        for change in find_changes(play, trial.sets):
            key = (change.direction, play.service.name, _affiliation(play), change.text)
            row = rows.get(key)
            if row is None:
                row = Row(change, play.service.name, _affiliation(play), play.login, play.day)
                rows[key] = row
            elif _effort(play.login) < _effort(row.login):
                row.login = play.login
            row.day = min(row.day, play.day)
            if change.value and change.value not in row.values:
                row.values.append(change.value)
    order = list(Direction)
    ordered = sorted(
        rows.values(),
        key=lambda row: (
            order.index(row.change.direction),
            MOVES in row.affiliation,
            row.service,
            row.affiliation,
        ),
    )
    return Differences(
        rows=tuple(ordered), logins=logins, today=trial.now.date(), asked_again=tuple(sorted(again))
    )


def _effort(login: DescribedLogin) -> tuple[bool, ...]:
    """Return how hard a login is to describe to ``try``; the easiest login is shown."""
    reading = login.reading
    is_remembered = login.borrower is not None and reading.cpr != "real"
    return (
        has_withheld_affiliation(login),
        is_remembered,
        reading.assurance is None,
        login.intent is not None,
    )


def _affiliation(play: Play) -> str:
    """Return the affiliation, or that before and after; ``student at via.dk`` by an exception."""
    old, new = map(affiliation_of, play.played)
    policies = (each.decision.policy for each in reversed(play.played))
    institution = next((each.institution for each in policies if each and each.institution), "")
    moved = old if old == new else f"{old}{MOVES}{new}"
    return f"{moved}{AT}{institution}" if institution else moved


def _is_asked_again(play: Play, now: datetime) -> bool:
    """Return whether a person who answered before must be asked or informed again."""
    before, after = (played.question for played in play.played)
    if before is None or after is None:
        return False
    items = before.question.disclosure.items
    answer = make_receipt(
        "",
        before.question,
        answer=True,
        remembered_for=timedelta(days=1),
        chosen=tuple(item.name for item in items if item.optional),
        person="",
        language="en",
        hmacs=_HMACS,
        now=now,
    )
    return find_question(after.question.disclosure, (answer,), None, _HMACS, now) is not None
