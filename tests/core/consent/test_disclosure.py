"""The page, the receipt and the assertion have the same content."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from broker.core.consent.disclosure import Disclosure, Item, disclose, fill
from broker.core.entities import PERSISTENT, TRANSIENT, Controller, Service, Text
from broker.core.identity.canonical_attributes import CPR_STAND_IN
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import Decision, Effect, NameIDKind, Reason, ReleasedAttribute

OTHER = Text(en="other", da="andet")
GIVER, RECEIVER = Text("AU", "AU"), Text("Library", "Bibliotek")  # as the disclosure of these tests has them
CHANGES: dict[str, dict[str, Any]] = {
    "service": {"service": "other"},
    "English purpose": {"purpose": Text(en="other", da="ord")},
    "Danish purpose": {"purpose": Text(en="words", da="andet")},
    "basis": {"legal_basis": "contract"},
    "giver's English name": {"giver": Controller(replace(GIVER, en="other"))},
    "giver's Danish name": {"giver": Controller(replace(GIVER, da="andet"))},
    "giver's contact": {"giver": Controller(GIVER, "privacy@au.example")},
    "no giver": {"giver": None},
    "receiver's English name": {"receiver": Controller(replace(RECEIVER, en="other"))},
    "receiver's Danish name": {"receiver": Controller(replace(RECEIVER, da="andet"))},
    "receiver's contact": {"receiver": Controller(RECEIVER, "privacy@library.example")},
    "looked up": {"looked_up": "number"},
    "no receiver": {"receiver": None},
    "giver and receiver changed about": {"giver": Controller(RECEIVER), "receiver": Controller(GIVER)},
}


def _material(disclosure: Disclosure, hmacs: LookupHmacs) -> tuple[object, ...]:
    """Return what asks again when it changes."""
    return disclosure.terms_digest(hmacs), disclosure.parts


@pytest.mark.parametrize("name", CHANGES)
def test_changed_terms_change_both_digests(disclosure: Disclosure, hmacs: LookupHmacs, name: str) -> None:
    """Service, purpose, legal basis and controllers, each by name and contact, are bound and asked about again."""
    changed = replace(disclosure, **CHANGES[name])
    assert changed.page_digest(hmacs) != disclosure.page_digest(hmacs)
    assert _material(changed, hmacs) != _material(disclosure, hmacs)


@pytest.mark.parametrize("field", ["acs", "name_id_format"])
def test_where_it_goes_is_bound_to_the_page(disclosure: Disclosure, hmacs: LookupHmacs, field: str) -> None:
    """Another ACS or NameID format than the page was made for is another disclosure."""
    assert replace(disclosure, **_other(field)).page_digest(hmacs) != disclosure.page_digest(hmacs)


def test_the_receiver_is_bound_without_a_controller_too(
    service: Service, permit: Callable[..., Decision], hmacs: LookupHmacs
) -> None:
    """The page then names the service itself: a consent for one does not count for another with its name."""
    nameless = replace(service, controller=None)
    agreed, other = (disclose(permit(), each, "acs", None) for each in (nameless, replace(nameless, label=OTHER)))
    assert agreed.page_digest(hmacs) != other.page_digest(hmacs)
    assert _material(agreed, hmacs) != _material(other, hmacs)


@pytest.mark.parametrize(("kind", "name_id_format"), [("persistent", PERSISTENT), ("transient", TRANSIENT)])
def test_the_nameid_is_of_the_policy_s_kind(
    service: Service, permit: Callable[..., Decision], kind: NameIDKind, name_id_format: str
) -> None:
    """A service that may not link two logins of a person gets a NameID that does not."""
    decision = permit()
    assert decision.release is not None
    of_kind = replace(decision, release=replace(decision.release, name_id=kind))
    assert disclose(of_kind, service, "acs", None).name_id_format == name_id_format


def test_the_page_shows_an_attribute_as_its_policy_has_it(service: Service, permit: Callable[..., Decision]) -> None:
    """To be ticked where the release entry calls it so, and not otherwise."""
    decision = permit()
    [(listed, values)] = decision.released
    for name, optional in (("sn", False), ("cpr", False), ("sn", True)):
        listed = replace(listed, name=name, optional=optional)
        released = ((listed, values),)
        [item] = disclose(replace(decision, released=released), service, "acs", None).items
        assert (item.name, item.values, item.why) == (listed.name, values, listed.why)
        assert item.optional is optional
    assert ReleasedAttribute(listed.name, listed.why, listed.place).optional is False


def test_a_denial_discloses_nothing(service: Service) -> None:
    """Without a release entry there is no disclosure to show, to bind or to issue."""
    with pytest.raises(ValueError, match="discloses nothing"):
        disclose(Decision(Effect.DENY, (Reason("no_affiliation"),)), service, "acs", None)


@pytest.mark.parametrize(
    ("ids", "left"), [({}, []), ({"pairwise-id": "b2@l"}, [("pairwise-id", ("b2@l",))]), ({"other": "x"}, [])]
)
def test_an_identifier_that_is_not_made_leaves_no_empty_attribute(
    disclosure: Disclosure, ids: dict[str, str], left: list[tuple[str, tuple[str, ...]]]
) -> None:
    """Ours are put in where we made them for this person; an upstream's value of that name never stays."""
    items = tuple(Item(name, ("of the upstream",), OTHER) for name in ("subject-id", "pairwise-id"))
    open_ids = {**dict.fromkeys(("subject-id", "pairwise-id")), **ids}
    made = fill(replace(disclosure, items=(*items, *disclosure.items)), open_ids)
    assert [(each.name, each.values) for each in made.items[: len(left)]] == left
    assert made.items[len(left) :] == disclosure.items


def test_a_display_name_that_reads_like_the_stand_in_gets_no_cpr_number(disclosure: Disclosure) -> None:
    """Only the attribute cpr receives the number."""
    chosen = replace(disclosure, items=(Item("displayName", CPR_STAND_IN, OTHER), Item("cpr", CPR_STAND_IN, OTHER)))
    filled = fill(chosen, {"cpr": "1403044004"})
    assert [item.values for item in filled.items] == [CPR_STAND_IN, ("1403044004",)]


def _other(field: str) -> dict[str, Any]:
    return {field: "other"}


def _add_value(disclosure: Disclosure, name: str, *values: str) -> Disclosure:
    items = tuple(replace(each, values=values) if each.name == name else each for each in disclosure.items)
    return replace(disclosure, items=items)


def test_the_borrower_number_is_bound_by_name(disclosure: Disclosure, hmacs: LookupHmacs) -> None:
    """The number made between question and answer does not ask again; its appearing in the list does."""
    made = fill(disclosure, {"borrower_number": "42"})
    assert made.page_digest(hmacs) == disclosure.page_digest(hmacs)
    assert fill(disclosure, {"borrower_number": None}).page_digest(hmacs) != disclosure.page_digest(hmacs)


def test_a_cpr_number_is_put_in_where_the_decision_has_a_stand_in(disclosure: Disclosure, hmacs: LookupHmacs) -> None:
    """Page, receipt and assertion have the number itself; a service never gets the stand-in for it."""
    decided = _add_value(disclosure, "cpr", *CPR_STAND_IN)
    assert fill(decided, {"cpr": "1403044012"}) == _add_value(disclosure, "cpr", "1403044012")
    assert fill(decided, {"cpr": "1403044012"}).page_digest(hmacs) == _add_value(
        disclosure, "cpr", "1403044012"
    ).page_digest(hmacs)
    assert [each.name for each in fill(decided, {"cpr": None}).items] == ["sn", "borrower_number"]


def test_a_number_not_known_leaves_no_empty_attribute(disclosure: Disclosure) -> None:
    """Without a borrower the attribute leaves the assertion altogether."""
    assert [each.name for each in fill(disclosure, {"borrower_number": None}).items] == ["sn", "cpr"]
    assert fill(disclosure, {"borrower_number": "42"}).items[2].values == ("42",)


def test_values_do_not_run_into_one_another(disclosure: Disclosure, hmacs: LookupHmacs) -> None:
    """Two values are not one that reads alike, and a value is no name."""
    first = replace(disclosure, items=(Item("sn", ("a", "b"), OTHER),))
    second = replace(disclosure, items=(Item("sn", ("ab",), OTHER),))
    third = replace(disclosure, items=(Item("sn", ("a",), OTHER), Item("b", (), OTHER)))
    assert len({each.page_digest(hmacs) for each in (first, second, third)}) == 3


def test_the_digest_does_not_tell_the_value(disclosure: Disclosure) -> None:
    """A digest under another key is another digest: a CPR cannot be found by trying all."""
    one, two = LookupHmacs("k1", b"1" * 32), LookupHmacs("k1", b"2" * 32)
    assert disclosure.page_digest(one) != disclosure.page_digest(two)


def test_an_answer_on_file_outlives_an_upgrade(disclosure: Disclosure, hmacs: LookupHmacs) -> None:
    """The same terms have the same digest in every release: another would ask everybody again, or no longer bind."""
    nobody = replace(disclosure, giver=None, receiver=None)
    both = (disclosure, nobody)
    assert len({each.terms_digest(hmacs) for each in both}) == 2
    assert [each.page_digest(hmacs)[:19] for each in both] == ["k1.90838477b47265a3", "k1.202d5ef839184c57"]


def test_a_mail_address_as_nameid_is_bound_and_no_attribute(disclosure: Disclosure, hmacs: LookupHmacs) -> None:
    """It is shown and bound as every item is, asks again when it changes, and stands among no attributes."""
    named_by_mail = replace(disclosure, items=(Item("name_id", ("asta@au.dk",), OTHER), *disclosure.items))
    other = _add_value(named_by_mail, "name_id", "bo@au.dk")
    assert (named_by_mail.address, disclosure.address) == ("asta@au.dk", None)
    assert named_by_mail.attributes == disclosure.items
    assert other.page_digest(hmacs) != named_by_mail.page_digest(hmacs) != disclosure.page_digest(hmacs)
    assert _material(other, hmacs) != _material(named_by_mail, hmacs)
