"""Where logins come from: what is not known of an institution leaves all possible."""

from dataclasses import replace

import pytest

from broker.core.analysis.sources import sources_of
from broker.core.entities import Names
from tests.plugins.random_policies import MAPS, UNIVERSITY, UPSTREAMS

LEFT = frozenset({"scopes"})


@pytest.mark.parametrize(
    ("scopes", "unwritten", "found"),
    [
        (("au.dk",), frozenset(), ("au.dk",)),
        (("au.dk",), LEFT, ("au.dk",)),
        ((), frozenset(), ()),
        ((), LEFT, None),
    ],
)
def test_scopes_that_are_not_at_hand_may_be_any(scopes: Names, unwritten: frozenset[str], found: Names | None) -> None:
    """A feed that is away must not make what it lets through invisible; written as none they are none."""
    institution = replace(UNIVERSITY, scopes=scopes, unwritten=unwritten)
    (source,) = sources_of(replace(UPSTREAMS["wayf"], institutions=(institution,)), MAPS)
    assert source.scopes == found
