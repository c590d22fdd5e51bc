"""Read the site rules of policy_properties.yaml, and check a set of policies against them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.configuration.checked_files import did_you_mean, validate_node
from broker.configuration.policies.file_checks import find_cpr_literals
from broker.configuration.policies.property_schema import SiteRuleShape
from broker.configuration.policies.site_checks import NameableInPolicies
from broker.configuration.strict_yaml import LARGEST, YamlNode, YamlSequence, read
from broker.core.entities import Upstream
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.identity.canonical_attributes import BORROWER_NUMBER, CPR_ATTRIBUTE
from broker.core.identity.person_id import MINTED
from broker.core.login.site import Site
from broker.core.policy.decision import FIRST_REASONS
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy.model import NAME_ID, PolicyLine, PolicySet
from broker.core.policy_analysis.site_rules import Breach, RuleResult, SiteRule, check_rule

# A login may release these too: we make them, or the library system has them.
_OURS: Final = MINTED | {BORROWER_NUMBER, NAME_ID, CPR_ATTRIBUTE}
_MEND_NO_LOGIN: Final = "fix its when or its service: a rule about nobody guards nothing"
_MOST: Final = 3  # that are shown of one rule


@dataclass(frozen=True, slots=True)
class Judgement:
    """The faults of broken rules, and warnings about rules that were not fully checked."""

    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


def load(path: Path) -> tuple[SiteRule, ...]:
    """Return the rules of a file, none without a file; raise ConfigurationFaults."""
    try:
        with path.open("rb") as file:
            octets = file.read(LARGEST + 1)
    except FileNotFoundError:
        if faults := list(_find_misnamed_file(path)):
            raise ConfigurationFaults(faults) from None
        return ()
    except OSError as error:
        unreadable = Fault(path.name, f"cannot be read: {error.strerror}")
        raise ConfigurationFaults([unreadable]) from None
    faults = [
        Fault(str(place), what, "a rule says cpr: real")
        for place, what, _ in find_cpr_literals(octets, path.name)
    ]
    rules = []
    for node in _read_rule_nodes(read(octets, path.name), path.name):
        try:
            written = validate_node(SiteRuleShape, node, path.name)
            rules.append(written.rule(PolicyLine(path.name, node.line)))
        except ConfigurationFaults as found:
            faults += found.faults
    faults += _find_doubled_names(rules)
    if faults:
        raise ConfigurationFaults(faults)
    return tuple(rules)


def check_rules(policies: PolicySet, names: NameableInPolicies, now: datetime) -> Judgement:
    """Check a set against the rules of ``names``; without a file or a site there are no faults."""
    if names.site_rules is None or names.configured is None or names.maps is None:
        return Judgement()
    try:
        rules = load(names.site_rules)
    except ConfigurationFaults as found:
        return Judgement(found.faults)
    site = Site.from_configuration(
        names.configured, _upstreams(names), names.maps
    ).unlimited_by_metadata
    faults: list[Fault] = []
    warnings: list[Fault] = []
    for rule in rules:
        unknown = list(_find_unknown_names(rule, policies, names))
        unguarded = list(_find_idle_rule(rule, names.configured))
        faults += unknown + unguarded
        if not unguarded:
            warnings += _find_unconfigured_services(rule, names.configured)
        if not unknown and any(map(rule.concerns, site.services.values())):
            proof = check_rule(rule, policies, site, now)
            faults += _find_broken_rule(proof, now)
    return Judgement(tuple(faults), tuple(warnings))


def _find_misnamed_file(path: Path) -> Iterator[Fault]:
    """Yield a fault for a file whose name is nearly right: its rules would be ignored."""
    if path.is_symlink():
        yield Fault(path.name, "is a link that leads nowhere", "fix it, or remove it")
    if not path.parent.is_dir():
        return
    for other in sorted(path.parent.iterdir()):
        alike = other.stem.casefold() == path.stem.casefold()
        if alike and other.name != path.name and other.suffix.casefold() in {".yml", ".yaml"}:
            yield Fault(other.name, "holds no site rules under this name", f"name it {path.name}")


def _read_rule_nodes(root: YamlNode, name: str) -> tuple[YamlNode, ...]:
    if not isinstance(root, YamlSequence):
        fix = "write - name: ..., one for each rule"
        raise ConfigurationFaults([Fault(f"{name}:{root.line}", "must be a list of rules", fix)])
    return root.nodes


def _find_doubled_names(rules: Collection[SiteRule]) -> Iterator[Fault]:
    first: dict[str, SiteRule] = {}
    for rule in rules:
        earlier = first.setdefault(rule.name, rule)
        if earlier is not rule:
            what = f"two rules have the name {rule.name!r}"
            yield Fault(str(rule.place), what, f"the first is in line {earlier.place.line}")


def _upstreams(names: NameableInPolicies) -> dict[str, Upstream]:
    """Return the upstreams as they are configured."""
    return {each.name: each for each in names.upstream_values}


def _find_unknown_names(
    rule: SiteRule, policies: PolicySet, names: NameableInPolicies
) -> Iterator[Fault]:
    """Yield the unknown names of a rule, with a known name that may be meant."""
    for what, written, known in _list_names(rule, policies, names):
        for name in written:
            if name not in known:
                fix = did_you_mean(name, known) or f"known are {', '.join(sorted(known))}"
                yield Fault(str(rule.place), f"unknown {what} {name!r}", fix)
    configured = names.configured or {}
    for name in (*rule.services, *rule.excepted):
        fix = did_you_mean(name, configured)
        if name not in configured and fix:
            yield Fault(str(rule.place), f"unknown service {name!r}", fix)


def _list_names(
    rule: SiteRule, policies: PolicySet, names: NameableInPolicies
) -> Iterator[tuple[str, Collection[str], Collection[str]]]:
    """Yield the kind of the names in a rule, the names, and the known names of that kind."""
    affiliations = {policy.affiliation for policy in policies.policies}
    proofs = {proof.name for policy in policies.policies for proof in policy.proofs}
    domains = {f"{name}{PROOF_DOMAIN}" for name in proofs}
    attributes = {*(names.attributes or ()), *domains}
    expect = rule.expect
    yield "upstream", rule.when.upstreams, names.upstreams or ()
    yield "attribute", [each.name for each in rule.when.conditions], attributes - _OURS
    yield "affiliation", rule.when.intents, affiliations
    yield "affiliation", [expect.affiliation] if expect.affiliation else (), affiliations
    yield "reason", [expect.reason] if expect.reason else (), FIRST_REASONS
    yield "category", [expect.category] if expect.category else (), set(_categories(policies))
    released = (*(expect.releases or ()), *rule.never_releases)
    yield "attribute", released, attributes | proofs | _OURS


def _categories(policies: PolicySet) -> Iterator[str]:
    for policy in policies.policies:
        if policy.borrower is not None:
            yield policy.borrower.category


def _find_unconfigured_services(rule: SiteRule, configured: Collection[str]) -> Iterator[Fault]:
    """Yield the services that are not configured; a name near a known one is a fault instead."""
    for name in (*rule.services, *rule.excepted):
        if name not in configured and not did_you_mean(name, configured):
            fix = "add it to broker.toml, or remove it here"
            yield Fault(str(rule.place), f"no service {name!r} is configured", fix)


def _find_idle_rule(rule: SiteRule, configured: Collection[str]) -> Iterator[Fault]:
    """Yield a fault if no service of a rule is configured: the rule would always hold."""
    if not rule.services or any(name in configured for name in rule.services):
        return
    names = [name for name in rule.services if not did_you_mean(name, configured)]
    if len(names) == len(rule.services):
        written = " and ".join(map(repr, names))
        what = f"no service {written} is configured, and the rule names no other"
        fix = "add it to broker.toml, or name another"
        yield Fault(str(rule.place), f"{what}: it guards nothing", fix)


def _find_broken_rule(proof: RuleResult, now: datetime) -> Iterator[Fault]:
    rule = proof.rule
    if not proof.met:
        what = f"{rule.name!r}: no login at a service that it names is as it says"
        yield Fault(str(rule.place), what, _MEND_NO_LOGIN)
    for breach in proof.breaches[:_MOST]:
        line = f" ({breach.place})" if breach.place else ""
        what = f"{rule.name!r} does not hold: {breach.service} {breach.what}{line}"
        yield Fault(str(rule.place), what, f"e.g. {breach.persona}{_later(breach, now)}")
    more = len(proof.breaches) - _MOST
    if more > 0:
        yield Fault(str(rule.place), f"{rule.name!r} does not hold in {more} more ways")


def _later(breach: Breach, now: datetime) -> str:
    return "" if breach.day == now.date() else f", on {breach.day}"
