"""What is different for one persona under two policy sets: wider, refused, other or narrower."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final, get_args

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.borrowers.wanted_borrower import (
    WantedBorrower,
    WantedField,
    derive_wanted_borrower,
)
from broker.core.entities import Names, Text
from broker.core.login.played_login import Leaving, PlannedBorrower, PlayedLogin
from broker.core.login.steps import OfferUpgrade, ProveMailbox
from broker.core.policy.missing_proof import remembering_proof
from broker.core.policy.model import (
    AddressWriting,
    BorrowerRule,
    Field,
    FieldWriting,
    Policy,
    PolicyLine,
    PolicySet,
    ProofRule,
    Release,
)
from broker.core.policy_analysis.plays import Play

NOBODY: Final = "nobody"  # the affiliation of a person who has none
MOVES: Final = " -> "  # between the affiliations before and after
_CONSENT: Final = "consent"
# From the one that writes least to the one that writes most.
_WRITING: Final[Names] = get_args(FieldWriting)
_ADDRESS_WRITING: Final[Names] = get_args(AddressWriting)
# A field that is written, after its rule.
_WrittenField = tuple[Field, WantedField]


class Direction(StrEnum):
    """Which way a change goes; in the order in which people should read them."""

    WIDER = "WIDER"
    REFUSED = "refused"
    OTHER = "other"
    NARROWER = "narrower"


@dataclass(frozen=True, slots=True)
class Change:
    """One change for one persona: its direction, in words, and the line that makes it so.

    ``value`` is the value of an attribute that leaves, or no longer does. ``was``: the line is one
    of the set before.
    """

    direction: Direction
    text: str
    place: PolicyLine | None = None
    value: str = ""
    was: bool = False


def find_changes(play: Play, sets: tuple[PolicySet, ...]) -> Iterator[Change]:
    """Yield the changes for one persona at one service."""
    old, new = play.played
    yield from _compare_admission(old, new)
    one, other = affiliation_of(old), affiliation_of(new)
    if one != other:
        yield Change(Direction.OTHER, f"{one}{MOVES}{other}", new.place)
    for change in _compare_leaving(old, new):
        if change.text != f"+ {play.without}":
            yield change
    yield from _compare_terms(old, new)
    if new.permitted and not play.source.local:
        yield from _compare_borrowers(old.borrower, new.borrower)
        if old.permitted:
            yield from _compare_writing(old, new, play)
    yield from _compare_steps(old, new, sets)


def affiliation_of(played: PlayedLogin) -> str:
    """Return the affiliation of the person, or ``nobody``."""
    return played.decision.affiliation or NOBODY


def _compare_admission(old: PlayedLogin, new: PlayedLogin) -> Iterator[Change]:
    if new.permitted:
        if not old.permitted:
            yield Change(Direction.WIDER, f"let in, where it was {old.reason}", new.place)
    elif old.permitted:
        yield Change(Direction.REFUSED, new.reason, new.place)
    elif old.reason != new.reason:
        text = f"refused for {new.reason}, where it was {old.reason}"
        yield Change(Direction.OTHER, text, new.place)


def _compare_leaving(old: PlayedLogin, new: PlayedLogin) -> Iterator[Change]:
    """Yield the attributes that begin or cease to leave, and what is different for the others."""
    before = {each.name: each for each in old.leaving}
    after = {each.name: each for each in new.leaving}
    for name in dict.fromkeys((*after, *before)):
        was, now = before.get(name), after.get(name)
        if was and now:
            yield from _compare_attribute(was, now)
            if _find_reason(name, old) != _find_reason(name, new):
                text = f"{name}: another reason (why) is shown"
                yield Change(Direction.OTHER, text, now.place)
        elif now:
            yield Change(Direction.WIDER, f"+ {name}", now.place)
        elif was:
            place = was.place if new.permitted else new.place
            yield Change(Direction.NARROWER, f"- {name}", place, was=new.permitted)


def _compare_attribute(was: Leaving, now: Leaving) -> Iterator[Change]:
    name = now.name
    yield from _compare_values(name, (was.values, now.values), (was.place, now.place))
    if was.optional != now.optional:
        text = "leaves without a tick" if was.optional else "leaves only where it is ticked"
        yield Change(_more(was.optional), f"{name} {text}", now.place)


def _compare_values(
    name: str, values: tuple[Names, Names], places: tuple[PolicyLine | None, PolicyLine | None]
) -> Iterator[Change]:
    """Yield the values that are added and those that are removed, each with its line."""
    before, after = map(set, values)
    for value in sorted(after - before):
        yield Change(Direction.WIDER, f"+ {name}", places[1], value)
    for value in sorted(before - after):
        yield Change(Direction.NARROWER, f"- {name}", places[0], value, was=True)


def _find_reason(name: str, played: PlayedLogin) -> Text | None:
    """Return the reason that the consent page or notice shows for an attribute."""
    items = played.disclosure.items if played.disclosure else ()
    return next((item.why for item in items if item.name == name), None)


def _compare_terms(old: PlayedLogin, new: PlayedLogin) -> Iterator[Change]:
    """Yield what is different of the release entry, where attributes leave under both sets."""
    before, after = old.decision.release, new.decision.release
    if not (before and after and old.disclosure and new.disclosure):
        return

    def line_of(key: str) -> PolicyLine:
        return after.lines.get(key, after.place)

    if before.legal_basis != after.legal_basis:
        was_asked = before.legal_basis == _CONSENT
        direction = Direction.WIDER if was_asked else Direction.OTHER
        text = f"legal basis {before.legal_basis}{MOVES}{after.legal_basis}"
        yield Change(direction, text, line_of("legal_basis"))
    if before.name_id != after.name_id:
        text = f"name_id {before.name_id}{MOVES}{after.name_id}"
        yield Change(_more(after.name_id != "transient"), text, line_of("name_id"))
    one, other = _notice(before), _notice(after)
    if one != other:
        yield Change(_more(other == "upstream"), f"notice {one}{MOVES}{other}", line_of("notice"))
    if old.service.controller != new.service.controller:
        yield Change(Direction.WIDER, "another controller", after.place)
    if before.purpose != after.purpose:
        yield Change(Direction.OTHER, "another purpose", line_of("purpose"))


def _notice(release: Release) -> str:
    """Return whose page informs the person: under consent ours asks, whatever the entry says."""
    return "ours" if release.legal_basis == _CONSENT else release.notice


def _compare_borrowers(
    old: PlannedBorrower | None, new: PlannedBorrower | None
) -> Iterator[Change]:
    one, other = account_words(old), account_words(new)
    if one == other:
        return
    direction = Direction.OTHER
    if old and new and old.months and new.months:
        alike = replace(old, months=None, place=None) == replace(new, months=None, place=None)
        direction = _more(new.months > old.months) if alike else direction
    yield Change(direction, f"borrower: {one}{MOVES}{other}", new.place if new else None)


def account_words(planned: PlannedBorrower | None) -> str:
    """Return what becomes of the account: its category, and how long it is good for."""
    if planned is None:
        return "none"
    if planned.outcome is EnrolmentOutcome.UNCHANGED:
        return f"{planned.category} stays"
    months = f" for {planned.months} months" if planned.months else ""
    return f"{planned.category} {planned.outcome}{months}"


def _wanted(played: PlayedLogin, play: Play) -> WantedBorrower | None:
    release = played.decision.release
    if release is None or release.borrower != "make":
        return None
    attributes = played.facts.attributes
    return derive_wanted_borrower(played.decision, attributes, language="en", today=play.day)


def _compare_writing(old: PlayedLogin, new: PlayedLogin, play: Play) -> Iterator[Change]:
    """Yield the changes of the account's fields, end and PIN mail, and of the register."""
    before, after = _wanted(old, play), _wanted(new, play)
    rule, was_rule = _rule_of(new), _rule_of(old)
    was_fields, fields = _pair_fields(was_rule, before), _pair_fields(rule, after)
    for name in dict.fromkeys((*fields, *was_fields)):
        was, now = was_fields.get(name), fields.get(name)
        if was and now:
            yield from _compare_field(was, now)
        elif now:
            yield Change(Direction.WIDER, f"+ field {name}", now[0].place)
        elif was:
            yield Change(Direction.NARROWER, f"- field {name}", was[0].place, was=True)
    if before and after and rule:
        yield from _compare_end_and_pin(old, new, (before, after), rule)
    yield from _compare_register(old, new)


def _rule_of(played: PlayedLogin) -> BorrowerRule | None:
    return played.decision.policy.borrower if played.decision.policy else None


def _pair_fields(
    rule: BorrowerRule | None, wanted: WantedBorrower | None
) -> dict[str, _WrittenField]:
    """Return, by name, the fields that are written, each with its rule."""
    rules = {each.name: each for each in rule.fields} if rule else {}
    return {each.name: (rules[each.name], each) for each in wanted.fields} if wanted else {}


def _compare_field(old: _WrittenField, new: _WrittenField) -> Iterator[Change]:
    (old_rule, was), (rule, now) = old, new
    if was.value != now.value:
        more = set(_sources(rule)) - set(_sources(old_rule))
        direction = Direction.WIDER if more else Direction.OTHER
        yield Change(direction, f"field {now.name}: from another attribute", rule.place)
    if was.set != now.set:
        direction = _more(_WRITING.index(was.set) < _WRITING.index(now.set))
        yield Change(direction, f"field {now.name}: set {was.set}{MOVES}{now.set}", rule.place)


def _compare_end_and_pin(
    old: PlayedLogin,
    new: PlayedLogin,
    wanted: tuple[WantedBorrower, WantedBorrower],
    rule: BorrowerRule,
) -> Iterator[Change]:
    before, after = wanted
    if before.expires != after.expires and not (old.borrower and old.borrower.months):
        text = f"expires {before.expires}{MOVES}{after.expires}, where it is moved"
        place = rule.line_of("expires")
        yield Change(_more(before.expires < after.expires), text, place)
    is_made = new.borrower and new.borrower.outcome is EnrolmentOutcome.CREATED
    if is_made and (before.pin_to is None) != (after.pin_to is None):
        text = "a PIN mail is sent" if after.pin_to else "no PIN mail is sent"
        yield Change(_more(before.pin_to is None), text, rule.line_of("pin"))


def _sources(written: Field) -> Names:
    return (written.source, *written.otherwise)


def _compare_register(old: PlayedLogin, new: PlayedLogin) -> Iterator[Change]:
    was, now = old.register, new.register
    rule = _rule_of(new)
    place = rule.line_of("register") if rule else None
    if was == now:
        return
    if now is None:
        yield Change(Direction.NARROWER, "- register: it is not asked", place, was=True)
    elif was is None:
        yield Change(Direction.WIDER, f"+ register: address {now.address}", place)
    else:
        more = _ADDRESS_WRITING.index(was.address) < _ADDRESS_WRITING.index(now.address)
        text = f"register: address {was.address}{MOVES}{now.address}"
        yield Change(_more(more), text, place)


def _compare_steps(
    old: PlayedLogin, new: PlayedLogin, sets: tuple[PolicySet, ...]
) -> Iterator[Change]:
    """Yield what the person is asked on the way under one set only, and other terms of a proof."""
    before, after = _proofs(old), _proofs(new)
    for name, step in before.items():
        if name in after:
            yield from _compare_proof(step, after[name], sets, new.facts.intent)
        elif new.permitted:
            direction = Direction.WIDER if old.permitted else Direction.OTHER
            yield Change(direction, f"not asked: for a mailbox ({name})", new.place)
    for name in after:
        if name not in before:
            yield Change(Direction.OTHER, f"asked: for a mailbox ({name})", new.place)
    offered, offers = _offers(old), _offers(new)
    for category in sorted(offers - offered):
        yield Change(Direction.OTHER, f"asked: to change the category ({category})", new.place)
    for category in sorted(offered - offers) if new.permitted else ():
        text = f"not asked: to change the category ({category})"
        yield Change(Direction.OTHER, text, new.place)


def _offers(played: PlayedLogin) -> set[str]:
    return {step.category for step in played.steps if isinstance(step, OfferUpgrade)}


def _proofs(played: PlayedLogin) -> Mapping[str, ProveMailbox]:
    return {step.name: step for step in played.steps if isinstance(step, ProveMailbox)}


def _compare_proof(
    old: ProveMailbox, new: ProveMailbox, sets: tuple[PolicySet, ...], intent: str | None
) -> Iterator[Change]:
    head = f"proof {new.name}"
    asked, asks = (_find_proof(policies.named.get(intent or ""), new.name) for policies in sets)
    places = _line(asked, "domains"), _line(asks, "domains")
    yield from _compare_values(f"{head}: domains", (old.domains, new.domains), places)
    if old.lasts != new.lasts:
        text = f"{head}: code_valid_for {_span(old.lasts)}{MOVES}{_span(new.lasts)}"
        yield Change(_more(old.lasts < new.lasts), text, _line(asks, "code_valid_for"))
    rules = [remembering_proof(policies, new.name) for policies in sets]
    was, now = (rule.remembered_for if rule else None for rule in rules)
    if was and now and was != now:
        text = f"{head}: remembered_for {_span(was)}{MOVES}{_span(now)}"
        yield Change(_more(was < now), text, _line(rules[1], "remembered_for"))


def _find_proof(policy: Policy | None, name: str) -> ProofRule | None:
    proofs = policy.proofs if policy else ()
    return next((rule for rule in proofs if rule.name == name), None)


def _line(rule: ProofRule | None, key: str) -> PolicyLine | None:
    return rule.lines.get(key, rule.place) if rule else None


def _more(more: bool) -> Direction:  # noqa: FBT001 - the one thing it is about
    return Direction.WIDER if more else Direction.NARROWER


def _span(span: timedelta) -> str:
    """Return a span as administrators write it, in its largest whole unit."""
    for unit, size in (("days", timedelta(days=1)), ("hours", timedelta(hours=1))):
        if not span % size:
            return f"{span // size} {unit}"
    return f"{span // timedelta(minutes=1)} minutes"
