"""Read the site rules of policy_properties.yaml, and check a set of policies against them."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.configuration.checked_files import validate_node
from broker.configuration.policies.file_checks import UPSTREAM, faults_at
from broker.configuration.policies.known_names import WrittenName, find_unknown_names, write_names
from broker.configuration.policies.property_schema import SiteRuleShape
from broker.configuration.policies.site_checks import NameableInPolicies, add_proofs
from broker.configuration.strict_yaml import YamlSequence, read_file
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import PolicySet
from broker.core.policy_analysis.site_rules import RuleResult, SiteRule, check_rule

_FIX_NO_LOGIN: Final = "fix its when or its service: a rule about nobody guards nothing"
_MOST: Final = 3  # breaches shown for one rule


def load(path: Path) -> tuple[SiteRule, ...]:
    """Return the rules in ``path``, none if it does not exist; raises ConfigurationFaults."""
    try:
        names = sorted(each.name for each in path.parent.iterdir())
    except OSError:
        names = [path.name]  # reading the file names the cause
    if path.name not in names:
        misnamed = list(_find_misnamed_files(path, names))
        if misnamed:
            raise ConfigurationFaults(misnamed)
        return ()
    faults: list[Fault] = []
    rules = []
    root = read_file(path, path.name)
    if not isinstance(root, YamlSequence):
        fix = "write - name: ..., one for each rule"
        where = f"{path.name}:{root.line}"
        raise ConfigurationFaults([Fault(where, "must be a list of rules", fix)])
    for node in root:
        try:
            rules.append(validate_node(SiteRuleShape, node, path.name, path.name).rule())
        except ConfigurationFaults as found:
            faults += found.faults
    if faults:
        raise ConfigurationFaults(faults)
    return tuple(rules)


def find_broken_rules(
    policies: PolicySet, names: NameableInPolicies, now: datetime
) -> Iterator[Fault]:
    """Yield the faults of ``policies`` under the site rules, and those of the rules.

    There are none if ``names`` lacks the file of site rules, services or attribute maps.
    """
    if names.site_rules is None or names.services is None or names.maps is None:
        return
    try:
        rules = load(names.site_rules)
    except ConfigurationFaults as found:
        yield from found.faults
        return
    site = names.site.unlimited_by_metadata
    known = add_proofs(names.list_known(policies.policies), policies.policies)
    for rule in rules:
        unknown, unconfigured = find_unknown_names(_list_names(rule), known)
        yield from faults_at("", [*unknown, *unconfigured])
        if not unknown:
            yield from _find_breaches(check_rule(rule, policies, site, now), now)


def _find_misnamed_files(path: Path, names: Iterable[str]) -> Iterator[Fault]:
    """Yield a fault for each misspelled file name: the rules in it would be ignored."""
    for name in names:
        stem, _, ending = name.casefold().rpartition(".")
        if stem == path.stem.casefold() and ending in {"yml", "yaml"}:
            yield Fault(name, "holds no site rules under this name", f"name it {path.name}")


def _list_names(rule: SiteRule) -> Iterator[WrittenName]:
    """Yield the names in a site rule."""
    when, expect = rule.when, rule.expect
    attributes = (
        *(each.name for each in when.conditions),
        *(expect.releases or ()),
        *rule.never_releases,
    )
    yield from write_names(UPSTREAM, when.upstreams, rule.place)
    yield from write_names("service", (*rule.services, *rule.excepted), rule.place)
    yield from write_names("affiliation", (*when.intents, expect.affiliation), rule.place)
    yield from write_names("reason", (expect.reason,), rule.place)
    yield from write_names("category", (expect.category,), rule.place)
    yield from write_names("attribute", attributes, rule.place)


def _find_breaches(proof: RuleResult, now: datetime) -> Iterator[Fault]:
    rule = proof.rule
    if not proof.met:
        what = f"{rule.name!r}: no login at its services matches its conditions"
        yield Fault(str(rule.place), what, _FIX_NO_LOGIN)
    for breach in proof.breaches[:_MOST]:
        line = f" ({breach.place})" if breach.place else ""
        what = f"{rule.name!r} does not hold: {breach.service} {breach.what}{line}"
        later = "" if breach.day == now.date() else f", on {breach.day}"
        yield Fault(str(rule.place), what, f"e.g. {breach.persona}{later}")
