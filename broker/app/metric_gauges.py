"""The gauges of ``/metrics``: how long metadata and certificates are good, and what is stale."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from broker.adapters.observability import loaded_policies
from broker.adapters.observability.metrics import Gauge
from broker.adapters.saml.keys import key_ring
from broker.app.assembly import Parts, now
from broker.app.work_lock import is_work_running
from broker.core.errors import ConfigurationFaults, StoreUnavailable


def gauges(parts: Parts) -> Iterator[Gauge]:
    """Yield every figure; labels are names of the configuration."""
    moment = now()
    yield from _feeds(parts, moment)
    yield Gauge(
        "broker_metadata_alarms",
        "Feeds that are refused or late, parties without metadata, and broken files.",
        {},
        len(parts.metadata.alarms(moment)),
    )
    yield from _endings(parts, moment)
    yield Gauge(
        "broker_policies_stale",
        "1 while the last good policies stand in.",
        {},
        bool(parts.policies.stale),
    )
    for pid, digest in loaded_policies.list_by_worker(parts.policies.current.digest).items():
        yield Gauge(
            "broker_policies_loaded",
            "1 for the policies that each web worker decides by.",
            {"worker": pid, "digest": digest},
            1,
        )
    yield Gauge(
        "broker_work_running",
        "1 while broker work runs on this machine.",
        {},
        is_work_running(parts.config.state),
    )
    yield from _certificates(parts, moment)
    yield from _library(parts)
    yield from _enrolments(parts)


def _enrolments(parts: Parts) -> Iterator[Gauge]:
    try:
        listed = parts.enrolment_cases.list_open()
    except StoreUnavailable:
        return
    for (state, reason), count in Counter(
        (each.state.value, each.reason) for each in listed
    ).items():
        yield Gauge(
            "broker_enrolments",
            "Open cases, and enrolments that have failed for 15 minutes.",
            {"state": state, "reason": reason or ""},
            count,
        )


def _library(parts: Parts) -> Iterator[Gauge]:
    try:
        faults = parts.library_proof.faults()
    except StoreUnavailable:
        return
    for fault in faults:
        yield Gauge(
            "broker_library_fault",
            "1 for each setting of the library system that the last proof found at fault.",
            {"setting": fault.setting},
            1,
        )


def _feeds(parts: Parts, moment: datetime) -> Iterator[Gauge]:
    for feed in parts.metadata.followed:
        until = feed.until()
        left = (until - moment).total_seconds() if until else 0.0
        yield Gauge(
            "broker_metadata_valid_until_seconds",
            "Seconds that the copy of a feed in force is still good for; 0 where there is none.",
            {"feed": feed.feed.name},
            left,
        )


def _endings(parts: Parts, moment: datetime) -> Iterator[Gauge]:
    for ending in parts.metadata.endings():
        yield Gauge(
            "broker_metadata_ends_seconds",
            "Seconds until an end in the metadata folder, which nothing renews.",
            {"kind": ending.kind, "name": ending.name, "what": ending.what},
            (ending.at - moment).total_seconds(),
        )


def _certificates(parts: Parts, moment: datetime) -> Iterator[Gauge]:
    for key in _keys(parts):
        if key.until:
            yield Gauge(
                "broker_certificate_expiry_seconds",
                "Seconds that our own certificates are still good for.",
                {"use": key.use, "slot": key.slot},
                (key.until - moment).total_seconds(),
            )


def _keys(parts: Parts) -> Iterator[key_ring.ListedKey]:
    try:
        yield from key_ring.list_keys(parts.config.keys)
    except ConfigurationFaults:
        return  # being rotated; what the workers have loaded stands
