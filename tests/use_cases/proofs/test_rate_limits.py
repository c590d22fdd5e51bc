"""Limits on tries: how many, for how long, and what a try that is refused or given back leaves counted."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.errors import TooMany
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.proofs.rate_limits import CountedTry, Limit, Limits, RefusedNames

HOUR: Final = timedelta(hours=1)
INSTANT: Final = timedelta(microseconds=1)
# Up to ten each try has a place of its own; above, all of a span share one counter.
EXACT, SHARED = Limit("exact", 3, HOUR), Limit("shared", 12, HOUR)
BOTH: Final = pytest.mark.parametrize("limit", [EXACT, SHARED], ids=["exact", "shared"])


@pytest.fixture
def limits(world: Any) -> Limits:
    """Give the limits of a worker, on a clock that is at the beginning of an hour."""
    return Limits(world.store, LookupHmacs("k1", b"k" * 32), lambda: world.now)


def admitted(limits: Limits, limit: Limit, name: str = "a", tries: int = 30) -> int:
    """Count how many of so many tries are let through."""
    count = 0
    for _ in range(tries):
        with suppress(TooMany):
            limits.take((limit, name))
            count += 1
    return count


@BOTH
def test_so_many_tries_and_no_more(limits: Limits, limit: Limit) -> None:
    """For each name by itself, and for each limit."""
    assert admitted(limits, limit) == limit.most
    with pytest.raises(TooMany, match=limit.name):
        limits.take((limit, "a"))
    assert admitted(limits, limit, "b") == limit.most
    assert admitted(limits, Limit("other", limit.most, limit.within)) == limit.most


@BOTH
def test_a_span_ends_at_its_end(world: Any, limits: Limits, limit: Limit) -> None:
    """A moment before it nothing is let through, at it all is."""
    assert admitted(limits, limit) == limit.most
    world.now += HOUR - INSTANT
    assert admitted(limits, limit) == 0
    world.now += INSTANT
    assert admitted(limits, limit) == limit.most


def test_ten_are_still_exact(world: Any, limits: Limits) -> None:
    """No span of the length holds more than ten, wherever it begins; a shared counter begins anew with its hour."""
    ten, eleven = Limit("ten", 10, HOUR), Limit("eleven", 11, HOUR)
    world.now += HOUR - INSTANT
    assert (admitted(limits, ten), admitted(limits, eleven)) == (10, 11)
    world.now += INSTANT
    assert (admitted(limits, ten), admitted(limits, eleven)) == (0, 11)


@BOTH
def test_a_refused_try_is_not_counted(limits: Limits, limit: Limit) -> None:
    """However many come above the limit: one that is given back makes room for one."""
    taken = [limits.take((limit, "a")) for _ in range(limit.most)]
    assert admitted(limits, limit) == 0
    limits.give_back(taken[0])
    assert admitted(limits, limit) == 1


@BOTH
@pytest.mark.parametrize("other", [EXACT, SHARED], ids=["exact", "shared"])
def test_where_one_limit_is_full_no_other_counts(limits: Limits, limit: Limit, other: Limit) -> None:
    """A try that is refused for one of its limits takes no place in those before it."""
    assert admitted(limits, limit, "full") == limit.most
    for _ in range(5):
        with pytest.raises(TooMany, match=limit.name):
            limits.take((other, "free"), (limit, "full"))
    assert admitted(limits, other, "free") == other.most


@BOTH
def test_a_place_is_the_try_s_own(limits: Limits, limit: Limit) -> None:
    """Given back it is free once, and only in its own limit and for its own name."""
    taken = limits.take((limit, "a"), (limit, "b"))
    assert admitted(limits, limit) == limit.most - 1
    assert admitted(limits, limit, "b") == limit.most - 1
    limits.give_back(taken[1:])
    assert admitted(limits, limit) == 0
    assert admitted(limits, limit, "b") == 1


def test_a_counter_does_not_name_whom_it_counts(limits: Limits) -> None:
    """A number or a network is in no key of the store."""
    taken: tuple[CountedTry, ...] = limits.take((EXACT, "0101990000"), (SHARED, "0101990000"))
    assert all("0101990000" not in "".join(each.key) for each in taken)


class Watched:
    """A store that remembers which of its methods were asked for."""

    def __init__(self, store: Any) -> None:
        """Stand before ``store``."""
        self.store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        """Give the store's own, and remember."""
        self.calls.append(name)
        return getattr(self.store, name)


@BOTH
def test_whoever_goes_on_after_a_refusal_asks_no_store(world: Any, limits: Limits, limit: Limit) -> None:
    """For ten seconds a name that was refused is refused from memory; another name is not."""
    store = Watched(world.store)
    remembering = replace(limits, store=store, refused=RefusedNames())
    admitted(remembering, limit)
    store.calls.clear()
    assert admitted(remembering, limit, tries=50) == 0
    assert store.calls == []
    assert admitted(remembering, limit, "b", tries=1) == 1
    world.now += timedelta(seconds=10)
    store.calls.clear()
    assert admitted(remembering, limit, tries=1) == 0
    assert "count" in store.calls


@BOTH
def test_a_refusal_from_memory_lasts_ten_seconds_beyond_its_span(world: Any, limits: Limits, limit: Limit) -> None:
    """And no longer."""
    remembering = replace(limits, refused=RefusedNames())
    world.now += HOUR - INSTANT if limit is SHARED else timedelta()
    admitted(remembering, limit)
    world.now += HOUR
    assert admitted(remembering, limit) == limit.most


def test_the_memory_of_refused_names_is_bounded(world: Any) -> None:
    """An attacker with any number of networks makes it forget the oldest, and the store is asked again."""
    refused = RefusedNames(most=3)
    for number in range(100):
        refused.add(str(number), world.now)
    assert list(refused.until) == ["97", "98", "99"]
    assert not refused.holds("0", world.now)
