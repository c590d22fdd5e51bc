"""One thread leads, keeps the lead while it is quick, and loses it to another where its work takes long."""

import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from broker.app import leading_thread
from broker.app.leading_thread import LeadingThread

_PATIENCE = 60.0  # seconds until a test that waits in vain fails
_NEVER = 1000.0


def following(lead: LeadingThread, then: Callable[[], object]) -> threading.Thread:
    """Let a thread follow, and do something once it leads."""

    def follow() -> None:
        lead.follow()
        then()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    return thread


def test_whoever_is_quick_keeps_the_lead() -> None:
    """However many pieces of work, while others follow."""
    lead = LeadingThread(_NEVER)
    lead.follow()
    taken = threading.Event()
    for _ in range(3):
        following(lead, taken.set)
    for _ in range(1000):
        assert lead.keeps(lead.begin())
    assert not taken.is_set()


def test_another_takes_over_where_work_takes_long() -> None:
    """The first learns that it leads no more; the second keeps the lead for its own quick work."""
    lead = LeadingThread(0.001)
    lead.follow()
    taken = threading.Event()
    following(lead, taken.set)
    number = lead.begin()
    assert taken.wait(_PATIENCE)
    assert not lead.keeps(number)
    assert lead.keeps(lead.begin())


def test_nobody_wakes_while_nothing_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that nobody asks spends nothing on watching itself."""
    waits: Counter[threading.Thread] = Counter()

    class Counting:
        monotonic = staticmethod(time.monotonic)

        @staticmethod
        def sleep(seconds: float) -> None:
            waits[threading.current_thread()] += 1
            time.sleep(seconds)

    monkeypatch.setattr(leading_thread, "time", Counting)
    lead = LeadingThread(0.5)
    lead.follow()
    watching = following(lead, int)
    while not lead._asleep:
        time.sleep(0.001)
    assert lead.keeps(lead.begin())
    time.sleep(0.6)
    while not lead._asleep:
        time.sleep(0.001)
    time.sleep(0.01)
    assert lead._asleep
    assert waits[watching] <= 3


def test_never_do_two_lead() -> None:
    """Five threads whose work is quick and slow by turns: each piece ends, and no two find themselves in the lead."""
    lead = LeadingThread(0.002)
    leading = 0
    most = 0
    ended: list[int] = []

    def serve() -> None:
        nonlocal leading, most
        while len(ended) < 60:
            lead.follow()
            kept = True
            while kept and len(ended) < 60:
                leading += 1
                most = max(most, leading)
                time.sleep(0)
                leading -= 1
                number = lead.begin()
                time.sleep((0.0, 0.0001, 0.006)[number % 3])
                kept = lead.keeps(number)
                ended.append(number)

    for _ in range(5):
        threading.Thread(target=serve, daemon=True).start()
    end = time.monotonic() + _PATIENCE
    while len(ended) < 60:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert most == 1
    assert len(set(ended)) == len(ended)
