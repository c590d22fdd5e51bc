"""Measures what one request of a stranger costs, by its kind: CPU of the broker, and what it asks of Redis.

The kinds take turns, so that what else the machine does falls on all of them. Background work is in the figures: some
milliseconds of CPU and some twenty commands a second.
"""

import argparse
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import redis

from bench.brokers import Setup, broker_running
from bench.figures import Figure, Row, row
from bench.processes import cpu
from bench.strangers import FULL, HOME, Flood, Stranger, behind_proxy
from broker.demo.run.running_demo import Running

_ROUNDS: Final = 5
_REQUESTS: Final = 200
_WARM_UP: Final = 120
_NETWORKS: Final = 1000
# A full network begins once more when the minute turns over; any more other answers are another request's figure.
_LEAST_EXPECTED: Final = 0.98
_BUDGET_MS: Final = 1


@dataclass(frozen=True, slots=True)
class Kind:
    """A request, and the status by which it is answered; what is refused must not cost more than the budget."""

    name: str
    send: Callable[[], None]
    status: int
    refused: bool = True
    address: str = ""


class Spent(NamedTuple):
    """CPU seconds, and commands and writes of Redis, those within its scripts included."""

    cpu: float
    commands: int = 0
    writes: int = 0

    def each(self, before: "Spent", requests: int) -> "Each":
        """Return what a request has cost since."""
        milliseconds = (self.cpu - before.cpu) * 1000 / requests
        commands = (self.commands - before.commands) / requests
        return Each(milliseconds, commands, (self.writes - before.writes) / requests)


class Each(NamedTuple):
    """What one request of a round has cost."""

    milliseconds: float
    commands: float
    writes: float


@dataclass(frozen=True, slots=True)
class Counters:
    """What a broker has spent, as the kernel and Redis count it."""

    pid: int
    redis: Any
    writing: frozenset[str]

    @classmethod
    def of(cls, demo: Running, store: str) -> "Counters":
        """Return the counters of a broker; those of Redis stay at nought where it is not its store."""
        if not store.startswith("redis"):
            return cls(demo.broker.pid, None, frozenset())
        client: Any = redis.Redis.from_url(store)
        writing = [name.lower() for name, about in client.command().items() if "write" in about["flags"]]
        return cls(demo.broker.pid, client, frozenset(writing))

    def read(self) -> Spent:
        """Return what was spent so far."""
        if self.redis is None:
            return Spent(cpu(self.pid))
        calls = {
            name.removeprefix("cmdstat_"): found["calls"] for name, found in self.redis.info("commandstats").items()
        }
        own = calls.get("info", 0)
        writes = sum(count for name, count in calls.items() if name in self.writing)
        return Spent(cpu(self.pid), sum(calls.values()) - own, writes)


@dataclass
class Rounds:
    """What the requests of one kind have cost, by round, and how they were answered."""

    costs: list[Each] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    """Send every kind in turn to a broker of one worker, and yield what a request of each costs."""
    with broker_running(Setup(store=arguments.store, prepare=behind_proxy)) as demo:
        stranger = Stranger(demo.setting, Flood(_NETWORKS), 0)
        counters = Counters.of(demo, arguments.store)
        kinds = tuple(_kinds(stranger))
        for kind in kinds:
            _send(stranger, kind, _WARM_UP)
        rounds = {kind.name: Rounds() for kind in kinds}
        for _ in range(_ROUNDS):
            for kind in kinds:
                _measure(stranger, kind, counters, rounds[kind.name])
    for kind in kinds:
        yield _row(kind, rounds[kind.name], with_store=counters.redis is not None)


def _kinds(stranger: Stranger) -> Iterator[Kind]:
    yield Kind("begun: login", stranger.request, 303, refused=False)
    yield Kind("begun: login, with a made-up cookie", stranger.request_with_made_up_cookie, 302, refused=False)
    yield Kind("begun: sign-up", stranger.sign_up, 303, refused=False)
    yield Kind("begun: /pin", lambda: _get(stranger, "/pin"), 303, refused=False)
    yield Kind("refused: look-up of no login", stranger.look_up, 410)
    yield Kind("refused: form with a made-up cookie", stranger.form_with_made_up_cookie, 410)
    yield Kind("refused: another browser's login", _others_login(stranger), 403)
    yield Kind("refused: no SAML at the ACS", stranger.rubbish, 400)
    yield Kind("refused: no such page", lambda: _get(stranger, f"/{secrets.token_hex(8)}"), 404)
    yield Kind("refused: login beyond the limit", stranger.request, 429, address=FULL)
    yield Kind("refused: sign-up beyond the limit", stranger.sign_up, 429, address=FULL)
    yield Kind("refused: /pin beyond the limit", lambda: _get(stranger, "/pin"), 429, address=FULL)
    yield Kind("refused: asking for a letter once more", stranger.asking_again(), 429)


def _get(stranger: Stranger, path: str) -> None:
    stranger.send("GET", path)


def _others_login(stranger: Stranger) -> Callable[[], None]:
    """Begin a login in one browser, and return its look-up by others."""
    stranger.wire.headers = {"X-Forwarded-For": HOME}
    location, _ = stranger.send("GET", stranger.asked())
    path = urlsplit(location).path
    stranger.made_up()
    stranger.send("GET", path)

    def look_up() -> None:
        stranger.made_up()
        stranger.send("GET", path)

    return look_up


def _send(stranger: Stranger, kind: Kind, requests: int) -> None:
    for _ in range(requests):
        stranger.turn += 1
        stranger.wire.cookies = {}
        stranger.wire.headers = {"X-Forwarded-For": kind.address or stranger.flood.address(stranger.turn)}
        kind.send()


def _measure(stranger: Stranger, kind: Kind, counters: Counters, rounds: Rounds) -> None:
    stranger.flood.answers = rounds.answers
    before = counters.read()
    _send(stranger, kind, _REQUESTS)
    rounds.costs.append(counters.read().each(before, _REQUESTS))


def _row(kind: Kind, rounds: Rounds, *, with_store: bool) -> Row:
    expected, all_of_them = rounds.answers[str(kind.status)], rounds.answers.total()
    if expected < all_of_them * _LEAST_EXPECTED:
        raise SystemExit(f"{kind.name}: not {kind.status} was answered, but {dict(rounds.answers)}")
    figures = [Figure("ms CPU", fmean(each.milliseconds for each in rounds.costs), most=_most(kind, _BUDGET_MS))]
    if with_store:
        # A request asks a whole number of times; what is above it is the background's.
        commands = round(min(each.commands for each in rounds.costs))
        writes = round(min(each.writes for each in rounds.costs))
        figures += [Figure("Redis commands", commands), Figure("writes", writes, most=_most(kind, 0))]
    return row(kind.name, *figures)


def _most(kind: Kind, budget: float) -> float | None:
    return budget if kind.refused else None
