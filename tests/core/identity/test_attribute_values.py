"""Single attribute values: scopes without the help of a pattern, and patterns that match whole values."""

import pytest

from broker.core.entities import Assurance
from broker.core.identity.attribute_values import NSIS, find_class_assurance, is_in_scope, is_match


@pytest.mark.parametrize(
    ("value", "kind", "within"),
    [
        ("asta@au.dk", "exact", True),
        ("au.dk", "exact", True),
        ("asta@evil.example@au.dk", "exact", False),
        ("asta@@au.dk", "exact", False),
        ("asta@clin.au.dk", "exact", False),
        ("asta@clin.au.dk", "sub", True),
        ("asta@evil@clin.au.dk", "sub", False),
        ("asta@-.au.dk", "sub", False),
        ("asta@.au.dk", "sub", False),
        ("asta@evil-au.dk", "sub", False),
        ("asta@ku.dk", "sub", False),
        ("asta@ku.dk", None, True),
    ],
)
def test_a_scope_is_the_institutions_own(value: str, kind: str | None, within: bool) -> None:
    """Also where a map's row has no pattern to catch a second @ (docs/reference/attacks.md#21)."""
    assert is_in_scope(value, kind, ("au.dk", "")) is within


def test_an_institution_without_scopes_asserts_no_scoped_value() -> None:
    """Without configured scopes no scope is allowed."""
    assert not is_in_scope("asta@au.dk", "exact", ())
    assert not is_in_scope("asta@au.dk", "sub", ())


@pytest.mark.parametrize(("pattern", "match"), [("[a-z]+", True), ("[a-y]+", False), ("[a-z]", False), (None, True)])
def test_a_pattern_matches_the_whole_value(pattern: str | None, match: bool) -> None:
    """A value that only begins well is no good value."""
    assert is_match("xyz", pattern) is match


@pytest.mark.parametrize(
    ("authn_class", "least"),
    [
        ("https://refeds.org/profile/mfa", Assurance.SUBSTANTIAL),
        ("http://schemas.microsoft.com/claims/multipleauthn", Assurance.SUBSTANTIAL),
        ("http://eidas.europa.eu/LoA/low", Assurance.LOW),
        ("http://eidas.europa.eu/LoA/substantial", Assurance.SUBSTANTIAL),
        ("http://eidas.europa.eu/LoA/high", Assurance.HIGH),
        (f"{NSIS}loa/Low", Assurance.LOW),
        (f"{NSIS}loa/Substantial", Assurance.SUBSTANTIAL),
        (f"{NSIS}High", Assurance.HIGH),
        (f"{NSIS}anything/High", None),
        ("https://refeds.org/profile/sfa", None),
        ("https://evil.example/nsis/loa/High", None),
        ("", None),
    ],
)
def test_a_class_stands_for_a_level_or_for_none(authn_class: str, least: Assurance | None) -> None:
    """A class without a published level has no level."""
    assert find_class_assurance(authn_class) is least
