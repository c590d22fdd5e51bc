"""Whether logins would succeed now, and what is amiss although they do."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from broker.adapters.observability import loaded_policies
from broker.app.assembly import Parts, now
from broker.app.work_lock import NOT_RUNNING, is_work_running
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.errors import BrokerError, ConfigurationFaults, Fault, StoreUnavailable
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.core.ports import Key
from broker.core.retention import TURN
from broker.use_cases.transactions.person_resolution import has_other_keys

_PROBED_FOR: Final = timedelta(hours=1)
_MOST_SHOWN: Final = 20


def readiness(parts: Parts) -> Mapping[str, Sequence[str]]:
    """Return, by what is checked, why logins would fail now; nothing where they would not.

    The store is written to: one that can only be read (a full disk, a replica) loses every login.
    """
    moment = now()
    faults: dict[str, Sequence[str]] = {
        "store": _store(parts, moment),
        "metadata": parts.metadata.faults(moment),
        "policies": [],
        "library": [],
    }
    if parts.messages:
        faults["messages"] = parts.messages.faults()
    faults["audit"] = parts.audit_log.faults()
    return faults


def _store(parts: Parts, moment: datetime) -> Sequence[str]:
    try:
        parts.store.count(Key("counter", "ready"), 1, TURN.ends(moment + _PROBED_FOR), moment)
        return parts.store.faults()
    except BrokerError as error:
        return [f"cannot be used: {error}"]


def notes(parts: Parts) -> Mapping[str, str]:
    """Return what is amiss although logins work: stale policies, lost events, refused feeds.

    And the policies that each web worker decides by, stale or not.
    """
    moment = now()
    found = _library_notes(parts) | _enrolment_notes(parts)
    if not is_work_running(parts.config.state):
        found["work"] = NOT_RUNNING
    if parts.policies.stale:
        found["policies"] = "stale"
    loaded = loaded_policies.list_by_worker(parts.policies.current.digest)
    found["policy_sets"] = ", ".join(f"{digest} in {pid}" for pid, digest in loaded.items())
    if lost := parts.audit_log.count_lost():
        found["audit"] = f"{lost} events lost"
    if amiss := [*parts.metadata.alarms(moment), *parts.metadata.warnings(moment)]:
        found["metadata"] = _joined(amiss)
    return found


def _joined(sentences: Sequence[str]) -> str:
    """Return as many sentences as a monitor may show, and how many there are more."""
    shown = "; ".join(sentences[:_MOST_SHOWN])
    more = len(sentences) - _MOST_SHOWN
    if more > 0:
        return f"{shown}; and {more} more: broker metadata check"
    return shown


def _enrolment_notes(parts: Parts) -> dict[str, str]:
    """Return that cases wait for staff, or that requests have failed for a while."""
    try:
        listed = parts.enrolment_cases.list_open()
    except StoreUnavailable:
        return {}  # a fault of the store
    said = []
    cases = [each for each in listed if each.state is EnrolmentState.CASE]
    if cases:
        said.append(f"{len(cases)} cases wait for staff")
    if failing := len(listed) - len(cases):
        said.append(f"{failing} enrolments have failed for 15 minutes: broker enrolments list")
    if names := ", ".join(sorted({each.setting for each in listed if each.setting})):
        said.append(f"enrolments wait for a correction in the library system: {names}")
    return {"enrolments": "; ".join(said)} if said else {}


def _library_notes(parts: Parts) -> dict[str, str]:
    """Return the faults of the last proof: logins of people with an account go on."""
    try:
        faults = parts.library_proof.faults()
    except StoreUnavailable:
        return {}  # a fault of the store
    return {"library": "; ".join(map(str, faults))} if faults else {}


def key_faults(parts: Parts) -> list[Fault]:
    """Return that the store belongs to other person keys; StoreUnavailable."""
    if not has_other_keys(parts.store, parts.keys.person_fingerprint, now()):
        return []
    what = "index.key or person.key is not the one that this store was first used with"
    fix = "bring the key back from the backup, or name another store"
    return [Fault("keys", what, fix)]


def fit_to_serve(parts: Parts) -> None:
    """Refuse to serve where the store may lose what it acknowledged, or nobody could log in.

    One party that cannot be used is left out and told; where not one upstream is left, and no feed
    and no library account that could be, it is the folder that is wrong. ConfigurationFaults with
    every reason. Source: docs/reference/design.md#4b and #parties.
    """
    fix = "or set store.accept_loss = true"
    faults = [Fault("store", what, fix) for what in parts.store.faults()]
    faults += [*key_faults(parts), *_no_upstream(parts)]
    if faults:
        raise ConfigurationFaults(faults)


def _no_upstream(parts: Parts) -> list[Fault]:
    fed = any("upstreams" in feed.speaks_for for feed in parts.config.feeds.values())
    local = any(upstream.local for upstream in parts.upstreams.values())
    moment = now()
    if fed or local or not parts.metadata.faults(moment):
        return []
    fix = "put the descriptors of upstreams there"
    folder = parts.config.metadata.name
    amiss = parts.metadata.amiss(moment).values()
    return [Fault(folder, "holds no upstream that can be used", fix)] + [
        Fault(folder, sentence) for sentence in amiss
    ]


def describe_faults(kind: EventKind, error: BrokerError) -> Iterator[BrokerEvent]:
    """Yield one event for each fault of a configuration that could not be used."""
    faults = error.faults if isinstance(error, ConfigurationFaults) else [error]
    for fault in faults:
        yield BrokerEvent(kind, {"reason": error.reason, "fault": str(fault)})
