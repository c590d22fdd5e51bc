"""Findings of `broker check` about the staff view: settings that let nobody of the staff in."""

from collections.abc import Iterator
from typing import Final

from broker.app.assembly import Parts
from broker.core.entities import Institution
from broker.core.identity.attribute_values import is_in_scope
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE, EPPN
from broker.core.staff.staff_rules import SUBJECT_ID, StaffRules

_EXACT: Final = "exact"


def findings(parts: Parts) -> Iterator[str]:
    """Yield what stands in the way of somebody of [admin], each in a sentence with what to do."""
    rules = parts.config.staff_rules()
    if rules is None:
        return
    yield from _roles(rules)
    upstream = parts.upstreams[rules.upstream]
    attribute_map = parts.maps.maps[upstream.attribute_map]
    names = {row.name for row in attribute_map.rows}
    institution = upstream.institution(rules.institution)
    if institution is not None and CPR_ATTRIBUTE not in institution.may_assert:
        names.discard(CPR_ATTRIBUTE)
    nobody = "nobody of the staff can log in"
    if EPPN not in names:
        what = f"attribute map {upstream.attribute_map} reads no eppn: {nobody}"
        yield f"admin.institution: {what}; add a row for {EPPN}"
    if not names & {SUBJECT_ID, CPR_ATTRIBUTE}:
        what = f"the login carries neither {SUBJECT_ID} nor a CPR number: {nobody}"
        yield f'admin.institution: {what}; add a row for {SUBJECT_ID} or may_assert = ["cpr"]'
    if institution is not None:
        if institution.max_assurance < rules.assurance:
            what = f"is above max_assurance of {institution.entity_id}: {nobody}"
            yield f"admin.assurance: {what}; lower it, or raise max_assurance"
        yield from _scopes(rules, institution)


def _roles(rules: StaffRules) -> Iterator[str]:
    if not rules.roles:
        yield "admin.roles is empty: the staff view lets nobody in; list them, or leave [admin] out"


def _scopes(rules: StaffRules, institution: Institution) -> Iterator[str]:
    """Yield the listed names that their institution may not assert: such a login is refused."""
    known = ", ".join(institution.scopes) or "none"
    for eppn in rules.roles:
        if not is_in_scope(eppn, _EXACT, institution.scopes):
            what = f"{institution.entity_id} may not assert its scope (those are {known})"
            yield f"admin.roles: {eppn}: {what}; correct it, or the institution's scopes"
