"""The rules for a usable CPR number. Any other number counts as absent."""

from datetime import date

import pytest

from broker.core.entities import Assurance, Institution
from broker.core.identity.canonical_attributes import AttributeReading, Attributes, assume_ground, drop_unusable_cpr
from broker.core.identity.rights import Ground, find_cpr_ground

LOW, SUBSTANTIAL, HIGH = Assurance.LOW, Assurance.SUBSTANTIAL, Assurance.HIGH
AU = Institution("https://idp.au.example", scopes=("au.dk",), may_assert=frozenset({"cpr"}))
ALUMNI = Institution("https://alumni.example", scopes=("au.dk",), may_assert=frozenset({"cpr", "alumni_cpr"}))
EID = Institution("https://eid.example", may_assert=frozenset({"cpr"}), national_eid=True)
SILENT = Institution("https://ku.example", scopes=("ku.dk",))
CPR = "1403044004"
TODAY = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("institution", "level", "affiliations", "ground"),
    [
        (EID, SUBSTANTIAL, (), Ground.NATIONAL_EID),
        (EID, HIGH, ("affiliate@au.dk",), Ground.NATIONAL_EID),
        (EID, LOW, (), None),
        (EID, LOW, ("student",), None),
        (EID, None, (), None),
        (AU, LOW, ("student@au.dk",), Ground.INSTITUTION),
        (AU, LOW, ("Employee@cs.au.dk",), Ground.INSTITUTION),
        (AU, HIGH, ("staff",), Ground.INSTITUTION),
        (AU, LOW, ("affiliate@au.dk", "faculty@au.dk"), Ground.INSTITUTION),
        (AU, LOW, ("member",), Ground.INSTITUTION),
        (AU, Assurance.SELF_ASSERTED, ("student@au.dk",), None),
        (AU, None, ("student@au.dk",), None),
        (AU, HIGH, (), None),
        (AU, HIGH, ("affiliate@au.dk",), None),
        (AU, HIGH, ("library-walk-in@au.dk",), None),
        (AU, HIGH, ("guest@au.dk",), None),
        (AU, HIGH, ("students@au.dk",), None),
        (AU, HIGH, ("student@ku.dk",), None),
        (AU, HIGH, ("student@evil-au.dk",), None),
        (AU, HIGH, ("alum@au.dk",), None),
        (ALUMNI, LOW, ("alum@au.dk",), Ground.ALUMNI),
        (ALUMNI, LOW, ("alum@au.dk", "student@au.dk"), Ground.INSTITUTION),
        (ALUMNI, None, ("alum@au.dk",), None),
        (ALUMNI, HIGH, ("alum@ku.dk",), None),
        (ALUMNI, HIGH, ("affiliate@au.dk",), None),
        (SILENT, HIGH, ("student@ku.dk",), None),
    ],
)
def test_the_list_of_what_makes_a_number_usable(
    institution: Institution, level: Assurance | None, affiliations: tuple[str, ...], ground: Ground | None
) -> None:
    """National eID, identified people of an institution, alumni where the administrator says so; nothing else."""
    assert find_cpr_ground(institution, level, affiliations) is ground


@pytest.mark.parametrize(
    ("kind", "role", "kept", "code"),
    [
        ("real", "student@au.dk", "real", None),
        ("real", "library-walk-in@au.dk", "none", "not_usable"),
        ("replacement", "student@au.dk", "replacement", "replacement_number"),
        ("constructed", "student@au.dk", "constructed", "constructed_number"),
    ],
)
def test_a_number_that_is_not_usable_is_removed_with_the_age(kind: str, role: str, kept: str, code: str | None) -> None:
    """The reason stays, so that the person gets the right advice."""
    said = Attributes({"cpr": (CPR,), "eduPersonScopedAffiliation": (role,)})
    reading = drop_unusable_cpr(AttributeReading(said, LOW, kind, 22), AU)
    assert (reading.attributes.one("cpr"), reading.age) == ((CPR, 22) if code is None else (None, None))
    assert (reading.cpr, dict(reading.withheld).get("cpr")) == (kept, code)


@pytest.mark.parametrize(
    ("level", "said", "ground"),
    [
        (LOW, {"eduPersonScopedAffiliation": ("student@au.dk",)}, Ground.INSTITUTION),
        (LOW, {"eduPersonScopedAffiliation": ("alum@au.dk",)}, Ground.ALUMNI),
        (HIGH, {"eduPersonScopedAffiliation": ("affiliate@au.dk",)}, Ground.NOTHING),
        (SUBSTANTIAL, {}, Ground.NATIONAL_EID),
        (LOW, {}, Ground.NOTHING),
        (LOW, {"subject-id": ("a@au.dk",)}, Ground.IDENTIFIER),
        (None, {"borrower_category": ("STUDENT",)}, Ground.LIBRARY_ACCOUNT),
    ],
)
def test_a_described_login_counts_as_a_live_one(
    level: Assurance | None, said: dict[str, tuple[str, ...]], ground: Ground
) -> None:
    """Examples of policies name no institution."""
    reading = AttributeReading(Attributes({"cpr": (CPR,), **said}), level, "real", 30)
    assert assume_ground(reading).ground is ground
