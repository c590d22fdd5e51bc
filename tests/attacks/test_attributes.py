"""Spoofed scopes, doubled attributes and misleading names, against the shipped map.

Source: docs/reference/attacks.md#21 and #22.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from broker.configuration import attribute_maps
from broker.core.entities import Institution
from broker.core.errors import AttributesRefused
from broker.core.identity.accepted_text import TEXT_FAULTS
from broker.core.identity.canonical_attributes import AttributeReading, WireAttribute, read_attributes

ROOT = Path(__file__).resolve().parent.parent.parent
URN = "urn:schac:personalUniqueID:dk:CPR:"
EPPN = "urn:oid:1.3.6.1.4.1.5923.1.1.1.6"
SCOPED = "urn:oid:1.3.6.1.4.1.5923.1.1.1.9"
HOME = "urn:oid:1.3.6.1.4.1.25178.1.2.9"

Read = Callable[..., AttributeReading]


@pytest.fixture(scope="module")
def read() -> Read:
    """Give a reader of (Name, value, ...) pairs as Aarhus University's."""
    shipped = attribute_maps.load(ROOT / "attribute_maps").maps["wayf"]
    university = Institution("https://idp.au.example", scopes=("au.dk",), may_assert=frozenset({"cpr"}))

    def reading(*sent: tuple[str, ...]) -> AttributeReading:
        wires = [WireAttribute(each[0], each[1:]) for each in sent]
        return read_attributes(wires, shipped, university, date(2026, 11, 25))

    return reading


SPOOFED = [
    "ku.dk",
    "AU.DK.",
    "\uff21u.dk",
    "KU.DK",
    "au.dk.",
    ".au.dk",
    "au..dk",
    "evil-au.dk",
    "au.dk.evil.example",
    "au.dk@evil.example",
    "evil.example@au.dk",
    "au.dk\n",
    "\nau.dk",
    "au.dk\u200e",
    "au.dk/",
    "аu.dk",  # noqa: RUF001 - a Cyrillic letter
    "xn--u-7sb.dk",
    "",
]
# Its characters alone say that this is no scope.
UNREADABLE = ["au.dk\n", "\nau.dk", "au.dk\u200e", "\uff21u.dk", ""]


@pytest.mark.attack(21)
@pytest.mark.parametrize("scope", [*SPOOFED, "clin.au.dk"])
@pytest.mark.parametrize(
    "name", [EPPN, "urn:oasis:names:tc:SAML:attribute:subject-id", "pairwise-id", "eduPersonPrincipalName"]
)
@pytest.mark.profile(21)
def test_an_identity_of_another_scope_refuses_the_login(read: Read, name: str, scope: str) -> None:
    """Eppn, subject-id and pairwise-id carry exactly a scope of the institution, not even one below it.

    Source: docs/reference/attacks.md#21.
    """
    with pytest.raises(AttributesRefused) as refused:
        read((name, f"asta@{scope}"))
    assert refused.value.cause in {"scope_mismatch", "bad_value", *TEXT_FAULTS}


@pytest.mark.attack(21)
@pytest.mark.parametrize("scope", [*(each for each in SPOOFED if each not in UNREADABLE), "clin.au.dk"])
def test_a_home_organisation_of_another_scope_refuses_the_login(read: Read, scope: str) -> None:
    """Whose licences and terms apply hangs on it (docs/reference/attacks.md#21)."""
    with pytest.raises(AttributesRefused):
        read((HOME, scope))


@pytest.mark.attack(21)
@pytest.mark.parametrize("scope", [each for each in UNREADABLE if each])
def test_a_home_organisation_that_cannot_be_read_is_withheld(read: Read, scope: str) -> None:
    """Nobody is known by it: a blank around it costs the terms that hang on it, not the login."""
    reading = read((EPPN, "asta@au.dk"), (HOME, scope))
    assert "schacHomeOrganization" not in reading.attributes
    assert [name for name, _ in reading.withheld] == ["schacHomeOrganization"]


@pytest.mark.attack(21)
@pytest.mark.parametrize("scope", SPOOFED)
@pytest.mark.profile(21)
def test_an_affiliation_of_another_scope_is_withheld_alone(read: Read, scope: str) -> None:
    """The good value beside it stays, the spoofed one reaches no policy.

    Source: docs/reference/attacks.md#21.
    """
    reading = read((SCOPED, f"employee@{scope}", "student@au.dk"))
    assert reading.attributes["eduPersonScopedAffiliation"] == ("student@au.dk",)
    assert len(reading.withheld) == 1


@pytest.mark.attack(21, control=True)
@pytest.mark.parametrize("scope", ["au.dk", "clin.au.dk", "a.b.au.dk"])
@pytest.mark.profile(21)
def test_an_affiliation_may_be_of_a_part_of_the_institution(read: Read, scope: str) -> None:
    """Dot-separated sub-scopes are the institution's own (docs/reference/design.md#6)."""
    assert read((SCOPED, f"employee@{scope}")).attributes["eduPersonScopedAffiliation"] == (f"employee@{scope}",)


@pytest.mark.attack(21, control=True)
@pytest.mark.profile(21)
@pytest.mark.parametrize("scope", ["AU.DK", "Au.dk", "aU.dK"])
def test_a_scope_has_no_case(read: Read, scope: str) -> None:
    """AD FS writes AU.DK: it is the institution's, and is written au.dk from there on, one value and not two."""
    reading = read((EPPN, f"Asta@{scope}", "Asta@au.dk"), (HOME, scope), (SCOPED, f"student@{scope}"))
    assert dict(reading.attributes) == {
        "eduPersonPrincipalName": ("Asta@au.dk",),
        "schacHomeOrganization": ("au.dk",),
        "eduPersonScopedAffiliation": ("student@au.dk",),
    }


@pytest.mark.attack(21, control=True)
@pytest.mark.profile(21)
def test_the_right_scopes_are_read(read: Read) -> None:
    """What all the refusals above are measured against."""
    reading = read((EPPN, "asta@au.dk"), (HOME, "au.dk"))
    assert dict(reading.attributes) == {"eduPersonPrincipalName": ("asta@au.dk",), "schacHomeOrganization": ("au.dk",)}


@pytest.mark.attack(22)
@pytest.mark.parametrize(
    "sent",
    [
        [(EPPN, "asta@au.dk", "bo@au.dk")],
        [(EPPN, "asta@au.dk"), (EPPN, "bo@au.dk")],
        [(EPPN, "asta@au.dk"), ("eduPersonPrincipalName", "bo@au.dk")],
    ],
)
def test_two_identities_refuse_the_login(read: Read, sent: list[tuple[str, ...]]) -> None:
    """In one Attribute, in two, or under the two names of one; choosing would be guessing.

    Source: docs/reference/attacks.md#22.
    """
    with pytest.raises(AttributesRefused) as refused:
        read(*sent)
    assert refused.value.cause == "several_values"


@pytest.mark.attack(22)
@pytest.mark.parametrize(
    "sent",
    [
        [("schacPersonalUniqueID", URN + "1403044004", URN + "2207791019")],
        [("schacPersonalUniqueID", URN + "1403044004"), ("urn:oid:1.3.6.1.4.1.25178.1.2.15", URN + "2207791019")],
        [("schacPersonalUniqueID", URN + "1403044004"), ("norEduPersonNIN", "2207791019")],
        [("schacPersonalUniqueID", URN + "1403044004"), ("norEduPersonNIN", "not a number")],
    ],
)
def test_two_numbers_refuse_the_login(read: Read, sent: list[tuple[str, ...]]) -> None:
    """Of the CPR number, the alias and both spellings must agree (docs/reference/attacks.md#22)."""
    with pytest.raises(AttributesRefused) as refused:
        read(*sent)
    assert refused.value.cause == "cpr_disagrees"


@pytest.mark.attack(22)
@pytest.mark.parametrize(
    "name",
    [
        "EDUPERSONPRINCIPALNAME",
        "urn:oid:1.3.6.1.4.1.5923.1.1.1.6 ",
        "eppn",
        "cpr",
        "borrower_number",
        "kaldemail_domain",
    ],
)
@pytest.mark.profile(20)
def test_only_an_exact_name_is_known(read: Read, name: str) -> None:
    """FriendlyNames, near names and our own canonical names mean nothing on the wire.

    Source: docs/reference/attacks.md#22.
    """
    reading = read((name, "asta@au.dk"))
    assert (dict(reading.attributes), reading.unknown) == ({}, 1)


@pytest.mark.parametrize(
    "sent", [("cvr", "12345678"), ("rid", "1"), (EPPN, "CVR:12345678-RID:1@au.dk"), ("uid", "cvr:12345678-RID:1")]
)
def test_a_login_for_a_company_is_refused(read: Read, sent: tuple[str, ...]) -> None:
    """A CVR number names no person; a borrower made of it would be a colleague's.

    Source: docs/reference/design.md#companies.
    """
    with pytest.raises(AttributesRefused) as refused:
        read(sent)
    assert refused.value.cause == "company_identity"


@pytest.mark.parametrize("local", ["0101901234", "010190-1234", "x_0101901234"])
def test_an_eppn_that_holds_a_number_refuses_the_login(read: Read, local: str) -> None:
    """It would be the key of links and go to services as a plain identifier."""
    with pytest.raises(AttributesRefused) as refused:
        read((EPPN, f"{local}@au.dk"))
    assert refused.value.cause == "cpr_shaped"
    assert "0101901234" not in str(refused.value)
