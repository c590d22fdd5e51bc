"""The events of login steps: a refusal, a sign-up that is done, an assertion that has left."""

from datetime import datetime

from broker.core.audit_events import AuditEventKind, deciding_line, near_misses, of_login
from broker.core.event_routes import BrokerEvent, EventKind, Facts
from broker.core.login.steps import Done, Issue, Refuse
from broker.core.login.transaction import Transaction
from broker.core.policy.model import Decision, Effect


def assertion_issued(transaction: Transaction, step: Issue) -> BrokerEvent:
    """Return the event of an assertion that has left."""
    facts = {
        "reference": transaction.reference,
        "service": transaction.request.service,
        "upstream": transaction.upstream,
        "affiliation": step.decision.affiliation,
        "policy": step.decision.digest[:12],
        "rule": deciding_line(step.decision),
        "released": " ".join(item.name for item in step.disclosure.items),
    }
    return BrokerEvent(EventKind.ASSERTION_ISSUED, facts)


def signed_up(transaction: Transaction, step: Done) -> BrokerEvent:
    """Return the event of a sign-up that has come to its end."""
    account = transaction.account
    decision = step.decision
    facts = {
        "reference": transaction.reference,
        "upstream": transaction.upstream,
        "affiliation": decision.affiliation if decision else None,
        "outcome": account.outcome if account else None,
    }
    return BrokerEvent(EventKind.SIGNED_UP, facts)


def _refused_attribute(step: Refuse) -> str | None:
    """Return the name of the attribute that a refusal is about, if it is about one."""
    decision = step.decision
    if decision is None or _refused_by_policies(decision):
        return None
    for fate in decision.fates:
        if fate.code == step.reason:
            return fate.name
    return None


def _refused_by_policies(decision: Decision) -> bool:
    """Return whether policies deny: that is the fate of every attribute, and no one's fault."""
    if decision.effect is Effect.PERMIT:
        return False
    return decision.policy is not None or decision.reasons[0].code == "no_affiliation"


def refusal_facts(transaction: Transaction, step: Refuse, reference: str) -> Facts:
    """Return what is told of a refusal whose page shows ``reference``."""
    decision = step.decision
    return {
        "reference": reference,
        "service": transaction.request.service,
        "upstream": transaction.upstream,
        "reason": step.reason,
        "attribute": _refused_attribute(step),
        "detail": step.detail or None,
        "policy": decision.digest[:12] if decision else None,
        "rule": deciding_line(decision) if decision else None,
        "near_misses": _listed(decision),
    }


def _listed(decision: Decision | None) -> str | None:
    return ", ".join(near_misses(decision)) if decision else None


def login_refused(transaction: Transaction, step: Refuse, now: datetime) -> BrokerEvent:
    """Return the event of a refusal of somebody who has logged in."""
    facts = refusal_facts(transaction, step, transaction.reference)
    kind = AuditEventKind.REFUSED
    reason = step.reason
    audit = of_login(kind, now, transaction.names, step.decision, reason=reason)
    return BrokerEvent(EventKind.LOGIN_REFUSED, facts, audit)
