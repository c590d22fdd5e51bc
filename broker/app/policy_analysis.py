"""Analyses policies: opens the sets and the site, and reports what personas show."""

import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.app import open_metadata, policy_surroundings
from broker.app.named_configuration import configuration
from broker.app.policy_surroundings import CheckedPolicies, PolicySurroundings
from broker.configuration import attribute_maps
from broker.configuration.policies import live_policies
from broker.configuration.policies.configured_names import ANY_NAMES, NameableInPolicies
from broker.configuration.policies.examples import Result, run_examples
from broker.configuration.policies.policy_folder import PolicyFolder
from broker.configuration.settings import config
from broker.configuration.settings.toml_and_environment import CONFIG
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.events.broker_events import discard_event
from broker.core.policy.model import PolicySet
from broker.core.policy_analysis.findings import Decided, Findings, find_faults, untried_login
from broker.core.policy_analysis.persona_words import Value, example_login
from broker.core.policy_analysis.plays import Progress, Trial
from broker.core.policy_analysis.sources import Site
from broker.core.policy_analysis.two_sites import join_sites

_CONFIGURATION: Final = "broker.toml"
# The environment's paths of what a configuration folder has itself.
_OF_FOLDER: Final = frozenset(
    {CONFIG, "BROKER_POLICIES", "BROKER_ATTRIBUTE_MAPS", "BROKER_METADATA"}
)


@dataclass(frozen=True, slots=True)
class AnalysedSets:
    """Policy sets and the site that they are analysed for.

    Where nothing is ``configured`` every upstream may assert everything, and every service is as
    the policies hope.
    """

    sets: tuple[PolicySet, ...]
    site: Site
    configured: bool
    failures: tuple[Fault, ...] = ()
    sites: tuple[Site, ...] = ()  # that ``site`` joins, where configurations are compared


def open_sets(folders: tuple[Path, ...], moment: datetime) -> AnalysedSets:
    """Load the sets of ``folders``, and the site that is configured; ConfigurationFaults.

    Folders with a broker.toml are configurations, each with policies and a site of its own. Faults
    of the examples of the last set, and breaches of the site rules, are in ``failures``.
    """
    if all((folder / _CONFIGURATION).is_file() for folder in folders):
        return _open_configurations(folders, moment)
    names, proving = ANY_NAMES, ANY_NAMES
    site: Site | None = None
    if CONFIG in os.environ:
        found = policy_surroundings.load(configuration(), discard_event, moment)
        if found.faults:
            raise ConfigurationFaults(found.faults)
        names, proving = found.names, found.proving
        site = configured_site(found).as_peers_may_become
    sets = tuple(_loaded(folders, moment, names))
    failures = _failures(folders[-1], moment, proving)
    return AnalysedSets(sets, site or Site.of_policies(sets), site is not None, failures)


def _open_configurations(folders: tuple[Path, ...], moment: datetime) -> AnalysedSets:
    """Load the policies, upstreams, services and attribute maps of two configuration folders.

    What metadata says beside them is left out: it is the same for both.
    """
    environ = {name: of for name, of in os.environ.items() if name not in _OF_FOLDER}
    settings = [config.load(folder / _CONFIGURATION, environ) for folder in folders]
    policies = [each.policies for each in settings]
    sets = tuple(_loaded(policies, moment, ANY_NAMES))
    sites = tuple(map(_written_site, settings))
    failures = _failures(policies[-1], moment, ANY_NAMES)
    return AnalysedSets(sets, join_sites(*sites), configured=True, failures=failures, sites=sites)


def _written_site(settings: config.Config) -> Site:
    """Return the site as broker.toml and the attribute maps describe it."""
    upstreams = {name: settings.upstream(name) for name in settings.upstreams}
    maps = attribute_maps.load(settings.attribute_maps).maps
    return Site.of(open_metadata.services(settings), upstreams, maps).as_peers_may_become


def _failures(folder: Path, moment: datetime, names: NameableInPolicies) -> tuple[Fault, ...]:
    """Return the faults of the examples of a set, and its breaches of site rules."""
    try:
        live_policies.load(folder, moment, names)
    except ConfigurationFaults as faults:
        return tuple(faults.faults)
    return ()


def _loaded(
    folders: Iterable[Path], moment: datetime, names: NameableInPolicies
) -> list[PolicySet]:
    found = (replace(PolicyFolder(folder).files(), binding=False) for folder in folders)
    return [live_policies.load_found(each, moment, names) for each in found]


def analysed(policies: PolicySet, found: PolicySurroundings | None) -> AnalysedSets:
    """Return one set, loaded already, with the site that it was checked against."""
    sets = (policies,)
    if found is None:
        return AnalysedSets(sets, Site.of_policies(sets), configured=False)
    return AnalysedSets(sets, configured_site(found), configured=True)


def configured_site(found: PolicySurroundings) -> Site:
    """Return the sources and services that are configured, as the metadata completes them."""
    maps = found.maps.maps if found.maps else {}
    return Site.of(found.services, found.upstreams, maps)


# The pattern of values that YAML reads as text without quotes.
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.@/-]*")
_MADE_BEFORE: Final = "no_library_account"


@dataclass(frozen=True, slots=True)
class AnalysedPolicies:
    """The findings in sentences, and an example for each kind of decision that none tries."""

    warnings: tuple[str, ...]
    logins: int
    complete: bool
    examples: tuple[str, ...]

    @property
    def facts(self) -> dict[str, object]:
        """Return the same for programs."""
        return {"logins": self.logins, "complete": self.complete, "untried": self.examples}

    def lines(self, *, untried: bool) -> list[str]:
        """Return how much was tried, and what no example tries: in examples where ``untried``."""
        proved = "complete" if self.complete else "not complete"
        lines = [f"analysis {proved}: {self.logins} logins were tried"]
        if untried:
            lines += self.examples
        elif self.examples:
            many = len(self.examples)
            lines.append(f"{many} kinds of decision are tried by no example: --untried prints some")
        return lines


def analyse(
    checked: CheckedPolicies, moment: datetime, show_progress: Callable[[int], Progress]
) -> AnalysedPolicies:
    """Return what the personas show of the policies."""
    found = analysed(checked.policies, checked.surroundings)
    progress = show_progress(len(found.site.sources))
    seen = find_faults(Trial(found.sets, found.site, moment, report_progress=progress))
    tried = run_examples(checked.policies, None, moment)
    crowded = (
        f"not complete: too many alternatives come together at {name}" for name in seen.incomplete
    )
    return AnalysedPolicies(
        warnings=(*map(str, seen.found), *crowded),
        logins=seen.logins,
        complete=not seen.incomplete,
        examples=tuple(_examples(seen, checked.policies, tried)),
    )


def _examples(found: Findings, policies: PolicySet, results: Iterable[Result]) -> list[str]:
    tried = set()
    for result in results:
        decision = result.decision
        reason = decision.reasons[0].code
        service = result.example.service
        tried.add((decision.affiliation or "", service, decision.effect.value, reason))
    files = {policy.affiliation: policy.file for policy in policies.policies}
    untried = sorted(found.reached.keys() - tried)
    return [_example(found, each, files[each[0]]) for each in untried]


def _example(found: Findings, decided: Decided, file: str) -> str:
    affiliation, service, effect, reason = decided
    login = dict(example_login(untried_login(found, decided)))
    if reason == _MADE_BEFORE:
        login["borrower"] = False
    expect: dict[str, Value] = {"effect": effect, "affiliation": affiliation}
    if effect == "deny":
        expect["reason"] = reason
    name = f"{affiliation} at {service}: {reason if effect == 'deny' else 'let in'}"
    return "\n".join(
        (
            f"  # {file}",
            f"  - name: {json.dumps(name)}",
            f"    login: {_flow(login)}",
            f"    service: {_flow(service)}",
            f"    expect: {_flow(expect)}",
        )
    )


def _flow(value: object) -> str:
    """Return a value as YAML writes it on one line."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            pairs = (f"{name}: {_flow(of_name)}" for name, of_name in value.items())
            return f"{{{', '.join(pairs)}}}"
        case list():
            return f"[{', '.join(map(_flow, value))}]"
        case int():
            return str(value)
        case _:
            text = str(value)
            return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
