"""Reads policy_properties.yaml, and holds a set of policies against the rules that it says."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.configuration.checked_files import did_you_mean, validated
from broker.configuration.policies.file_checks import find_cpr_literals
from broker.configuration.policies.property_schema import SiteRuleShape
from broker.configuration.policies.site_checks import NameableInPolicies
from broker.configuration.strict_yaml import LARGEST, YamlNode, YamlSequence, read
from broker.core.entities import Upstream
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.identity.canonical_attributes import BORROWER_NUMBER, CPR_ATTRIBUTE
from broker.core.identity.person_id import MINTED
from broker.core.policy.decision import FIRST_REASONS
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy.model import NAME_ID, PolicyLine, PolicySet
from broker.core.policy_analysis.site_rules import Breach, RuleProof, SiteRule, hold_rule
from broker.core.policy_analysis.sources import Site

# What a login may release beside what an upstream asserts.
_OURS: Final = MINTED | {BORROWER_NUMBER, NAME_ID, CPR_ATTRIBUTE}
_MEND_NO_LOGIN: Final = "fix its when or its service: a rule about nobody guards nothing"
_MOST: Final = 3  # that are shown of one rule


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a set of policies is against the rules (faults), and what was not proved (warnings)."""

    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


def load(path: Path) -> tuple[SiteRule, ...]:
    """Return the rules of a file, none where there is no file; ConfigurationFaults with all."""
    try:
        with path.open("rb") as file:
            octets = file.read(LARGEST + 1)
    except FileNotFoundError:
        if faults := list(_meant(path)):
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
    for node in _listed(read(octets, path.name), path.name):
        try:
            written = validated(SiteRuleShape, node, path.name)
            rules.append(written.rule(PolicyLine(path.name, node.line)))
        except ConfigurationFaults as found:
            faults += found.faults
    faults += _doubled(rules)
    if faults:
        raise ConfigurationFaults(faults)
    return tuple(rules)


def judged(
    policies: PolicySet,
    names: NameableInPolicies,
    now: datetime,
    let_others_run: Callable[[], None] = lambda: None,
) -> Judgement:
    """Hold a set against the rules of ``names``; without a file, or a site, nothing is said.

    ``let_others_run`` is called at each login that is looked at.
    """
    if names.site_rules is None or names.configured is None or names.maps is None:
        return Judgement()
    try:
        rules = load(names.site_rules)
    except ConfigurationFaults as found:
        return Judgement(found.faults)
    site = Site.of(names.configured, _upstreams(names), names.maps).as_peers_may_become
    faults: list[Fault] = []
    warnings: list[Fault] = []
    for rule in rules:
        unknown = list(_unknown(rule, policies, names))
        unguarded = list(_unguarded(rule, names.configured))
        faults += unknown + unguarded
        if not unguarded:
            warnings += _unconfigured(rule, names.configured)
        if not unknown and any(map(rule.concerns, site.services)):
            proof = hold_rule(rule, policies, site, now, let_others_run)
            faults += _broken(proof, now)
            warnings += _unproved(proof)
    return Judgement(tuple(faults), tuple(warnings))


def _meant(path: Path) -> Iterator[Fault]:
    """Yield what was meant to be the file that is not there: else its rules guard nothing."""
    if path.is_symlink():
        yield Fault(path.name, "is a link that leads nowhere", "fix it, or remove it")
    if not path.parent.is_dir():
        return
    for other in sorted(path.parent.iterdir()):
        alike = other.stem.casefold() == path.stem.casefold()
        if alike and other.name != path.name and other.suffix.casefold() in {".yml", ".yaml"}:
            yield Fault(other.name, "holds no site rules under this name", f"name it {path.name}")


def _listed(root: YamlNode, name: str) -> tuple[YamlNode, ...]:
    if not isinstance(root, YamlSequence):
        fix = "write - name: ..., one for each rule"
        raise ConfigurationFaults([Fault(f"{name}:{root.line}", "must be a list of rules", fix)])
    return root.nodes


def _doubled(rules: Collection[SiteRule]) -> Iterator[Fault]:
    first: dict[str, SiteRule] = {}
    for rule in rules:
        earlier = first.setdefault(rule.name, rule)
        if earlier is not rule:
            what = f"two rules have the name {rule.name!r}"
            yield Fault(str(rule.place), what, f"the first is in line {earlier.place.line}")


def _upstreams(names: NameableInPolicies) -> dict[str, Upstream]:
    """Return the upstreams as they are configured."""
    return {each.name: each for each in names.upstream_values}


def _unknown(rule: SiteRule, policies: PolicySet, names: NameableInPolicies) -> Iterator[Fault]:
    """Yield the names of a rule that there are not, with the one that may be meant."""
    for what, written, known in _named(rule, policies, names):
        for name in written:
            if name not in known:
                fix = did_you_mean(name, known) or f"known are {', '.join(sorted(known))}"
                yield Fault(str(rule.place), f"unknown {what} {name!r}", fix)
    configured = names.configured or {}
    for name in (*rule.services, *rule.excepted):
        fix = did_you_mean(name, configured)
        if name not in configured and fix:
            yield Fault(str(rule.place), f"unknown service {name!r}", fix)


def _named(
    rule: SiteRule, policies: PolicySet, names: NameableInPolicies
) -> Iterator[tuple[str, Collection[str], Collection[str]]]:
    """Yield the kind of each name of a rule, the names, and those that there are."""
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


def _unconfigured(rule: SiteRule, configured: Collection[str]) -> Iterator[Fault]:
    """Yield the services that are not there; a name near another's is a typo, and a fault."""
    for name in (*rule.services, *rule.excepted):
        if name not in configured and not did_you_mean(name, configured):
            fix = "add it to broker.toml, or remove it here"
            yield Fault(str(rule.place), f"no service {name!r} is configured", fix)


def _unguarded(rule: SiteRule, configured: Collection[str]) -> Iterator[Fault]:
    """Yield that no service of a rule is there: it would hold whatever anybody changes."""
    if not rule.services or any(name in configured for name in rule.services):
        return
    names = [name for name in rule.services if not did_you_mean(name, configured)]
    if len(names) == len(rule.services):
        written = " and ".join(map(repr, names))
        what = f"no service {written} is configured, and the rule names no other"
        fix = "add it to broker.toml, or name another"
        yield Fault(str(rule.place), f"{what}: it guards nothing", fix)


def _broken(proof: RuleProof, now: datetime) -> Iterator[Fault]:
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


def _unproved(proof: RuleProof) -> Iterator[Fault]:
    for name in proof.incomplete:
        what = f"{proof.rule.name!r} is not proved whole"
        yield Fault(str(proof.rule.place), what, f"too many alternatives come together at {name}")
