"""Write an example in policy file syntax for each kind of decision that no example tries."""

import json
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from broker.core.login.described_login import DescribedBorrower, DescribedLogin
from broker.core.policy.model import PolicySet
from broker.core.policy_analysis.findings import Decided, Findings
from broker.core.policy_analysis.persona_words import Value, write_example_login

_NO_BORROWER: Final = "no_library_account"


def write_untried_examples(
    found: Findings, policies: PolicySet, tried: Collection[Decided]
) -> tuple[str, ...]:
    """Return an example, with its file in a comment, for each kind of decision not in ``tried``."""
    files = {policy.affiliation: policy.file for policy in policies.policies}
    untried = sorted(found.reached.keys() - tried)
    return tuple(_write_example(found, each, files[each[0]]) for each in untried)


def _write_example(found: Findings, decided: Decided, file: str) -> str:
    affiliation, service, effect, reason = decided
    login: dict[str, Value] = dict(write_example_login(_find_login(found, decided)))
    if reason == _NO_BORROWER:
        login["borrower"] = False
    is_denied = effect == "deny"
    expect = {"effect": effect, "affiliation": affiliation}
    expect |= {"reason": reason} if is_denied else {}
    name = f"{affiliation} at {service}: {reason if is_denied else 'let in'}"
    keys = {"login": login, "service": service, "expect": expect}
    # JSON is YAML too.
    lines = (f"    {key}: {json.dumps(of, ensure_ascii=False)}" for key, of in keys.items())
    return "\n".join((f"  # {file}", f"  - name: {json.dumps(name)}", *lines))


def _find_login(found: Findings, decided: Decided) -> DescribedLogin:
    """Return a login that leads to a kind of decision, with the proofs that it gave."""
    login, played = found.reached[decided]
    reading = replace(login.reading, attributes=played.facts.attributes)
    borrower = None if played.facts.borrower is None else DescribedBorrower("")
    return replace(login, reading=reading, borrower=borrower)
