"""Checks of policies that need only the policy files, not broker.toml."""

import re
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from itertools import chain
from pathlib import PurePath
from typing import Final

from broker.core.errors import Fault
from broker.core.identity.attribute_properties import find_properties
from broker.core.identity.attribute_values import AFFILIATIONS
from broker.core.identity.canonical_attributes import BORROWER_NUMBER, CPR_ATTRIBUTE, OURS
from broker.core.identity.cpr import looks_like_cpr
from broker.core.identity.person_id import SUBJECT_IDENTIFIERS
from broker.core.policy.decision import BUNDLES, NEVER_BY_CATEGORY
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy.model import Condition, Policy, PolicyLine, Release, ReleasedAttribute

# The line of a fault, what is wrong there, and how to fix it.
PolicyProblem = tuple[PolicyLine, str, str]

UPSTREAM: Final = "upstream"
# Fields that the person tells the library and that staff correct: no upstream knows them better.
PERSONS_OWN: Final = frozenset({"email", "phone", "mobile"})


def make_faults(folder: str, problems: Iterable[PolicyProblem]) -> Iterator[Fault]:
    """Turn problems into faults; ``folder``, if not empty, is put before the name of the file."""
    for place, what, fix in problems:
        yield Fault(str(PurePath(folder, str(place))), what, fix)


def find_faults(policies: Collection[Policy]) -> Iterator[PolicyProblem]:
    """Yield the faults of each file, then those that two files have together."""
    for policy in policies:
        for release in policy.releases:
            yield from _check_release(policy, release)
        yield from _check_match(policy)
        yield from _check_required_upstreams(policy)
        # The variants of a policy share its borrower section: report each fault once.
        yield from dict.fromkeys(chain.from_iterable(map(_check_borrower, policy.variants)))
    yield from _find_doubles(policies)
    yield from _check_lowering_upstreams(policies)
    if any(release.name_id == "email" for release in list_releases(policies)):
        yield from _find_shared_domains(policies)


def find_overdue(policies: Iterable[Policy], today: date) -> Iterator[PolicyProblem]:
    """Find policies whose review_by has passed: a reminder; the policy stays in force."""
    for policy in policies:
        if policy.review_by < today:
            what = f"was to be reviewed by {policy.review_by}"
            fix = f"{policy.owner} should read it again and set a new day"
            yield first_line(policy), what, fix


def list_releases(policies: Iterable[Policy]) -> Iterator[Release]:
    """Yield the release entries of all files."""
    for policy in policies:
        yield from policy.releases


def first_line(policy: Policy) -> PolicyLine:
    """Return the first line of the policy's file, for a fault of the whole file."""
    return PolicyLine(policy.file, 1)


def is_category(release: Release) -> bool:
    """Return whether an entry is about an entity category: its name is a URL."""
    return ":" in release.service


# Release entries


def _check_release(policy: Policy, release: Release) -> Iterator[PolicyProblem]:
    place, is_mail = release.place, release.name_id == "email"
    if release.borrower == "make" and policy.borrower is None:
        yield place, "borrower: make, but the file has no borrower section", "add one"
    if is_mail and release.subject is None:
        yield place, "name_id: email without a reason", "add name_id_why, which is shown"
    if is_mail and is_category(release):
        what = "name_id: email is never given to a category"
        yield place, what, "list the service under its own name"
    if release.subject is not None and not is_mail:
        yield place, "name_id_why without name_id: email", "remove it"
    for listed in release.attributes:
        for what, fix in chain(_check_listed(release, listed), _check_stated(listed)):
            yield listed.place, what, fix


_Problems = Iterator[tuple[str, str]]  # what is wrong, and how to fix it


def _check_listed(release: Release, listed: ReleasedAttribute) -> _Problems:
    name, bundle = listed.name, BUNDLES.get(release.service)
    if is_category(release) and name in NEVER_BY_CATEGORY:
        yield f"{name} is never released to a category", "list it under the service's own name"
    if bundle is not None and name not in bundle:
        what = f"{name} is none of the attributes of {release.service}"
        yield what, f"those are {', '.join(sorted(bundle))}"
    if listed.optional and release.legal_basis != "consent":
        fix = "optional attributes need legal_basis: consent"
        yield f"{name} is optional without consent", fix
    if name == CPR_ATTRIBUTE and listed.values:
        fix = "a policy never sees the digits; require: {cpr: real} asks for one"
        yield "cpr with values", fix
    if name == BORROWER_NUMBER and release.borrower == "none":
        fix = "the entry says borrower: none, so there is no number"
        yield "borrower_number without a borrower", fix


def _check_stated(listed: ReleasedAttribute) -> _Problems:
    """Find a constant that the files cannot state, or that the attribute cannot have."""
    if not listed.states:
        return
    name, known = listed.name, find_properties(listed.name)
    pattern = known.pattern or ".*"
    if _is_vouched_for(name) or any(map(looks_like_cpr, listed.states)):
        yield f"{name} cannot be stated", "leave states out: the value comes with the login"
    elif listed.values or any("*" in value for value in listed.states):
        yield f"{name}: states takes no * and no other values", "write states: the value"
    elif not all(re.fullmatch(pattern, value) for value in listed.states):
        yield f"{name}: no such value is possible", f"it must match {pattern}"
    elif known.single and len(listed.states) > 1:
        yield f"{name} has one value", "state one"


def _is_vouched_for(name: str) -> bool:
    """Return whether only a person's institution, or the library system, can know a value."""
    known = find_properties(name)
    is_own = name in {CPR_ATTRIBUTE, *OURS, *SUBJECT_IDENTIFIERS}
    return is_own or known.identity or known.opaque or known.scope is not None


# Matches


def _check_match(policy: Policy) -> Iterator[PolicyProblem]:
    conditions = [each for alternative in policy.match for each in alternative.conditions]
    yield from _check_proof_domains(policy, conditions)
    for condition in conditions:
        if condition.name in NEVER_BY_CATEGORY:
            fix = "require: {cpr: real} asks for one; a policy cannot match on a number"
            yield condition.place, f"match on {condition.name}", fix
    listed = chain.from_iterable(release.attributes for release in policy.releases)
    valued_lines: list[Condition | ReleasedAttribute] = [*conditions, *listed]
    for valued in valued_lines:
        if any(value == "*" or "*" in value[:-1] for value in valued.values):
            what = f"{valued.name}: * may only end a value"
            yield valued.place, what, "write prefix*, or leave values out"


def _check_proof_domains(
    policy: Policy, conditions: Iterable[Condition]
) -> Iterator[PolicyProblem]:
    """Find a match on a domain that the proof does not list: it would never hold."""
    domains = {
        f"{proof.name}{PROOF_DOMAIN}": {domain.name for domain in proof.domains}
        for proof in policy.proofs
    }
    fix = "list it under proofs too; a domain is exact, without *"
    for condition in conditions:
        if condition.name.endswith(PROOF_DOMAIN):
            for value in sorted(set(condition.values) - domains.get(condition.name, set())):
                yield condition.place, f"{condition.name}: no proof covers {value}", fix


# Borrowers


def _check_borrower(policy: Policy) -> Iterator[PolicyProblem]:
    rule = policy.borrower
    if rule is None:
        return
    if rule.category in rule.upgrades:
        what = f"{rule.category} upgrades itself"
        yield rule.line_of("upgrades"), what, "name the categories that become this one"
    kept = {rule.category, *rule.upgrades}
    for category in sorted(kept.intersection(rule.lowers.categories if rule.lowers else ())):
        what = f"lowers {category}, which it also makes or upgrades"
        yield rule.place, what, "name it once"
    for field in rule.fields:
        if field.set == "always" and field.name in PERSONS_OWN:
            head = f"{field.name} with set: always:"
            what = f"{head} a login would undo what the person or the desk has changed"
            yield field.place, what, "write set: create, or set: if_empty"


def _check_required_upstreams(policy: Policy) -> Iterator[PolicyProblem]:
    """Find an upstream in require.upstream that no alternative of match names.

    No login could meet that requirement.
    """
    matched = [each.values for each in policy.conditions if each.name == UPSTREAM]
    place = policy.require.line_of("upstream")
    for upstream in policy.require.upstream:
        if upstream not in chain.from_iterable(matched):
            what = f"no alternative of match names the upstream {upstream!r}"
            yield place, what, "name it in an alternative of match, or take it out here"


# Between files


def _find_doubles(policies: Iterable[Policy]) -> Iterator[PolicyProblem]:
    for key in ("affiliation", "precedence"):
        first: dict[object, Policy] = {}
        for policy in policies:
            value = getattr(policy, key)
            other = first.setdefault(value, policy)
            if other is not policy:
                what = f"{key} {value} is also that of {other.file}"
                yield first_line(policy), what, f"each {key} belongs to one file"


def _check_lowering_upstreams(policies: Collection[Policy]) -> Iterator[PolicyProblem]:
    """Find an upstream that lowers a category and asserts no affiliations.

    A national eID or a PIN asserts none: every such person would seem to have left
    (docs/reference/requirements.md#r47).
    """
    asserting: set[str] = set()
    for named in (each.values for policy in policies for each in policy.match):
        if any(name in named for name in AFFILIATIONS):
            asserting.update(named.get(UPSTREAM, ()))
    for rule in (policy.borrower for policy in policies if policy.borrower):
        for upstream in rule.lowers.by if rule.lowers else ():
            if upstream not in asserting:
                head = f"lowers.by names {upstream}, but no policy matches an affiliation from it:"
                what = f"{head} every login by it would look as if the person had left"
                yield rule.place, what, "name an upstream that asserts affiliations"


def _find_shared_domains(policies: Iterable[Policy]) -> Iterator[PolicyProblem]:
    """Find two proofs that cover one domain: a mailbox belongs to one person only by each proof."""
    first: dict[str, str] = {}
    for policy in policies:
        for proof in policy.proofs:
            for domain in proof.domains:
                other = first.setdefault(domain.name, proof.name)
                if other != proof.name:
                    both = f"the proofs {other} and {proof.name} both cover {domain.name}"
                    what = f"{both}, and two people could have one name_id: email"
                    yield first_line(policy), what, "give the two one name"
