"""What the analysis of one policy set says, with examples to paste into its files."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.app import policy_analysis
from broker.app.checked_policies import CheckedPolicies
from broker.commands.analysis_progress import told_progress
from broker.core.analysis.compared_logins import Analysis
from broker.core.analysis.personas import Value, example_login
from broker.core.analysis.rule_findings import (
    Decided,
    Finding,
    Findings,
    findings,
    untried,
    untried_login,
)
from broker.core.analysis.source_kinds import Vocabulary
from broker.core.analysis.taken_people import Meant, taken_people
from broker.core.policy.matching import matching_policies
from broker.core.policy.model import PolicySet
from broker.files.policies.examples import Result, run_examples

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


def analysed(checked: CheckedPolicies, moment: datetime) -> AnalysedPolicies:
    """Return what every class of logins shows of the policies."""
    found = policy_analysis.analysed(checked.policies, checked.surroundings)
    progress = told_progress(len(found.site.sources))
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
