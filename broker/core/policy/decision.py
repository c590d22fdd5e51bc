"""The decision: who the person is to the library, what this service gets of them, and why, line by line."""

from datetime import datetime
from typing import Final

from broker.core.entities import Assurance, Service
from broker.core.identity import subject_ids
from broker.core.identity.attributes import Attributes
from broker.core.policy.entity_categories import CODE_OF_CONDUCT
from broker.core.policy.matching import affiliations, allowed_affiliations
from broker.core.policy.model import (
    Decision,
    Effect,
    Fate,
    LoginFacts,
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

AFFILIATIONS: Final = (
    "eduPersonScopedAffiliation",
    "eduPersonAffiliation",
    "eduPersonPrimaryAffiliation",
)
# Whom an institution has seen and keeps papers on. A list of who is not would let in every word it
# does not know.
_IN_PERSON: Final = frozenset({"student", "employee", "staff", "faculty", "member"})
_NOT_REAL: Final = {"replacement": "replacement_number", "constructed": "constructed_number"}

_Released = list[tuple[ReleasedAttribute, tuple[str, ...]]]


def evaluate(policies: PolicySet, login: LoginFacts, service: Service, now: datetime) -> Decision:
    """Decide what ``service`` may get of the person who logged in. Total, pure, deny by default.

    The order is affiliation, release entry, requirement, values (design 6). The highest precedence
    that matches wins; ``login.intent`` may pick another that matches too, unless that one makes
    accounts by other ways to log in only (wizard.md R05). A denial's first reason is the one to act
    on.
    """
    matched, near = affiliations(policies, login, now.date())
    if not matched:
        return _denied(policies, login, (Reason("no_affiliation"), *near), mismatch=login.intent)
    picked = (found for found in matched if found[0].affiliation == login.intent)
    wanted = next(
        (found for found in picked if found is matched[0] or _comes_by(found[0].require, login)),
        None,
    )
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
        may_create=not _lacking(policy.require, login),
        may_lower=policy is matched[0][0] and _may_lower(policy, login),
    )


def _denied(
    policies: PolicySet,
    login: LoginFacts,
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


def _entry(policy: Policy, service: Service) -> Release | None:
    """Find the entry of the service's own name, else, of those of its categories, the one that lists the least.

    A name beats a category (design 6); of several categories the one with the least data counts
    (REFEDS, row 43).
    """
    named = next((each for each in policy.releases if each.service == service.name), None)
    by_category = (each for each in policy.releases if each.service in service.categories)
    return named or min(by_category, key=lambda each: len(each.attributes), default=None)


def _unmet(require: Requirement, release: Release, login: LoginFacts) -> tuple[Reason, ...]:
    """Say what the person lacks for this entry; a borrower already there needs no more to be met."""
    if release.borrower == "need" and login.borrower is False:
        return (Reason("no_library_account", release.place),)
    if release.borrower != "make" or login.borrower is True:
        return ()
    return _lacking(require, login)


def _lacking(require: Requirement, login: LoginFacts) -> tuple[Reason, ...]:
    """Say what the person lacks to enrol by oneself; first the way to log in, for it brings the rest."""
    codes = []
    if not _comes_by(require, login):
        codes.append("national_eid_required")
    if require.assurance and (login.assurance is None or login.assurance < require.assurance):
        codes.append("assurance_too_low")
    if require.cpr and login.cpr != "real":
        codes.append(_NOT_REAL.get(login.cpr, "cpr_required"))
    if require.age is not None and login.age is None and "cpr_required" not in codes:
        codes.append("cpr_required")  # the age is read from the number
    elif require.age is not None and login.age is not None and login.age < require.age:
        codes.append("too_young")
    return tuple(Reason(code, require.place) for code in codes)


def _comes_by(require: Requirement, login: LoginFacts) -> bool:
    return not require.upstream or login.upstream in require.upstream


def _may_lower(policy: Policy, login: LoginFacts) -> bool:
    """Return whether the login tells that a category is one's no longer (wizard.md R47): the university's own words do.

    An affiliation that a fault withheld may have been the very one that the person still has. So
    may one that no policy lists: a student of a department, or one whom only the primary
    affiliation calls a student, has not left.
    """
    lowers = policy.borrower.lowers if policy.borrower else None
    told = (
        lowers is not None
        and login.upstream in lowers.by
        and login.withheld.isdisjoint(AFFILIATIONS)
    )
    return told and _roles(login).isdisjoint(_IN_PERSON)


def _filtered(
    release: Release, login: LoginFacts, service: Service
) -> tuple[_Released, tuple[Fate, ...]]:
    """Return the listed attributes with the values that may leave, and the fate of every attribute of the person."""
    released: _Released = []
    fates = {name: Fate(name, "not_listed", release.place) for name in login.attributes}
    for listed in release.attributes:
        values, code = _leaving(listed, login, service, release)
        if values is not None:
            released.append((listed, values))
        fates[listed.name] = Fate(listed.name, code, listed.place)
    return released, tuple(fates.values())


def _leaving(
    listed: ReleasedAttribute, login: LoginFacts, service: Service, release: Release
) -> tuple[tuple[str, ...] | None, str]:
    if listed.name in NEVER_BY_CATEGORY and release.service != service.name:
        return None, "not_by_category"
    if (
        release.service == CODE_OF_CONDUCT
        and service.required is not None
        and listed.name not in service.required
    ):
        return None, "not_required"
    if listed.name == BORROWER_NUMBER:
        return (), "released"  # its value is the library system's, put in when it is known
    if listed.name in subject_ids.MINTED:
        unfit = subject_ids.withheld_because(
            listed.name, service, {each.name for each in release.attributes}
        )
        return (
            (None, unfit) if unfit else ((), "released")
        )  # as above: ours, and never an upstream's
    values = _of(login.attributes, listed.name)
    if not values:
        return None, "not_sent"
    if listed.name == CPR and (kept := _cpr_kept(login, service)):
        return None, kept
    leaving = (
        tuple(value for value in values if allowed_affiliations(value, listed.values))
        if listed.values
        else values
    )
    if not leaving:
        return None, "value_not_allowed"
    return leaving, "released" if len(leaving) == len(values) else "released_in_part"


def _roles(login: LoginFacts) -> set[str]:
    return {
        value.partition("@")[0].casefold()
        for name in AFFILIATIONS
        for value in _of(login.attributes, name)
    }


def _cpr_kept(login: LoginFacts, service: Service) -> str | None:
    """Return why the CPR stays here (invariant 4): it goes only to a named controller, encrypted, and only if real.

    A replacement or constructed number must not pass for a CPR, and on the wire nothing would tell
    them apart.
    """
    if service.controller is None:
        return "no_controller"
    if not service.encrypts:
        return "no_encryption_key"
    if not _known_in_person(login):
        # Whoever may type a number of their own would else be somebody else to the service.
        return "not_known_in_person"
    return None if login.cpr == "real" else _NOT_REAL.get(login.cpr, "not_real")


def _of(attributes: Attributes, name: str) -> tuple[str, ...]:
    return attributes.get(name, ())


def _known_in_person(login: LoginFacts) -> bool:
    """Return whether the person may be taken for the owner of the CPR: not self-asserted, and a member of the house.

    Who comes without any affiliation has none to show, as at a national eID, and is then known by
    its level alone; one that was withheld is no such silence.
    """
    if login.assurance is None or login.assurance is Assurance.SELF_ASSERTED:
        return False
    roles = _roles(login)
    if roles:
        return not roles.isdisjoint(_IN_PERSON)
    return login.assurance >= Assurance.SUBSTANTIAL and login.withheld.isdisjoint(AFFILIATIONS)
