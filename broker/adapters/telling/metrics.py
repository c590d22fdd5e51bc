"""Counts what happens in all workers, and writes it as Prometheus reads it; labels are codes and configured names."""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from broker.core.events import ROUTES, BrokerEvent, EventKind

if TYPE_CHECKING:
    from prometheus_client import Counter

# where workers put their counts together; the library looks at its import
_SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"
_CAUSE: Final = re.compile(r"[a-z]{1,20}\.[a-z0-9_]{1,40}")

Write = Callable[..., None]


class Gauge(NamedTuple):
    """One figure of the moment, asked for when it is read."""

    name: str
    help: str
    labels: Mapping[str, str]
    value: float


class Metrics:
    """The counters of one process; those of all workers are added up where ``shared`` was entered before the fork."""

    def __init__(self, dropped: Callable[[], int]) -> None:
        """Take what says how many lines the log has dropped in this process."""
        from prometheus_client import CollectorRegistry, Counter  # noqa: PLC0415 - after ``shared``: see _SHARED

        self._registry = CollectorRegistry()
        self._dropped, self._seen = dropped, dropped()

        def counter(name: str, text: str, *labels: str) -> "Counter":
            return Counter(name, text, labels, registry=self._registry)

        self._logins = counter(
            "broker_logins", "Assertions issued.", "service", "upstream", "affiliation"
        )
        self._refusals = counter(
            "broker_refusals", "Logins and messages refused, by what refused them.", "reason"
        )
        self._fetches = counter(
            "broker_metadata_fetches", "What became of fetched feeds.", "feed", "result"
        )
        self._lines = counter("broker_log_lines_dropped", "Log lines that could not be masked.")

    def counting_dropped(self, write: Write) -> Write:
        """Return ``write``, the application log, with the lines counted that it drops."""

        def counted(event: str, **facts: Any) -> None:
            write(event, **facts)
            self._count_dropped()

        return counted

    def count(self, event: BrokerEvent) -> None:
        """Count an event; nothing of it but codes and names of the configuration is read."""
        facts = event.facts
        match event.kind:
            case EventKind.ASSERTION_ISSUED:
                names = ("service", "upstream", "affiliation")
                self._logins.labels(*(str(facts.get(name)) for name in names)).inc()
            case EventKind.METADATA_FETCHED:
                self._fetches.labels(facts["feed"], facts["result"]).inc()
            case _:
                self._refusals.labels(_reason(ROUTES[event.kind].line, facts)).inc()

    def page(self, gauges: Sequence[Gauge]) -> bytes:
        """Write every counter and these figures (Prometheus text format 0.0.4)."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - as above
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415 - as above

        self._count_dropped()
        registry = self._registry
        if folder := os.environ.get(_SHARED):
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
        figures = CollectorRegistry()
        figures.register(_Figures(gauges))
        return generate_latest(registry) + generate_latest(figures)

    def _count_dropped(self) -> None:
        now = self._dropped()
        if now > self._seen:
            self._lines.inc(now - self._seen)
            self._seen = now


class _Figures:
    """Gauges as the library collects them; they belong to no process and are never added up."""

    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - as above

        families: dict[str, Any] = {}
        for each in self._gauges:
            made = families.setdefault(
                each.name, GaugeMetricFamily(each.name, each.help, labels=list(each.labels))
            )
            made.add_metric(list(each.labels.values()), each.value)
        yield from families.values()


def _reason(event: str, facts: Mapping[str, Any]) -> str:
    """Give the check that refused (``gate.doctype``) where one did, else the reason's code; never a text."""
    cause = str(facts.get("cause") or "")
    return cause if _CAUSE.fullmatch(cause) else str(facts.get("reason") or event)


@contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Let the processes forked while this lasts add their counts up in ``folder``, which begins empty.

    Where the disk does not let us, each counts alone.
    """
    owner = os.getpid()
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
    except OSError:
        yield
        return
    os.environ[_SHARED] = str(folder)
    try:
        yield
    finally:
        os.environ.pop(_SHARED, None)
        if os.getpid() == owner:  # a worker ends by the same way out
            shutil.rmtree(folder, ignore_errors=True)
