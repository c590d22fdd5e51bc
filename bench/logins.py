"""The cases of a login: stores, workers and people at once, kinds of browsers."""

from collections.abc import Iterator
from typing import Final

from bench import processes, stores
from bench.brokers import Measured, Setup, broker_running, make_row, measure, measure_broker
from bench.browsers import UniversityLogin, load
from bench.figures import Figure, Row, row
from bench.nginx import nginx_in_front

AT_ONCE: Final = (1, 4, 16)
_LOGINS: Final = 160
_MANY: Final = 8_000
_P99: Final = 150.0
_KB_KEPT: Final = 1.0
_ADDED_MS: Final = 7


def matrix() -> Iterator[Row]:
    """Measure each store with 1 and 2 workers and 1, 4 and 16 people at once, and compare them."""
    cells: dict[tuple[str, int, int], Measured] = {}
    for store, opened in stores.STORES.items():
        for workers in (1, 2):
            with opened() as url, broker_running(Setup(store=url, workers=workers)) as demo:
                login = UniversityLogin.for_setting(demo.setting)
                for people in AT_ONCE:
                    found = measure_broker(demo, login, _LOGINS, people)
                    cells[store, workers, people] = found
                    yield make_row(_name(store, workers, people), found)
    yield from _compare(cells)


def _name(store: str, workers: int, people: int) -> str:
    return f"{store}; {workers} worker{'s' if workers > 1 else ''}, {people} at once"


def _compare(cells: dict[tuple[str, int, int], Measured]) -> Iterator[Row]:
    sqlite, redis, slow = stores.STORES
    alone = cells[sqlite, 1, 1].cpu_ms
    yield row("Redis, of SQLite", Figure("times the CPU", cells[redis, 1, 1].cpu_ms / alone, most=1.25))
    added, delay = cells[slow, 1, 1].ms(0.5) - cells[redis, 1, 1].ms(0.5), stores.measure_delay()
    delayed = Figure("ms really more an answer", delay)
    yield row("a slower store: added to a login", Figure("ms p50", added), delayed)
    yield row("1 ms more an answer adds to a login", Figure("ms p50", added / delay, most=_ADDED_MS))
    ratio = cells[sqlite, 2, 16].cpu_ms / cells[sqlite, 1, 16].cpu_ms
    yield row("2 workers, of 1, at 16 at once", Figure("times the CPU", ratio, most=1.1))


def kinds_of_browsers() -> Iterator[Row]:
    """Measure a known browser and a fresh one."""
    with broker_running(Setup()) as demo:
        known = measure_broker(demo, UniversityLogin.for_setting(demo.setting), _LOGINS)
        fresh = measure_broker(demo, UniversityLogin.for_setting(demo.setting, fresh=True), _LOGINS)
    yield make_row("known browser, three requests", known)
    yield make_row("fresh browser, five requests", fresh)
    yield row("fresh, of known", Figure("times the CPU", fresh.cpu_ms / known.cpu_ms, most=1.25))


def measure_sixteen() -> Iterator[Row]:
    """Measure logins at 16 at once behind nginx with two workers: the longest wait, and what memory keeps."""
    with (
        broker_running(Setup(workers=2)) as demo,
        nginx_in_front(demo.setting.ports.number("broker")) as (origin, nginx),
    ):
        login = UniversityLogin.for_setting(demo.setting)
        load(origin, login, 2_000, 16)
        before = processes.cpu(nginx)
        found = measure(demo.broker.pid, origin, login, _MANY, 16)
        proxied = (processes.cpu(nginx) - before) * 1000 / _MANY
    yield make_row("8,000 logins, 16 at once, two workers, nginx", found, most_p99=_P99)
    yield row("with the hub's and the browser's work", *_whole(found))
    yield row("CPU beside the broker's", Figure("ms nginx", proxied), Figure("ms hub and browser", found.browsers_ms))
    yield row("memory of a login", Figure("kB kept", found.kept_kb, most=_KB_KEPT))


def _whole(found: Measured) -> tuple[Figure, Figure]:
    return Figure("ms p50", found.whole_ms(0.5)), Figure("ms p99", found.whole_ms(0.99))
