"""Analyses policies: opens the sets and the site, and says what every class of logins shows."""

import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.app import policy_surroundings
from broker.app.named_configuration import configuration
from broker.app.policy_surroundings import CheckedPolicies, PolicySurroundings
from broker.core.analysis.compared_logins import Analysis, Site, Told
from broker.core.analysis.personas import Value, example_login
from broker.core.analysis.rule_findings import (
    Decided,
    Finding,
    Findings,
    findings,
    untried,
    untried_login,
)
from broker.core.analysis.set_pairs import named_services
from broker.core.analysis.source_kinds import Vocabulary
from broker.core.analysis.sources import CATEGORY, ideal_sources
from broker.core.analysis.taken_people import Meant, taken_people
from broker.core.errors import ConfigurationFaults
from broker.core.event_routes import told_nobody
from broker.core.policy.matching import matching_policies
from broker.core.policy.model import PolicySet, ideal_service
from broker.files.policies import live_policies
from broker.files.policies.configured_names import ANY_NAMES, NameableInPolicies
from broker.files.policies.examples import Result, run_examples
from broker.files.policies.policy_folder import PolicyFolder
from broker.files.settings.toml_and_environment import CONFIG

_UPSTREAM: Final = "upstream"


@dataclass(frozen=True, slots=True)
class AnalysedSets:
    """Policy sets and the site that they are analysed for.

    Where nothing is ``configured`` every upstream may assert everything, and every service is as
    the policies hope.
    """

    sets: tuple[PolicySet, ...]
    site: Site
    configured: bool


def opened(folders: tuple[Path, ...], moment: datetime) -> AnalysedSets:
    """Load the sets of ``folders``, and the site that is configured; ConfigurationFaults.

    The last of them is held against its examples and the site rules; the others were in force.
    """
    if CONFIG not in os.environ:
        *before, proposed = folders
        sets = (*_loaded(before, moment, ANY_NAMES), live_policies.load(proposed, moment))
        return AnalysedSets(sets, ideal_site(sets), configured=False)
    found = policy_surroundings.load(configuration(), told_nobody, moment)
    if found.faults:
        raise ConfigurationFaults(found.faults)
    *before, proposed = folders
    older = _loaded(before, moment, found.names)
    newest = live_policies.load(proposed, moment, found.proving)
    return AnalysedSets((*older, newest), compared_site(found), configured=True)


def _loaded(
    folders: Iterable[Path], moment: datetime, names: NameableInPolicies
) -> list[PolicySet]:
    found = (replace(PolicyFolder(folder).files(), binding=False) for folder in folders)
    return [live_policies.load_found(each, moment, names) for each in found]


def analysed(policies: PolicySet, found: PolicySurroundings | None) -> AnalysedSets:
    """Return one set, loaded already, with the site that it was checked against."""
    sets = (policies,)
    if found is None:
        return AnalysedSets(sets, ideal_site(sets), configured=False)
    return AnalysedSets(sets, configured_site(found), configured=True)


def configured_site(found: PolicySurroundings) -> Site:
    """Return the sources and services that are configured, as the metadata completes them."""
    maps = found.maps.maps if found.maps else {}
    return Site.of(found.services, found.upstreams, maps)


def compared_site(found: PolicySurroundings) -> Site:
    """Return the configured site as sets are compared for it, whatever services publish now."""
    return configured_site(found).as_peers_may_become


def ideal_site(sets: tuple[PolicySet, ...]) -> Site:
    """Return a site as the policies hope: all that they name is there."""
    upstreams: dict[str, None] = {}
    local: set[str] = set()
    for policies in sets:
        for policy in policies.policies:
            for alternative in policy.match:
                values = {each.name: each.values for each in alternative.conditions}
                named = values.get(_UPSTREAM, ())
                upstreams |= dict.fromkeys(named)
                local |= set(named) if CATEGORY in values else set()
    methods = tuple(upstreams)
    services = (ideal_service(name, methods) for name in sorted(named_services(sets)))
    return Site(tuple(ideal_sources(methods, local)), tuple(services))


# What a policy file reads as a text without quotes.
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.@/-]*")
_MADE_BEFORE: Final = "no_library_account"


@dataclass(frozen=True, slots=True)
class AnalysedPolicies:
    """The findings in sentences, and an example for each kind of decision that none tries."""

    warnings: tuple[str, ...]
    classes: int
    complete: bool
    examples: tuple[str, ...]

    @property
    def facts(self) -> dict[str, object]:
        """Return the same for programs."""
        return {"classes": self.classes, "complete": self.complete, "untried": self.examples}

    def lines(self, *, untried: bool) -> list[str]:
        """Return how much was proved, and what no example tries: in examples where ``untried``."""
        proved = "complete" if self.complete else "not complete"
        said = [f"analysis {proved}: {self.classes} classes of logins"]
        if untried:
            said += self.examples
        elif self.examples:
            many = len(self.examples)
            said.append(f"{many} kinds of decision are tried by no example: --untried prints some")
        return said


def analyse(
    checked: CheckedPolicies, moment: datetime, show_progress: Callable[[int], Told]
) -> AnalysedPolicies:
    """Return what every class of logins shows of the policies."""
    found = analysed(checked.policies, checked.surroundings)
    progress = show_progress(len(found.site.sources))
    analysis = Analysis(found.sets, found.site, moment, progress)
    seen = findings(analysis)
    tried = run_examples(checked.policies, None, moment)
    taken: Iterable[Finding] = ()
    if checked.before:
        taken = taken_people(analysis, checked.before, _meant(tried, checked.policies, moment))
    return AnalysedPolicies(
        warnings=tuple(map(str, (*taken, *seen.findings, *seen.unmodelled))),
        classes=seen.classes,
        complete=not seen.unmodelled,
        examples=tuple(_examples(seen, checked.policies, tried)),
    )


def _meant(results: Iterable[Result], policies: PolicySet, moment: datetime) -> Meant:
    """Return which affiliation examples expect of people who have others too, and where."""
    meant: dict[tuple[str, str], frozenset[str]] = {}
    for result in results:
        example = result.example
        expected = example.expect.affiliation
        day = example.day or moment.date()
        matched, _ = matching_policies(policies, example.login, day)
        if expected is not None:
            for policy, _ in matched:
                pair = (expected, policy.affiliation)
                meant[pair] = meant.get(pair, frozenset()) | {example.service}
    return meant


def _examples(found: Findings, policies: PolicySet, results: Iterable[Result]) -> list[str]:
    tried = set()
    for result in results:
        decision = result.decision
        reason = decision.reasons[0].code
        service = result.example.service
        tried.add((decision.affiliation or "", service, decision.effect.value, reason))
    vocabulary = Vocabulary.of((policies,))
    files = {policy.affiliation: policy.file for policy in policies.policies}
    return [_example(found, each, vocabulary, files[each[0]]) for each in untried(found, tried)]


def _example(found: Findings, decided: Decided, vocabulary: Vocabulary, file: str) -> str:
    affiliation, service, effect, reason = decided
    login = dict(example_login(untried_login(found, decided), vocabulary))
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
