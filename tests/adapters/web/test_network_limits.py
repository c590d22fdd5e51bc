"""Beginnings are counted by network, campus and mark: a flood is refused, and nobody beside it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from flask import Flask, request

from broker.adapters.web.network_limits import Campus, NetworkLimits
from broker.adapters.web.pages.cookies import KEPT_FOR, LoginMarks
from broker.core.errors import NetworkBusy
from broker.core.events.broker_events import BrokerEvent
from broker.core.lookup_hmacs import LookupHmacs

NOW = datetime(2026, 11, 25, 12, 0, 20, tzinfo=UTC)
CAMPUS = Campus(ip_network("130.225.0.0/16"), 50)
MARKS = LoginMarks(LookupHmacs("index", b"k" * 32))


class World:
    """One worker's counts under a clock of the test's."""

    def __init__(self) -> None:
        """Begin with empty counts: ten a network, three a mark, fifty from the campus."""
        self.now = NOW
        self.told: list[BrokerEvent] = []
        self.limits = NetworkLimits(10, [CAMPUS], self.mark, lambda: self.now, self.tell, 3)
        self.app = Flask(__name__)

    def tell(self, event: object) -> None:
        """Record a log event."""
        assert isinstance(event, BrokerEvent)
        self.told.append(event)

    def mark(self) -> str | None:
        """Read the mark as the cookies do."""
        return MARKS.read(request.cookies.get("mark", ""), self.now)

    def begun(self, address: str, times: int, mark: str = "", **headers: str) -> int:
        """Give how many of so many beginnings from an address are let in."""
        sent = {**headers, **({"Cookie": f"mark={mark}"} if mark else {})}
        let_in = 0
        with self.app.test_request_context("/", headers=sent, environ_base={"REMOTE_ADDR": address}):
            for _ in range(times):
                with suppress(NetworkBusy):
                    self.limits.count_beginning()
                    let_in += 1
        return let_in


@pytest.fixture
def world() -> World:
    """Give a worker that nobody has come to."""
    return World()


def test_the_next_minute_lets_in_again_and_says_when(world: World) -> None:
    """The answer says for how many seconds to wait."""
    world.begun("198.51.100.7", 10)
    came = world.app.test_request_context("/", environ_base={"REMOTE_ADDR": "198.51.100.7"})
    with came, pytest.raises(NetworkBusy) as busy:
        world.limits.count_beginning()
    assert busy.value.retry_after == 40
    world.now += timedelta(seconds=40)
    assert world.begun("198.51.100.7", 12) == 10


def test_a_campus_counts_as_one_network_with_its_own_ceiling(world: World) -> None:
    """The addresses of a campus share its limit, and other networks do not use it up."""
    assert world.begun("198.51.100.7", 500) == 10
    assert world.begun("130.225.3.4", 30) + world.begun("130.225.200.4", 30) == 50


def test_no_ceiling_stands_over_all(world: World) -> None:
    """It would be the attacker's to reach: from three hundred networks each of the others is let in as before."""
    assert sum(world.begun(f"198.{number // 250}.{number % 250}.1", 12) for number in range(300)) == 3_000
    assert world.begun("203.0.113.7", 10) == 10


def test_a_mark_that_is_copied_passes_for_one(world: World) -> None:
    """An attacker who once logged in gains its few a minute, and by many marks the network's ceiling once more."""
    world.begun("198.51.100.7", 500)
    mark = MARKS.new(NOW)
    assert world.begun("198.51.100.8", 20, mark) == 3
    assert world.begun("203.0.113.1", 20, mark) == 10  # as any stranger of that network
    many = sum(world.begun("198.51.100.8", 3, MARKS.new(NOW)) for _ in range(40))
    assert many <= 10


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: "",
        lambda _: "x",
        lambda _: "3000-abc-" + "0" * 32,
        lambda mark: mark[:-1] + "g",
        lambda mark: "9" + mark[1:],
        lambda _: LoginMarks(LookupHmacs("index", b"o" * 32)).new(NOW),
    ],
)
def test_a_forged_mark_is_none(world: World, forge: Callable[[str], str]) -> None:
    """Only what was sealed under our key counts apart."""
    forged = forge(MARKS.new(NOW))
    assert MARKS.read(forged, NOW) is None
    world.begun("198.51.100.7", 500)
    assert world.begun("198.51.100.8", 5, forged) == 0


def test_a_mark_is_good_for_thirteen_weeks_and_tells_no_browser_apart() -> None:
    """One of 4,096 numbers a week: after it nobody is known by it, and within it several are the same."""
    mark = MARKS.new(NOW)
    named = MARKS.read(mark, NOW)
    assert named is not None
    assert MARKS.is_new(named, NOW)
    assert not MARKS.is_new(named, NOW + timedelta(weeks=1))
    assert MARKS.read(mark, NOW + KEPT_FOR) == named
    assert MARKS.read(mark, NOW + KEPT_FOR + timedelta(weeks=1)) is None
    assert len({MARKS.new(NOW) for _ in range(20_000)}) <= 4096
