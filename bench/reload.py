"""Measures what logins notice of policies and metadata that are loaded beside them: each request, by its length.

Two browsers log in all the time while, in turns, nothing changes, a thousand policy files change again and again, and
a feed of ten thousand entities does. Told is how many requests were more than 50 ms above the median of their turn:
those of the quiet turns are what the machine does by itself.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from bench import policy
from bench.brokers import Setup, broker_running
from bench.browsers import HttpWire, UniversityLogin
from bench.figures import Figure, Row, part, row
from bench.large_installations import feed_served
from broker.demo.run.demo_folder import Setting
from broker.demo.run.running_demo import Running

_SECONDS: Final = 12.0
_TURNS: Final = 2
_DONE_WITHIN: Final = 6.0
_BROWSERS: Final = 2
_SETTLED: Final = 4.0
_ABOVE_MEDIAN: Final = 0.05
_PAUSE: Final = 0.05  # people are not in such a hurry: the processor is to have some time for the loading


@dataclass(slots=True)
class Turns:
    """The seconds of every request, by what was loaded beside it."""

    times: dict[str, list[float]] = field(default_factory=dict)
    loads: dict[str, int] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        """Yield a row for each that was loaded."""
        for name, times in self.times.items():
            middle = part(times, 0.5)
            slow = [one for one in times if one > middle + _ABOVE_MEDIAN]
            yield row(
                name,
                Figure("loads", self.loads[name]),
                Figure("requests", len(times)),
                Figure("ms p50", middle * 1000),
                Figure("ms p99", part(times, 0.99) * 1000),
                Figure("ms at most", max(times) * 1000),
                Figure("above p50 + 50 ms", len(slow)),
            )


def rows() -> Iterator[Row]:
    """Measure every turn, in turn."""
    with feed_served() as feed:

        def prepare(setting: Setting) -> None:
            policy.write(setting.folder / "policies")
            feed(setting)

        with broker_running(Setup(prepare=prepare)) as demo:
            yield from _measure_reload(demo).rows()


def _measure_reload(demo: Running) -> Turns:
    setting, turns = demo.setting, Turns()
    student = setting.folder / "policies" / "student.yaml"
    copy = setting.folder / "state" / "metadata" / "large" / "feed.xml"

    def policies_change() -> None:
        text = student.read_text()
        student.write_text(f"{text}# changed\n")

    def copy_changes() -> None:
        # As a fetch leaves it: another file of the same name, verified and read by every worker.
        other = copy.with_name("another")
        other.write_bytes(copy.read_bytes())
        os.replace(other, copy)  # noqa: PTH105 - one step, as the broker does it

    changes: dict[str, tuple[Callable[[], None], float]] = {
        "nothing changes": (lambda: None, _SECONDS),
        "1,000 policy files are loaded": (policies_change, _SETTLED),
        "a feed of 10,000 entities is loaded": (copy_changes, _SETTLED),
    }
    login = UniversityLogin.for_setting(setting)
    for _ in range(_TURNS):
        for name, (change, every) in changes.items():
            with _browsing(setting.ports.origin("broker"), login) as times:
                loads = _changing(change, every)
            time.sleep(_DONE_WITHIN)  # what is loaded still is no part of the next turn
            turns.times.setdefault(name, []).extend(times)
            turns.loads[name] = turns.loads.get(name, 0) + loads
    return turns


def _changing(change: Callable[[], None], every: float) -> int:
    until, loads = time.monotonic() + _SECONDS, 0
    while time.monotonic() < until:
        change()
        loads += 1
        time.sleep(every)
    return loads


@contextmanager
def _browsing(origin: str, login: UniversityLogin) -> Iterator[list[float]]:
    """Let people log in while the block runs; yield the seconds of every answer."""
    times: list[float] = []
    ending = threading.Event()

    def browse() -> None:
        wire = HttpWire(origin)
        wire.times = times
        while not ending.is_set():
            login(wire)
            time.sleep(_PAUSE)

    threads = [threading.Thread(target=browse) for _ in range(_BROWSERS)]
    for thread in threads:
        thread.start()
    try:
        yield times
    finally:
        ending.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    for each in rows():
        print(each)
