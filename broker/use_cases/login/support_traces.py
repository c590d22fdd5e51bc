"""Traces that staff find by a page's reference for thirty days: step, time, upstream, reason."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.errors import StoreUnavailable
from broker.core.login.refused_facts import RefusedFacts
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.core.retention.table import TRACE, TURN
from broker.core.stateless_references import compact
from broker.use_cases.records import Records

# A login costs its person little: beyond this in an hour they leave a log line only.
_MOST_AN_HOUR: Final = 3600
_COUNTED_FOR: Final = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class SupportTrace:
    """One page that a person could not get past; nothing personal.

    ``person`` is ``mark_of`` the id that the login had led to.
    ``refused`` are the facts of a refused login that decided, by kind and name.
    """

    at: datetime
    step: str | None = None
    upstream: str | None = None
    reason: str | None = None
    enrolment: str | None = None
    refused: RefusedFacts | None = None
    person: str | None = None


def mark_of(person: str, hmacs: LookupHmacs) -> str:
    """Return the keyed hash of a person id by which the person's own traces are found."""
    return hmacs.of("trace", person)


@dataclass(frozen=True, slots=True)
class SupportTraces:
    """The traces in a store."""

    store: Store

    def leave(
        self,
        reference: str,
        now: datetime,
        *,
        refused: RefusedFacts | None = None,
        **facts: str | None,
    ) -> None:
        """Store ``facts`` (step, upstream, reason, enrolment, person) of a page by its reference.

        With it what decided where a login was ``refused``.

        Nothing is stored, and nothing raised, where the store is down or an hour has had its most.
        """
        trace = SupportTrace(now, **facts, refused=refused)
        try:
            if self._counted(now):
                self._records.put(_key(reference), trace, TRACE.until(now), now)
        except StoreUnavailable:
            return

    def find(self, reference: str, now: datetime) -> SupportTrace | None:
        """Return the trace of a reference as it was read out, in any case and spacing, or None."""
        record = self._records.get(_key(compact(reference)), now)
        return record.value if record else None

    def naming(self, enrolment: str, now: datetime) -> tuple[str, ...]:
        """Return the references of the pages that an enrolment or case held up, oldest first."""
        named = [
            (record.value.at, record.key.group)
            for record in self._records.list("trace", None, now)
            if record.value.enrolment == enrolment
        ]
        return tuple(reference for _, reference in sorted(named))

    def _counted(self, now: datetime) -> bool:
        """Count one trace of this hour, and return whether there is room for it."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        key = Key("counter", "traces", hour.isoformat())
        return self.store.count(key, 1, TURN.ends(hour + _COUNTED_FOR), now) <= _MOST_AN_HOUR

    @property
    def _records(self) -> Records[SupportTrace]:
        return Records(self.store, SupportTrace)


def _key(reference: str) -> Key:
    return Key("trace", reference)
