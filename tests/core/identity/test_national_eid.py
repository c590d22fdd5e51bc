"""The national eID's assertion: version, level, no company, completed names and birth date."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from broker.configuration import attribute_maps
from broker.core.entities import Assurance, Institution, Text, Upstream
from broker.core.errors import AttributesRefused
from broker.core.identity.canonical_attributes import (
    AttributeReading,
    WireAttribute,
    drop_unusable_cpr,
    read_attributes,
)
from broker.core.identity.national_eid import check_eid_assertion, complete_eid_attributes
from tests.plugins.eid_messages import CORE, NSIS, PROFESSIONAL, eid_attributes

MAPS = attribute_maps.load(Path(__file__).resolve().parents[3] / "attribute_maps").maps
TODAY = date(2026, 11, 25)
EID = Institution("https://saml.eid.example", may_assert=frozenset({"cpr"}), national_eid=True)
NEMLOGIN = Upstream("nemid", "oiosaml3", EID.entity_id, "https://broker.example", "oiosaml3", Text("x", "x"), (EID,))
PERSON = f"{CORE}eid/person/uuid/5f0c8a52-17f0-4d0e-9d0e-0c2c6f1d7a10"
OLD = "dk:gov:saml:attribute:AssuranceLevel"
URN = "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:"


def read(values: Mapping[str, str], name_id: str | None = PERSON, upstream: Upstream = NEMLOGIN) -> AttributeReading:
    """Read an assertion of NemLog-in's as the broker does."""
    wires = [WireAttribute(name, (value,)) for name, value in values.items()]
    plain = read_attributes(wires, MAPS["oiosaml3"], upstream.institutions[0], TODAY)
    checked = check_eid_assertion(plain, wires, name_id, upstream)
    return complete_eid_attributes(drop_unusable_cpr(checked, upstream.institutions[0]), TODAY)


def several(values: Mapping[str, tuple[str, ...]], upstream: Upstream = NEMLOGIN) -> AttributeReading:
    """Read an assertion of which some attributes have several values, or none."""
    wires = [WireAttribute(name, (value,)) for name, value in eid_attributes(loa=None).items()]
    wires += [WireAttribute(name, found) for name, found in values.items()]
    return check_eid_assertion(
        read_attributes(wires, MAPS[upstream.attribute_map], EID, TODAY), wires, PERSON, upstream
    )


def cause(values: Mapping[str, str], name_id: str | None = PERSON, upstream: Upstream = NEMLOGIN) -> str:
    """Give why it is refused."""
    with pytest.raises(AttributesRefused) as refused:
        read(values, name_id, upstream)
    return refused.value.cause


def test_a_person_is_read_under_wayfs_names() -> None:
    """A policy written for the WAYF route reads the same of the same person."""
    reading = read(eid_attributes())
    assert reading.assurance is Assurance.SUBSTANTIAL
    assert reading.cpr == "real"
    assert {name: reading.attributes.one(name) for name in ("cn", "gn", "sn", "mail", "cpr", "eduPersonAssurance")} == {
        "cn": "Eva Storgaard",
        "gn": "Eva",
        "sn": "Storgaard",
        "mail": "eva@post.example",
        "cpr": "3011681300",
        "eduPersonAssurance": "Substantial",
    }


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("OIO-SAML-3.0", True),
        ("OIO-SAML-4.0.0", True),
        ("OIO-SAML-12.1", True),
        ("OIO-SAML-2.1", False),
        ("DK-SAML-1.9", False),
        ("DK-SAML-2.0", True),
        ("OIO-SAML-", False),
        ("OIO-SAML-3.0\n", False),
        ("", False),
        (None, False),
    ],
)
def test_known_versions_and_newer_are_taken(version: str | None, known: bool) -> None:
    """A newer profile version is accepted. A missing or unreadable one is refused."""
    values = eid_attributes(specVersion=version)
    assert (read(values).assurance is not None) if known else (cause(values) == "spec_version")


@pytest.mark.parametrize("least", list(Assurance)[1:])
@pytest.mark.parametrize("came", ["Low", "Substantial", "High"])
def test_the_level_that_came_decides(least: Assurance, came: str) -> None:
    """A person below the configured level is refused, whatever was requested."""
    upstream, level = replace(NEMLOGIN, least=least), Assurance.parse(came)
    if level >= least:
        assert read(eid_attributes(loa=came), upstream=upstream).assurance is level
    else:
        assert cause(eid_attributes(loa=came), upstream=upstream) == "level_too_low"


@pytest.mark.parametrize("loa", [None, "", "Sustantial", "substantial", "4", f"{NSIS}loa/High", "High "])
def test_a_level_that_is_none_is_refused(loa: str | None) -> None:
    """Missing or misspelt is not low: nothing is known then, and nobody let in."""
    assert cause(eid_attributes(loa=loa)) == "level_missing"


@pytest.mark.parametrize("loa", [("High", "Low"), ("High", "Sure"), ("Sure",), ("",), ()])
def test_no_older_level_takes_the_place_of_one_that_came(loa: tuple[str, ...]) -> None:
    """Two, a misspelt and an empty one are none; what they were meant to be may have been lower."""
    for values in ({}, {OLD: ("4",)}):
        with pytest.raises(AttributesRefused, match="level_missing"):
            several({f"{NSIS}loa": loa, **values}, NEMLOGIN)


@pytest.mark.parametrize("part", ["ial", "aal"])
@pytest.mark.parametrize("came", [("High", "Low"), ("Sustantial",), ("high",), ("4",), ("",), ()])
def test_a_part_that_is_no_level_is_refused(part: str, came: tuple[str, ...]) -> None:
    """Which of two would count, and what was meant, is anybody's guess; absent is something else."""
    loa = {f"{NSIS}loa": ("High",)}
    assert several(loa, NEMLOGIN).assurance is Assurance.HIGH
    with pytest.raises(AttributesRefused, match="level_missing"):
        several({**loa, f"{NSIS}{part}": came}, NEMLOGIN)


@pytest.mark.parametrize("part", ["ial", "aal"])
def test_the_weakest_part_counts(part: str) -> None:
    """An overall level above one of its parts is a contradiction, and the lower counts; a policy may ask either."""
    assert cause(eid_attributes(**{f"{NSIS}{part}": "Low"})) == "level_too_low"
    assert read(eid_attributes(loa="High", **{f"{NSIS}{part}": "Substantial"})).attributes.one(part) == "Substantial"


@pytest.mark.parametrize("old", ["2", "3", "4", "much"])
def test_the_older_scale_does_not_count(old: str) -> None:
    """AssuranceLevel takes the place of no level, and overrules none."""
    assert cause(eid_attributes(loa=None, **{OLD: old})) == "level_missing"
    assert cause(eid_attributes(loa="Low", **{OLD: "4"})) == "level_too_low"


def test_an_institutions_cap_holds_here_too() -> None:
    """An institution with the cap Low is Low, whatever its assertion says."""
    capped = replace(NEMLOGIN, institutions=(replace(EID, max_assurance=Assurance.LOW),))
    assert cause(eid_attributes(loa="High"), upstream=capped) == "level_too_low"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cvr", "12345678"),
        ("rid", "87654321"),
        ("uuid/persistent", "urn:uuid:5f0c8a52-17f0-4d0e-9d0e-0c2c6f1d7a10"),
        ("orgName", "Firma ApS"),
        ("somethingNew", "x"),
    ],
)
def test_a_professional_is_refused(name: str, value: str) -> None:
    """By any name below professional, known to the map or not; an empty one says nothing."""
    assert cause(eid_attributes(**{f"{CORE}eid/professional/{name}": value})) == "company_identity"
    assert read(eid_attributes(**{f"{CORE}eid/professional/{name}": ""})).assurance is not None


@pytest.mark.parametrize(
    "name_id", [PROFESSIONAL, "C=DK,O=Firma ApS // CVR:12345678,CN=Eva,Serial=CVR:12345678-RID:87654321"]
)
def test_a_professional_name_id_is_refused(name_id: str) -> None:
    """Even where no attribute says so."""
    assert cause(eid_attributes(), name_id) == "company_identity"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dk:gov:saml:attribute:CvrNumberIdentifier", "12345678"),
        ("dk:gov:saml:attribute:RidNumberIdentifier", "87654321"),
        ("urn:oid:0.9.2342.19200300.100.1.1", "CVR:12345678-RID:87654321"),
        ("eduPersonPrincipalName", "CVR:12345678-RID:87654321@sikker-adgang.dk"),
        ("cvr", "12345678"),
        ("rid", "87654321"),
    ],
)
def test_a_company_is_refused_under_the_names_of_other_profiles(name: str, value: str) -> None:
    """Those of OIOSAML 2 and of WAYF, which this map does not read; an empty one says nothing."""
    assert cause(eid_attributes(**{name: value})) == "company_identity"
    assert read(eid_attributes(**{name: ""})).assurance is not None


def test_a_cpr_uuid_takes_the_leave_of_a_cpr_number() -> None:
    """It leads to a borrower as the number does: who may not assert the one may not assert the other."""
    wires = [WireAttribute(name, (value,)) for name, value in eid_attributes().items()]
    reading = read_attributes(wires, MAPS["oiosaml3"], replace(EID, may_assert=frozenset()), TODAY)
    assert {"cpr", "cprUuid"}.isdisjoint(reading.attributes)
    assert {("cpr", "may_not_assert"), ("cprUuid", "may_not_assert")} <= set(reading.withheld)


@pytest.mark.parametrize(("national", "withheld"), [(True, False), (False, True)])
def test_only_the_national_eid_s_cpr_uuid_is_believed(*, national: bool, withheld: bool) -> None:
    """Another institution could bind its cprUuid to a stranger.

    Source: docs/reference/design.md#find-by-cpr.
    """
    wires = [WireAttribute(name, (value,)) for name, value in eid_attributes().items()]
    reading = read_attributes(wires, MAPS["oiosaml3"], replace(EID, national_eid=national), TODAY)
    assert reading.attributes.one("cpr")
    assert (("cprUuid", "may_not_assert") in reading.withheld) is withheld
    assert (reading.attributes.one("cprUuid") is None) is withheld


def test_two_cpr_uuids_are_nobody() -> None:
    """As with two numbers, choosing could pick another person's."""
    wires = [WireAttribute(name, (value,)) for name, value in eid_attributes().items()]
    wires.append(WireAttribute(f"{CORE}eid/cprUuid", ("00000000-0000-4000-8000-000000000000",)))
    with pytest.raises(AttributesRefused, match="several_values: cprUuid"):
        read_attributes(wires, MAPS["oiosaml3"], EID, TODAY)


@pytest.mark.parametrize("written", ["3011681300", URN + "3011681300", URN.upper() + "3011681300"])
def test_a_cpr_number_is_read_bare_or_prefixed(written: str) -> None:
    """OIOSAML writes ten digits, WAYF the URN."""
    assert read(eid_attributes(cprNumber=written)).attributes.one("cpr") == "3011681300"


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        ({"fullName": "Eva Maria Storgaard", "firstName": None, "lastName": None}, ("Eva Maria", "Storgaard")),
        ({"lastName": ""}, ("Eva", "Storgaard")),
        ({"fullName": "Madonna", "firstName": None, "lastName": None}, (None, "Madonna")),
        ({"fullName": None, "lastName": None}, ("Eva", None)),
    ],
)
def test_names_are_made_of_one_another(sent: Mapping[str, str | None], names: tuple[str | None, str | None]) -> None:
    """As WAYF's hub makes them, so that the same fields are there by both routes; empty counts as absent."""
    attributes = read(eid_attributes(**sent)).attributes
    assert (attributes.one("gn"), attributes.one("sn")) == names
    assert attributes.one("displayName") == attributes.one("cn")


@pytest.mark.parametrize(
    ("number", "written", "read_as"),
    [
        (None, "1968-11-30", "19681130"),
        (None, "30-11-1968", "19681130"),
        ("3011681300", "1970-01-01", "19681130"),
        (None, "1968-02-30", None),
        (None, "2026-11-25", "20261125"),  # born today
        (None, "2026-11-26", None),
        (None, "30/11/1968", None),
    ],
)
def test_a_birth_date_is_read_in_every_form(number: str | None, written: str, read_as: str | None) -> None:
    """ISO and the other way round; the CPR number says it more surely, and what is no date is left out."""
    reading = read(eid_attributes(cprNumber=number, **{f"{CORE}eid/dateOfBirth": written}))
    assert reading.attributes.one("schacDateOfBirth") == read_as
    assert (("schacDateOfBirth", "bad_value") in reading.withheld) is (read_as is None)


def old(**changes: str) -> AttributeReading:
    """Read an assertion of OIOSAML 2."""
    sent = {
        "dk:gov:saml:attribute:SpecVer": "DK-SAML-2.0",
        OLD: "3",
        "urn:oid:2.5.4.3": "Eva Maria Storgaard",
        "urn:oid:2.5.4.4": "",
        "urn:oid:0.9.2342.19200300.100.1.1": "PID:9208-2002-2-000000000000",
        "dk:gov:saml:attribute:PidNumberIdentifier": "9208-2002-2-000000000000",
        "dk:gov:saml:attribute:CprNumberIdentifier": "3011681300",
        "dk:gov:saml:attribute:IsYouthCert": "False",
        **changes,
    }
    wires = [WireAttribute(name, (value,)) for name, value in sent.items()]
    return complete_eid_attributes(read_attributes(wires, MAPS["oiosaml2"], EID, TODAY), TODAY)


def test_the_older_names_come_to_the_same() -> None:
    """OIOSAML 2 under the same canonical names; its empty surname is derived."""
    reading = old()
    assert (reading.assurance, reading.cpr) == (Assurance.SUBSTANTIAL, "real")
    assert (reading.attributes.one("gn"), reading.attributes.one("sn")) == ("Eva Maria", "Storgaard")
    assert reading.attributes.one("pid") == "9208-2002-2-000000000000"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("urn:oid:0.9.2342.19200300.100.1.1", "CVR:12345678-RID:87654321"),
        ("dk:gov:saml:attribute:RidNumberIdentifier", "87654321"),
        ("dk:gov:saml:attribute:CvrNumberIdentifier", "12345678"),
    ],
)
def test_an_employee_of_the_older_names_is_refused(name: str, value: str) -> None:
    """CVR and RID name no private person, whichever profile brings them."""
    with pytest.raises(AttributesRefused, match="company_identity"):
        old(**{name: value})
