"""Attack: an institution asserts scopes of another one, two values where one is allowed, or names that look alike.

The tests use the shipped attribute map. Source: docs/reference/attacks.md#21 and #22.
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
    """Return a function that reads (Name, value, ...) pairs as if Aarhus University asserted them."""
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
# The characters themselves make the scope invalid.
UNREADABLE = ["au.dk\n", "\nau.dk", "au.dk\u200e", "\uff21u.dk", ""]


@pytest.mark.attack(21)
@pytest.mark.parametrize("scope", [*SPOOFED, "clin.au.dk"])
@pytest.mark.parametrize(
    "name", [EPPN, "urn:oasis:names:tc:SAML:attribute:subject-id", "pairwise-id", "eduPersonPrincipalName"]
)
@pytest.mark.profile(21)
def test_an_identity_of_another_scope_refuses_the_login(read: Read, name: str, scope: str) -> None:
    """Eppn, subject-id and pairwise-id need exactly a scope of the institution. A sub-scope is refused.

    Source: docs/reference/attacks.md#21.
    """
    with pytest.raises(AttributesRefused) as refused:
        read((name, f"asta@{scope}"))
    assert refused.value.cause in {"scope_mismatch", "bad_value", *TEXT_FAULTS}


@pytest.mark.attack(21)
@pytest.mark.parametrize("scope", [*(each for each in SPOOFED if each not in UNREADABLE), "clin.au.dk"])
def test_a_home_organisation_of_another_scope_refuses_the_login(read: Read, scope: str) -> None:
    """Another institution's schacHomeOrganization refuses the login: it decides which licences and terms apply."""
    with pytest.raises(AttributesRefused):
        read((HOME, scope))


@pytest.mark.attack(21)
@pytest.mark.parametrize("scope", [each for each in UNREADABLE if each])
def test_a_home_organisation_that_cannot_be_read_is_withheld(read: Read, scope: str) -> None:
    """An unreadable schacHomeOrganization identifies no person: the broker drops the value and accepts the login."""
    reading = read((EPPN, "asta@au.dk"), (HOME, scope))
    assert "schacHomeOrganization" not in reading.attributes
    assert [name for name, _ in reading.withheld] == ["schacHomeOrganization"]


@pytest.mark.attack(21)
@pytest.mark.parametrize("scope", SPOOFED)
@pytest.mark.profile(21)
def test_only_the_affiliation_of_another_scope_is_dropped(read: Read, scope: str) -> None:
    """The broker drops an affiliation of another scope and keeps the valid one. No policy sees the spoofed value.

    Source: docs/reference/attacks.md#21.
    """
    reading = read((SCOPED, f"employee@{scope}", "student@au.dk"))
    assert reading.attributes["eduPersonScopedAffiliation"] == ("student@au.dk",)
    assert len(reading.withheld) == 1


@pytest.mark.attack(21, control=True)
@pytest.mark.parametrize("scope", ["au.dk", "clin.au.dk", "a.b.au.dk"])
@pytest.mark.profile(21)
def test_an_affiliation_may_be_of_a_part_of_the_institution(read: Read, scope: str) -> None:
    """An affiliation may have a sub-scope of the institution, for example hum.au.dk (docs/reference/design.md#6)."""
    assert read((SCOPED, f"employee@{scope}")).attributes["eduPersonScopedAffiliation"] == (f"employee@{scope}",)


@pytest.mark.attack(21, control=True)
@pytest.mark.profile(21)
@pytest.mark.parametrize("scope", ["AU.DK", "Au.dk", "aU.dK"])
def test_scopes_ignore_upper_and_lower_case(read: Read, scope: str) -> None:
    """AD FS writes AU.DK. The broker reads it as au.dk, so that both spellings are one value."""
    reading = read((EPPN, f"Asta@{scope}", "Asta@au.dk"), (HOME, scope), (SCOPED, f"student@{scope}"))
    assert dict(reading.attributes) == {
        "eduPersonPrincipalName": ("Asta@au.dk",),
        "schacHomeOrganization": ("au.dk",),
        "eduPersonScopedAffiliation": ("student@au.dk",),
    }


@pytest.mark.attack(21, control=True)
@pytest.mark.profile(21)
def test_the_right_scopes_are_read(read: Read) -> None:
    """Control: the institution's own scopes are accepted."""
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
    """Two different identifiers refuse the login, also if they come under two names. The broker does not choose.

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
    """The CPR number, its alias and both spellings must agree (docs/reference/attacks.md#22)."""
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
    """Only the exact attribute Name counts. FriendlyName, similar names and the broker's own canonical names do not.

    Source: docs/reference/attacks.md#22.
    """
    assert dict(read((name, "asta@au.dk")).attributes) == {}


@pytest.mark.parametrize(
    "sent", [("cvr", "12345678"), ("rid", "1"), (EPPN, "CVR:12345678-RID:1@au.dk"), ("uid", "cvr:12345678-RID:1")]
)
def test_a_login_for_a_company_is_refused(read: Read, sent: tuple[str, ...]) -> None:
    """A login with a company's CVR number is refused: it identifies no person, so colleagues would share a borrower.

    Source: docs/reference/design.md#companies.
    """
    with pytest.raises(AttributesRefused) as refused:
        read(sent)
    assert refused.value.cause == "company_identity"


@pytest.mark.parametrize("local", ["0101901234", "010190-1234", "x_0101901234"])
def test_an_eppn_that_holds_a_number_refuses_the_login(read: Read, local: str) -> None:
    """An eduPersonPrincipalName with a CPR number is refused: services would receive the number as an identifier."""
    with pytest.raises(AttributesRefused) as refused:
        read((EPPN, f"{local}@au.dk"))
    assert refused.value.cause == "cpr_shaped"
    assert "0101901234" not in str(refused.value)
