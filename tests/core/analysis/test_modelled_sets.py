"""What is worked out once for all walks over the logins."""

from dataclasses import replace
from datetime import UTC, date, datetime

from broker.core.analysis.compared_logins import Analysis, Site
from broker.core.analysis.modelled_matching import Demand
from broker.core.analysis.modelled_sets import ModelledSets
from broker.core.analysis.partial_logins import PartialLogin
from broker.core.analysis.sources import Source
from broker.core.policy.model import PolicySet

NOTHING = PolicySet((), "d")


def test_what_a_source_may_assert_is_worked_out_once() -> None:
    """Two walks under one set hold a source against its values and ways once."""
    modelled = ModelledSets.of((NOTHING,))
    source = Source("wayf")
    assert modelled.kinds(source) is modelled.kinds(source)
    assert modelled.on(date(2026, 1, 1)) is modelled.on(date(2026, 1, 1))


def test_another_source_has_kinds_of_its_own() -> None:
    """Of two sources that are alike each has its own kinds: an identity is never taken for another."""
    modelled = ModelledSets.of((NOTHING,))
    for number in range(50):
        assert modelled.kinds(Source(f"upstream-{number}")).source.upstream == f"upstream-{number}"


def test_a_rule_with_values_of_its_own_has_a_vocabulary_of_its_own() -> None:
    """The values by which logins are so are known to the walk over those logins, and to no other."""
    known = ModelledSets.of((NOTHING,))
    whole = Analysis((NOTHING,), Site((), ()), datetime(2026, 1, 1, tzinfo=UTC), known=known)
    only = PartialLogin(demands=(Demand("ou", ("hospital",)),))
    some = replace(whole, only=only)
    assert "ou" in some.vocabulary.named
    assert "ou" not in whole.vocabulary.named
    assert some.modelled is whole.modelled is known
