"""Faults of policies whose lines are well formed: they show against other lines and other files."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import date
from itertools import chain

from broker.configuration.checked_files import did_you_mean
from broker.configuration.policies import upstream_checks
from broker.configuration.policies.upstream_checks import UPSTREAM, PolicyProblem
from broker.configuration.policies.value_syntax import PERSONS_OWN
from broker.core.errors import Fault
from broker.core.identity.attribute_properties import find_properties
from broker.core.identity.attribute_values import AFFILIATIONS, is_never_known
from broker.core.identity.canonical_attributes import BORROWER_NUMBER, CPR_ATTRIBUTE, OURS
from broker.core.identity.cpr import looks_like_cpr
from broker.core.identity.person_id import MINTED
from broker.core.policy.decision import BUNDLES, NEVER_BY_CATEGORY
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy.model import Condition, Policy, PolicyLine, Release, ReleasedAttribute

_NOT_ATTRIBUTES = frozenset({UPSTREAM, "assurance"})
_PROOF = "proof."

_NOT_IN_MAPS = "the maps yield no such attribute; labels.yaml lists those there are"
# What people call an attribute, and what the maps call it.
_CALLED = {
    "name": "displayName",
    "fullname": "displayName",
    "firstname": "gn",
    "givenname": "gn",
    "lastname": "sn",
    "surname": "sn",
    "email": "mail",
    "phone": "mobile",
    "number": BORROWER_NUMBER,
    "eppn": "eduPersonPrincipalName",
    "affiliation": "eduPersonScopedAffiliation",
    "entitlement": "eduPersonEntitlement",
}
_UNMAPPED = {"until": "only a domain under proofs can end on a day"}

# What is wrong, and how to fix it; and the line that it is wrong in.
_Problem = tuple[str, str]
_AttributeCheck = Callable[[Release, ReleasedAttribute], _Problem | None]


def faults_at(folder: str, problems: Iterable[PolicyProblem]) -> Iterator[Fault]:
    """Yield the faults of policy files in ``folder``."""
    for place, what, fix in problems:
        yield Fault(f"{folder}/{place}", what, fix)


def cpr_literals(octets: bytes, file: str) -> Iterator[PolicyProblem]:
    """Find lines with a CPR-like number, comments included.

    A policy file is copied, mailed and kept for ever.
    """
    lines = octets.decode(errors="replace").splitlines()
    for number, text in enumerate(lines, 1):
        if looks_like_cpr(text):
            what = "holds what looks like a CPR number"
            yield PolicyLine(file, number), what, "an example says cpr: real"


def faults_in_file(
    policy: Policy, services: Collection[str] | None, attributes: Collection[str] | None
) -> Iterator[PolicyProblem]:
    """Find the faults of one file; ``services`` and ``attributes`` None: any name is known."""
    yield from _releases(policy, services)
    if attributes is not None:
        yield from _names(policy, attributes)
    yield from _proof_domains(policy)
    yield from _matches_on_numbers(policy)
    yield from _patterns(policy)
    for check in (_lowered_categories, upstream_checks.unmatched):
        # An exception repeats the faults of its file.
        yield from dict.fromkeys(chain.from_iterable(map(check, policy.variants)))
    yield from _overwritten_fields(policy)


def faults_across_files(policies: Collection[Policy]) -> Iterator[PolicyProblem]:
    """Find what two files cannot both claim: an affiliation or a precedence."""
    for key in ("affiliation", "precedence"):
        first: dict[object, Policy] = {}
        for policy in policies:
            value = getattr(policy, key)
            other = first.setdefault(value, policy)
            if other is not policy:
                what = f"{key} {value} is also that of {other.file}"
                yield _top(policy), what, f"each {key} belongs to one file"
    yield from upstream_checks.lowering_without_affiliations(policies)
    releases = (release for policy in policies for release in policy.releases)
    if any(release.name_id == "email" for release in releases):
        yield from _proofs_of_one_mailbox(policies)


def _proofs_of_one_mailbox(policies: Collection[Policy]) -> Iterator[PolicyProblem]:
    """Find two proofs that cover one domain: a mailbox is one person's by each name alone."""
    first: dict[str, str] = {}
    for policy in policies:
        for proof in policy.proofs:
            for domain in proof.domains:
                other = first.setdefault(domain.name, proof.name)
                if other != proof.name:
                    both = f"the proofs {other} and {proof.name} both cover {domain.name}"
                    what = f"{both}, and two people could have one name_id: email"
                    yield _top(policy), what, "give the two one name"


def overdue(policies: Iterable[Policy], today: date) -> Iterator[PolicyProblem]:
    """Find the days that have passed: an administrator should look, and nothing stops."""
    for policy in policies:
        if policy.review_by < today:
            what = f"was to be reviewed by {policy.review_by}"
            fix = f"{policy.owner} should read it again and set a new day"
            yield _top(policy), what, fix
        for proof in policy.proofs:
            for domain in proof.domains:
                if not domain.proves_on(today):
                    place = proof.lines.get(domain.name) or proof.place or _top(policy)
                    what = f"{domain.name} proved nothing after {domain.until}"
                    yield place, what, "remove it, or set a later day"


# Within one file


def _releases(policy: Policy, services: Collection[str] | None) -> Iterator[PolicyProblem]:
    for release in policy.releases:
        yield from _release(policy, release, services)


def _release(
    policy: Policy, release: Release, services: Collection[str] | None
) -> Iterator[PolicyProblem]:
    if services is not None and unconfigured(release, services):
        fix = did_you_mean(release.service, services)
        if fix:
            yield release.place, f"unknown service {release.service!r}", fix
    if release.borrower == "make" and policy.borrower is None:
        what = "borrower: make, but the file has no borrower section"
        yield release.place, what, "add one"
    yield from _mail_name_id(release)
    for listed in release.attributes:
        for check in _ATTRIBUTE_CHECKS:
            problem = check(release, listed)
            if problem:
                yield listed.place, *problem


def _mail_name_id(release: Release) -> Iterator[PolicyProblem]:
    """Find a mail address as NameID that nobody has given a reason for, or that anybody may get."""
    if release.name_id != "email":
        if release.subject is not None:
            yield release.place, "name_id_why without name_id: email", "remove it"
        return
    if release.subject is None:
        yield release.place, "name_id: email without a reason", "add name_id_why, which is shown"
    if _is_category(release):
        fix = "list the service under its own name"
        yield release.place, "name_id: email is never given to a category", fix


def _never_to_category(release: Release, listed: ReleasedAttribute) -> _Problem | None:
    if not _is_category(release) or listed.name not in NEVER_BY_CATEGORY:
        return None
    return f"{listed.name} is never released to a category", "list it under the service's own name"


def _outside_category(release: Release, listed: ReleasedAttribute) -> _Problem | None:
    bundle = BUNDLES.get(release.service)
    if bundle is None or listed.name in bundle:
        return None
    what = f"{listed.name} is none of the attributes of {release.service}"
    return what, f"those are {', '.join(sorted(bundle))}"


def _optional_without_consent(release: Release, listed: ReleasedAttribute) -> _Problem | None:
    if not listed.optional or release.legal_basis == "consent":
        return None
    fix = "a choice is only a choice under legal_basis: consent"
    return f"{listed.name} is optional without consent", fix


def _values_of_cpr(_: Release, listed: ReleasedAttribute) -> _Problem | None:
    """Find patterns over a CPR number: policies are decided without its digits."""
    if listed.name != CPR_ATTRIBUTE or not listed.values:
        return None
    return "cpr with values", "a policy never sees the digits; require: {cpr: real} asks for one"


def _number_without_borrower(release: Release, listed: ReleasedAttribute) -> _Problem | None:
    if listed.name != BORROWER_NUMBER or release.borrower != "none":
        return None
    fix = "the entry says borrower: none, so there is no number"
    return "borrower_number without a borrower", fix


def _unstatable(_: Release, listed: ReleasedAttribute) -> _Problem | None:
    """Find a constant that only a person, an institution or the library system could vouch for."""
    if not listed.states:
        return None
    name, known = listed.name, find_properties(listed.name)
    is_own = name in {CPR_ATTRIBUTE, *OURS, *MINTED} or known.identity or known.opaque
    if is_own or known.scope or any(map(looks_like_cpr, listed.states)):
        return f"{name} cannot be stated", "leave states out: the value comes with the login"
    if listed.values or any("*" in value for value in listed.states):
        return f"{name}: states is exact, and stands without values", "write states: the value"
    pattern = known.pattern or ".*"
    if not all(re.fullmatch(pattern, value) for value in listed.states):
        return f"{name}: no such value is possible", f"it must match {pattern}"
    if known.single and len(listed.states) > 1:
        return f"{name} has one value", "state one"
    return None


_ATTRIBUTE_CHECKS: tuple[_AttributeCheck, ...] = (
    _never_to_category,
    _outside_category,
    _optional_without_consent,
    _values_of_cpr,
    _number_without_borrower,
    _unstatable,
)


def _names(policy: Policy, attributes: Collection[str]) -> Iterator[PolicyProblem]:
    proofs = [f"{_PROOF}{proof.name}" for proof in policy.proofs]
    for source, place in _field_sources(policy):
        if source.startswith(_PROOF) and source not in proofs:
            yield place, f"{source}: no such proof in this file", "name it under proofs"
    for name, place in _used_attributes(policy):
        if name not in attributes:
            yield place, f"unknown attribute {name!r}", _meant(name, attributes)


def _meant(name: str, attributes: Collection[str]) -> str:
    """Return what a name that no map yields was meant for, or where the names stand."""
    called = _CALLED.get(name.casefold().replace("_", ""))
    if called in attributes:
        return f"did you mean {called!r}?"
    return did_you_mean(name, attributes) or _UNMAPPED.get(name, _NOT_IN_MAPS)


def _used_attributes(policy: Policy) -> Iterator[tuple[str, PolicyLine]]:
    """Yield the attributes that releases, conditions and borrower fields name."""
    for listed in _all_attributes(policy):
        yield listed.name, listed.place
    for condition in _all_conditions(policy):
        if condition.name not in _NOT_ATTRIBUTES:
            yield condition.name, condition.place
    for source, place in _field_sources(policy):
        if not source.startswith(_PROOF):
            yield source, place


def _field_sources(policy: Policy) -> Iterator[tuple[str, PolicyLine]]:
    if policy.borrower is None:
        return
    for field in policy.borrower.fields:
        for source in (field.source, *field.otherwise):
            yield source, field.place


def _proof_domains(policy: Policy) -> Iterator[PolicyProblem]:
    """Find a match on a proof's domain that the proof does not list: it would never hold."""
    domains: dict[str, set[str]] = {}
    for proof in policy.proofs:
        name = f"{proof.name}{PROOF_DOMAIN}"
        domains[name] = {domain.name for domain in proof.domains}
    fix = "list it under proofs too; a domain is exact, without *"
    for condition in _all_conditions(policy):
        if not condition.name.endswith(PROOF_DOMAIN):
            continue
        covered = domains.get(condition.name, set())
        for value in sorted(set(condition.values) - covered):
            yield condition.place, f"{condition.name}: no proof covers {value}", fix


def _matches_on_numbers(policy: Policy) -> Iterator[PolicyProblem]:
    for condition in _all_conditions(policy):
        if condition.name in NEVER_BY_CATEGORY:
            fix = "require: {cpr: real} asks for one; affiliation never hangs on a number"
            yield condition.place, f"match on {condition.name}", fix


def _patterns(policy: Policy) -> Iterator[PolicyProblem]:
    valued_lines: Iterator[Condition | ReleasedAttribute]
    valued_lines = chain(_all_conditions(policy), _all_attributes(policy))
    for valued in valued_lines:
        if any(map(_is_bad_pattern, valued.values)):
            what = f"{valued.name}: * may only end a value"
            yield valued.place, what, "write prefix*, or leave values out"
        elif valued.name in AFFILIATIONS:
            yield from _unknown_affiliations(valued)


def _unknown_affiliations(valued: Condition | ReleasedAttribute) -> Iterator[PolicyProblem]:
    """Find a beginning that no affiliation has: other words count where they are named exactly."""
    for value in valued.values:
        if value.endswith("*") and is_never_known(value[:-1]):
            what = f"{valued.name}: {value} begins no affiliation of eduPerson"
            yield valued.place, what, "name each other value in full, without *"


def _is_bad_pattern(value: str) -> bool:
    return value == "*" or "*" in value[:-1]


def _lowered_categories(policy: Policy) -> Iterator[PolicyProblem]:
    """Find a category that is both kept and lowered, or that upgrades itself."""
    rule = policy.borrower
    if rule is None:
        return
    if rule.category in rule.upgrades:
        what = f"{rule.category} upgrades itself"
        yield rule.line_of("upgrades"), what, "name the categories that become this one"
    if rule.lowers is None:
        return
    kept = {rule.category, *rule.upgrades}
    for category in sorted(kept.intersection(rule.lowers.categories)):
        what = f"lowers {category}, which it also makes or upgrades"
        yield rule.place, what, "name it once"


def _overwritten_fields(policy: Policy) -> Iterator[PolicyProblem]:
    if policy.borrower is None:
        return
    for field in policy.borrower.fields:
        if field.set == "always" and field.name in PERSONS_OWN:
            what = (
                f"{field.name} with set: always:"
                " a login would undo what the person or the desk has changed"
            )
            yield field.place, what, "write set: create, or set: if_empty"


# Across files


def _is_category(release: Release) -> bool:
    return ":" in release.service


def unconfigured(release: Release, services: Collection[str]) -> bool:
    """Return whether the entry names a service, no category, that is not configured."""
    return not _is_category(release) and release.service not in services


def _all_attributes(policy: Policy) -> Iterator[ReleasedAttribute]:
    for release in policy.releases:
        yield from release.attributes


def _all_conditions(policy: Policy) -> Iterator[Condition]:
    for alternative in policy.match:
        yield from alternative.conditions


def _top(policy: Policy) -> PolicyLine:
    """Return the first line of the policy's file, for a fault of the whole file."""
    return PolicyLine(policy.file, 1)
