"""The changes between two policy sets: one row for each, with a sample login that shows it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from broker.core.consent.consent import find_question
from broker.core.entities import Names
from broker.core.login.given_facts import GivenFacts
from broker.core.login.login_simulation import SIMULATION_HMACS, agree
from broker.core.login.played_login import PlayedLogin
from broker.core.policy.model import PolicyLine
from broker.core.policy_analysis.effects import Effect, Topic, find_effects
from broker.core.policy_analysis.plays import Play, iter_plays
from broker.core.policy_analysis.sample_logins import Analysis

AT: Final = " at "  # between an affiliation and the institution of an exception
MOVES: Final = " -> "  # between the affiliations before and after


class Direction(StrEnum):
    """The direction of a change, in the order in which people should read them."""

    WIDER = "WIDER"
    REFUSED = "refused"
    OTHER = "other"
    NARROWER = "narrower"


# Topics whose effects widen a login if they are added, and narrow it if they are removed.
_WIDENING_TOPICS: Final = (Topic.RECEIVES, Topic.WRITES, Topic.REGISTER)
# Topics that are compared even if only one of the two sets admits the person.
_AT_ADMISSION: Final = (Topic.RECEIVES, Topic.BORROWER, Topic.ASKS)


@dataclass(frozen=True, slots=True)
class Change:
    """A change for a sample login: its direction, its text, and the line that causes it.

    ``value`` is an attribute value that is now released, or no longer is. ``in_old_set`` is True if
    ``place`` is a line of the old set.
    """

    direction: Direction
    text: str
    place: PolicyLine | None = None
    value: str = ""
    in_old_set: bool = False
    topic: Topic | None = None


@dataclass(slots=True)
class Row:
    """One change at one service for one affiliation, with a login that shows it.

    ``values`` are the attribute values that are released, or no longer are.
    """

    change: Change
    service: str
    affiliation: str
    login: GivenFacts
    values: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Differences:
    """The changes between two sets, the widest first, and the number of compared logins.

    ``asked_again`` are the services where people must answer again.
    """

    rows: tuple[Row, ...]
    logins: int
    asked_again: Names = ()


def find_differences(analysis: Analysis) -> Differences:
    """Compare the two sets of ``analysis``."""
    rows: dict[tuple[object, ...], Row] = {}
    logins = 0
    again: set[str] = set()
    for play in iter_plays(analysis):
        logins += 1
        service, affiliation = play.service.name, _describe_affiliation(play)
        if service not in again and _is_asked_again(play, analysis.now):
            again.add(service)
        for change in find_changes(play.played, analysis):
            key = (change.direction, service, affiliation, change.text)
            row = rows.setdefault(key, Row(change, service, affiliation, play.login))
            row.login = min(row.login, play.login, key=_measure_effort)
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
    return Differences(tuple(ordered), logins, tuple(sorted(again)))


def _measure_effort(facts: GivenFacts) -> tuple[object, ...]:
    """Return how many options ``broker policy try`` needs for a login; the easiest is shown."""
    values = sum(map(len, facts.attributes.values()))
    return facts.assurance is None, facts.intent is not None, values


def _describe_affiliation(play: Play) -> str:
    """Return the affiliation, or ``before -> after``.

    The institution follows, as in ``student at via.dk``, if an exception for it decided.
    """
    old, new = map(_find_affiliation, play.played)
    policies = (each.decision.policy for each in reversed(play.played))
    institution = next((each.institution for each in policies if each and each.institution), "")
    moved = old if old == new else f"{old}{MOVES}{new}"
    return f"{moved}{AT}{institution}" if institution else moved


def _find_affiliation(played: PlayedLogin) -> str:
    return played.decision.affiliation or "nobody"


def _is_asked_again(play: Play, now: datetime) -> bool:
    """Return whether a person who answered before must be asked or informed again."""
    before, after = (played.question for played in play.played)
    if before is None or after is None or before.question == after.question:
        return False
    answers = (agree(before.question, now),)
    asked = find_question(after.question.disclosure, answers, None, SIMULATION_HMACS, now)
    return asked is not None


def find_changes(played: tuple[PlayedLogin, ...], analysis: Analysis) -> Iterator[Change]:
    """Yield the changes for one sample login at one service, from the old set to the new one."""
    old, new = played
    changes = [*_compare_admission(old, new), *_compare_effects(played, analysis)]
    if not changes and _find_affiliation(old) != _find_affiliation(new):
        changes.append(Change(Direction.OTHER, "decided by another file", new.place))
    yield from changes


def _compare_effects(played: tuple[PlayedLogin, ...], analysis: Analysis) -> Iterator[Change]:
    old, new = played
    before, after = (
        {
            (effect.topic, effect.name): effect
            for effect in find_effects(each, policies, analysis.today)
        }
        for each, policies in zip(played, analysis.sets, strict=True)
    )
    is_admission = old.is_permitted != new.is_permitted
    for key in dict.fromkeys((*after, *before)):
        was, now = before.get(key), after.get(key)
        if is_admission and key[0] not in _AT_ADMISSION:
            continue
        if was and now:
            yield from _compare_both(was, now)
        elif now:
            yield from _compare_new(now, new)
        elif was:
            yield from _compare_removed(was, old, new)


def _compare_admission(old: PlayedLogin, new: PlayedLogin) -> Iterator[Change]:
    if new.is_permitted and not old.is_permitted:
        yield Change(Direction.WIDER, f"now let in; was refused: {old.reason}", new.place)
    elif old.is_permitted and not new.is_permitted:
        yield Change(Direction.REFUSED, new.reason, new.place)
    elif not new.is_permitted and old.reason != new.reason:
        text = f"refused: {new.reason}; was: {old.reason}"
        yield Change(Direction.OTHER, text, new.place)


def _compare_new(now: Effect, new: PlayedLogin) -> Iterator[Change]:
    if now.topic in _WIDENING_TOPICS:
        yield Change(Direction.WIDER, f"+ {now.title}", now.place, topic=now.topic)
    elif now.topic is Topic.ASKS:
        yield Change(Direction.OTHER, f"asks {now.name}", new.place)
    elif now.topic is Topic.BORROWER and now.place:
        yield Change(Direction.OTHER, f"borrower: none{MOVES}{now.text}", now.place)


def _compare_removed(was: Effect, old: PlayedLogin, new: PlayedLogin) -> Iterator[Change]:
    if was.topic in _WIDENING_TOPICS:
        place = was.place if new.is_permitted else new.place
        text = f"- {was.title}"
        yield Change(Direction.NARROWER, text, place, in_old_set=new.is_permitted, topic=was.topic)
    elif was.topic is Topic.ASKS and new.is_permitted:
        # Without the proof of a mailbox more people get in.
        is_proof = old.is_permitted and was.name.startswith("mailbox")
        direction = Direction.WIDER if is_proof else Direction.OTHER
        yield Change(direction, f"no longer asks {was.name}", new.place)


def _compare_both(was: Effect, now: Effect) -> Iterator[Change]:
    before, after = set(was.values), set(now.values)
    for value in sorted(after - before):
        yield Change(Direction.WIDER, f"+ {now.title}", now.place, value, topic=now.topic)
    for value in sorted(before - after):
        text = f"- {now.title}"
        yield Change(Direction.NARROWER, text, was.place, value, in_old_set=True, topic=now.topic)
    if was.text == now.text and was.rank == now.rank:
        return
    direction = Direction.OTHER
    if was.rank != now.rank:
        direction = Direction.WIDER if was.rank < now.rank else Direction.NARROWER
    text = f"{now.title} {was.text or 'always'}{MOVES}{now.text or 'always'}"
    yield Change(direction, text, now.place)
