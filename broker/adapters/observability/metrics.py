"""Prometheus metrics: counters of all processes together; labels are codes and configured names."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from broker.core.events.broker_events import BrokerEvent, EventKind, find_route

FOLDER: Final = "metrics"  # in ``state``
_FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_FILES_OF_WORKERS: Final = "*_[0-9]*.db"  # the library names them after process ids
_WORK: Final = "work"  # takes the place of a process id in the files of ``broker work``
_LOGIN_LABELS: Final = ("service", "upstream", "affiliation")
_RESERVED: Final = 256 * 1024  # octets; about a thousand counters
_CALL_SECONDS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_CAUSE: Final = re.compile(r"[a-z]{1,20}\.[a-z0-9_]{1,40}")


class Gauge(NamedTuple):
    """A figure that is computed when the page is read."""

    name: str
    help: str
    labels: Mapping[str, str]
    value: float


class Metrics:
    """The counters of one process, and the page with those of all processes."""

    def __init__(self, dropped: Callable[[], int]) -> None:
        """Make counters; ``dropped`` returns how many lines this process's log has dropped."""
        self._registry = CollectorRegistry()
        self._dropped = dropped
        self._dropped_before = dropped()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=self._registry)

        self._logins = counter("broker_logins", "Assertions issued.", *_LOGIN_LABELS)
        self._refusals = counter(
            "broker_refusals", "Logins and messages refused, by what refused them.", "reason"
        )
        self._fetches = counter(
            "broker_metadata_fetches", "What became of fetched feeds.", "feed", "result"
        )
        self._library = counter(
            "broker_library_calls", "Calls of the library system.", "call", "outcome"
        )
        self._library_seconds = Histogram(
            "broker_library_call_seconds",
            "How long calls of the library system took.",
            ["call"],
            registry=self._registry,
            buckets=_CALL_SECONDS,
        )
        self._register = counter(
            "broker_register_calls", "Calls of the register of persons.", "call", "outcome"
        )
        self._look_ups = counter(
            "broker_register_look_ups", "Look-ups of people, by reason.", "for", "outcome"
        )
        self._starts = counter(
            "broker_work_starts", "Starts of broker work: the first, after a death, and reloads."
        )
        self._lines = counter(
            "broker_log_lines_dropped", "Log lines that could not be masked or written."
        )

    def count(self, event: BrokerEvent) -> None:
        """Count an event, by codes and names of the configuration only."""
        facts = event.facts
        match event.kind:
            case EventKind.ASSERTION_ISSUED:
                labels = [str(facts.get(name)) for name in _LOGIN_LABELS]
                self._logins.labels(*labels).inc()
            case (
                EventKind.METADATA_FETCHED | EventKind.METADATA_REFUSED | EventKind.METADATA_RENEWED
            ):
                self._fetches.labels(facts["feed"], facts["result"]).inc()
            case EventKind.REGISTER_LOOKED_UP:
                self._look_ups.labels(facts["for"], facts["outcome"]).inc()
            case EventKind.WORK_STARTED:
                self._starts.inc()
            case kind:
                reason = _reason(find_route(kind).line, facts)
                self._refusals.labels(reason).inc()

    def library_call(self, call: str, outcome: str, seconds: float) -> None:
        """Count and time one call of the library system (``LibraryCallObserver``)."""
        self._library.labels(call, outcome).inc()
        self._library_seconds.labels(call).observe(seconds)

    def register_call(self, call: str, outcome: str, seconds: float) -> None:
        """Count one call of the register of persons (``LibraryCallObserver``)."""
        del seconds
        self._register.labels(call, outcome).inc()

    def page(self, gauges: Sequence[Gauge]) -> bytes:
        """Return all counters and these figures in Prometheus' text format."""
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
        self._lines.inc(now - self._dropped_before)
        self._dropped_before = now


class _Figures:
    """Collector of gauges, which belong to no process and are never added up."""

    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Any]:
        families: dict[str, Any] = {}
        for gauge in self._gauges:
            if gauge.name not in families:
                labels = list(gauge.labels)
                families[gauge.name] = GaugeMetricFamily(gauge.name, gauge.help, labels=labels)
            families[gauge.name].add_metric(list(gauge.labels.values()), gauge.value)
        yield from families.values()


def _reason(event: str, facts: Mapping[str, Any]) -> str:
    """Return the failed check (``xml.doctype``) or the reason code, but never a text."""
    cause = str(facts.get("cause") or "")
    if _CAUSE.fullmatch(cause):
        return cause
    return str(facts.get("reason") or event)


@contextmanager
def share_counts(folder: Path) -> Iterator[None]:
    """Prepare ``folder`` for the counts of the worker processes that are forked inside.

    Delete what earlier servers counted there. The server itself counts nothing there: a damaged
    file would end it together with all workers.
    """
    owner = os.getpid()
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _delete_files_of_workers(folder)
    try:
        yield
    finally:
        if os.getpid() == owner:  # workers leave by the same way
            _delete_files_of_workers(folder)


def count_in_files(folder: Path, process: str) -> None:
    """Let this process count in files of ``folder``, where all processes are added up.

    The space is reserved first: to write to a mapped file on a full disk ends the process. If that
    fails, this process counts alone.
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
    values.ValueClass = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]


@contextmanager
def keep_counts(folder: Path) -> Iterator[None]:
    """Let ``broker work``, of which there is one process, add to its earlier counts in ``folder``.

    If the folder cannot be used, it counts alone.
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
