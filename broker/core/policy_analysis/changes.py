"""What is different for one persona under two policy sets: wider, refused, other or narrower."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final, get_args

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.borrowers.wanted_borrower import WantedBorrower, derive_wanted_borrower
from broker.core.entities import Names
from broker.core.login.played_login import PlannedBorrower, PlayedLogin
from broker.core.login.steps import OfferUpgrade, ProveMailbox
from broker.core.policy.missing_proof import remembering_proof
from broker.core.policy.model import (
    AddressWriting,
    BorrowerRule,
    Field,
    FieldWriting,
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


def changes(play: Play, sets: tuple[PolicySet, ...]) -> Iterator[Change]:
    """Yield the changes for one persona at one service."""
    old, new = play.played
    if old.permitted != new.permitted or old.reason != new.reason:
        yield from _admission(old, new)
    one, other = affiliation_of(old), affiliation_of(new)
    if one != other:
        yield Change(Direction.OTHER, f"{one}{MOVES}{other}", new.place)
    yield from (each for each in _leaving(old, new) if each.text != f"+ {play.without}")
    if old.disclosure and new.disclosure and old.decision.release and new.decision.release:
        yield from _terms(old, new, old.decision.release, new.decision.release)
    if new.permitted and not play.source.local:
        yield from _borrower(old.borrower, new.borrower)
    if old.permitted and new.permitted and not play.source.local:
        yield from _account(old, new, play)
    yield from _steps(old, new, sets)


def affiliation_of(played: PlayedLogin) -> str:
    """Return the affiliation of the person, or ``nobody``."""
    return played.decision.affiliation or NOBODY


def _admission(old: PlayedLogin, new: PlayedLogin) -> Iterator[Change]:
    if old.permitted and new.permitted:
        return
    if new.permitted:
        yield Change(Direction.WIDER, f"let in, where it was {old.reason}", new.place)
    elif old.permitted:
        yield Change(Direction.REFUSED, new.reason, new.place)
    else:
        text = f"refused for {new.reason}, where it was {old.reason}"
        yield Change(Direction.OTHER, text, new.place)


def _leaving(old: PlayedLogin, new: PlayedLogin) -> Iterator[Change]:
    before = {each.name: each for each in old.leaving}
    after = {each.name: each for each in new.leaving}
    reasons = [
        {item.name: item.why for item in played.disclosure.items} if played.disclosure else {}
        for played in (old, new)
    ]
    for name in dict.fromkeys((*after, *before)):
        if name not in before:
            yield Change(Direction.WIDER, f"+ {name}", after[name].place)
            continue
        was = before[name]
        if name not in after:
            place = was.place if new.permitted else new.place
            yield Change(Direction.NARROWER, f"- {name}", place, was=new.permitted)
            continue
        now = after[name]
        for value in sorted(set(now.values) - set(was.values)):
            yield Change(Direction.WIDER, f"+ {name}", now.place, value)
        for value in sorted(set(was.values) - set(now.values)):
            yield Change(Direction.NARROWER, f"- {name}", was.place, value, was=True)
        if was.optional != now.optional:
            text = "leaves without a tick" if was.optional else "leaves only where it is ticked"
            yield Change(_more(was.optional), f"{name} {text}", now.place)
        if was.mask != now.mask:
            text = "shown in full" if was.mask else "shown masked"
            yield Change(Direction.OTHER, f"{name} is {text}", now.place)
        if reasons[0].get(name) != reasons[1].get(name):
            text = f"{name}: another reason (why) is shown"
            yield Change(Direction.OTHER, text, now.place)


def _terms(old: PlayedLogin, new: PlayedLogin, before: Release, after: Release) -> Iterator[Change]:

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


def _borrower(old: PlannedBorrower | None, new: PlannedBorrower | None) -> Iterator[Change]:
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


def _account(old: PlayedLogin, new: PlayedLogin, play: Play) -> Iterator[Change]:
    """Yield what changes of that which is written to the account, and of the register."""
    before, after = _wanted(old, play), _wanted(new, play)
    borrower_rules = [
        played.decision.policy.borrower if played.decision.policy else None for played in (old, new)
    ]
    rules = [{each.name: each for each in rule.fields} if rule else {} for rule in borrower_rules]
    fields = [
        {each.name: each for each in wanted.fields} if wanted else {} for wanted in (before, after)
    ]
    for name in dict.fromkeys((*fields[1], *fields[0])):
        was, now = fields[0].get(name), fields[1].get(name)
        if now is None:
            yield Change(Direction.NARROWER, f"- field {name}", rules[0][name].place, was=True)
            continue
        place = rules[1][name].place
        if was is None:
            yield Change(Direction.WIDER, f"+ field {name}", place)
            continue
        if was.value != now.value:
            more = set(_sources(rules[1][name])) - set(_sources(rules[0][name]))
            direction = Direction.WIDER if more else Direction.OTHER
            yield Change(direction, f"field {name}: from another attribute", place)
        if was.set != now.set:
            direction = _more(_WRITING.index(was.set) < _WRITING.index(now.set))
            yield Change(direction, f"field {name}: set {was.set}{MOVES}{now.set}", place)
    rule = borrower_rules[1]
    if before and after and rule:
        yield from _lasting(old, new, (before, after), rule)
    yield from _register(old, new)


def _lasting(
    old: PlayedLogin,
    new: PlayedLogin,
    wanted: tuple[WantedBorrower, WantedBorrower],
    rule: BorrowerRule,
) -> Iterator[Change]:
    before, after = wanted
    if before.expires != after.expires and not (old.borrower and old.borrower.months):
        text = f"expires_after {before.expires}{MOVES}{after.expires}, where it is moved"
        place = rule.line_of("expires_after")
        yield Change(_more(before.expires < after.expires), text, place)
    is_made = new.borrower and new.borrower.outcome is EnrolmentOutcome.CREATED
    if is_made and (before.pin_to is None) != (after.pin_to is None):
        text = "a PIN mail is sent" if after.pin_to else "no PIN mail is sent"
        yield Change(_more(before.pin_to is None), text, rule.line_of("pin"))


def _sources(written: Field) -> Names:
    return (written.source, *written.otherwise)


def _register(old: PlayedLogin, new: PlayedLogin) -> Iterator[Change]:
    was, now = old.register, new.register
    rule = new.decision.policy.borrower if new.decision.policy else None
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


def _steps(old: PlayedLogin, new: PlayedLogin, sets: tuple[PolicySet, ...]) -> Iterator[Change]:
    before, after = _proofs(old), _proofs(new)
    for name, step in before.items():
        if name not in after and new.permitted:
            direction = Direction.WIDER if old.permitted else Direction.OTHER
            yield Change(direction, f"not asked: for a mailbox ({name})", new.place)
        elif name in after:
            yield from _proof(step, after[name], sets, new.facts.intent)
    for name in after:
        if name not in before:
            yield Change(Direction.OTHER, f"asked: for a mailbox ({name})", new.place)
    offers = [
        {step.category for step in each.steps if isinstance(step, OfferUpgrade)}
        for each in (old, new)
    ]
    for category in sorted(offers[1] - offers[0]):
        yield Change(Direction.OTHER, f"asked: to change the category ({category})", new.place)
    for category in sorted(offers[0] - offers[1]):
        if new.permitted:
            text = f"not asked: to change the category ({category})"
            yield Change(Direction.OTHER, text, new.place)


def _proofs(played: PlayedLogin) -> Mapping[str, ProveMailbox]:
    return {step.name: step for step in played.steps if isinstance(step, ProveMailbox)}


def _proof(
    old: ProveMailbox, new: ProveMailbox, sets: tuple[PolicySet, ...], intent: str | None
) -> Iterator[Change]:
    head = f"proof {new.name}"
    asking = [
        next((rule for rule in policy.proofs if rule.name == new.name), None) if policy else None
        for policy in (policies.named.get(intent or "") for policies in sets)
    ]
    domains = _line(asking[1], "domains")
    for domain in sorted(set(new.domains) - set(old.domains)):
        yield Change(Direction.WIDER, f"+ {head}: domains", domains, domain)
    for domain in sorted(set(old.domains) - set(new.domains)):
        place = _line(asking[0], "domains")
        yield Change(Direction.NARROWER, f"- {head}: domains", place, domain, was=True)
    if old.lasts != new.lasts:
        text = f"{head}: code_valid_for {_span(old.lasts)}{MOVES}{_span(new.lasts)}"
        yield Change(_more(old.lasts < new.lasts), text, _line(asking[1], "code_valid_for"))
    rules = [remembering_proof(policies, new.name) for policies in sets]
    was, now = (rule.remembered_for if rule else None for rule in rules)
    if was and now and was != now:
        text = f"{head}: remembered_for {_span(was)}{MOVES}{_span(now)}"
        yield Change(_more(was < now), text, _line(rules[1], "remembered_for"))


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
