"""Facts that are not given are made up and named; given facts are read as in a real login."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.configuration import attribute_maps
from broker.configuration.policies import live_policies
from broker.core.entities import Assurance, Institution, Text, Upstream
from broker.core.identity.canonical_attributes import CPR_STAND_IN
from broker.core.login.given_facts import DescribedLogin, GivenFacts, complete_facts, describe_login, find_institution
from broker.core.login.site import Site

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[3]
POLICIES = live_policies.load(ROOT / "policies", NOW)
MAPS = attribute_maps.load(ROOT / "attribute_maps").maps
AU = Institution("https://idp.au.example", scopes=("au.dk",), may_assert=frozenset({"cpr"}))
KU = Institution("https://idp.ku.example", scopes=("ku.dk",), max_assurance=Assurance.LOW)
WAYF = Upstream("wayf", "wayf", "https://wayf.example", "sp", "wayf", Text("WAYF", "WAYF"), (AU, KU))
SITE = Site({}, {"wayf": WAYF}, MAPS)
NAMES = frozenset(row.name for row in MAPS["wayf"].rows)


def read(given: GivenFacts) -> tuple[DescribedLogin, tuple[str, ...]]:
    """Complete and read a login by WAYF."""
    complete = complete_facts(given, WAYF, NAMES, POLICIES)
    return describe_login(complete, SITE, POLICIES, NOW), complete.made_up


def test_made_up_facts_are_named() -> None:
    """Level, kind of number, age and the usual attributes; nothing that was given or left out."""
    login, made_up = read(
        GivenFacts("wayf", affiliations=("student@au.dk",), attributes={"gn": ("Asta",)}, without=("mail",))
    )

    assert {"assurance low", "cpr real", "age 30", "sn", "schacHomeOrganization"} <= set(made_up)
    assert {"gn", "mail"}.isdisjoint(made_up)
    assert login.reading.attributes["gn"] == ("Asta",)
    assert "mail" not in login.reading.attributes
    assert login.reading.attributes["cpr"] == CPR_STAND_IN


@pytest.mark.parametrize(("scope", "institution"), [("au.dk", AU), ("clin.au.dk", AU), ("ku.dk", KU), ("sdu.dk", AU)])
def test_the_institution_with_the_scope_is_chosen(scope: str, institution: Institution) -> None:
    """By its scope or one below it; where none may, the first one says it in vain."""
    assert find_institution(GivenFacts("wayf", affiliations=(f"student@{scope}",)), WAYF) == institution


def test_an_institution_asserts_only_what_it_may() -> None:
    """A number and a level above its cap are withheld, as at a live login."""
    login, _ = read(GivenFacts("wayf", affiliations=("student@ku.dk",), assurance=Assurance.HIGH, cpr="real", age=22))

    assert (login.reading.cpr, login.reading.age, "cpr" in login.reading.attributes) == ("none", None, False)
    assert dict(login.reading.withheld)["cpr"] == "may_not_assert"
    assert login.reading.assurance is None or login.reading.assurance <= Assurance.LOW


def test_a_foreign_scope_refuses_the_login() -> None:
    """A home organisation of somebody else refuses the whole login."""
    login, _ = read(GivenFacts("wayf", attributes={"schacHomeOrganization": ("sdu.dk",)}))

    assert login.fault is not None
    assert len(login.reading.attributes) == 0
