"""The decision: the person's affiliation, the attributes that a service gets, and why, by line."""

from collections.abc import Mapping
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
from broker.core.policy.matching import matching_policies, value_allowed
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

# What a service gets only under its own name, never as a member of a category
# (docs/reference/design.md#6).
NEVER_BY_CATEGORY: Final = frozenset({CPR_ATTRIBUTE, BORROWER_NUMBER})

_REAL: Final = "real"

# What a person may lack to enrol alone; a person with a borrower gets on without it.
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
    highest precedence that matches wins; ``login.intent`` may pick another that matches too, unless
    that one makes accounts by other ways to log in only (docs/reference/requirements.md#r05). A
    denial's first reason is the one to act on.
    """
    matched, near_misses = matching_policies(policies, login, now.date())
    if not matched:
        reasons = (Reason("no_affiliation"), *near_misses)
        return _denied(policies, login, reasons, mismatch=login.intent)
    policy, alternative, mismatch = pick_policy(matched, login)
    release = find_entry(policy, service)
    if release is None:
        reason = Reason("no_policy_for_service", alternative.place)
        return _denied(policies, login, (reason,), policy, mismatch=mismatch)
    unmet = _unmet(policy.require, release, login)
    if unmet:
        return _denied(policies, login, unmet, policy, release=release, mismatch=mismatch)
    released, fates = _filtered(release, login, service)
    highest = matched[0][0]
    entry = Reason("ok", release.place)
    match = Reason("matched", alternative.place)
    return Decision(
        effect=Effect.PERMIT,
        reasons=(entry, match),
        affiliation=policy.affiliation,
        policy=policy,
        release=release,
        released=tuple(released),
        fates=fates,
        digest=policies.digest,
        mismatch=mismatch,
        ground=login.ground,
        permits_creation=not _lacking(policy.require, login),
        permits_lowering=policy is highest and _has_left(policy, login),
    )


def pick_policy(matched: Matched, login: LoginFacts) -> tuple[Policy, Alternative, str | None]:
    """Return the policy that counts, the alternative that matched, and an intent that it is not."""
    highest, highest_alternative = matched[0]
    for policy, alternative in matched:
        if policy.affiliation != login.intent:
            continue
        if policy is highest or _comes_by(policy.require, login):
            return policy, alternative, None
    return highest, highest_alternative, login.intent or None


def _denied(
    policies: PolicySet,
    login: LoginFacts,
    reasons: tuple[Reason, ...],
    policy: Policy | None = None,
    *,
    release: Release | None = None,
    mismatch: str | None = None,
) -> Decision:
    """Deny: nothing leaves, and the fate of every attribute is the first reason."""
    first = reasons[0]
    fates = (Fate(name, first.code, first.place) for name in login.attributes)
    return Decision(
        effect=Effect.DENY,
        reasons=reasons,
        affiliation=policy.affiliation if policy else None,
        policy=policy,
        release=release,
        fates=tuple(fates),
        digest=policies.digest,
        mismatch=mismatch,
        ground=login.ground,
    )


def find_entry(policy: Policy, service: Service) -> Release | None:
    """Find the entry of the service's own name, else the shortest one of its categories.

    A name beats a category (docs/reference/design.md#6); of several categories the one with the
    least data counts (REFEDS, docs/reference/saml-profiles.md#43).
    """
    for release in policy.releases:
        if release.service == service.name:
            return release
    by_category = (release for release in policy.releases if release.service in service.categories)
    return min(by_category, key=_length, default=None)


def _length(release: Release) -> int:
    return len(release.attributes)


def _unmet(require: Requirement, release: Release, login: LoginFacts) -> tuple[Reason, ...]:
    """Return what the person lacks for this entry; a borrower already there needs no more."""
    if release.subject is not None and login.verified_address is None:
        return (Reason("no_verified_address", release.subject.place),)
    if release.borrower == "need" and login.borrower is False:
        return (Reason("no_library_account", release.place),)
    if release.borrower != "make" or login.borrower is True:
        return ()
    return _lacking(require, login)


def _lacking(require: Requirement, login: LoginFacts) -> tuple[Reason, ...]:
    """Return what the person lacks to enrol alone.

    First the way to log in, for it brings the rest.
    """
    keys: dict[str, str] = {}  # by the code of what is lacking, in the order to act on
    if not _comes_by(require, login):
        keys["national_eid_required"] = "upstream"
    if not _assured(require, login):
        keys["assurance_too_low"] = "assurance"
    if require.cpr and login.cpr != _REAL:
        keys[missing_cpr_reason(login.cpr)] = "cpr"
    age_code = _age_failure(require, login)
    if age_code:
        keys.setdefault(age_code, "age")
    return tuple(Reason(code, require.line_of(key)) for code, key in keys.items())


def _assured(require: Requirement, login: LoginFacts) -> bool:
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


def _comes_by(require: Requirement, login: LoginFacts) -> bool:
    return not require.upstream or login.upstream in require.upstream


def _has_left(policy: Policy, login: LoginFacts) -> bool:
    """Return whether the login shows that the person has left a category.

    Only the university's own assertion shows it. An affiliation that a fault withheld may have been
    the very one that the person still has. So may one that no policy lists: a student of a
    department, or one whom only the primary affiliation calls a student, has not left.

    Source: docs/reference/requirements.md#r47.
    """
    lowers = policy.borrower.lowers if policy.borrower else None
    if lowers is None or login.upstream not in lowers.by:
        return False
    if not login.withheld.keys().isdisjoint(AFFILIATIONS):
        return False
    return _roles(login).isdisjoint(IDENTIFIED_ROLES)


def _filtered(
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
        values, code = _leaving(listed, login, service, release)
        if values is not None:
            released.append((listed, values))
        fates[listed.name] = Fate(listed.name, code, listed.place)
    return released, tuple(fates.values())


def _leaving(
    listed: ReleasedAttribute, login: LoginFacts, service: Service, release: Release
) -> tuple[Values | None, str]:
    """Return the values of one listed attribute that leave, None for none of it, and the code."""
    withheld = _withheld_from_service(listed, service, release)
    if withheld:
        return None, withheld
    if listed.name == BORROWER_NUMBER or listed.name in person_id.MINTED:
        # Ours, and never an upstream's: the value is put in when it is known.
        return (), "released"
    values = login.attributes.get(listed.name, ())
    if not values:
        return None, login.withheld.get(listed.name, "not_sent")
    if listed.name == CPR_ATTRIBUTE and not _has_usable_cpr(login):
        return None, NOT_REAL.get(login.cpr, NOT_USABLE)
    leaving = _allowed(values, listed)
    if not leaving:
        return None, "value_not_allowed"
    if len(leaving) < len(values):
        return leaving, "released_in_part"
    return leaving, "released"


def _withheld_from_service(
    listed: ReleasedAttribute, service: Service, release: Release
) -> str | None:
    """Return the code why this service gets nothing of the attribute, whoever logs in; or None."""
    if listed.name in NEVER_BY_CATEGORY and release.service != service.name:
        return "not_by_category"
    by_conduct = release.service == CODE_OF_CONDUCT and service.required is not None
    if by_conduct and listed.name not in (service.required or ()):
        return "not_required"
    if listed.name == CPR_ATTRIBUTE:
        return _cpr_withheld_from_service(service)
    if listed.name in person_id.MINTED:
        names = {attribute.name for attribute in release.attributes}
        return person_id.find_withholding_reason(listed.name, service, names)
    return None


def _allowed(values: Values, listed: ReleasedAttribute) -> Values:
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
    """Return why a CPR number never goes to this service, or None.

    It goes only to a named controller, and only encrypted (docs/reference/design.md#invariant-4).
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
