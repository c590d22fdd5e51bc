"""Find the changes for one persona under two policy sets: wider, refused, other or narrower."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from broker.core.login.played_login import PlayedLogin
from broker.core.policy.model import PolicyLine, PolicySet
from broker.core.policy_analysis.effects import Effect, Topic, find_effects
from broker.core.policy_analysis.plays import Play

NOBODY: Final = "nobody"  # the affiliation of a person who has none
AT: Final = " at "  # between an affiliation and the institution of an exception
MOVES: Final = " -> "  # between the affiliations before and after


class Direction(StrEnum):
    """The direction of a change, in the order in which people should read them."""

    WIDER = "WIDER"
    REFUSED = "refused"
    OTHER = "other"
    NARROWER = "narrower"


# Topics whose effects widen a login if they are added, and narrow it if they are removed.
_GIVING: Final = (Topic.RECEIVES, Topic.WRITES, Topic.REGISTER)
_OF_ACCOUNT: Final = (Topic.BORROWER, Topic.WRITES, Topic.REGISTER)
# Topics that are compared even if only one of the two sets admits the person.
_AT_ADMISSION: Final = (Topic.RECEIVES, Topic.BORROWER, Topic.ASKS)


@dataclass(frozen=True, slots=True)
class Change:
    """One change for one persona: its direction, its text, and the line that causes it.

    ``value`` is an attribute value that is now released, or no longer is. If ``was`` is True,
    ``place`` is a line of the old set.
    """

    direction: Direction
    text: str
    place: PolicyLine | None = None
    value: str = ""
    was: bool = False
    topic: Topic | None = None


def find_changes(play: Play, sets: tuple[PolicySet, ...]) -> Iterator[Change]:
    """Yield the changes for one persona at one service, from the old set to the new one."""
    old, new = play.played
    yield from _compare_admission(old, new)
    one, other = affiliation_of(old), affiliation_of(new)
    if one != other:
        yield Change(Direction.OTHER, f"{one}{MOVES}{other}", new.place)
    before, after = (
        {(each.topic, each.name): each for each in find_effects(played, policies, play.day)}
        for played, policies in zip(play.played, sets, strict=True)
    )
    for key in dict.fromkeys((*after, *before)):
        topic, _name = key
        if play.source.institution is None and topic in _OF_ACCOUNT:
            continue
        if old.is_permitted != new.is_permitted and topic not in _AT_ADMISSION:
            continue
        if key == (Topic.RECEIVES, play.without) and key not in before:
            continue
        yield from _compare(before.get(key), after.get(key), old, new)


def affiliation_of(played: PlayedLogin) -> str:
    """Return the affiliation of the person, or ``nobody``."""
    return played.decision.affiliation or NOBODY


def _compare_admission(old: PlayedLogin, new: PlayedLogin) -> Iterator[Change]:
    if new.is_permitted:
        if not old.is_permitted:
            yield Change(Direction.WIDER, f"let in, where it was {old.reason}", new.place)
    elif old.is_permitted:
        yield Change(Direction.REFUSED, new.reason, new.place)
    elif old.reason != new.reason:
        text = f"refused for {new.reason}, where it was {old.reason}"
        yield Change(Direction.OTHER, text, new.place)


def _compare(
    was: Effect | None, now: Effect | None, old: PlayedLogin, new: PlayedLogin
) -> Iterator[Change]:
    if was and now:
        yield from _compare_both(was, now)
    elif now:
        yield from _compare_new(now, new)
    elif was:
        yield from _compare_removed(was, old, new)


def _compare_new(now: Effect, new: PlayedLogin) -> Iterator[Change]:
    if now.topic in _GIVING:
        yield Change(Direction.WIDER, f"+ {_words(now)}", now.place, topic=now.topic)
    elif now.topic is Topic.ASKS:
        yield Change(Direction.OTHER, f"asks {now.name}", new.place)
    elif now.topic is Topic.BORROWER and now.place:
        yield Change(Direction.OTHER, f"borrower: none{MOVES}{now.text}", now.place)


def _compare_removed(was: Effect, old: PlayedLogin, new: PlayedLogin) -> Iterator[Change]:
    if was.topic in _GIVING:
        place = was.place if new.is_permitted else new.place
        text = f"- {_words(was)}"
        yield Change(Direction.NARROWER, text, place, was=new.is_permitted, topic=was.topic)
    elif was.topic is Topic.ASKS and new.is_permitted:
        is_proof = old.is_permitted and was.name.startswith("mailbox")
        direction = Direction.WIDER if is_proof else Direction.OTHER
        yield Change(direction, f"no longer asks {was.name}", new.place)


def _words(effect: Effect) -> str:
    """Return the name of an effect that is added or removed."""
    if effect.topic is Topic.BORROWER:
        return "borrower:"
    return f"register: {effect.name}" if effect.topic is Topic.REGISTER else effect.name


def _compare_both(was: Effect, now: Effect) -> Iterator[Change]:
    topic, name = now.topic, _words(now)
    if topic is Topic.TEXTS and was.text == now.text:
        return  # another source with the same value is no change
    values = tuple(_compare_values(name, was, now))
    yield from values
    if was.kind == now.kind and was.rank != now.rank:
        direction = Direction.WIDER if was.rank < now.rank else Direction.NARROWER
    elif was.text == now.text or values:
        return
    else:
        direction = Direction.WIDER if now.is_wider_if_changed else Direction.OTHER
    text = f"{name} {was.text or 'always'}{MOVES}{now.text or 'always'}"
    if topic is Topic.TEXTS:
        text = f"another {name}"
    yield Change(direction, text, now.place)


def _compare_values(name: str, was: Effect, now: Effect) -> Iterator[Change]:
    """Yield the values that are added and those that are removed, each with its line."""
    topic = now.topic
    before, after = set(was.values), set(now.values)
    for value in sorted(after - before):
        yield Change(Direction.WIDER, f"+ {name}", now.place, value, topic=topic)
    for value in sorted(before - after):
        text = f"- {name}"
        yield Change(Direction.NARROWER, text, was.place, value, was=True, topic=topic)
