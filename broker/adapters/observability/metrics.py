"""The counters of all workers as Prometheus reads them; labels are codes and configured names."""

import fcntl
import json
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from broker.core.events.broker_events import ROUTES, BrokerEvent, EventKind

if TYPE_CHECKING:
    from prometheus_client import Counter

# Names the folder where workers put their counts together; the library reads it when imported.
_SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"
_SERVING: Final = "serving-"  # begins the name of the folder of one broker
_WORK: Final = "work"  # the folder of ``broker work``, by whatever it was started
_IN_USE: Final = "in-use"
_ENDED: Final = 0  # stands for the process id of every worker that has ended
_LOGIN_LABELS: Final = ("service", "upstream", "affiliation")
_CALL_SECONDS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_CAUSE: Final = re.compile(r"[a-z]{1,20}\.[a-z0-9_]{1,40}")

Write = Callable[..., None]


class Gauge(NamedTuple):
    """One figure of the moment, computed when it is read."""

    name: str
    help: str
    labels: Mapping[str, str]
    value: float


class Metrics:
    """The counters of one process, added up over all workers that were forked inside ``shared``."""

    def __init__(self, dropped: Callable[[], int], folder: Path | None = None) -> None:
        """Begin at nought; ``dropped`` returns how many lines this process's log has dropped.

        ``folder`` is where ``broker work`` counts (``kept``); None where there is none.
        """
        from prometheus_client import CollectorRegistry, Counter, Histogram  # noqa: PLC0415 - after ``shared``: see _SHARED

        self._registry = CollectorRegistry()
        self._dropped = dropped
        self._seen = dropped()
        self._of_work = folder / _WORK if folder else None

        def counter(name: str, text: str, *labels: str) -> "Counter":
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

    def counting_dropped(self, write: Write) -> Write:
        """Return ``write``, the application log, with the lines counted that it drops."""

        def counting(event: str, **facts: Any) -> None:
            write(event, **facts)
            self.count_dropped()

        return counting

    def count(self, event: BrokerEvent) -> None:
        """Count an event, by codes and names of the configuration only."""
        facts = event.facts
        match event.kind:
            case EventKind.ASSERTION_ISSUED:
                labels = [str(facts.get(name)) for name in _LOGIN_LABELS]
                self._logins.labels(*labels).inc()
            case EventKind.METADATA_FETCHED:
                self._fetches.labels(facts["feed"], facts["result"]).inc()
            case EventKind.REGISTER_LOOKED_UP:
                self._look_ups.labels(facts["for"], facts["outcome"]).inc()
            case EventKind.WORK_STARTED:
                self._starts.inc()
            case kind:
                reason = _reason(ROUTES[kind].line, facts)
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
        """Write every counter and these figures (Prometheus text format 0.0.4)."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - as above

        self.count_dropped()
        figures = CollectorRegistry()
        figures.register(_Figures(gauges))
        folder = os.environ.get(_SHARED)
        if folder is None:
            return generate_latest(self._registry) + generate_latest(figures)
        folders = [folder]
        if self._of_work is not None and self._of_work.is_dir():
            folders.append(str(self._of_work))
        registry = CollectorRegistry()
        registry.register(_Counts(folders))
        with ExitStack() as locks:
            for each in folders:
                locks.enter_context(_locked(each))
            counters = generate_latest(registry)
        return counters + generate_latest(figures)

    def count_dropped(self) -> None:
        """Count the lines that this process's log has dropped since it was last called."""
        now = self._dropped()
        if now > self._seen:
            self._lines.inc(now - self._seen)
            self._seen = now


class _Counts:
    """The counters of the processes that count in some folders, added up."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = folders

    def collect(self) -> Iterator[Any]:
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415 - as above

        files: list[str] = []
        for folder in self._folders:
            files.extend(str(file) for file in Path(folder).glob("*.db"))
        yield from MultiProcessCollector.merge(files, accumulate=True)  # type: ignore[no-untyped-call]


class _Figures:
    """Gauges as the library collects them; they belong to no process and are never added up."""

    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - as above

        families: dict[str, Any] = {}
        for gauge in self._gauges:
            if gauge.name not in families:
                labels = list(gauge.labels)
                families[gauge.name] = GaugeMetricFamily(gauge.name, gauge.help, labels=labels)
            families[gauge.name].add_metric(list(gauge.labels.values()), gauge.value)
        yield from families.values()


def _reason(event: str, facts: Mapping[str, Any]) -> str:
    """Return the check that refused (``xml.doctype``), or the reason's code; never a text."""
    cause = str(facts.get("cause") or "")
    if _CAUSE.fullmatch(cause):
        return cause
    return str(facts.get("reason") or event)


def counting_folder() -> Path | None:
    """Return the folder that the workers of this server share; None where a process is alone."""
    folder = os.environ.get(_SHARED)
    return Path(folder) if folder else None


def drop_dead(pid: int) -> None:
    """Add what a worker that has ended counted to one file of all such, and drop its own files.

    Else each reload would leave files to be read at every scrape. A file that cannot be read is
    dropped with its counts. OSError where the disk refuses.
    """
    folder = os.environ.get(_SHARED)
    if not folder:
        return
    with _locked(folder):
        for file in Path(folder).glob(f"*_{pid}.db"):
            counts = _read_counts(file)
            kind = file.name.partition("_")[0]
            _add_to_ended(file.with_name(f"{kind}_{_ENDED}.db"), counts)
            file.unlink()


def _add_to_ended(ended: Path, counts: Mapping[str, float]) -> None:
    from prometheus_client.mmap_dict import MmapedDict  # noqa: PLC0415 - as above

    if ended.exists() and not _read_counts(ended):
        ended.unlink()
    sums = MmapedDict(str(ended))  # type: ignore[no-untyped-call]
    for key, value in counts.items():
        before, _ = sums.read_value(key)  # type: ignore[no-untyped-call]
        sums.write_value(key, before + value, 0.0)  # type: ignore[no-untyped-call]
    sums.close()  # type: ignore[no-untyped-call]


def _read_counts(file: Path) -> Mapping[str, float]:
    """Return the counts in a file; none where a power cut or a kill has left half of it."""
    from prometheus_client.mmap_dict import MmapedDict  # noqa: PLC0415 - as above

    try:
        values = MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
        counts = {key: value for key, value, _, _ in values}
        for key in counts:
            json.loads(key)
    except (struct.error, RuntimeError, ValueError):
        return {}
    return counts


@contextmanager
def _locked(folder: str | None) -> Iterator[None]:
    """Hold the folder of counts, so that nobody reads what is counted twice or not at all."""
    if not folder:
        yield
        return
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


@contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Let the processes forked inside add up their counts in a new folder below ``folder``.

    Where it cannot be made, every process counts alone. Another broker that serves from the same
    ``folder`` keeps its counts: without them its workers could not start.
    """
    owner = os.getpid()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(str(folder)):
            own = Path(tempfile.mkdtemp(prefix=_SERVING, dir=folder))
            serving = _hold(own)
            _drop_abandoned(folder)
    except OSError:
        yield
        return
    os.environ[_SHARED] = str(own)
    try:
        yield
    finally:
        os.environ.pop(_SHARED, None)
        if os.getpid() == owner:  # a worker ends by the same way out
            shutil.rmtree(own, ignore_errors=True)
            os.close(serving)


def is_serving(folder: Path) -> bool:
    """Return whether a ``broker serve`` on this machine counts below ``folder``."""
    for serving in folder.glob(f"{_SERVING}*"):
        try:
            os.close(_hold(serving))
        except BlockingIOError:
            return True
        except OSError:
            continue
    return False


@contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Let this process, the only ``broker work``, count on below ``folder`` where the last ended.

    Where that cannot be it counts with the server it was forked from, else alone. ``page`` adds its
    counts to those of the web workers.
    """
    own = folder / _WORK
    of_server = os.environ.get(_SHARED)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(str(folder)):  # a server that starts meanwhile would take it for abandoned
            own.mkdir(mode=0o700, exist_ok=True)
            counting = _hold(own)
        os.environ[_SHARED] = str(own)
        pids = {file.stem.rpartition("_")[2] for file in own.glob("*.db")}
        for pid in pids - {str(_ENDED)}:
            drop_dead(int(pid))
    except OSError:
        os.environ.pop(_SHARED, None)
        if of_server is not None:
            # The library has been loaded there, and finds no counter without a folder any more.
            os.environ[_SHARED] = of_server
        yield
        return
    try:
        yield
    finally:
        os.environ.pop(_SHARED, None)
        os.close(counting)


def _hold(own: Path) -> int:
    """Mark a folder as in use by this process and those forked from it, as long as one lives."""
    serving = os.open(own / _IN_USE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(serving, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(serving)
        raise
    return serving


def _drop_abandoned(folder: Path) -> None:
    """Remove the folders that nobody holds: of brokers that were killed, of work that has ended.

    All counts begin again together: Prometheus takes a sum that falls for one that began at nought.
    """
    work = folder / _WORK
    of_work = [work] if work.is_dir() else []
    for other in [*folder.glob(f"{_SERVING}*"), *of_work]:
        try:
            os.close(_hold(other))
        except BlockingIOError:
            continue
        shutil.rmtree(other, ignore_errors=True)
