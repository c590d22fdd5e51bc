"""The decision: who the person is to the library, what this service gets of them, and why, line by line."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from broker.core.attributes import Attributes
from broker.core.entities import Assurance, Service
from broker.core.policy import (
    Alternative,
    Condition,
    Decision,
    Effect,
    Fate,
    Login,
    Policy,
    PolicySet,
    Reason,
    Release,
    ReleasedAttribute,
    Requirement,
)

CPR: Final = "cpr"
BORROWER_NUMBER: Final = "borrower_number"
# What a service gets only under its own name, never as a member of a category (design 6).
NEVER_BY_CATEGORY: Final = frozenset({CPR, BORROWER_NUMBER})

_PROOF_DOMAIN: Final = "_domain"
_AFFILIATIONS: Final = ("eduPersonScopedAffiliation", "eduPersonAffiliation", "eduPersonPrimaryAffiliation")
# Whom an institution has seen and keeps papers on. A list of who is not would let in every word it does not know.
_IN_PERSON: Final = frozenset({"student", "employee", "staff", "faculty", "member"})
# A refusal explains the files that came nearest; a thousand explanations would help nobody and cost time.
_EXPLAINED: Final = 8
_NOT_REAL: Final = {"replacement": "replacement_number", "constructed": "constructed_number"}

_Released = list[tuple[ReleasedAttribute, tuple[str, ...]]]


def evaluate(policies: PolicySet, login: Login, service: Service, now: datetime) -> Decision:
    """Decide what ``service`` may get of the person who logged in. Total, pure, deny by default.

    The order is affiliation, release entry, requirement, values (design 6). The highest precedence that matches
    wins; ``login.intent`` may pick another that matches too. A denial's first reason is the one to act on.
    """
    today = now.date()
    matched, near = _affiliations(policies, login, today)
    if not matched:
        return _denied(policies, login, (Reason("no_affiliation"), *near), mismatch=login.intent)
    wanted = next((found for found in matched if found[0].affiliation == login.intent), None)
    policy, alternative = wanted or matched[0]
    mismatch = login.intent if login.intent and not wanted else None
    release = _entry(policy, service)
    if release is None:
        reason = Reason("no_policy_for_service", alternative.place)
        return _denied(policies, login, (reason,), policy, mismatch=mismatch)
    unmet = _unmet(policy.require, release, login)
    if unmet:
        return _denied(policies, login, unmet, policy, release=release, mismatch=mismatch)
    released, fates = _filtered(release, login, service)
    return Decision(
        effect=Effect.PERMIT,
        reasons=(Reason("ok", release.place), Reason("matched", alternative.place)),
        affiliation=policy.affiliation,
        policy=policy,
        release=release,
        released=tuple(released),
        fates=fates,
        digest=policies.digest,
        mismatch=mismatch,
        may_find_by_cpr=_known_in_person(login),
    )


def _denied(
    policies: PolicySet,
    login: Login,
    reasons: tuple[Reason, ...],
    policy: Policy | None = None,
    *,
    release: Release | None = None,
    mismatch: str | None = None,
) -> Decision:
    """Deny: nothing leaves, and each attribute's fate is the first reason."""
    code, place = reasons[0].code, reasons[0].place
    return Decision(
        effect=Effect.DENY,
        reasons=reasons,
        affiliation=policy.affiliation if policy else None,
        policy=policy,
        release=release,
        fates=tuple(Fate(name, code, place) for name in login.attributes),
        digest=policies.digest,
        mismatch=mismatch,
        may_find_by_cpr=_known_in_person(login),
    )


def _affiliations(
    policies: PolicySet, login: Login, today: date
) -> tuple[list[tuple[Policy, Alternative]], list[Reason]]:
    """Give the policies that match with the alternative that did, highest first; or else why the nearest did not."""
    candidates = policies.index.candidates((("upstream", (login.upstream,)), *login.attributes.items()))
    matched = []
    for at in candidates:
        policy = policies.policies[at]
        for alternative in policy.match:
            if all(_failure(each, policy, login, today) is None for each in alternative.conditions):
                matched.append((policy, alternative))
                break
    if matched:
        return matched, []
    nearest = list(dict.fromkeys((*candidates[:_EXPLAINED], *range(min(_EXPLAINED, len(policies.policies))))))
    explained = (policies.policies[at] for at in nearest[:_EXPLAINED])
    return [], [_near_miss(each, login, today) for each in explained if each.match]


def _near_miss(policy: Policy, login: Login, today: date) -> Reason:
    """Give the first condition that failed in the alternative that failed least."""
    failures = []
    for alternative in policy.match:
        failed = [(_failure(each, policy, login, today), each.place) for each in alternative.conditions]
        failures.append([Reason(code, place) for code, place in failed if code])
    return min(failures, key=len)[0]


def _failure(condition: Condition, policy: Policy, login: Login, today: date) -> str | None:
    """Say why ``condition`` does not hold, or None if it does; what cannot be evaluated does not hold."""
    if condition.name == "upstream":
        return None if login.upstream in condition.values else "other_upstream"
    if condition.name == "assurance":
        enough = login.assurance is not None and login.assurance >= _least(condition.values)
        return None if enough else "assurance_too_low"
    values = login.attributes.get(condition.name, ())
    if condition.name.endswith(_PROOF_DOMAIN):
        return _unproved(condition, values, policy, today)
    if not values:
        return "attribute_missing"
    return None if any(_allowed(value, condition.values) for value in values) else "value_not_matched"


def _least(values: tuple[str, ...]) -> Assurance:
    try:
        return max(Assurance.named(value) for value in values)
    except (KeyError, ValueError):
        return Assurance.HIGH


def _unproved(condition: Condition, values: tuple[str, ...], policy: Policy, today: date) -> str | None:
    """Ask of a proof's domain that the policy lists it for that proof and that its day has not come."""
    name = condition.name.removesuffix(_PROOF_DOMAIN)
    domains = [each for proof in policy.proofs if proof.name == name for each in proof.domains]
    listed = {each.name for each in domains if each.name in values and each.name in condition.values}
    if not listed:
        return "value_not_matched" if values else "proof_missing"
    in_time = any(each.name in listed and (each.until is None or today <= each.until) for each in domains)
    return None if in_time else "proof_expired"


def _entry(policy: Policy, service: Service) -> Release | None:
    """Find the entry of the service's own name, else the first of a category it is in (a name beats a category)."""
    named = next((each for each in policy.releases if each.service == service.name), None)
    return named or next((each for each in policy.releases if each.service in service.categories), None)


def _unmet(require: Requirement, release: Release, login: Login) -> tuple[Reason, ...]:
    """Say what the person lacks for this entry; a borrower already there needs no more to be met."""
    if release.borrower == "need" and login.borrower is False:
        return (Reason("no_library_account", release.place),)
    if release.borrower != "make" or login.borrower is True:
        return ()
    codes = []
    if require.assurance and (login.assurance is None or login.assurance < require.assurance):
        codes.append("assurance_too_low")
    if require.cpr and login.cpr != "real":
        codes.append(_NOT_REAL.get(login.cpr, "cpr_required"))
    if require.age is not None and login.age is None and "cpr_required" not in codes:
        codes.append("cpr_required")  # the age is read from the number
    elif require.age is not None and login.age is not None and login.age < require.age:
        codes.append("too_young")
    return tuple(Reason(code, require.place) for code in codes)


def _filtered(release: Release, login: Login, service: Service) -> tuple[_Released, tuple[Fate, ...]]:
    """Give the listed attributes with the values that may leave, and the fate of every attribute of the person."""
    released: _Released = []
    fates = {name: Fate(name, "not_listed", release.place) for name in login.attributes}
    for listed in release.attributes:
        values, code = _leaving(listed, login, service, by_name=release.service == service.name)
        if values is not None:
            released.append((listed, values))
        fates[listed.name] = Fate(listed.name, code, listed.place)
    return released, tuple(fates.values())


def _leaving(
    listed: ReleasedAttribute, login: Login, service: Service, *, by_name: bool
) -> tuple[tuple[str, ...] | None, str]:
    if listed.name in NEVER_BY_CATEGORY and not by_name:
        return None, "not_by_category"
    if listed.name == BORROWER_NUMBER:
        return (), "released"  # its value is the library system's, put in when it is known
    values = _of(login.attributes, listed.name)
    if not values:
        return None, "not_sent"
    if listed.name == CPR and (kept := _cpr_kept(login, service)):
        return None, kept
    allowed = tuple(value for value in values if _allowed(value, listed.values)) if listed.values else values
    if not allowed:
        return None, "value_not_allowed"
    return allowed, "released" if len(allowed) == len(values) else "released_in_part"


def _cpr_kept(login: Login, service: Service) -> str | None:
    """Say why the CPR stays here (invariant 4): it goes only to a named controller, encrypted, and only if real.

    A replacement or constructed number must not pass for a CPR, and on the wire nothing would tell them apart.
    """
    if service.controller is None:
        return "no_controller"
    if not service.encrypts:
        return "no_encryption_key"
    return None if login.cpr == "real" else _NOT_REAL.get(login.cpr, "not_real")


def _of(attributes: Attributes, name: str) -> tuple[str, ...]:
    return attributes.get(name, ())


def _allowed(value: str, patterns: Sequence[str]) -> bool:
    """Say whether ``value`` is one of ``patterns``, of which one that ends in ``*`` takes what begins so."""
    return any(value.startswith(each[:-1]) if each.endswith("*") else value == each for each in patterns)


def _known_in_person(login: Login) -> bool:
    """Say whether the person may be taken for the owner of the CPR: not self-asserted, and a member of the house.

    Who comes without any affiliation has none to show, as at a national eID, and is then known by its level alone;
    one that was withheld is no such silence.
    """
    if login.assurance is None or login.assurance is Assurance.SELF_ASSERTED:
        return False
    roles = {value.partition("@")[0].casefold() for name in _AFFILIATIONS for value in _of(login.attributes, name)}
    if roles:
        return not roles.isdisjoint(_IN_PERSON)
    return login.assurance >= Assurance.SUBSTANTIAL and login.withheld.isdisjoint(_AFFILIATIONS)
