"""Decide a login: the affiliation, the attributes that the service gets, and the deciding lines."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from broker.core.entities import Service
from broker.core.identity import person_id
from broker.core.identity.attribute_values import AFFILIATIONS, read_role
from broker.core.identity.canonical_attributes import BORROWER_NUMBER, CPR_ATTRIBUTE, Values
from broker.core.identity.rights import (
    IDENTIFIED_ROLES,
    NOT_REAL,
    NOT_USABLE,
    has_usable_cpr,
    missing_cpr_reason,
)
from broker.core.policy.matching import find_near_misses, matching_policies, value_allowed
from broker.core.policy.model import (
    NAME_ID,
    Alternative,
    Decision,
    Effect,
    Fate,
    LoginFacts,
    Policy,
    PolicySet,
    Reason,
    Release,
    ReleasedAttribute,
    ReleasedValues,
    Requirement,
)

# A service gets these attributes only by an entry under its own name, never by a category
# (docs/reference/design.md#6).
NEVER_BY_CATEGORY: Final = frozenset({CPR_ATTRIBUTE, BORROWER_NUMBER})

_REAL: Final = "real"

# The reasons for which a person cannot enrol without staff. A person with a borrower is not refused
# for them.
UNMET_REQUIREMENTS: Final = frozenset(
    {
        "cpr_required",
        "replacement_number",
        "constructed_number",
        "too_young",
        "assurance_too_low",
        "national_eid_required",
    }
)

# Every reason that a decision may begin with.
FIRST_REASONS: Final = UNMET_REQUIREMENTS | {
    "ok",
    "no_affiliation",
    "no_policy_for_service",
    "no_verified_address",
    "no_library_account",
}

Matched = list[tuple[Policy, Alternative]]


def evaluate(policies: PolicySet, login: LoginFacts, service: Service, now: datetime) -> Decision:
    """Decide what ``service`` may get of the person who logged in. Total, pure, deny by default.

    The order is affiliation, release entry, requirement, values (docs/reference/design.md#6). The
    policy with the highest precedence that matches wins. ``login.intent`` may pick another policy
    that matches too, unless that policy makes accounts for other upstreams only
    (docs/reference/requirements.md#r05). The first reason of a denial is the one to act on.
    """
    today = now.date()
    undecided = Decision(
        Effect.DENY, (), digest=policies.digest, mismatch=login.intent, ground=login.ground
    )
    matched = matching_policies(policies, login, today)
    if not matched:
        near_misses = (reason for reason, _ in find_near_misses(policies, login, today))
        return _deny(undecided, login, (Reason("no_affiliation"), *near_misses))
    policy, alternative, mismatch = pick_policy(matched, login)
    release = find_entry(policy, service)
    found = replace(
        undecided,
        affiliation=policy.affiliation,
        policy=policy,
        alternative=alternative,
        release=release,
        mismatch=mismatch,
    )
    if release is None:
        return _deny(found, login, (Reason("no_policy_for_service", alternative.place),))
    unmet = _find_denial(policy.require, release, login)
    if unmet:
        return _deny(found, login, unmet)
    released, fates = _filter_release(release, login, service)
    highest = matched[0][0]
    return replace(
        found,
        effect=Effect.PERMIT,
        reasons=(Reason("ok", release.place),),
        released=tuple(released),
        fates=fates,
        permits_creation=not _find_unmet_requirements(policy.require, login),
        permits_lowering=policy is highest and _has_left(policy, login),
    )


def pick_policy(matched: Matched, login: LoginFacts) -> tuple[Policy, Alternative, str | None]:
    """Return the policy that decides, its alternative, and the intent if another policy decides."""
    highest, highest_alternative = matched[0]
    for policy, alternative in matched:
        if policy.affiliation != login.intent:
            continue
        if policy is highest or _has_allowed_upstream(policy.require, login):
            return policy, alternative, None
    return highest, highest_alternative, login.intent or None


def _deny(found: Decision, login: LoginFacts, reasons: tuple[Reason, ...]) -> Decision:
    """Deny: nothing leaves, and the fate of every attribute is the first reason."""
    first = reasons[0]
    fates = (Fate(name, first.code, first.place) for name in login.attributes)
    return replace(found, reasons=reasons, fates=tuple(fates))


def find_entry(policy: Policy, service: Service) -> Release | None:
    """Find the entry of the service's own name, else the shortest one of its categories.

    A name beats a category (docs/reference/design.md#6); of several categories the one with the
    least data counts (REFEDS, docs/reference/saml-profiles.md#43).
    """
    for release in policy.releases:
        if release.service == service.name:
            return release
    by_category = (release for release in policy.releases if release.service in service.categories)
    return min(by_category, key=lambda release: len(release.attributes), default=None)


def _find_denial(require: Requirement, release: Release, login: LoginFacts) -> tuple[Reason, ...]:
    """Return why this entry refuses the login. A person with a borrower meets all requirements."""
    if release.subject is not None and login.verified_address is None:
        return (Reason("no_verified_address", release.subject.place),)
    if release.borrower == "need" and login.borrower is False:
        return (Reason("no_library_account", release.place),)
    if release.borrower != "make" or login.borrower is True:
        return ()
    return _find_unmet_requirements(require, login)


def _find_unmet_requirements(require: Requirement, login: LoginFacts) -> tuple[Reason, ...]:
    """Return the requirements that the person does not meet to enrol without staff.

    The upstream comes first: another upstream may bring the rest.
    """
    keys: dict[str, str] = {}  # the key of the requirement by reason code, in the order to act on
    if not _has_allowed_upstream(require, login):
        keys["national_eid_required"] = "upstream"
    if not _has_assurance(require, login):
        keys["assurance_too_low"] = "assurance"
    if require.cpr and login.cpr != _REAL:
        keys[missing_cpr_reason(login.cpr)] = "cpr"
    age_code = _age_failure(require, login)
    if age_code:
        keys.setdefault(age_code, "age")
    return tuple(Reason(code, require.line_of(key)) for code, key in keys.items())


def _has_assurance(require: Requirement, login: LoginFacts) -> bool:
    if require.assurance is None:
        return True
    return login.assurance is not None and login.assurance >= require.assurance


def _age_failure(require: Requirement, login: LoginFacts) -> str | None:
    if require.age is None:
        return None
    if login.age is None:
        return "cpr_required"  # the age is read from the number
    if login.age < require.age:
        return "too_young"
    return None


def _has_allowed_upstream(require: Requirement, login: LoginFacts) -> bool:
    return not require.upstream or login.upstream in require.upstream


def _has_left(policy: Policy, login: LoginFacts) -> bool:
    """Return whether the login shows that the person has left a category.

    Only the university's own assertion can show it. It does not if an affiliation was withheld: the
    person may still have that affiliation. An affiliation that no policy lists also counts: a
    student of a department, or a student by primary affiliation only, has not left.

    Source: docs/reference/requirements.md#r47.
    """
    lowers = policy.borrower.lowers if policy.borrower else None
    if lowers is None or login.upstream not in lowers.by:
        return False
    if not login.withheld.keys().isdisjoint(AFFILIATIONS):
        return False
    return _roles(login).isdisjoint(IDENTIFIED_ROLES)


def _filter_release(
    release: Release, login: LoginFacts, service: Service
) -> tuple[list[ReleasedValues], tuple[Fate, ...]]:
    """Return the listed attributes with the values that may leave, and every attribute's fate."""
    released: list[ReleasedValues] = []
    fates = {}
    for name, code in login.withheld.items():
        fates[name] = Fate(name, code)
    for name in login.attributes:
        fates[name] = Fate(name, "not_listed", release.place)
    if release.subject is not None and login.verified_address is not None:
        released.append((release.subject, (login.verified_address,)))
        fates[NAME_ID] = Fate(NAME_ID, "released", release.subject.place)
    for listed in release.attributes:
        values, code = _release_attribute(listed, login, service, release)
        if values is not None:
            released.append((listed, values))
        fates[listed.name] = Fate(listed.name, code, listed.place)
    return released, tuple(fates.values())


def _release_attribute(
    listed: ReleasedAttribute, login: LoginFacts, service: Service, release: Release
) -> tuple[Values | None, str]:
    """Return the values of one listed attribute that leave (None: none) and the reason code."""
    withheld = _withheld_from_service(listed, service, release)
    if withheld:
        return None, withheld
    if listed.name == BORROWER_NUMBER or listed.name in person_id.SUBJECT_IDENTIFIERS:
        # The broker makes this attribute itself and adds the value when it is known.
        return (), "released"
    if listed.states and listed.name != CPR_ATTRIBUTE:
        return listed.states, "released"
    values = login.attributes.get(listed.name, ())
    if not values:
        return None, login.withheld.get(listed.name, "not_sent")
    if listed.name == CPR_ATTRIBUTE and not _has_usable_cpr(login):
        return None, NOT_REAL.get(login.cpr, NOT_USABLE)
    leaving = _filter_values(values, listed)
    if not leaving:
        return None, "value_not_allowed"
    if len(leaving) < len(values):
        return leaving, "released_in_part"
    return leaving, "released"


def _withheld_from_service(
    listed: ReleasedAttribute, service: Service, release: Release
) -> str | None:
    """Return why this service never gets the attribute, for any login; None if it may."""
    if listed.name in NEVER_BY_CATEGORY and release.service != service.name:
        return "not_by_category"
    by_conduct = release.service == CODE_OF_CONDUCT and service.required is not None
    if by_conduct and listed.name not in (service.required or ()):
        return "not_required"
    if listed.name == CPR_ATTRIBUTE:
        return _cpr_withheld_from_service(service)
    if listed.name in person_id.SUBJECT_IDENTIFIERS:
        names = {attribute.name for attribute in release.attributes}
        return person_id.find_withholding_reason(listed.name, service, names)
    return None


def _filter_values(values: Values, listed: ReleasedAttribute) -> Values:
    if not listed.values:
        return values
    return tuple(value for value in values if value_allowed(value, listed.values))


def _roles(login: LoginFacts) -> set[str]:
    roles: set[str] = set()
    for name in AFFILIATIONS:
        roles.update(map(read_role, login.attributes.get(name, ())))
    return roles


def _has_usable_cpr(login: LoginFacts) -> bool:
    return login.cpr == _REAL and has_usable_cpr(login.ground)


def _cpr_withheld_from_service(service: Service) -> str | None:
    """Return why this service never gets a CPR number; None if it may.

    A CPR number goes only to a named controller, and only encrypted
    (docs/reference/design.md#invariant-4).
    """
    if service.controller is None:
        return "no_controller"
    return None if service.encrypts else "no_encryption_key"


_REFEDS: Final = "https://refeds.org/category/"
CODE_OF_CONDUCT: Final = f"{_REFEDS}code-of-conduct/v2"
_ANONYMOUS: Final = frozenset({"schacHomeOrganization", "eduPersonScopedAffiliation"})
_ASSURED: Final = _ANONYMOUS | {"eduPersonAssurance"}
# In our names: WAYF says gn where the specification says givenName (the same attribute).
BUNDLES: Final[Mapping[str, frozenset[str]]] = {
    f"{_REFEDS}anonymous": _ANONYMOUS,
    f"{_REFEDS}pseudonymous": _ASSURED | {"pairwise-id"},
    f"{_REFEDS}personalized": _ASSURED | {"subject-id", "displayName", "gn", "sn", "mail"},
}
