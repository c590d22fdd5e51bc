"""What is wrong with policies although each line is well formed: it shows against other lines and other files."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date

from broker.core.entities import Service
from broker.core.errors import Fault
from broker.core.identity.attributes import AttributeMap, wire
from broker.core.identity.cpr import looks_like_cpr
from broker.core.identity.subject_ids import MINTED
from broker.core.policy.decision import AFFILIATIONS, NEVER_BY_CATEGORY
from broker.core.policy.entity_categories import BUNDLES
from broker.core.policy.model import Policy, PolicyLine, Release
from broker.files.checked_yaml import did_you_mean

_NOT_ATTRIBUTES = frozenset({"upstream", "assurance"})
# What the person gives the library and the desk corrects; no upstream knows better.
_THEIR_OWN = frozenset({"email", "phone", "mobile"})


def literals(octets: bytes, name: str) -> Iterator[Fault]:
    """Find lines with a CPR-like number, comments included: a policy file is copied, mailed and kept for ever."""
    for number, text in enumerate(octets.decode(errors="replace").splitlines(), 1):
        if looks_like_cpr(text):
            yield Fault(
                f"{name}:{number}",
                "holds what looks like a CPR number",
                "an example says cpr: real",
            )


def one_file(
    policy: Policy,
    folder: str,
    services: Collection[str] | None,
    attributes: Collection[str] | None,
) -> Iterator[Fault]:
    """Find what is wrong within one file; ``services`` and ``attributes`` None means that any name is known."""
    seen: dict[str, PolicyLine] = {}
    for release in policy.releases:
        if release.service in seen:
            what = f"a second entry for {release.service}; the first is in line {seen[release.service].line}"
            yield _fault(folder, release.place, what, "two entries are never merged: make them one")
        seen.setdefault(release.service, release.place)
        yield from _entry(policy, release, folder, services)
    if attributes is not None:
        yield from _names(policy, folder, attributes)
    yield from _proofs(policy, folder)
    yield from _match(policy, folder)
    yield from _ways(policy, folder)
    for field in policy.borrower.fields if policy.borrower else ():
        if field.set == "always" and field.name in _THEIR_OWN:
            mend = "write set: create, or set: if_empty"
            what = f"{field.name} with set: always: a login would undo what the person or the desk has changed"
            yield _fault(folder, field.place, what, mend)


def across(policies: Collection[Policy], folder: str) -> Iterator[Fault]:
    """Find what two files cannot both say: an affiliation or a precedence of another's."""
    for what in ("affiliation", "precedence"):
        first: dict[object, Policy] = {}
        for policy in policies:
            value = getattr(policy, what)
            if value in first:
                mend = f"each {what} belongs to one file"
                yield Fault(
                    f"{folder}/{policy.file}:1",
                    f"{what} {value} is also that of {first[value].file}",
                    mend,
                )
            first.setdefault(value, policy)
    yield from _lowering(policies, folder)


def overdue(policies: Iterable[Policy], folder: str, today: date) -> Iterator[Fault]:
    """Find what an administrator should look at although it stops nothing."""
    for policy in policies:
        if policy.review_by < today:
            mend = f"{policy.owner} should read it again and set a new day"
            yield Fault(
                f"{folder}/{policy.file}:1", f"was to be reviewed by {policy.review_by}", mend
            )
        for proof in policy.proofs:
            for domain in proof.domains:
                if domain.until and domain.until < today:
                    mend = "remove it, or set a later day"
                    yield Fault(
                        f"{folder}/{policy.file}:1",
                        f"{domain.name} proved nothing after {domain.until}",
                        mend,
                    )


def unknown(
    policies: Iterable[Policy], folder: str, services: Collection[str] | None
) -> Iterator[Fault]:
    """Find entries for services that are not configured: nobody can ask for them; one near a name is a typo."""
    for release in (each for policy in policies for each in policy.releases):
        if (
            services is not None
            and _missing(release, services)
            and not did_you_mean(release.service, services)
        ):
            mend = "add it to broker.toml, or remove the entry"
            yield _fault(
                folder, release.place, f"no service {release.service!r} is configured", mend
            )


def clashes(
    policies: Iterable[Policy],
    folder: str,
    services: Mapping[str, Service],
    maps: Mapping[str, AttributeMap],
) -> Iterator[Fault]:
    """Find entries that cannot be written for their service: one wire name for two attributes, or none for one."""
    for release, service in _served(policies, services):
        attribute_map = maps.get(service.attribute_map)
        if attribute_map is not None:
            yield from _wired(release, folder, service, attribute_map)


def unready(
    policies: Iterable[Policy], folder: str, services: Mapping[str, Service]
) -> Iterator[Fault]:
    """Find what is withheld: a CPR without controller or encryption key (invariant 4), an id without a scope."""
    for release, service in _served(policies, services):
        for listed in release.attributes:
            if listed.name == "cpr" and service.controller is None:
                mend = f"set services.{service.name}.controller; until then the CPR is withheld"
                yield _fault(folder, listed.place, f"{service.name} states no controller", mend)
            if listed.name == "cpr" and not service.encrypts:
                mend = "until its metadata carries one the CPR is withheld"
                yield _fault(
                    folder, listed.place, f"{service.name} publishes no encryption key", mend
                )
            if listed.name in MINTED and service.scope is None:
                mend = f"set idp.scope; until then {listed.name} is withheld"
                yield _fault(
                    folder, listed.place, "there is no scope to make identifiers under", mend
                )


def _served(
    policies: Iterable[Policy], services: Mapping[str, Service]
) -> Iterator[tuple[Release, Service]]:
    for release in (each for policy in policies for each in policy.releases):
        for service in services.values():
            if service.name == release.service or release.service in service.categories:
                yield release, service


def _missing(release: Release, services: Collection[str]) -> bool:
    return ":" not in release.service and release.service not in services


def _entry(
    policy: Policy, release: Release, folder: str, services: Collection[str] | None
) -> Iterator[Fault]:
    category = ":" in release.service
    if (
        services is not None
        and _missing(release, services)
        and (mend := did_you_mean(release.service, services))
    ):
        yield _fault(folder, release.place, f"unknown service {release.service!r}", mend)
    if release.borrower == "make" and policy.borrower is None:
        yield _fault(
            folder, release.place, "borrower: make, but the file has no borrower section", "add one"
        )
    for listed in release.attributes:
        if category and listed.name in NEVER_BY_CATEGORY:
            mend = "list it under the service's own name"
            yield _fault(
                folder, listed.place, f"{listed.name} is never released to a category", mend
            )
        bundle = BUNDLES.get(release.service, {listed.name})
        if listed.name not in bundle:
            what = f"{listed.name} is none of the attributes of {release.service}"
            yield _fault(folder, listed.place, what, f"those are {', '.join(sorted(bundle))}")
        if listed.optional and release.legal_basis != "consent":
            mend = "a choice is only a choice under legal_basis: consent"
            yield _fault(folder, listed.place, f"{listed.name} is optional without consent", mend)
        if listed.name == "cpr" and not listed.mask:
            yield _fault(
                folder,
                listed.place,
                "cpr without mask: true",
                "a page shows it masked (invariant 4)",
            )
        if listed.name != "cpr" and listed.mask:
            mend = "remove mask: true; only the CPR has a page that shows it, and what leaves is shown (docs/consent.md)"
            yield _fault(
                folder, listed.place, f"{listed.name} would leave without being shown", mend
            )
        if listed.name == "borrower_number" and release.borrower == "none":
            mend = "the entry says borrower: none, so there is no number"
            yield _fault(folder, listed.place, "borrower_number without a borrower", mend)


def _names(policy: Policy, folder: str, attributes: Collection[str]) -> Iterator[Fault]:
    proved = {each.name for each in policy.proofs}
    used = [(each.name, each.place) for release in policy.releases for each in release.attributes]
    used += [
        (each.name, each.place)
        for alternative in policy.match
        for each in alternative.conditions
        if each.name not in _NOT_ATTRIBUTES
    ]
    for field in policy.borrower.fields if policy.borrower else ():
        for source in (field.source, *field.otherwise):
            if not source.startswith("proof."):
                used.append((source, field.place))
            elif source.removeprefix("proof.") not in proved:
                yield _fault(
                    folder,
                    field.place,
                    f"{source}: no such proof in this file",
                    "name it under proofs",
                )
    for name, place in used:
        if name not in attributes:
            mend = did_you_mean(name, attributes) or "the maps yield no such attribute"
            yield _fault(folder, place, f"unknown attribute {name!r}", mend)


def _proofs(policy: Policy, folder: str) -> Iterator[Fault]:
    """Find a match on a proof's domain that the proof does not list: it would never hold."""
    domains = {
        f"{proof.name}_domain": {each.name for each in proof.domains} for proof in policy.proofs
    }
    for condition in (each for alternative in policy.match for each in alternative.conditions):
        if condition.name.endswith("_domain"):
            for value in sorted(set(condition.values) - domains.get(condition.name, set())):
                mend = "list it under proofs too; a domain is exact, without *"
                yield _fault(
                    folder, condition.place, f"{condition.name}: no proof covers {value}", mend
                )


def _match(policy: Policy, folder: str) -> Iterator[Fault]:
    for condition in (each for alternative in policy.match for each in alternative.conditions):
        if condition.name in NEVER_BY_CATEGORY:
            mend = "require: {cpr: real} asks for one; affiliation never hangs on a number"
            yield _fault(folder, condition.place, f"match on {condition.name}", mend)
    patterns = [
        (each.name, each.values, each.place)
        for alternative in policy.match
        for each in alternative.conditions
    ]
    patterns += [
        (each.name, each.values, each.place)
        for release in policy.releases
        for each in release.attributes
    ]
    for name, values, place in patterns:
        if any("*" in value[:-1] or value == "*" for value in values):
            yield _fault(
                folder,
                place,
                f"{name}: * may only end a value",
                "write prefix*, or leave values out",
            )


def _ways(policy: Policy, folder: str) -> Iterator[Fault]:
    """Find a way to log in by which nobody is of this affiliation, and a category that is both kept and lowered."""
    conditions = [each for alternative in policy.match for each in alternative.conditions]
    ways = {value for each in conditions if each.name == "upstream" for value in each.values}
    named = [(way, policy.require.place) for way in policy.require.upstream]
    rule = policy.borrower
    if rule and rule.lowers:
        named += [(way, rule.place) for way in rule.lowers.by]
        for category in sorted({rule.category, *rule.upgrades} & set(rule.lowers.categories)):
            yield _fault(
                folder,
                rule.place,
                f"lowers {category}, which it also makes or upgrades",
                "name it once",
            )
    for way, place in named:
        if place and way not in ways:
            mend = did_you_mean(way, ways) or "name it in an alternative of match"
            yield _fault(folder, place, f"nobody of this affiliation comes by {way!r}", mend)


def _lowering(policies: Collection[Policy], folder: str) -> Iterator[Fault]:
    """Find who is said to lower a category and says nothing of affiliations, as a national eID or a PIN does not.

    Of everybody who comes so it would seem that they have left (wizard.md R47).
    """
    telling: set[str] = set()
    for alternative in (each for policy in policies for each in policy.match):
        if any(each.name in AFFILIATIONS for each in alternative.conditions):
            telling.update(
                value
                for each in alternative.conditions
                if each.name == "upstream"
                for value in each.values
            )
    for policy in policies:
        rule = policy.borrower
        for way in rule.lowers.by if rule and rule.lowers else ():
            if rule and way not in telling:
                what = f"lowers by {way}, of whom no file asks an affiliation: everybody who comes so has none"
                yield _fault(folder, rule.place, what, "name a university's way in")


def _wired(
    release: Release, folder: str, service: Service, attribute_map: AttributeMap
) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for listed in release.attributes:
        row = wire(attribute_map, listed.name)
        if row is None:
            mend = f"add a row to attribute_maps/{attribute_map.name}.yaml"
            yield _fault(
                folder, listed.place, f"{service.name} has no wire name for {listed.name}", mend
            )
            continue
        if row.wire in seen:
            what = f"{listed.name} and {seen[row.wire]} have one wire name at {service.name}"
            yield _fault(
                folder,
                listed.place,
                what,
                "release one of them, or give the service a map of its own",
            )
        seen.setdefault(row.wire, listed.name)


def _fault(folder: str, place: PolicyLine, what: str, mend: str) -> Fault:
    return Fault(f"{folder}/{place}", what, mend)
