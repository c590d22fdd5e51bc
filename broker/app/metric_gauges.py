"""The figures of the moment that ``/metrics`` shows: what ends when, and what is stale."""

from collections.abc import Iterator

from broker.adapters.saml.keys import key_ring
from broker.adapters.telling.metrics import Gauge
from broker.app.assembly import Parts, now
from broker.core.errors import ConfigurationFaults


def gauges(parts: Parts) -> Iterator[Gauge]:
    """Give every figure; labels are names of the configuration."""
    moment = now()
    for each in parts.metadata.followed:
        until = each.until()
        left = (until - moment).total_seconds() if until else 0.0
        yield Gauge(
            "broker_metadata_valid_until_seconds",
            "Seconds that the copy of a feed in force is still good for; 0 where there is none.",
            {"feed": each.feed.name},
            left,
        )
    alarms = len(parts.metadata.alarms(moment))
    yield Gauge(
        "broker_metadata_alarms",
        "Feeds that are refused or late, and parties without metadata.",
        {},
        alarms,
    )
    yield Gauge(
        "broker_policies_stale",
        "1 while the last good policies stand in.",
        {},
        bool(parts.policies.stale),
    )
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
        yield from key_ring.listing(parts.config.keys)
    except ConfigurationFaults:
        return  # being rotated; what the workers have loaded stands
