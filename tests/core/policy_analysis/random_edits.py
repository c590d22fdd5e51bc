"""Random edits of random policy sets: a key of the file format at a time, changed as an administrator might."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any, Final

from broker.core.entities import Assurance, Text
from broker.core.policy.expiry import Expiry
from broker.core.policy.model import (
    Alternative,
    BorrowerRule,
    Condition,
    Field,
    Lowering,
    MailDomain,
    Policy,
    PolicyLine,
    PolicySet,
    ProofRule,
    RegisterRule,
    Release,
    ReleasedAttribute,
)
from tests.core.policy_analysis.random_policies import CATEGORIES, CONDITIONS, RELEASED, TODAY

PLACE: Final = PolicyLine("edited.yaml", 1)
OTHER_WORDS: Final = Text("other words", "andre ord")
BY: Final = (("wayf",), ("nemid",), ("library",), ("wayf", "nemid"))
LEVELS: Final = (None, Assurance.LOW, Assurance.SUBSTANTIAL, Assurance.HIGH)
LEVEL_WORDS: Final = ("low", "substantial", "high")
SOURCES: Final = (("mail",), ("proof.kaldemail",), ("mail", "proof.kaldemail"), ("proof.kaldemail", "mail"), ("sn",))
UNTIL: Final = (None, TODAY - timedelta(1), TODAY + timedelta(3), TODAY + timedelta(9))

Edit = Callable[[Random, Policy], Policy]


def _one(draw: Random, items: tuple[Any, ...], changed: Callable[[Any], Any]) -> tuple[Any, ...]:
    """Change one of several; nothing where there is none."""
    if not items:
        return items
    at = draw.randrange(len(items))
    return (*items[:at], changed(items[at]), *items[at + 1 :])


def _remove_one(draw: Random, items: tuple[Any, ...], least: int = 0) -> tuple[Any, ...]:
    if len(items) <= least:
        return items
    at = draw.randrange(len(items))
    return (*items[:at], *items[at + 1 :])


def _condition(draw: Random) -> Condition:
    name = draw.choice(sorted(CONDITIONS))
    return Condition(name, tuple(draw.sample(CONDITIONS[name], draw.choice([1, 1, 2]))), PLACE)


def _match(draw: Random, policy: Policy) -> Policy:
    def other_values(condition: Condition) -> Condition:
        if condition.name == "upstream":
            return replace(condition, values=draw.choice(BY))
        if condition.name == "assurance":
            return replace(condition, values=(draw.choice(LEVEL_WORDS),))
        known = CONDITIONS[condition.name]
        return replace(condition, values=tuple(draw.sample(known, draw.choice([1, 2]))))

    def edit_alternative(alternative: Alternative) -> Alternative:
        first, *rest = alternative.conditions
        conditions: list[Callable[[], tuple[Condition, ...]]] = [
            lambda: _one(draw, alternative.conditions, other_values),
            lambda: (first, *_remove_one(draw, tuple(rest))),
            lambda: (*alternative.conditions, _condition(draw)),
        ]
        named = {each.name: each for each in draw.choice(conditions)()}
        return replace(alternative, conditions=tuple(named.values()))

    way = Alternative((Condition("upstream", draw.choice(BY), PLACE), _condition(draw)), PLACE)
    matches: list[Callable[[], tuple[Alternative, ...]]] = [
        lambda: _one(draw, policy.match, edit_alternative),
        lambda: _one(draw, policy.match, edit_alternative),
        lambda: _remove_one(draw, policy.match, least=1),
        lambda: (*policy.match, way),
    ]
    return replace(policy, match=draw.choice(matches)())


def _proofs(draw: Random, policy: Policy) -> Policy:
    new = ProofRule("kaldemail", (MailDomain("auh.rm.dk"),), timedelta(hours=1), timedelta(days=2))
    domains = tuple(MailDomain(name, draw.choice(UNTIL)) for name in draw.sample(["auh.rm.dk", "rm.dk", "au.dk"], 2))

    def edit_proof(proof: ProofRule) -> ProofRule:
        spans: dict[str, Any] = {
            key: timedelta(hours=draw.randint(1, 48)) for key in ("code_valid_for", "remembered_for")
        }
        key = draw.choice(["domains", *spans])
        return replace(proof, domains=domains) if key == "domains" else replace(proof, **{key: spans[key]})

    if not policy.proofs:
        return replace(policy, proofs=(new,))
    return replace(policy, proofs=draw.choice([(), *[_one(draw, policy.proofs, edit_proof)] * 3]))


def _require(draw: Random, policy: Policy) -> Policy:
    changes: dict[str, Any] = {
        "cpr": not policy.require.cpr,
        "age": draw.choice([None, 0, 15, 18, 67]),
        "assurance": draw.choice(LEVELS),
        "upstream": draw.choice([(), ("nemid",), ("wayf",), ("wayf", "nemid")]),
    }
    key = draw.choice(list(changes))
    return replace(policy, require=replace(policy.require, **{key: changes[key]}))


def _borrower(draw: Random, policy: Policy) -> Policy:
    rule = policy.borrower
    email = Field("email", "mail", "create", PLACE)
    if rule is None:
        new = BorrowerRule("STUDENT", (), Expiry(12), (email,), "mail", PLACE)
        return replace(policy, borrower=new)

    def field(written: Field) -> Field:
        if draw.random() < 0.5:
            return replace(written, set=draw.choice(["create", "if_empty", "always"]))
        first, *others = draw.choice(SOURCES)
        return replace(written, source=first, otherwise=tuple(others))

    fields = [_one(draw, rule.fields, field), _remove_one(draw, rule.fields), (*rule.fields[:1], email)]
    changes: dict[str, Any] = {
        "category": draw.choice(CATEGORIES),
        "upgrades": tuple(draw.sample(CATEGORIES, draw.randrange(3))),
        "expires": draw.choice([Expiry(6), Expiry(12), Expiry(24), Expiry(day_of_year=(8, 31))]),
        "fields": draw.choice(fields),
        "pin": draw.choice(["mail", "none"]),
        "lowers": draw.choice([None, *(Lowering(by, ("STAFF",)) for by in BY), Lowering(("wayf",), ("PRIVATE",))]),
        "register": draw.choice([None, RegisterRule("always"), RegisterRule()]),
    }
    key = draw.choice([*changes, "fields"])
    return replace(policy, borrower=replace(rule, **{key: changes[key]}))


def _release(draw: Random, policy: Policy) -> Policy:
    def make_attribute() -> ReleasedAttribute:
        name = draw.choice(RELEASED)
        return ReleasedAttribute(name, OTHER_WORDS, PLACE, draw.choice([(), CONDITIONS.get(name, ())[:1]]))

    def line(old: ReleasedAttribute) -> ReleasedAttribute:
        known = CONDITIONS.get(old.name, ())
        changes: dict[str, Any] = {
            "why": OTHER_WORDS,
            "values": tuple(draw.sample(known, draw.randrange(len(known) + 1))),
            "optional": not old.optional,
        }
        key = draw.choice([*changes, "values"])
        return replace(old, **{key: changes[key]})

    def entry(old: Release) -> Release:
        more = {each.name: each for each in (*old.attributes, make_attribute())}
        attributes = [_one(draw, old.attributes, line), _remove_one(draw, old.attributes), tuple(more.values())]
        changes: dict[str, Any] = {
            "borrower": draw.choice(["make", "need", "none"]),
            "legal_basis": draw.choice(["consent", "public_task", "contract"]),
            "purpose": OTHER_WORDS,
            "name_id": draw.choice(["persistent", "transient"]),
            "notice": draw.choice(["ours", "upstream"]),
            "attributes": draw.choice(attributes),
        }
        key = draw.choice([*changes, "attributes", "attributes"])
        return replace(old, **{key: changes[key]})

    releases = [_one(draw, policy.releases, entry)] * 3 + [_remove_one(draw, policy.releases)]
    return replace(policy, releases=draw.choice(releases))


def _words(draw: Random, policy: Policy) -> Policy:
    changes: dict[str, Any] = {
        "label": OTHER_WORDS,
        "owner": "another",
        "review_by": date(2030, 1, 1),
        "affiliation": "renamed",
    }
    key = draw.choice(list(changes))
    return replace(policy, **{key: changes[key]})


def _precedence(draw: Random, policy: Policy) -> Policy:
    return replace(policy, precedence=draw.choice([-1, 9]))


EDITS: Final[tuple[Edit, ...]] = (
    *(_match, _match, _release, _release, _release, _borrower, _borrower),
    *(_proofs, _require, _words, _precedence),
)


def edit_policies(draw: Random, policies: PolicySet) -> PolicySet:
    """Give the set with one to three keys of one policy changed, or without that policy."""
    files = _one(draw, policies.policies, lambda policy: _rewrite(draw, policy))
    if draw.random() < 0.05:
        files = _remove_one(draw, files, least=1)
    return PolicySet(files, "after")


def _rewrite(draw: Random, policy: Policy) -> Policy:
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        policy = draw.choice(EDITS)(draw, policy)
    return policy
