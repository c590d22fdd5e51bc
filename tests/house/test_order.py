"""The order of a whole run: what takes long, then what starts a server, and else as it was drawn."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from tests.plugins.order import dealt, ordered, shares

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
