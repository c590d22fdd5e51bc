"""Reading an upstream's attributes: names, cardinality, syntax, scopes, the CPR and the assurance."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.entities import Assurance, Institution
from broker.core.errors import AttributesRefused
from broker.core.identity.canonical_attributes import (
    OURS,
    AttributeMap,
    AttributeReading,
    MapRow,
    WireAttribute,
    find_outgoing_row,
    read_attributes,
)

TODAY = date(2026, 11, 25)
URN = "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:"
EPPN = MapRow("eppn-oid", "eduPersonPrincipalName")
MAP = AttributeMap(
    "wayf",
    (
        MapRow("sn-oid", "sn"),
        MapRow("sn", "sn"),
        MapRow("mail", "mail"),
        EPPN,
        MapRow("home", "schacHomeOrganization"),
        MapRow("scoped", "eduPersonScopedAffiliation"),
        MapRow("assurance", "eduPersonAssurance"),
        MapRow("schac", "cpr"),
        MapRow("nin", "cpr"),
        MapRow("targeted", "eduPersonTargetedID"),
        MapRow("uid", "uid"),
        MapRow("cvr", "cvr"),
        MapRow("rid", "rid"),
    ),
)
AU = Institution("https://idp.au.example", scopes=("au.dk",), may_assert=frozenset({"cpr"}))


Sent = Mapping[str, str | tuple[str, ...]]


def read(institution: Institution = AU, /, **sent: str | tuple[str, ...]) -> AttributeReading:
    """Read attributes by their wire names, with - written as _."""
    return read_attributes(wires(sent), MAP, institution, TODAY)


def wires(sent: Sent) -> list[WireAttribute]:
    """Give attributes as they stand in an assertion."""
    return [
        WireAttribute(name.replace("_", "-"), (values,) if isinstance(values, str) else values)
        for name, values in sent.items()
    ]


def test_values_come_under_our_names() -> None:
    """The wire Name decides, empty values vanish, repetitions fold, unknown attributes are left out."""
    reading = read(
        sn_oid="Ravn", sn=("Ravn", "", "  "), mail=("a@b.dk", "c@b.dk", "a@b.dk"), FriendlyName="x", other="y"
    )
    assert dict(reading.attributes) == {"sn": ("Ravn",), "mail": ("a@b.dk", "c@b.dk")}
    assert reading.withheld == ()


@pytest.mark.parametrize(
    ("sent", "withheld"),
    [
        ({"sn": ("Ravn", "Falk")}, ("sn", "several_values")),
        ({"sn_oid": "Ravn", "sn": "Falk"}, ("sn", "several_values")),
        ({"mail": "no address"}, ("mail", "bad_value")),
        ({"sn": "Ravn\n"}, ("sn", "blanks_around")),
        ({"sn": "\u202envaR"}, ("sn", "bad_characters")),
        ({"mail": tuple(f"m{at}@b.dk" for at in range(101))}, ("mail", "several_values")),
        ({"uid": "140304\u20134004"}, ("uid", "cpr_shaped")),
        ({"sn": "０１０１９０１２３４"}, ("sn", "cpr_shaped")),  # noqa: RUF001 - full-width digits
        ({"mail": "0101901234@au.dk"}, ("mail", "cpr_shaped")),
        ({"targeted": "id-0101901234"}, ("eduPersonTargetedID", "cpr_shaped")),
        ({"scoped": "student@ku.dk"}, ("eduPersonScopedAffiliation", "scope_mismatch")),
        ({"scoped": "superuser@au.dk"}, ("eduPersonScopedAffiliation", "unknown_affiliation")),
        ({"scoped": "stu\u00addent@au.dk"}, ("eduPersonScopedAffiliation", "bad_characters")),
        ({"home": " au.dk"}, ("schacHomeOrganization", "blanks_around")),
        ({"assurance": "https://refeds.org/assurance/IAP/high"}, ("eduPersonAssurance", "above_cap")),
        ({"schac": URN + "3202004000"}, ("cpr", "invalid")),
    ],
)
def test_a_faulty_value_is_withheld_with_its_reason(sent: Sent, withheld: tuple[str, str]) -> None:
    """The login goes on without it; the value itself is in neither the attributes nor the reasons."""
    capped = Institution("i", scopes=("au.dk",), may_assert=frozenset({"cpr"}), max_assurance=Assurance.SUBSTANTIAL)
    reading = read_attributes(wires(sent), MAP, capped, TODAY)
    assert reading.withheld == (withheld,)
    assert dict(reading.attributes) == {}


def test_a_hundred_values_of_one_attribute_are_read() -> None:
    """Groups and entitlements may have many values."""
    values = tuple(f"m{at}@b.dk" for at in range(100))
    assert read(mail=values).attributes["mail"] == values


def test_a_random_id_may_hold_the_shape_by_chance() -> None:
    """Ten digits in the middle of letters of an opaque id are no number."""
    assert read(targeted="WAYF-DK-ab0101901234cd").attributes.one("eduPersonTargetedID") == "WAYF-DK-ab0101901234cd"


@pytest.mark.parametrize(
    ("sent", "kind", "age"),
    [
        ({"schac": URN + "1403044004"}, "real", 22),
        ({"schac": URN + "1403044004", "nin": "1403044004"}, "real", 22),
        ({"schac": URN + "6703004768"}, "replacement", 26),
        ({"schac": URN + "120180ABC1"}, "constructed", None),
        ({"schac": (URN + "1403044004", "urn:schac:personalUniqueID:se:NIN:8001011234")}, "real", 22),
    ],
)
def test_the_number_and_its_kind_are_read(sent: Sent, kind: str, age: int | None) -> None:
    """The norEduPersonNIN is an alias; another country's number is passed over; the age comes from the number."""
    reading = read_attributes(wires(sent), MAP, AU, TODAY)
    assert (reading.cpr, reading.age) == (kind, age)
    assert reading.attributes.one("cpr") in {"1403044004", "6703004768", "120180ABC1"}


def test_without_trust_a_number_counts_as_not_sent() -> None:
    """An institution whose entry lacks may_assert = ["cpr"] names nobody by a number, not even by two."""
    reading = read(Institution("i", scopes=("au.dk",)), schac=URN + "1403044004", nin="2207791019")
    assert (reading.cpr, reading.age, dict(reading.attributes)) == ("none", None, {})
    assert reading.withheld == (("cpr", "may_not_assert"),)


@pytest.mark.parametrize(
    ("values", "level"),
    [
        (("1",), Assurance.SELF_ASSERTED),
        (("2",), Assurance.LOW),
        (("3",), Assurance.SUBSTANTIAL),
        (("https://data.gov.dk/concept/core/nsis/Substantial",), Assurance.SUBSTANTIAL),
        (("https://data.gov.dk/concept/core/nsis/loa/High",), Assurance.HIGH),
        (("High", "2"), Assurance.LOW),
        (("https://refeds.org/assurance", "3"), Assurance.SUBSTANTIAL),
        (("https://evil.example/High",), None),
        ((), None),
    ],
)
def test_assurance_is_one_order_and_the_lowest_counts(values: tuple[str, ...], level: Assurance | None) -> None:
    """WAYF's numbers, NSIS names and NSIS URLs; what is not recognised lifts nobody."""
    assert read(assurance=values).assurance is level


STATED = Institution("i", assurance=Assurance.LOW)


@pytest.mark.parametrize(
    ("institution", "sent", "level"),
    [
        (STATED, {}, Assurance.LOW),
        (STATED, {"assurance": "1"}, Assurance.SELF_ASSERTED),
        (STATED, {"assurance": "High"}, Assurance.HIGH),
        (STATED, {"assurance": "https://refeds.org/assurance"}, None),
        (STATED, {"assurance": " "}, None),
        (replace(STATED, max_assurance=Assurance.SELF_ASSERTED), {}, Assurance.SELF_ASSERTED),
        (replace(STATED, national_eid=True), {}, None),
        (Institution("i"), {}, None),
    ],
)
def test_a_stated_assurance_counts_only_if_none_came(institution: Institution, sent: Sent, level: int | None) -> None:
    """It raises nothing that was asserted, and a value that cannot be read may be lower."""
    reading = read(institution, **sent)
    assert reading.assurance == level
    assert "eduPersonAssurance" not in reading.attributes or "assurance" in sent


@pytest.mark.parametrize(
    ("sent", "kept", "withheld"),
    [
        (("3",), ("3",), ()),
        (("4", "3"), ("3",), (("eduPersonAssurance", "above_cap"),)),
        (
            ("https://refeds.org/assurance", "4"),
            ("https://refeds.org/assurance",),
            (("eduPersonAssurance", "above_cap"),),
        ),
    ],
)
def test_a_level_at_the_cap_is_the_institutions_own(
    sent: tuple[str, ...], kept: tuple[str, ...], withheld: tuple[tuple[str, str], ...]
) -> None:
    """A level above the cap is withheld. A level at the cap, or no level, is passed on."""
    reading = read(Institution("i", max_assurance=Assurance.SUBSTANTIAL), assurance=sent)
    assert reading.attributes["eduPersonAssurance"] == kept
    assert reading.withheld == withheld


@pytest.mark.attack(21)
@pytest.mark.parametrize(
    ("eppn", "cause"),
    [
        ("as\u200bta@au.dk", "bad_characters"),
        ("as\u00adta@au.dk", "bad_characters"),
        ("asta\uff20au.dk", "bad_characters"),
        ("\uff41sta@au.dk", "bad_characters"),
        ("asta@au.dk\u200b", "bad_characters"),
        (" asta@au.dk", "blanks_around"),
        ("a" * 20_000 + "@au.dk", "too_long"),
    ],
)
def test_a_name_that_two_readers_see_differently_refuses(eppn: str, cause: str) -> None:
    """It is the key of links and goes to services: another person's name to one of them, and the same to a person."""
    with pytest.raises(AttributesRefused) as refused:
        read(eppn_oid=eppn)
    assert refused.value.cause == cause


@pytest.mark.parametrize("name", ["eduPersonAffiliation", "eduPersonPrimaryAffiliation"])
def test_an_affiliation_without_scope_is_held_to_the_words_too(name: str) -> None:
    """The vocabulary counts under every wire name of an administrator's own map."""
    own = AttributeMap("own", (MapRow("role", name),))
    assert dict(read_attributes([WireAttribute("role", ("student",))], own, AU, TODAY).attributes) == {
        name: ("student",)
    }
    reading = read_attributes([WireAttribute("role", ("superuser",))], own, AU, TODAY)
    assert dict(reading.attributes) == {}
    assert reading.withheld == ((name, "bad_value"),)


@pytest.mark.attack(21)
@pytest.mark.parametrize("name", ["eduPersonScopedAffiliation", "role"])
def test_no_map_lets_an_institution_assert_another_scope(name: str) -> None:
    """The scope counts whatever the map says, and under a name of the site's own too."""
    own = AttributeMap("own", (MapRow("role", name),))
    sent = [WireAttribute("role", ("employee@au.dk", "employee@ku.dk", "employee@cs.au.dk"))]
    reading = read_attributes(sent, own, AU, TODAY)
    assert dict(reading.attributes) == {name: ("employee@au.dk", "employee@cs.au.dk")}
    assert reading.withheld == ((name, "scope_mismatch"),)


def test_our_own_attributes_cannot_be_asserted() -> None:
    """A map that reads one of these would let an upstream name the borrower, or prove a mailbox."""
    assert sorted(OURS) == ["borrower_category", "borrower_number", "kaldemail_domain"]


def test_nothing_personal_shows() -> None:
    """Neither the reading's repr nor a refusal's text holds a value."""
    assert "Ravn" not in repr(read(sn="Ravn", schac=URN + "1403044004"))
    assert "Ravn" not in repr(WireAttribute("sn", ("Ravn",)))
    with pytest.raises(AttributesRefused) as refused:
        read(schac=URN + "1403044004", nin="2207791019")
    assert "1403044004" not in str(refused.value)
    assert (refused.value.cause, refused.value.http) == ("cpr_disagrees", 403)


@given(
    st.dictionaries(st.sampled_from([row.wire for row in MAP.rows] + ["x"]), st.lists(st.text(max_size=12), max_size=3))
)
def test_reading_never_invents_a_value(sent: dict[str, list[str]]) -> None:
    """Every value that comes out went in under the same name (the CPR perhaps behind its prefix), or all is refused."""
    try:
        reading = read_attributes([WireAttribute(name, tuple(values)) for name, values in sent.items()], MAP, AU, TODAY)
    except AttributesRefused:
        return
    for name, values in reading.attributes.items():
        sources = [value for row in MAP.rows if row.name == name for value in sent.get(row.wire, [])]
        assert all(any(source in {value, URN + value} for source in sources) for value in values)


def test_a_service_is_written_to_by_its_own_map() -> None:
    """The map tells Name, NameFormat, FriendlyName and what stands before the value."""
    outgoing = AttributeMap(
        "library", (MapRow("urn:oid:1.3.6.1.4.1.25178.1.2.15", "cpr"), MapRow("kd", "kaldemail_domain")), outgoing=True
    )
    row = find_outgoing_row(outgoing, "cpr")
    assert row is not None
    assert (row.friendly_name, row.write("1403044004")) == ("schacPersonalUniqueID", URN + "1403044004")
    assert row.name_format.endswith(":uri")
    assert [each.name_format[-5:] for each in outgoing.rows[1:]] == ["basic"]
    assert find_outgoing_row(outgoing, "sn") is None
    assert (MAP.outgoing, MAP.completes_names) == (False, False)
