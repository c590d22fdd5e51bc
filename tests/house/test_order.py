"""The order of a whole run: what starts a server first, and else as it was drawn."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from tests.plugins.order import ordered, shares

MODULES = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 5)), unique_by=lambda each: each[0])


@given(MODULES, st.frozensets(st.sampled_from("abcdefgh")), st.integers(1, 6))
def test_a_worker_begins_with_what_starts_a_server(
    modules: list[tuple[str, int]], first: frozenset[str], workers: int
) -> None:
    """Each has the tests that it had, those first, in the order drawn, and no module in more pieces than before."""
    drawn = [(module, (module, number)) for module, tests in modules for number in range(tests)]
    found = ordered(drawn, first, workers)
    for before, after in zip(shares(drawn, workers), shares(found, workers), strict=True):
        late = [module not in first for module, _ in after]
        assert late == sorted(late)
        for which in (True, False):
            was = [test for module, test in before if (module in first) is which]
            assert [test for test in after if (test[0] in first) is which] == was
        assert len([*groupby(after, key=lambda test: test[0])]) == len({module for module, _ in before})


def test_every_worker_has_its_share() -> None:
    """All tests, in a row, as even as can be."""
    assert [list(each) for each in shares(range(8), 3)] == [[0, 1], [2, 3, 4], [5, 6, 7]]
