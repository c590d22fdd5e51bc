"""Whether logins would succeed now, what needs attention although they do, and the gauges.

Also the status of this process, and how the other processes that share the store differ from it.
"""

import json
import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Final

from broker.adapters.observability.metrics import Gauge
from broker.adapters.saml.keys import key_ring
from broker.app.assembly import Parts, now
from broker.app.work_lock import HANGS, NOT_RUNNING, is_work_running
from broker.configuration.policies.live_policies import DIGEST_LENGTH
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.errors import (
    AuditUnavailable,
    BrokerError,
    ConfigurationFaults,
    Fault,
    StoreUnavailable,
)
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.core.ports import Key, RecordUnreadable, Store
from broker.core.retention import TURN
from broker.use_cases.enrolment.cases import StaffEnrolment
from broker.use_cases.storage.fleet import ProcessStatus, describe_differences
from broker.use_cases.storage.person_keys import register_keys

RELEASE: Final = version("library-identity-broker")
STORE_LOST: Final = (
    "the store lacks what the audit log of this machine says of it: it was emptied, replaced or "
    "put back. Restore it, or accept the loss: broker audit accept"
)
_PROBED_FOR: Final = timedelta(hours=1)
_MOST_SHOWN: Final = 20
_RELOAD_LATE: Final = timedelta(minutes=1)
_WORK_LATE: Final = timedelta(minutes=10)
_CERTIFICATE_SOON: Final = timedelta(days=30)
_MEGABYTE: Final = 1024 * 1024
# Settings that may differ between machines.
_OF_THE_MACHINE: Final = {"serve", "state", "keys", "site"}


def readiness(parts: Parts) -> Mapping[str, Sequence[str]]:
    """Return why logins would fail now, by what was checked.

    The store is written to: with a store that can only be read every login fails.
    """
    faults: dict[str, Sequence[str]] = {
        "store": _find_store_faults(parts.store),
        "metadata": parts.metadata.faults(now()),
        "policies": [],
        "library": [],
    }
    if parts.messages:
        faults["messages"] = parts.messages.faults()
    faults["audit"] = parts.audit_log.faults()
    with suppress(StoreUnavailable):  # a fault of the store
        faults["keys"] = list_missing_keys(parts)
    return faults


def _find_store_faults(store: Store) -> Sequence[str]:
    try:
        store.count(Key("counter", "ready"), 1, TURN.ends(now() + _PROBED_FOR), now())
        return store.faults()
    except BrokerError as error:
        return [f"cannot be used: {error}"]


def notes(parts: Parts) -> Mapping[str, str]:
    """Return what needs attention although logins work, and the digest of the policies."""
    moment = now()
    found: dict[str, str] = {}
    found |= _list_stored_notes(parts, moment)
    if fault := _find_work_fault(parts, moment):
        found["work"] = fault
    if (age := _measure_reload_age(parts, moment)) > _RELOAD_LATE:
        seconds = int(age.total_seconds())
        found["reload"] = f"no file was read for {seconds} seconds: see whether a disk hangs"
    if sentences := list(describe_own_certificates(parts, moment)):
        found["keys"] = "; ".join(sentences)
    if parts.policies.file_faults:
        found["policies"] = "stale"
    found["policy_set"] = parts.policies.current.digest[:DIGEST_LENGTH]
    if lost := parts.audit_log.count_lost():
        found["audit"] = f"{lost} events lost"
    if sentences := [*parts.metadata.alarms(moment), *parts.metadata.warnings(moment)]:
        found["metadata"] = "; ".join(sentences[:_MOST_SHOWN])
        if (more := len(sentences) - _MOST_SHOWN) > 0:
            found["metadata"] += f"; and {more} more: broker metadata check"
    return found


def _find_work_fault(parts: Parts, moment: datetime) -> str | None:
    """Return what is wrong with ``broker work`` on this machine; None without a fault."""
    if not is_work_running(parts.config.state):
        return NOT_RUNNING
    own = (parts.audit_log.anchors.machine, "work")
    with suppress(StoreUnavailable):
        for status in parts.fleet.list_all(moment):
            if (status.machine, status.part) == own and status.at < moment - _WORK_LATE:
                return HANGS
    return None


def _measure_reload_age(parts: Parts, moment: datetime) -> timedelta:
    """Return the time since this process last looked for changed files."""
    return moment - (parts.last_reload.at or moment)


def _list_stored_notes(parts: Parts, moment: datetime) -> dict[str, str]:
    """Return the notes that need the store; readiness names a store that does not answer."""
    found: dict[str, str] = {}
    with suppress(StoreUnavailable, AuditUnavailable):  # a fault of the store or audit log
        if faults := parts.setup_checker.faults():
            found["library"] = "; ".join(map(str, faults))
        if sentences := list_differences(parts):
            found["fleet"] = "; ".join(sentences)
        if enrolments := list(_describe_enrolments(parts.enrolment_cases.list_open())):
            found["enrolments"] = "; ".join(enrolments)
        if parts.audit_log.is_store_lost(moment):
            found["store"] = STORE_LOST
    return found


def _describe_enrolments(listed: Sequence[StaffEnrolment]) -> Iterator[str]:
    """Yield how many cases wait for staff, and how many enrolments have failed for a while."""
    states = Counter(each.enrolment.state for each in listed)
    if cases := states.pop(EnrolmentState.CASE, 0):
        yield f"{cases} cases wait for staff"
    if failing := states.total():
        yield f"{failing} enrolments have failed for 15 minutes: broker enrolments list"
    settings = {each.enrolment.setting for each in listed}
    if names := ", ".join(sorted(filter(None, settings))):
        yield f"enrolments wait for a correction in the library system: {names}"


def describe_own_certificates(parts: Parts, moment: datetime) -> Iterator[str]:
    """Yield a sentence for each of our own certificates that has expired or will soon."""
    for key in _list_own_keys(parts):
        if key.until and key.until <= moment + _CERTIFICATE_SOON:
            what = "has expired" if key.until <= moment else "expires soon"
            where = f"the certificate {key.use} ({key.slot})"
            yield f"{where} {what}: {key.until:%Y-%m-%d}: broker keys rotate --only {key.use}"


def _list_own_keys(parts: Parts) -> Sequence[key_ring.ListedKey]:
    """Return our own keys; none while they are being rotated: what the workers loaded stays."""
    try:
        return list(key_ring.list_keys(parts.config.keys))
    except ConfigurationFaults:
        return ()


def key_faults(parts: Parts) -> list[Fault]:
    """Return a fault if the store was first used with other person keys.

    Raises StoreUnavailable if the store does not answer.
    """
    with suppress(RecordUnreadable):  # also the keys that seal the store are others
        if register_keys(parts.store, parts.keys.person_fingerprint, now()):
            return []
    what = "index.key or person.key is not the one that this store was first used with"
    fix = "bring the key back from the backup, or name another store"
    return [Fault("keys", what, fix)]


def fit_to_serve(parts: Parts) -> None:
    """Raise ConfigurationFaults if the store may lose records or nobody could log in.

    A single party without usable metadata is no reason. If no upstream has any, and no feed and no
    library account can replace them, the metadata folder is wrong.

    Source: docs/reference/design.md#4b and #parties.
    """
    fix = "or set store.accept_loss = true"
    faults = [Fault("store", what, fix) for what in parts.store.faults()]
    faults += [*key_faults(parts), *_no_upstream(parts)]
    if faults:
        raise ConfigurationFaults(faults)


def _no_upstream(parts: Parts) -> list[Fault]:
    has_feed = any("upstreams" in feed.speaks_for for feed in parts.config.feeds.values())
    has_library_account = any(upstream.local for upstream in parts.upstreams.values())
    moment = now()
    if has_feed or has_library_account or not parts.metadata.faults(moment):
        return []
    fix = "put the descriptors of upstreams there"
    folder = parts.config.metadata.name
    causes = [Fault(folder, sentence) for sentence in parts.metadata.party_faults(moment).values()]
    return [Fault(folder, "holds no upstream that can be used", fix), *causes]


def describe_faults(kind: EventKind, error: BrokerError) -> Iterator[BrokerEvent]:
    """Yield one event for each fault of a configuration that could not be used."""
    faults = error.faults if isinstance(error, ConfigurationFaults) else [error]
    for fault in faults:
        yield BrokerEvent(kind, {"reason": error.reason, "fault": str(fault)})


def describe_process(parts: Parts, part: str) -> ProcessStatus:
    """Return the status of this process: ``part`` is serve, work, or empty for a command."""
    disk = os.statvfs(parts.config.state)
    settings = parts.config.model_dump(exclude=_OF_THE_MACHINE)
    text = json.dumps(settings, sort_keys=True, default=_write_setting)
    configuration = parts.keys.index.compute("configuration", text)
    return ProcessStatus(
        machine=parts.audit_log.anchors.machine,
        host=platform.node(),
        part=part,
        at=now(),
        release=RELEASE,
        configuration=configuration[-DIGEST_LENGTH:],
        policies=parts.policies.current.digest[:DIGEST_LENGTH],
        free_megabytes=disk.f_bavail * disk.f_frsize // _MEGABYTE,
        keys=parts.keys.fingerprints,
        used_keys=parts.keys.used_fingerprints,
    )


def _write_setting(value: object) -> object:
    """Return what JSON can write; the order of a set differs from process to process."""
    return sorted(value) if isinstance(value, frozenset) else str(value)


def list_missing_keys(parts: Parts) -> list[str]:
    """Return why logins fail between this machine and the others.

    Raises StoreUnavailable if the store does not answer.
    """
    return list(parts.fleet.describe_missing_keys(describe_process(parts, ""), now()))


def list_differences(parts: Parts) -> list[str]:
    """Return how the processes that run differ from this one.

    Raises StoreUnavailable if the store does not answer.
    """
    moment = now()
    own = describe_process(parts, "")
    return list(describe_differences(own, parts.fleet.list_live(moment), moment))


def list_gauges(parts: Parts) -> Iterator[Gauge]:
    """Yield every gauge of ``/metrics``; labels are names of the configuration."""
    moment = now()
    for check, faults in readiness(parts).items():
        yield Gauge("broker_failed_checks", bool(faults), (check,))
    for feed in parts.metadata.feeds:
        until = feed.until()
        ends = until.timestamp() if until else 0
        yield Gauge("broker_feed_valid_until_timestamp_seconds", ends, (feed.feed.name,))
    yield Gauge("broker_metadata_alarms", len(parts.metadata.alarms(moment)))
    for ending in parts.metadata.endings():
        labels = (ending.kind, ending.name, ending.what)
        yield Gauge("broker_metadata_ends_timestamp_seconds", ending.at.timestamp(), labels)
    for key in _list_own_keys(parts):
        if key.until:
            name = "broker_own_certificate_ends_timestamp_seconds"
            yield Gauge(name, key.until.timestamp(), (key.use, key.slot))
    yield Gauge("broker_policies_stale", bool(parts.policies.file_faults))
    digest = parts.policies.current.digest[:DIGEST_LENGTH]
    yield Gauge("broker_policies_loaded", 1, (digest,))
    yield Gauge("broker_work_running", _find_work_fault(parts, moment) is None)
    age = _measure_reload_age(parts, moment).total_seconds()
    yield Gauge("broker_reload_age_seconds", age)
    disk = os.statvfs(parts.config.state)
    yield Gauge("broker_state_free_bytes", disk.f_bavail * disk.f_frsize)
    yield Gauge("broker_build_info", 1, (RELEASE, platform.python_version()))
    with suppress(StoreUnavailable, AuditUnavailable):  # a fault of the store or audit log
        yield from _list_stored_gauges(parts)


def _list_stored_gauges(parts: Parts) -> Iterator[Gauge]:
    for fault in parts.setup_checker.faults():
        yield Gauge("broker_library_fault", 1, (fault.setting,))
    listed = parts.enrolment_cases.list_open()
    counts = Counter((each.enrolment.state.value, each.enrolment.reason or "") for each in listed)
    for labels, count in counts.items():
        yield Gauge("broker_enrolments", count, labels)
    yield Gauge("broker_processes_differ", len(list_differences(parts)))
    yield Gauge("broker_store_lost", parts.audit_log.is_store_lost(now()))
    waiting = parts.outbox.list_waiting()
    yield Gauge("broker_mails_waiting", len(waiting))
    age = now() - waiting[0] if waiting else timedelta()
    yield Gauge("broker_oldest_mail_age_seconds", age.total_seconds())
