"""The log entry of a refused login."""

from broker.core.events.audit_events import deciding_line, near_misses
from broker.core.events.broker_events import Facts
from broker.core.login.steps import Refuse
from broker.core.login.transaction import Transaction
from broker.core.policy.model import Decision, Effect


def refusal_facts(transaction: Transaction, step: Refuse, reference: str) -> Facts:
    """Return the facts to log for a refusal whose page shows ``reference``."""
    decision = step.decision
    return {
        "reference": reference,
        "service": transaction.request.service,
        "upstream": transaction.upstream,
        "reason": step.reason,
        "attribute": _find_refused_attribute(step),
        "detail": step.detail or None,
        "policy": decision.digest[:12] if decision else None,
        "rule": deciding_line(decision) if decision else None,
        "near_misses": _list_near_misses(decision),
    }


def _find_refused_attribute(step: Refuse) -> str | None:
    """Return the name of the attribute that a refusal is about, if it is about one."""
    decision = step.decision
    if decision is None or _is_refused_by_policies(decision):
        return None
    for fate in decision.fates:
        if fate.code == step.reason:
            return fate.name
    return None


def _is_refused_by_policies(decision: Decision) -> bool:
    """Return whether the policies deny the login, so that no attribute is sent or at fault."""
    if decision.effect is Effect.PERMIT:
        return False
    return decision.policy is not None or decision.reasons[0].code == "no_affiliation"


def _list_near_misses(decision: Decision | None) -> str | None:
    return ", ".join(near_misses(decision)) if decision else None
