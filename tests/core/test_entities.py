"""Entities and levels: names that stand for one institution, the order of levels, texts in two languages."""

import pytest

from broker.core.entities import Assurance, Institution, Text, Upstream

AU = Institution("https://idp.au.example", aliases=("https://au-alias.example",))
KU = Institution("https://idp.ku.example")
WAYF = Upstream("wayf", "wayf", "https://wayf.example", "https://sp.example", "wayf", Text("x", "x"), (AU, KU))


@pytest.mark.parametrize(
    ("authority", "institution"),
    [
        ("https://idp.au.example", AU),
        ("https://au-alias.example", AU),
        ("https://idp.ku.example", KU),
        ("https://wayf.example", None),
        ("HTTPS://IDP.AU.EXAMPLE", None),
        ("", None),
    ],
)
def test_an_institution_answers_to_its_names(authority: str, institution: Institution | None) -> None:
    """Its entityID and aliases to the letter; the hub itself is none of its institutions."""
    assert WAYF.institution(authority) == institution


def test_a_scoping_names_all_institutions_unless_it_is_narrowed() -> None:
    """By entityID, never by an alias."""
    assert WAYF.idp_list() == ("https://idp.au.example", "https://idp.ku.example")
    narrowed = Upstream("wayf", "wayf", "w", "s", "wayf", Text("x", "x"), (AU, KU), only=("https://idp.ku.example",))
    assert narrowed.idp_list() == ("https://idp.ku.example",)


def test_levels_have_one_order_and_the_names_of_the_policies() -> None:
    """From self-asserted to high; a name that is none is an error, and no level."""
    names = ["self_asserted", "low", "substantial", "high"]
    assert [Assurance.parse(name) for name in names] == sorted(Assurance)
    with pytest.raises(KeyError):
        Assurance.parse("medium")


def test_an_entity_begins_with_no_more_than_it_must_have() -> None:
    """No institution asserts a CPR, no upstream is decrypted with a weak cipher, unless it is configured."""
    assert (AU.may_assert, AU.scopes) == (frozenset(), ())
    assert (WAYF.encryption, WAYF.force_authn) == ("gcm", False)
    assert (WAYF.least, WAYF.requester_id, WAYF.logout) == (Assurance.SUBSTANTIAL, True, "ask")
