"""Each process stores a report of its status, and compares it with the others' reports."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker.app.assembly import Parts, now
from broker.app.readiness import STORE_LOST, describe_process, list_differences, list_missing_keys
from broker.core.errors import BrokerError, ConfigurationFaults, Fault
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.use_cases.storage.fleet import LIVE

_EVERY: Final = timedelta(minutes=1)


def list_rows(parts: Parts) -> list[dict[str, object]]:
    """Return what each process reported last, with its keys in one column."""
    moment = now()
    rows = []
    for status in parts.fleet.list_all(moment):
        row = asdict(status) | {"runs": status.at > moment - LIVE}
        del row["keys"]
        row["used_keys"] = ", ".join(status.used_keys)
        rows.append(row)
    return rows


def refuse_late_machines(parts: Parts) -> None:
    """Raise ConfigurationFaults if a process that runs has not loaded the present keys."""
    folder = describe_process(parts, "")
    fix = "copy the keys folder to that machine and reload the broker there"
    late = [(status, status.find_late_keys(folder)) for status in parts.fleet.list_live(now())]
    faults = [
        Fault("keys", f"{status.name} has not loaded {', '.join(keys)}", fix)
        for status, keys in late
        if keys
    ]
    if faults:
        raise ConfigurationFaults(faults)


@dataclass(slots=True)
class FleetReport:
    """Reports the status of this process every minute, and logs what differs for two minutes."""

    parts: Parts
    part: str
    _next: datetime | None = None
    _policies: str = ""
    _seen: set[str] = field(default_factory=set)
    _logged: set[str] = field(default_factory=set)

    def step(self) -> None:
        """Report if a minute has passed, or at once when other policies came into force."""
        moment = now()
        policies = self.parts.policies.current.digest
        if self._next and moment < self._next and policies == self._policies:
            return
        self._next, self._policies = moment + _EVERY, policies
        with suppress(BrokerError):  # readiness names it
            self.parts.fleet.report(describe_process(self.parts, self.part), moment)
            self._log(set(self._find_faults()))

    def _find_faults(self) -> Iterator[str]:
        yield from list_missing_keys(self.parts)
        yield from list_differences(self.parts)
        if self.parts.audit_log.is_store_lost(now()):
            yield STORE_LOST

    def _log(self, found: set[str]) -> None:
        lasting = found & self._seen
        for sentence in sorted(lasting - self._logged):
            kind = EventKind.STORE_LOST if sentence == STORE_LOST else EventKind.MACHINES_DIFFER
            self.parts.tell(BrokerEvent(kind, {"fault": sentence}))
        self._seen, self._logged = found, lasting
