"""What the service desk finds by a page's reference for thirty days: step, time, upstream, reason; nothing personal."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.errors import StoreUnavailable
from broker.core.ports import Kept, Key, Store
from broker.core.serialization import dump, load

_KEPT_FOR: Final = timedelta(days=30)
# Refused messages cost their sender nothing: beyond this in an hour they leave a log line only.
_MOST_AN_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class SupportTrace:
    """One page that a person could not get past."""

    at: datetime
    step: str | None = None
    upstream: str | None = None
    reason: str | None = None
    enrolment: str | None = None


@dataclass(frozen=True, slots=True)
class SupportTraces:
    """The traces in a store."""

    store: Store

    def leave(self, reference: str, now: datetime, *, known: bool, **facts: str | None) -> None:
        """Keep ``facts`` (step, upstream, reason, enrolment) under ``reference``; a store that is down keeps none."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        try:
            if (
                self.store.count(
                    Key("counter", "traces" if known else "traces of strangers", hour.isoformat()),
                    1,
                    hour + timedelta(hours=2),
                    now,
                )
                > _MOST_AN_HOUR
            ):
                return
            key, kept = (
                Key("trace", reference),
                Kept(dump(SupportTrace(now, **facts)), secrets.token_hex(8), now + _KEPT_FOR),
            )
            before = self.store.get(key, now)
            self.store.put(key, kept, before.version if before else None, now)
        except StoreUnavailable:
            return

    def find(self, reference: str, now: datetime) -> SupportTrace | None:
        """Give the trace of a reference as read out, spaces and small letters included; None if there is none."""
        kept = self.store.get(Key("trace", "".join(reference.split()).upper()), now)
        return load(SupportTrace, kept.value) if kept else None
