"""The rule of a refusal in the words of its file, for whoever looks after the file has changed."""

from collections.abc import Callable, Mapping
from typing import Final

from broker.core.policy.model import Decision, Requirement

_MOST_NEAR: Final = 3
# What is not in a file cannot be quoted from it.
NO_ENTRY: Final = "has no entry for the service"


def _number_or_age(require: Requirement) -> str:
    """Return the key that demands a number; where it is not the number, it is the age in it."""
    return "cpr: real" if require.cpr else f"age: {require.age}"


# By the code of what is lacking, the key of ``require`` and its value as a file writes them.
_REQUIRED: Final[Mapping[str, Callable[[Requirement], str]]] = {
    "national_eid_required": lambda require: f"upstream: {', '.join(require.upstream)}",
    "assurance_too_low": lambda require: f"assurance: {_level(require)}",
    "too_young": lambda require: f"age: {require.age}",
    "cpr_required": _number_or_age,
    "replacement_number": lambda _: "cpr: real",
    "constructed_number": lambda _: "cpr: real",
}


def rule_words(decision: Decision) -> str:
    """Return the rule that a denial rests on, as ``age: 18``; "" where no rule decided."""
    if decision.affiliation is None or decision.policy is None:
        return ""
    code = decision.reasons[0].code
    if code == "no_policy_for_service":
        return f"affiliation: {decision.affiliation} {NO_ENTRY}"
    release = decision.release
    # An entry that needs a borrower requires nothing for a new one.
    if code in _REQUIRED and not (release and release.borrower == "need"):
        return _REQUIRED[code](decision.policy.require)
    if release is None:
        return ""
    return f"service: {release.service}, borrower: {release.borrower}"


def near_lines(decision: Decision) -> tuple[str, ...]:
    """Return the lines that came nearest to a person whom no file matches, each with its code."""
    near = decision.near_misses[:_MOST_NEAR]
    return tuple(f"{reason.place} {reason.code}" for reason in near)


def _level(require: Requirement) -> str:
    return require.assurance.name.lower() if require.assurance else ""
