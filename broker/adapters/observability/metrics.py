"""Prometheus metrics: counters of all processes together; labels are codes and configured names."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from broker.adapters.observability.metric_table import TABLE
from broker.core.events.audit_events import AuditEventKind
from broker.core.events.broker_events import BrokerEvent, EventKind, find_route

FOLDER: Final = "metrics"  # in ``state``
_FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_FILES_OF_WORKERS: Final = "*_[0-9]*.db"  # the library names them after process ids
_WORK: Final = "work"  # instead of a process id in the names of the files of ``broker work``
_LOGIN_LABELS: Final = ("service", "upstream", "affiliation")
_RESERVED: Final = 128 * 1024  # octets; about five hundred counters
_FETCHES: Final = ("broker_metadata_fetches_total", ("feed", "result"))
# The metrics of events that are neither logins nor refusals, and the facts that are their labels.
_COUNTED: Final[Mapping[EventKind | AuditEventKind, tuple[str, tuple[str, ...]]]] = {
    EventKind.METADATA_FETCHED: _FETCHES,
    EventKind.METADATA_REFUSED: _FETCHES,
    EventKind.METADATA_RENEWED: _FETCHES,
    EventKind.REGISTER_LOOKED_UP: ("broker_register_look_ups_total", ("for", "outcome")),
    EventKind.WORK_STARTED: ("broker_work_starts_total", ()),
}
_SECONDS: Final = (0.01, 0.05, 0.2, 1.0, 2.0, 5.0, 10.0)
_CAUSE: Final = re.compile(r"[a-z]{1,20}\.[a-z0-9_]{1,40}")


class Gauge(NamedTuple):
    """The value of a gauge, computed when /metrics is read. ``name`` is a row of TABLE."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


class Metrics:
    """The counters of one process, and the page with those of all processes."""

    def __init__(self, dropped: Callable[[], int]) -> None:
        """Make counters; ``dropped`` returns how many lines this process's log has dropped."""
        self._registry = CollectorRegistry()
        self._dropped = dropped
        self._dropped_before = dropped()
        # By name, or by name and labels: the library is slow to find those with labels.
        self._metrics: dict[tuple[str, ...], Any] = {}
        for row in TABLE:
            arguments = (row.name, row.help, row.labels)
            if row.kind == "counter":
                self._metrics[(row.name,)] = Counter(*arguments, registry=self._registry)
            elif row.kind == "histogram":
                histogram = Histogram(*arguments, registry=self._registry, buckets=_SECONDS)
                self._metrics[(row.name,)] = histogram

    def count(self, event: BrokerEvent) -> None:
        """Count an event, by codes and names of the configuration only.

        An event that is not in ``_COUNTED`` and is not an issued assertion counts as a refusal.
        """
        facts = event.facts
        if event.kind in _COUNTED:
            name, labels = _COUNTED[event.kind]
            self._count(name, *[str(facts[label]) for label in labels])
        elif event.kind is EventKind.ASSERTION_ISSUED:
            values = [str(facts.get(name)) for name in _LOGIN_LABELS]
            self._count("broker_logins_total", "issued", *values)
        else:
            reason = _reason(find_route(event.kind).line, facts)
            self._count("broker_refusals_total", reason)
        if event.kind is EventKind.LOGIN_REFUSED and event.audit is not None:
            values = [getattr(event.audit, name) or "" for name in _LOGIN_LABELS]
            self._count("broker_logins_total", "refused", *values)

    def request(self, endpoint: str, status: int, seconds: float) -> None:
        """Count and time one answered request."""
        self._count("broker_http_requests_total", endpoint, str(status))
        self._time("broker_http_request_seconds", endpoint, seconds=seconds)

    def library_call(self, call: str, outcome: str, seconds: float) -> None:
        """Count and time one call of the library system (``LibraryCallObserver``)."""
        self._count("broker_library_calls_total", call, outcome)
        self._time("broker_library_call_seconds", call, seconds=seconds)

    def register_call(self, call: str, outcome: str, seconds: float) -> None:
        """Count one call of the register of persons (``LibraryCallObserver``)."""
        del seconds
        self._count("broker_register_calls_total", call, outcome)

    def store_call(self, call: str, seconds: float) -> None:
        """Time one call of the store."""
        self._time("broker_store_call_seconds", call, seconds=seconds)

    def page(self, gauges: Sequence[Gauge]) -> bytes:
        """Return all counters and these gauges in Prometheus' text format."""
        self.count_dropped()
        counters = self._registry
        if os.environ.get(_FOLDER_VARIABLE):
            counters = CollectorRegistry()
            MultiProcessCollector(counters)  # type: ignore[no-untyped-call]
        figures = CollectorRegistry()
        figures.register(_Figures(gauges))
        return generate_latest(counters) + generate_latest(figures)

    def count_dropped(self) -> None:
        """Count the lines that this process's log has dropped since the last call."""
        now = self._dropped()
        self._find(("broker_log_lines_dropped_total",)).inc(now - self._dropped_before)
        self._dropped_before = now

    def _count(self, *key: str) -> None:
        if metric := self._find(key):
            metric.inc()

    def _time(self, *key: str, seconds: float) -> None:
        if metric := self._find(key):
            metric.observe(seconds)

    def _find(self, key: tuple[str, ...]) -> Any:
        """Return the metric of a name and labels; None if there is no space for another one."""
        if key not in self._metrics:
            try:
                self._metrics[key] = self._metrics[key[:1]].labels(*key[1:])
            except OSError:
                return None
        return self._metrics[key]


class _ReservedCounts(MmapedDict):
    """The counts in a mapped file whose space is on the disk before a count needs it.

    The library enlarges a full file without reserving the space: on a full disk, SIGBUS would end
    the process.
    """

    def _init_value(self, key: str) -> None:
        """Add a count. Raises OSError if the file has no space for it."""
        if self._used > self._capacity // 2:
            os.posix_fallocate(self._f.fileno(), 0, 2 * self._capacity)
        super()._init_value(key)  # type: ignore[no-untyped-call]


class _Figures:
    """Collector of gauges, which belong to no process and are never added up."""

    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Any]:
        for row in TABLE:
            if row.kind == "gauge":
                family = GaugeMetricFamily(row.name, row.help, labels=row.labels)
                for gauge in self._gauges:
                    if gauge.name == row.name:
                        family.add_metric(gauge.labels, gauge.value)
                yield family


def _reason(event: str, facts: Mapping[str, Any]) -> str:
    """Return the failed check (``xml.doctype``) or the reason code; never free text."""
    cause = str(facts.get("cause") or "")
    if _CAUSE.fullmatch(cause):
        return cause
    return str(facts.get("reason") or event)


@contextmanager
def share_counts(folder: Path) -> Iterator[None]:
    """Prepare ``folder`` for the counts of the workers that are forked in the ``with`` block.

    The counts of earlier servers are deleted. The server process itself counts nothing there: a
    damaged file would end it together with all workers.
    """
    owner = os.getpid()
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _delete_files_of_workers(folder)
    try:
        yield
    finally:
        if os.getpid() == owner:  # forked workers run this too when they end
            _delete_files_of_workers(folder)


def count_in_files(folder: Path, process: str) -> None:
    """Let this process count in files of ``folder``, where all processes are added up.

    The space is reserved first, because writing to a mapped file on a full disk ends the process.
    If that fails, this process keeps its own counts, which other processes do not show.
    """
    files = [folder / f"{kind}_{process}.db" for kind in ("counter", "histogram")]
    try:
        for file in files:
            _reserve(file)
    except OSError:
        for file in files:
            file.with_suffix(".new").unlink(missing_ok=True)
        return
    os.environ[_FOLDER_VARIABLE] = str(folder)
    values.MmapedDict = _ReservedCounts  # type: ignore[attr-defined]
    values.ValueClass = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]


@contextmanager
def keep_counts(folder: Path) -> Iterator[None]:
    """Let ``broker work``, of which there is one process, add to its earlier counts in ``folder``.

    If the folder cannot be used, it keeps its own counts.
    """
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in folder.glob(f"*_{_WORK}.db"):
            if not _is_whole(file):
                file.unlink()
        count_in_files(folder, _WORK)
    try:
        yield
    finally:
        values.ValueClass = values.MutexValue
        os.environ.pop(_FOLDER_VARIABLE, None)


def is_serving(folder: Path) -> bool:
    """Return whether a ``broker serve`` on this machine counts in ``folder``."""
    return any(folder.glob(_FILES_OF_WORKERS))


def _reserve(file: Path) -> None:
    """Make a file of counts with its space on the disk, unless it is there."""
    if file.exists():
        return
    new = file.with_suffix(".new")  # other processes read every whole ``*.db``
    with new.open("wb") as opened:
        os.posix_fallocate(opened.fileno(), 0, _RESERVED)
    new.rename(file)


def _delete_files_of_workers(folder: Path) -> None:
    for file in folder.glob(_FILES_OF_WORKERS):
        file.unlink(missing_ok=True)


def _is_whole(file: Path) -> bool:
    """Return whether the library can read a file that a power cut may have damaged."""
    try:
        MultiProcessCollector.merge([str(file)])  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - the library documents no errors
        return False
    return True
