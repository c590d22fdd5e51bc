"""The order of a whole run: what takes long, then what starts a server, and else as it was drawn."""

from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plugins.order import WORLDS, dealt, ordered, pytest_collection_modifyitems, shares, world_of
from tests.plugins.servers import FIXTURES

NAMES = st.sampled_from("abcdefgh")
MODULES = st.lists(st.tuples(NAMES, st.integers(1, 5)), unique_by=lambda each: each[0])
SECONDS = st.dictionaries(NAMES, st.floats(1, 60))
WORKERS = st.integers(1, 6)


@given(MODULES, st.frozensets(NAMES), WORKERS)
def test_a_worker_begins_with_what_starts_a_server(
    modules: list[tuple[str, int]], first: frozenset[str], workers: int
) -> None:
    """Each has the tests that it had, those first, in the order drawn, and no module in more pieces than before."""
    drawn = [(module, (module, number)) for module, tests in modules for number in range(tests)]
    found = ordered(drawn, first, workers, {})
    for before, after in zip(shares(drawn, workers), shares(found, workers), strict=True):
        late = [module not in first for module, _ in after]
        assert late == sorted(late)
        for which in (True, False):
            was = [test for module, test in before if (module in first) is which]
            assert [test for test in after if (test[0] in first) is which] == was
        assert len([*groupby(after, key=lambda test: test[0])]) == len({module for module, _ in before})


@given(MODULES, st.frozensets(NAMES), WORKERS, SECONDS)
def test_no_test_is_lost_or_run_twice(
    modules: list[tuple[str, int]], first: frozenset[str], workers: int, seconds: dict[str, float]
) -> None:
    """Whatever is long, and however many workers there are."""
    drawn = [(module, (module, number)) for module, tests in modules for number in range(tests)]
    assert sorted(ordered(drawn, first, workers, seconds)) == sorted(test for _, test in drawn)


@given(SECONDS, WORKERS)
def test_the_long_modules_are_dealt_evenly_and_the_longest_first(seconds: dict[str, float], workers: int) -> None:
    """No worker has more than another by more than one module, nor a longer one after a shorter."""
    hands = dealt(seconds, workers)
    assert sorted(module for hand in hands for module in hand) == sorted(seconds)
    loads = [sum(seconds[module] for module in hand) for hand in hands]
    for hand, load in zip(hands, loads, strict=True):
        took = [seconds[module] for module in hand]
        assert took == sorted(took, reverse=True)
        assert not took or load - took[-1] <= min(loads) + 1e-6


def test_every_worker_begins_with_its_part_of_the_long_ones() -> None:
    """Not one with all of them: that one would be at work when the others have ended."""
    drawn = [(name, name + str(number)) for name in "abcd" for number in range(3)]
    found = ordered(drawn, frozenset("b"), 2, {"d": 30.0, "c": 20.0})
    assert (found[:3], found[6:9]) == (["d0", "d1", "d2"], ["c0", "c1", "c2"])
    assert sorted(found[3:6] + found[9:]) == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_every_worker_has_its_share() -> None:
    """All tests, in a row, as even as can be."""
    assert [list(each) for each in shares(range(8), 3)] == [[0, 1], [2, 3, 4], [5, 6, 7]]


def item(module: str, number: int, *fixtures: str, scope: str = "session", **marks: float) -> Any:
    """Give a test of a module; ``seconds`` is how long it says that it takes."""
    known = {"slow": pytest.mark.slow(**marks).mark} if marks else {}
    made = {name: [SimpleNamespace(scope=scope)] for name in fixtures}
    return SimpleNamespace(
        name=f"{module}{number}",
        path=Path(module),
        get_closest_marker=known.get,
        _fixtureinfo=SimpleNamespace(name2fixturedefs=made),
    )


@pytest.mark.parametrize(
    ("fixtures", "world"),
    [
        ({"interop", "chromium"}, "the products of interop"),
        ({"visit", "browser", "fresh"}, "a demo and the browsers at it"),
        ({"demo", "chromium"}, "a demo and the browsers at it"),
        ({"chromium", "address"}, "a browser of pages alone"),
        ({"house", "tmp_path"}, None),
    ],
)
def test_a_module_is_of_the_world_that_its_fixtures_start(fixtures: set[str], world: str | None) -> None:
    """The one that costs most, where they start several."""
    assert world_of(fixtures) == world


def test_the_fixtures_of_worlds_are_known_as_those_that_start_something() -> None:
    """One that was renamed would leave its modules spread over all workers without a word."""
    assert frozenset().union(*WORLDS.values()) <= FIXTURES


def test_the_modules_of_one_world_begin_at_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """They stay whole, whichever of their tests asks for it; one that is long by itself or makes its own is not."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    worlds = {"a": ("demo",), "c": ("interop",), "e": ("browser",)}
    items = [
        item(module, number, *(worlds.get(module, ()) if number else ())) for module in "abcde" for number in range(2)
    ]
    items += [item("f", number, "demo", scope="function") for number in range(2)]
    items += [item("g", number, "demo", seconds=9.0) for number in range(2)]
    pytest_collection_modifyitems(items)
    names = [each.name for each in items]
    assert sorted(names) == sorted(f"{module}{number}" for module in "abcdefg" for number in range(2))
    begun = [names[:7], names[7:]]
    assert begun[0][:2] == ["g0", "g1"]
    assert begun[1][:6] == ["a0", "a1", "e0", "e1", "c0", "c1"]
