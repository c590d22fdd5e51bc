"""Opens the store, the audit log and the sinks of events that the configuration names."""

import platform

from broker.adapters.audit_log import audit_log
from broker.adapters.audit_log.hash_chain import Anchors
from broker.adapters.audit_log.person_keys import PersonKeys
from broker.adapters.observability import application_log
from broker.adapters.observability.event_sinks import (
    EventSinks,
    RoutedAuditLog,
    to_audit_log,
    to_log,
    to_traces,
)
from broker.adapters.observability.log_budget import LogBudget
from broker.adapters.observability.metrics import Metrics
from broker.adapters.saml.keys import key_ring
from broker.adapters.stores.open_store import open_store
from broker.configuration import durable_files
from broker.configuration.settings.config import Config
from broker.core.events.broker_events import Sink
from broker.core.ports import AuditLog, Store
from broker.use_cases.login.support_traces import SupportTraces


def open_startup_sinks(metrics: Metrics, log_budget: LogBudget) -> EventSinks:
    """Return the sinks that need no store: the metadata and the policies are opened beside it."""
    log = to_log(log_budget.write, log_budget.write_limited)
    return EventSinks({Sink.LOG: log, Sink.METRIC: metrics.count})


def route_audit_log(audit_log: AuditLog, store: Store, startup: EventSinks) -> RoutedAuditLog:
    """Return the audit log that tells by every sink that there is (``core.event_routes``)."""
    sinks = {
        **startup.sinks,
        Sink.AUDIT_LOG: to_audit_log(audit_log),
        Sink.TRACE: to_traces(SupportTraces(store)),
    }
    return RoutedAuditLog(EventSinks(sinks).tell)


def open_configured_audit_log(
    settings: Config, ring: key_ring.KeyRing, store: Store
) -> audit_log.StoredAuditLog:
    """Return the audit log that is configured; ConfigurationFaults where it cannot be kept."""
    # An SQLite file belongs to one machine. Several machines can share a Redis; each has its own
    # audit log.
    machine = platform.node()
    if settings.store.url.startswith("sqlite:"):
        machine = ""
    return audit_log.open_audit_log(
        settings.audit_folder,
        ring.audit,
        PersonKeys(store, ring.index),
        Anchors(store, machine),
        application_log.tell,
    )


def open_bare_store(settings: Config) -> Store:
    """Open the store, and the folder of the state before it: what fails there fails both."""
    table = settings.store
    durable_files.make_state(settings.state)
    return open_store(table.url, settings.keys.parent, accept_loss=table.accept_loss)
