"""Quote the rule that refuses a login in the words of its policy file.

The quotation is stored with the refusal, because the file may change later.
"""

from collections.abc import Callable, Mapping
from typing import Final

from broker.core.policy.model import Decision, Requirement

_MOST_NEAR: Final = 3
# Stands in for the rule where the file has no line to quote.
NO_ENTRY: Final = "has no entry for the service"


def _number_or_age(require: Requirement) -> str:
    """Return the key that demands a CPR number: ``cpr``, or ``age``, which is read from it."""
    return "cpr: real" if require.cpr else f"age: {require.age}"


# By reason code, the key of ``require`` and its value as a file writes them.
_REQUIRED: Final[Mapping[str, Callable[[Requirement], str]]] = {
    "national_eid_required": lambda require: f"upstream: {', '.join(require.upstream)}",
    "assurance_too_low": lambda require: f"assurance: {_level(require)}",
    "too_young": lambda require: f"age: {require.age}",
    "cpr_required": _number_or_age,
    "replacement_number": lambda _: "cpr: real",
    "constructed_number": lambda _: "cpr: real",
}


def describe_rule(decision: Decision) -> str:
    """Return the rule that decided a denial, as ``age: 18``; "" where no rule decided."""
    if decision.affiliation is None or decision.policy is None:
        return ""
    code = decision.reasons[0].code
    if code == "no_policy_for_service":
        return f"affiliation: {decision.affiliation} {NO_ENTRY}"
    release = decision.release
    # ``require`` is about new borrowers; an entry with ``need`` makes none.
    if code in _REQUIRED and not (release and release.borrower == "need"):
        return _REQUIRED[code](decision.policy.require)
    if release is None:
        return ""
    return f"service: {release.service}, borrower: {release.borrower}"


def list_near_misses(decision: Decision) -> tuple[str, ...]:
    """Return, for a login that no file matches, the nearest lines with their reason codes."""
    near = decision.near_misses[:_MOST_NEAR]
    return tuple(f"{reason.place} {reason.code}" for reason in near)


def _level(require: Requirement) -> str:
    return require.assurance.name.lower() if require.assurance else ""
