"""Measures what a day's logins leave: a hundredth of 100,000, which is a thousand, all within some seconds.

At the peak of a day the records of a quarter of its logins lie in Redis, or more of those that live longer: a day's
logins fall into eight hours, with a peak of four times the average.
"""

from collections.abc import Iterator
from typing import Final, get_args

import redis

from bench import stores
from bench.brokers import Setup, broker_running
from bench.browsers import UniversityLogin, load
from bench.figures import Figure, Row, row
from broker.adapters.stores import redis_scripts
from broker.core.retention import RecordKind
from broker.demo.run.demo_folder import Setting

_LOGINS: Final = 1_000
_WARM_UP: Final = 100
_A_DAY: Final = 100_000
_PEAK_A_SECOND: Final = 4 * _A_DAY / (8 * 3600)
# The share of a day's records that lie in Redis at the peak; of other kinds all do.
_AT_PEAK: Final = {"transaction": 4 * 30 / 480, "arrival": 4 * 5 / 480}
_LOGINS_A_PERSON: Final = 2  # and day


def rows() -> Iterator[Row]:
    """Log in a thousand times, and compare what that leaves with the table in docs/performance.md."""
    with (
        stores.loopback_redis() as url,
        broker_running(Setup(store=url, workers=2)) as demo,
        redis.Redis.from_url(url) as client,
    ):
        login, origin = UniversityLogin.for_setting(demo.setting), demo.setting.ports.origin("broker")
        load(origin, login, _WARM_UP, 4)
        before, logs = client.info(), _count_octets(demo.setting)
        kinds = {kind: -_measure_kind(client, kind) for kind in get_args(RecordKind)}
        person_kb = -kinds["person"]
        load(origin, login, _LOGINS, 4)
        after, more = client.info(), _count_octets(demo.setting)
        for kind in kinds:
            kinds[kind] += _measure_kind(client, kind)
    of_a_login = {kind: kb / _LOGINS for kind, kb in kinds.items()}
    commands = (after["total_commands_processed"] - before["total_commands_processed"]) / _LOGINS
    redis_kb = (after["used_memory"] - before["used_memory"]) / 1000 / _LOGINS
    audit_kb, log_kb = ((now - then) / 1000 / _LOGINS for then, now in zip(logs, more, strict=True))
    yield row("a login", Figure("kB in Redis", redis_kb), Figure("kB audit log", audit_kb), Figure("kB log", log_kb))
    # Redis keeps more than the records themselves: indexes, and pages that are not full.
    around = redis_kb / sum(of_a_login.values())
    at_peak = sum(kb * _AT_PEAK.get(kind, 1) for kind, kb in of_a_login.items()) + person_kb / _LOGINS_A_PERSON
    # The limits are those of the table in docs/performance.md, and a tenth for chance.
    yield row(
        f"{_A_DAY:,} logins a day",
        Figure("MB Redis at the peak", around * at_peak * _A_DAY / 1000, most=660),
        Figure("Redis commands/s at the peak", commands * _PEAK_A_SECOND),
        Figure("GB logs/year", (audit_kb + log_kb) * _A_DAY * 365 / 1e6, most=40),
    )


def _measure_kind(client: redis.Redis, kind: RecordKind) -> float:
    """Return the kilobytes that the records of a kind take."""
    keys = client.scan_iter(match=redis_scripts.scan_pattern(kind), count=1000)
    return sum(client.memory_usage(key) or 0 for key in keys) / 1000


def _count_octets(setting: Setting) -> tuple[int, int]:
    """Return the octets of audit log and application log."""
    audit = sum(file.stat().st_size for file in (setting.folder / "state" / "audit").rglob("*") if file.is_file())
    return audit, (setting.folder / "broker.log").stat().st_size
