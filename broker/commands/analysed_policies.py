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
from broker.core.policy.model import PolicySet
from broker.core.policy_analysis.findings import Decided, Findings, find_faults, untried_login
from broker.core.policy_analysis.persona_words import Value, example_login
from broker.core.policy_analysis.plays import Trial
from broker.files.policies.examples import Result, run_examples

# What a policy file reads as a text without quotes.
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


def analysed(checked: CheckedPolicies, moment: datetime) -> AnalysedPolicies:
    """Return what the personas show of the policies."""
    found = policy_analysis.analysed(checked.policies, checked.surroundings)
    progress = told_progress(len(found.site.sources))
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
