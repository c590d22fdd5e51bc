"""Check policies against the site: its services, upstreams, attribute maps and library system."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.configuration.policies.file_checks import (
    UPSTREAM,
    PolicyProblem,
    find_faults,
    find_overdue,
    list_releases,
)
from broker.configuration.policies.known_names import (
    KnownNames,
    Problems,
    find_unknown_names,
    list_policy_names,
)
from broker.core.borrowers.register_look_up import ADDRESS_FIELDS
from broker.core.entities import Service, Upstream
from broker.core.identity.attribute_properties import find_properties
from broker.core.identity.canonical_attributes import (
    BORROWER_NUMBER,
    CPR_ATTRIBUTE,
    AttributeMap,
    find_outgoing_row,
)
from broker.core.identity.person_id import SUBJECT_IDENTIFIERS
from broker.core.login.site import Site
from broker.core.policy.decision import FIRST_REASONS
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy.model import NAME_ID, NO_ATTRIBUTES, Alternative, Condition, Policy, Release

# A decision may release these too: we make them, or the library system has them.
_OURS: Final = SUBJECT_IDENTIFIERS | {BORROWER_NUMBER, NAME_ID, CPR_ATTRIBUTE}
# Numbers that an authority or an institution gives a person.
_MAY_CONTAIN_CPR: Final = frozenset({"norEduPersonLIN", "schacPersonalUniqueCode"})


@dataclass(frozen=True, slots=True)
class NameableInPolicies:
    """The services, attributes and upstreams that policies may name; None where any name will do.

    With ``services`` and ``maps``, the releases are compared with the services as they are
    configured and the attributes that they read. ``borrower_fields`` are those that the connector
    of the library system can write. ``person_register`` is whether one is configured.
    ``site_rules`` is the file of the rules that a proposed set must obey; None if there are none.
    """

    services: Mapping[str, Service] | None = None
    attributes: Collection[str] | None = None
    maps: Mapping[str, AttributeMap] | None = None
    upstreams: Mapping[str, Upstream] | None = None
    borrower_fields: Collection[str] | None = None
    person_register: bool | None = None
    site_rules: Path | None = None

    @property
    def site(self) -> Site:
        """Return the site of the services, upstreams and maps."""
        return Site.from_configuration(self.services or {}, self.upstreams or {}, self.maps or {})

    def list_known(self, policies: Collection[Policy]) -> KnownNames:
        """Return the known names by kind, without those that proofs give."""
        affiliations = {policy.affiliation for policy in policies}
        return {
            "service": self.services,
            "upstream": self.upstreams,
            "attribute": None if self.attributes is None else _OURS.union(self.attributes),
            "field": self.borrower_fields,
            "reason": FIRST_REASONS,
            "affiliation": affiliations,
            "intent": affiliations,
            "category": {each.borrower.category for each in policies if each.borrower},
        }


ANY_NAMES: Final = NameableInPolicies()


def add_proofs(known: KnownNames, proving: Iterable[Policy]) -> KnownNames:
    """Return the known names with the attributes that the proofs of some policies give."""
    attributes = known["attribute"]
    if attributes is None:
        return known
    with_proofs = set(attributes)
    for name in (proof.name for policy in proving for proof in policy.proofs):
        with_proofs |= {name, f"{name}{PROOF_DOMAIN}", f"proof.{name}"}
    return {**known, "attribute": with_proofs}


def find_problems(
    policies: Collection[Policy], now: datetime, names: NameableInPolicies
) -> tuple[Problems, Problems]:
    """Return the faults, with which no policy is used, and the warnings, which stop nothing."""
    known = names.list_known(policies)
    faults = [*find_faults(policies)]
    warnings = [*find_overdue(policies, now.date())]
    for policy in policies:
        found = find_unknown_names(list_policy_names(policy), add_proofs(known, [policy]))
        faults += [*found[0], *_find_unwritable_address(policy, names.borrower_fields)]
        warnings += found[1]
        for alternative in policy.match:
            warnings += _find_missing_scope(alternative, names)
    for release, service in _pair_with_services(policies, names):
        faults += _check_wire_names(release, service, names)
        warnings += _find_withheld_numbers(release, service)
    return faults, warnings


# Services and the library system


def _pair_with_services(
    policies: Iterable[Policy], names: NameableInPolicies
) -> Iterator[tuple[Release, Service]]:
    """Yield each entry with each configured service that it is about."""
    for release in list_releases(policies):
        for service in (names.services or {}).values():
            if service.name == release.service or release.service in service.categories:
                yield release, service


def _check_wire_names(
    release: Release, service: Service, names: NameableInPolicies
) -> Iterator[PolicyProblem]:
    """Find an attribute that has no name on the wire of the service, or that of another one."""
    attribute_map = (names.maps or {}).get(service.attribute_map)
    if attribute_map is None:
        return
    first: dict[str, str] = {}
    for listed in release.attributes:
        row = find_outgoing_row(attribute_map, listed.name)
        if row is None:
            what = f"{service.name} has no wire name for {listed.name}"
            fix = f"add a row to attribute_maps/{service.attribute_map}.yaml"
            # An unknown attribute has a fault already.
            if listed.name in (names.attributes or {listed.name}):
                yield listed.place, what, fix
        elif first.setdefault(row.wire, listed.name) != listed.name:
            what = f"{listed.name} and {first[row.wire]} have one wire name at {service.name}"
            fix = "release one of them, or give the service a map of its own"
            yield listed.place, what, fix


def _find_withheld_numbers(release: Release, service: Service) -> Iterator[PolicyProblem]:
    """Find CPR numbers that the service does not get as it is configured, or must not get.

    A CPR number needs a controller and an encryption key (docs/reference/design.md#invariant-4).
    """
    setting = f"services.{service.name}"
    for listed in release.attributes:
        name, is_number = listed.name, listed.name == CPR_ATTRIBUTE
        if service.encryption == "none" and (is_number or name in _MAY_CONTAIN_CPR):
            what = (
                f"{name} may hold a CPR number, and assertions to {service.name} are not encrypted"
            )
            yield listed.place, what, f"remove the attribute, or {setting}.encryption"
        elif is_number and not service.encrypts:
            fix = "until its metadata carries one the CPR is withheld"
            yield listed.place, f"{service.name} publishes no encryption key", fix
        if is_number and service.controller is None:
            fix = f"set {setting}.controller; until then the CPR is withheld"
            yield listed.place, f"{service.name} states no controller", fix


def _find_unwritable_address(
    policy: Policy, known: Collection[str] | None
) -> Iterator[PolicyProblem]:
    """Find an address of the register that the connector cannot write."""
    rule = policy.borrower
    if rule is None or known is None or rule.register is None:
        return
    missing = sorted({*ADDRESS_FIELDS} - {*known})
    if missing and rule.register.address != "never":
        what = f"the library system has no field for an address: {', '.join(missing)}"
        yield rule.line_of("register"), what, "write address: never"


# Scopes


def _find_missing_scope(
    alternative: Alternative, names: NameableInPolicies
) -> Iterator[PolicyProblem]:
    """Find an alternative that any institution of an upstream can let its people match.

    A value with a scope names its institution. A value without one, as an entitlement, can be
    asserted by each of several institutions.
    """
    asked = alternative.values.get(UPSTREAM, ())
    conditions = [each for each in alternative.conditions if each.name not in NO_ATTRIBUTES]
    if not conditions or any(map(_names_institution, conditions)):
        return
    for name, upstream in (names.upstreams or {}).items():
        if name in asked and len(upstream.institutions) > 1:
            first = conditions[0]
            what = f"{first.name} has no scope: any institution of {name} may assert it"
            yield first.place, what, "add a condition for schacHomeOrganization"
            return


def _names_institution(condition: Condition) -> bool:
    """Return whether a condition names the institution, or a mailbox that is proved here.

    A value that ends with ``*`` has no scope: any institution may assert a value that it fits.
    """
    if condition.name.endswith(PROOF_DOMAIN):
        return True
    is_scoped = find_properties(condition.name).scope is not None
    return is_scoped and not any(value.endswith("*") for value in condition.values)
