"""Checks of policies against the site: its services, upstreams, attribute maps and library system.

A name near a known one is a typo, and a fault. Any other unknown name is a warning: nobody can use
what it stands for until somebody configures it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Final

from broker.configuration.checked_files import did_you_mean
from broker.configuration.policies.file_checks import (
    UPSTREAM,
    PolicyProblem,
    find_faults,
    find_overdue,
    first_line,
    is_category,
    list_releases,
    list_rules,
    list_upstreams,
    values_by_name,
)
from broker.core.borrowers.register_look_up import ADDRESS_FIELDS
from broker.core.entities import Names, Service, Upstream
from broker.core.identity.attribute_properties import find_properties
from broker.core.identity.attribute_values import is_in_scope
from broker.core.identity.canonical_attributes import (
    BORROWER_NUMBER,
    CPR_ATTRIBUTE,
    AttributeMap,
    find_outgoing_row,
)
from broker.core.identity.person_id import SUBJECT_IDENTIFIERS
from broker.core.policy.decision import FIRST_REASONS
from broker.core.policy.matching import PROOF_DOMAIN, value_allowed
from broker.core.policy.model import (
    NAME_ID,
    Alternative,
    Condition,
    Example,
    Policy,
    PolicyLine,
    Release,
)

_SCOPES: Final = "scopes"
_CATEGORY: Final = "borrower_category"
_NO_ATTRIBUTES: Final = frozenset({UPSTREAM, "assurance"})
_PROOF: Final = "proof."
_NOT_IN_MAPS: Final = "the maps yield no such attribute; labels.yaml lists those there are"
# The usual names of attributes, in small letters, and our names.
_USUAL_NAMES: Final = {
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
# A decision may release these too: we make them, or the library system has them.
OURS: Final = SUBJECT_IDENTIFIERS | {BORROWER_NUMBER, NAME_ID, CPR_ATTRIBUTE}


@dataclass(frozen=True, slots=True)
class NameableInPolicies:
    """The services, attributes and upstreams that policies may name; None where any name will do.

    With ``services`` and ``maps``, the releases are compared with the services as they are
    configured and the attributes that they read. ``borrower_fields`` are those that the connector
    of the library system can write. ``desk_categories`` are the borrower categories that staff make
    and no policy does. ``person_register`` is whether one is configured. ``site_rules`` is the file
    of the rules that a proposed set must obey; None if there are none.
    """

    services: Mapping[str, Service] | None = None
    attributes: Collection[str] | None = None
    maps: Mapping[str, AttributeMap] | None = None
    upstreams: Mapping[str, Upstream] | None = None
    borrower_fields: Collection[str] | None = None
    desk_categories: Names | None = None
    person_register: bool | None = None
    site_rules: Path | None = None


ANY_NAMES: Final = NameableInPolicies()


def find_problems(
    policies: Collection[Policy], names: NameableInPolicies
) -> Iterator[PolicyProblem]:
    """Yield all faults: the policies are not used before they are fixed."""
    yield from find_faults(policies)
    for policy in policies:
        if names.attributes is not None:
            yield from _find_unknown_attributes(policy, names.attributes)
        yield from _find_unwritable_fields(policy, names.borrower_fields)
    yield from _check_examples(policies, names.attributes)
    for what, name, place, known, _ in _list_unknown_names(policies, names):
        if fix := did_you_mean(name, known):
            yield place, f"unknown {what} {name!r}", fix
    for release, service in _pair_with_services(policies, names):
        yield from _check_wire_names(release, service, names)


def find_warnings(
    policies: Collection[Policy], now: datetime, names: NameableInPolicies
) -> Iterator[PolicyProblem]:
    """Yield problems that an administrator should look at; they stop nothing."""
    yield from find_overdue(policies, now.date())
    for what, name, place, known, fix in _list_unknown_names(policies, names):
        if fix and not did_you_mean(name, known):
            yield place, f"no {what} {name!r} is configured", fix
    yield from _check_scopes(policies, names)
    yield from _find_unused_domains(policies)
    yield from _find_unreached_categories(policies, names)
    if names.desk_categories is not None:
        yield from _find_unmade_categories(policies, names.desk_categories)
    for release, service in _pair_with_services(policies, names):
        yield from _find_withheld_attributes(release, service)


# Services and upstreams

# The kind, the name, its line, the known names, and how to fix an absent one ("": no warning).
_UnknownName = tuple[str, str, PolicyLine, Collection[str], str]


def _list_unknown_names(
    policies: Iterable[Policy], names: NameableInPolicies
) -> Iterator[_UnknownName]:
    """Yield the services and upstreams that are not configured."""
    services, upstreams = names.services, names.upstreams
    for policy in policies:
        named: list[_UnknownName] = []
        if services is not None:
            fix = "add it to broker.toml, or remove the entry"
            named += (
                ("service", release.service, release.place, services, fix)
                for release in policy.releases
                if not is_category(release)
            )
        if upstreams is not None:
            fix = "add it to broker.toml, or remove it here"
            for name, place in list_upstreams(policy):
                named.append(("upstream", name, place, upstreams, fix))
            # An example keeps its upstream where a library has no national eID.
            for example in policy.examples:
                named.append(("upstream", example.login.upstream, example.place, upstreams, ""))
        yield from (each for each in named if each[1] not in each[3])


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


# Numbers that an authority or an institution gives a person.
_MAY_CONTAIN_CPR: Final = frozenset({"norEduPersonLIN", "schacPersonalUniqueCode"})


def _find_withheld_attributes(release: Release, service: Service) -> Iterator[PolicyProblem]:
    """Find attributes that the service never gets as it is configured.

    A CPR number needs a controller and an encryption key (docs/reference/design.md#invariant-4), an
    identifier needs a scope.
    """
    setting = f"services.{service.name}"
    unencrypted = f"assertions to {service.name} are not encrypted"
    for listed in release.attributes:
        if listed.name in SUBJECT_IDENTIFIERS and service.scope is None:
            fix = f"set idp.scope; until then {listed.name} is withheld"
            yield listed.place, "there is no scope to make identifiers under", fix
        if service.encryption == "none" and listed.name in _MAY_CONTAIN_CPR:
            what = f"{listed.name} may contain a CPR number, and {unencrypted}"
            yield listed.place, what, f"remove the attribute, or {setting}.encryption"
        if listed.name != CPR_ATTRIBUTE:
            continue
        if service.controller is None:
            fix = f"set {setting}.controller; until then the CPR is withheld"
            yield listed.place, f"{service.name} states no controller", fix
        if service.encryption == "none":
            fix = f"remove {setting}.encryption; until then the CPR is withheld"
            yield listed.place, unencrypted, fix
        elif not service.encrypts:
            fix = "until its metadata carries one the CPR is withheld"
            yield listed.place, f"{service.name} publishes no encryption key", fix


# Attributes, and the fields that they fill


def _find_unknown_attributes(
    policy: Policy, attributes: Collection[str]
) -> Iterator[PolicyProblem]:
    proofs = [f"{_PROOF}{proof.name}" for proof in policy.proofs]
    for name, place in _list_attributes(policy):
        if name.startswith(_PROOF):
            if name not in proofs:
                yield place, f"{name}: no such proof in this file", "name it under proofs"
        elif name not in attributes:
            usual = _USUAL_NAMES.get(name.casefold().replace("_", ""))
            fix = (
                f"did you mean {usual!r}?"
                if usual in attributes
                else did_you_mean(name, attributes)
            )
            yield place, f"unknown attribute {name!r}", fix or _NOT_IN_MAPS


def _list_attributes(policy: Policy) -> Iterator[tuple[str, PolicyLine]]:
    """Yield the attributes, and proofs, that releases, conditions and borrower fields name."""
    for listed in (each for release in policy.releases for each in release.attributes):
        yield listed.name, listed.place
    for condition in policy.conditions:
        if condition.name not in _NO_ATTRIBUTES:
            yield condition.name, condition.place
    for field in policy.borrower.fields if policy.borrower else ():
        yield from ((source, field.place) for source in (field.source, *field.otherwise))


def _find_unwritable_fields(
    policy: Policy, known: Collection[str] | None
) -> Iterator[PolicyProblem]:
    """Find fields that the connector cannot write: each borrower would be refused."""
    rule = policy.borrower
    if rule is None or known is None:
        return
    for field in rule.fields:
        if field.name not in known:
            fix = did_you_mean(field.name, known) or f"fields are {', '.join(sorted(known))}"
            yield field.place, f"the library system has no field {field.name!r}", fix
    missing = sorted({*ADDRESS_FIELDS} - {*known})
    if missing and rule.register and rule.register.address != "never":
        what = f"the library system has no field for an address: {', '.join(missing)}"
        yield rule.line_of("register"), what, "write address: never"


def _check_examples(
    policies: Collection[Policy], attributes: Collection[str] | None
) -> Iterator[PolicyProblem]:
    """Find unknown attributes, intents and reasons.

    An unknown affiliation or category fails its example.
    """
    affiliations = [policy.affiliation for policy in policies]
    for policy in policies:
        proofs = [proof.name for proof in policy.proofs]
        proved = [*proofs, *(f"{name}{PROOF_DOMAIN}" for name in proofs)]
        known = None if attributes is None else {*attributes, *proved, *OURS}
        for example in policy.examples:
            for what, name, possible in _list_names(example, affiliations, known):
                if name not in possible:
                    fix = did_you_mean(name, possible)
                    fix = fix or f"known are {', '.join(sorted(possible))}"
                    yield example.place, f"unknown {what} {name!r}", fix


def _list_names(
    example: Example, affiliations: Collection[str], attributes: Collection[str] | None
) -> Iterator[tuple[str, str, Collection[str]]]:
    """Yield the kind of each name in an example, the name, and the known names of that kind."""
    reason, intent = example.expect.reason, example.login.intent
    if reason is not None:
        yield "reason", reason, FIRST_REASONS
    # A link may bring any other intent.
    if intent is not None and did_you_mean(intent, affiliations):
        yield "intent", intent, affiliations
    if attributes is not None:
        named = (*example.login.attributes, *(example.expect.releases or ()))
        yield from (("attribute", name, attributes) for name in dict.fromkeys(named))


# Scopes


def _check_scopes(
    policies: Collection[Policy], names: NameableInPolicies
) -> Iterator[PolicyProblem]:
    maps = names.maps or {}
    for alternative in chain.from_iterable(policy.match for policy in policies):
        asked = values_by_name(alternative).get(UPSTREAM, ())
        upstreams = [each for name, each in (names.upstreams or {}).items() if name in asked]
        yield from _find_foreign_scopes(alternative, upstreams, maps)
        yield from _find_missing_scope(alternative, upstreams, maps)


def _find_foreign_scopes(
    alternative: Alternative, upstreams: Collection[Upstream], maps: Mapping[str, AttributeMap]
) -> Iterator[PolicyProblem]:
    """Find values whose scope no configured institution may assert: they match nobody."""
    institutions = [each for upstream in upstreams for each in upstream.institutions]
    if any(_SCOPES in each.unwritten and not each.scopes for each in institutions):
        return  # their scopes come with the metadata feed
    for condition in alternative.conditions:
        reading = [each for each in upstreams if _reads(each, condition.name, maps)]
        for scope in _list_foreign_scopes(condition, reading):
            what = f"{condition.name}: no institution may assert {scope}"
            added = "add it to an institution in broker.toml, or remove it"
            meant = did_you_mean(scope, _list_scopes(upstreams))
            yield condition.place, what, f"{meant} else {added}" if meant else added


def _list_foreign_scopes(condition: Condition, reading: Collection[Upstream]) -> Iterator[str]:
    """Yield the scopes of exact values that no institution behind these upstreams may assert."""
    kind, scopes = find_properties(condition.name).scope, _list_scopes(reading)
    for value in condition.values if reading else ():
        if kind and not value.endswith("*") and not is_in_scope(value, kind, scopes):
            yield value.rpartition("@")[2]


def _list_scopes(upstreams: Iterable[Upstream]) -> set[str]:
    return {scope for each in upstreams for one in each.institutions for scope in one.scopes}


def _reads(upstream: Upstream, name: str, maps: Mapping[str, AttributeMap]) -> bool:
    attribute_map = maps.get(upstream.attribute_map)
    return attribute_map is not None and any(row.name == name for row in attribute_map.rows)


def _find_missing_scope(
    alternative: Alternative, upstreams: Iterable[Upstream], maps: Mapping[str, AttributeMap]
) -> Iterator[PolicyProblem]:
    """Find an alternative that any institution of an upstream can let its people match.

    A value with a scope names its institution. A value without one, as an entitlement, can be
    asserted by each of several institutions.
    """
    conditions = [each for each in alternative.conditions if each.name not in _NO_ATTRIBUTES]
    for upstream in upstreams:
        if not conditions or len(upstream.institutions) <= 1:
            continue
        if not any(_names_institution(each, upstream, maps) for each in conditions):
            first = conditions[0]
            what = f"{first.name} has no scope: any institution of {upstream.name} may assert it"
            yield first.place, what, "write schacHomeOrganization beside it"
            return


def _names_institution(
    condition: Condition, upstream: Upstream, maps: Mapping[str, AttributeMap]
) -> bool:
    """Return whether a condition names the institution, or a mailbox that is proved here.

    A value that ends with ``*`` has no scope: any institution may assert a value that it fits.
    """
    if condition.name.endswith(PROOF_DOMAIN):
        return True
    is_scoped = find_properties(condition.name).scope and _reads(upstream, condition.name, maps)
    return bool(is_scoped) and not any(value.endswith("*") for value in condition.values)


# Proof domains and borrower categories


def _find_unused_domains(policies: Iterable[Policy]) -> Iterator[PolicyProblem]:
    """Find mail domains that can be proved and that no alternative of the file asks for."""
    for policy in policies:
        for proof in policy.proofs:
            name = f"{proof.name}{PROOF_DOMAIN}"
            matched = {
                value for each in policy.conditions if each.name == name for value in each.values
            }
            for domain in proof.domains:
                if domain.name not in matched:
                    what = f"{domain.name} proves nothing: no alternative matches on {name}"
                    fix = "name it under match, or remove it here"
                    yield proof.place or first_line(policy), what, fix


def _find_unmade_categories(
    policies: Collection[Policy], desk_categories: Collection[str]
) -> Iterator[PolicyProblem]:
    """Find categories to change that neither a file nor the desk makes."""
    rules = list(list_rules(policies))
    known = {*(rule.category for rule in rules), *desk_categories}
    for rule in rules:
        lowered = rule.lowers.categories if rule.lowers else ()
        for key, categories in (("upgrades", rule.upgrades), ("lowers", lowered)):
            for category in categories:
                if category not in known:
                    fix = did_you_mean(category, known) or "name it in library.desk_categories"
                    what = f"no file makes the borrower category {category!r}"
                    yield rule.line_of(key), what, fix


def _find_unreached_categories(
    policies: Collection[Policy], names: NameableInPolicies
) -> Iterator[PolicyProblem]:
    """Find categories whose borrowers fit no file when they log in with the library account."""
    ways = sorted(upstream.name for upstream in (names.upstreams or {}).values() if upstream.local)
    alternatives = [values_by_name(each) for policy in policies for each in policy.match]
    for rule in list_rules(policies):
        category = rule.category
        for way in ways:
            if not any(
                way in named.get(UPSTREAM, (way,))
                and value_allowed(category, named.get(_CATEGORY, (category,)))
                for named in alternatives
            ):
                what = f"makes the category {category}, and who logs in by {way} with such"
                line = f"{{upstream: {way}, borrower_category: [{category}]}}"
                place = rule.line_of("category")
                yield place, f"{what} an account fits no file", f"add - {line} under match"
