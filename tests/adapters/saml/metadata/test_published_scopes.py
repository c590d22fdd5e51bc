"""Scopes and names that an institution takes from metadata: never those of another institution."""

from dataclasses import replace
from typing import Final

import pytest

from broker.adapters.saml.metadata.published_scopes import (
    PublishedInstitution,
    Undisputed,
    complete_upstreams,
    list_spellings,
)
from broker.core.entities import Assurance, Institution, Upstream
from tests.plugins.saml_parties import AU, HUB, KU, WORDS

BIRK = "https://birk.example/birk.php/"
OPEN = frozenset(("scopes", "aliases"))


def upstreams(*institutions: Institution) -> dict[str, Upstream]:
    """Give two upstreams over one hub; the last institution is the second's."""
    first = Upstream("wayf", "wayf", HUB, "sp", "wayf", WORDS, institutions[:-1])
    return {"wayf": first, "eid": replace(first, name="eid", institutions=institutions[-1:])}


def scopes(
    au: Institution,
    ku: Institution,
    *,
    au_says: tuple[str, ...] = (),
    ku_says: tuple[str, ...] = (),
    had: Undisputed | None = None,
) -> object:
    """Give the scopes both have in force, and how many notices there are."""
    published = {name: PublishedInstitution((name,), given) for name, given in ((AU, au_says), (KU, ku_says)) if given}
    completed = complete_upstreams(upstreams(au, ku), published, had or {})
    found = [each.scopes for party in completed.upstreams.values() for each in party.institutions]
    return (*found, len(completed.notices))


FED = Institution(AU, unwritten=OPEN), Institution(KU, unwritten=OPEN)
WRITTEN = Institution(AU, scopes=("au.dk",), unwritten=frozenset(("aliases",)))
MANY = tuple(f"ku{n}.dk" for n in range(200))
NOTHING = Institution(KU, unwritten=frozenset(("aliases",)))
CASES: Final[dict[str, tuple[tuple[Institution, Institution], dict[str, tuple[str, ...]], object]]] = {
    "no feed": (FED, {}, ((), (), 0)),
    "each its own": (
        FED,
        {"au_says": ("au.dk", "aarhus.dk"), "ku_says": ("ku.dk",)},
        (("au.dk", "aarhus.dk"), ("ku.dk",), 0),
    ),
    "written and fed agree": ((WRITTEN, FED[1]), {"au_says": ("au.dk",)}, (("au.dk",), (), 0)),
    "a feed widens nothing": ((WRITTEN, FED[1]), {"au_says": ("au.dk", "ku.dk")}, (("au.dk",), (), 0)),
    "a feed that disagrees is noted": ((WRITTEN, FED[1]), {"au_says": ("ku.dk",)}, (("au.dk",), (), 1)),
    "written none is none": ((WRITTEN, NOTHING), {"ku_says": ("ku.dk",)}, (("au.dk",), (), 0)),
    "another's, as written": ((WRITTEN, FED[1]), {"ku_says": ("au.dk", "ku.dk")}, (("au.dk",), ("ku.dk",), 1)),
    "a part of another's": ((WRITTEN, FED[1]), {"ku_says": ("clin.au.dk",)}, (("au.dk",), (), 1)),
    "more than another's": (
        (replace(WRITTEN, scopes=("clin.au.dk",)), FED[1]),
        {"ku_says": ("au.dk",)},
        (("clin.au.dk",), (), 1),
    ),
    "looks like another's": (
        (WRITTEN, FED[1]),
        {"ku_says": ("evil-au.dk", "au.dk.evil.example")},
        (("au.dk",), ("evil-au.dk", "au.dk.evil.example"), 0),
    ),
    "both by feed": (FED, {"au_says": ("au.dk",), "ku_says": ("au.dk", "ku.dk")}, ((), ("ku.dk",), 2)),
    "everybody": (FED, {"ku_says": ("dk",)}, ((), (), 1)),
    "everybody takes nothing": (FED, {"au_says": ("au.dk",), "ku_says": ("dk", "ku.dk")}, (("au.dk",), ("ku.dk",), 1)),
    "a single label takes nothing": (FED, {"au_says": ("uni-a.test",), "ku_says": ("test",)}, (("uni-a.test",), (), 1)),
    "a registry's suffix takes nothing": (FED, {"au_says": ("x.ac.uk",), "ku_says": ("ac.uk",)}, (("x.ac.uk",), (), 1)),
    "too many take nothing": (FED, {"au_says": ("au.dk",), "ku_says": ("au.dk", *MANY)}, (("au.dk",), (), 1)),
    "more than anybody has": (FED, {"ku_says": tuple(f"ku{n}.dk" for n in range(201))}, ((), (), 1)),
    "as many as may be": (FED, {"ku_says": MANY}, ((), MANY, 0)),
    "capitals": (FED, {"ku_says": ("KU.dk", "ku.dk")}, ((), ("ku.dk",), 0)),
    "another's in capitals": ((WRITTEN, FED[1]), {"ku_says": ("AU.dk",)}, (("au.dk",), (), 1)),
    "another @": (FED, {"ku_says": ("adm.ku.dk@ku.dk", "ku.dk")}, ((), ("ku.dk",), 1)),
    "empty, spaces, lines": (FED, {"ku_says": ("", "ku dk", "ku.dk\nau.dk", ".dk", "ku..dk", "*.dk")}, ((), (), 6)),
}


@pytest.mark.parametrize("case", CASES)
def test_scopes_from_metadata_never_overlap_another_institution(case: str) -> None:
    """Scopes in broker.toml are final; a feed adds to empty ones, but never scopes that overlap another's."""
    (au, ku), says, expected = CASES[case]
    assert scopes(au, ku, au_says=says.get("au_says", ()), ku_says=says.get("ku_says", ())) == expected


@pytest.mark.attack(21)
@pytest.mark.parametrize("claim", ["au.dk", "clin.au.dk", "aarhus.au.dk"])
def test_a_dispute_takes_nothing_from_the_one_who_had_it(claim: str) -> None:
    """Institution B would else log all of institution A out by publishing a scope of A's."""
    had = {f"wayf {AU}": frozenset(("au.dk",))}
    assert scopes(*FED, au_says=("au.dk",), ku_says=(claim,), had=had) == (("au.dk",), (), 1)


@pytest.mark.attack(21)
def test_a_scope_missing_from_the_feed_is_not_given_to_another() -> None:
    """Otherwise B would keep A's scope if a feed left A out for an hour. An administrator settles that."""
    had = {f"wayf {AU}": frozenset(("au.dk",))}
    assert scopes(*FED, ku_says=("au.dk",), had=had) == ((), (), 1)


def test_undisputed_scopes_are_remembered() -> None:
    """Only those of configured institutions whose scopes come from metadata."""
    published = {AU: PublishedInstitution((AU,), ("au.dk",)), KU: PublishedInstitution((KU,), ("ku.dk",))}
    had = {f"wayf {AU}": frozenset(("old.au.dk",)), "wayf https://gone.example": frozenset(("gone.dk",))}
    completed = complete_upstreams(upstreams(FED[0], replace(FED[1], unwritten=frozenset())), published, had)
    assert completed.undisputed == {f"wayf {AU}": frozenset(("au.dk", "old.au.dk"))}


def test_a_hubs_proxy_and_what_it_stands_for_are_one() -> None:
    """WAYF's BIRK name of an institution and its own are looked for, whichever of the two is written."""
    own, proxy = "https://idp.au.example/x", f"{BIRK}idp.au.example/x"
    assert list_spellings(Institution(own), BIRK) == (own, proxy)
    assert list_spellings(Institution(proxy), BIRK) == (proxy, own)
    assert list_spellings(Institution(proxy), "") == (proxy,)


def test_a_feed_names_aliases() -> None:
    """Once it holds the institution, every spelling of it is the institution's."""
    published = {AU: PublishedInstitution((AU, "https://birk.example/au"), ())}
    completed = complete_upstreams(upstreams(*FED), published, {})
    assert [each.aliases for each in completed.upstreams["wayf"].institutions] == [("https://birk.example/au",)]
    assert not completed.notices


@pytest.mark.parametrize("theirs", [Institution(KU, aliases=("https://both.example",)), FED[1]])
def test_no_alias_names_two(theirs: Institution) -> None:
    """Else AuthenticatingAuthority would not say who answered; a notice names it, and it is left out."""
    published = {
        AU: PublishedInstitution((AU, "https://both.example", KU), ()),
        KU: PublishedInstitution((KU, "https://both.example"), ()),
    }
    completed = complete_upstreams(upstreams(FED[0], theirs), published, {})
    assert [each.aliases for each in completed.upstreams["wayf"].institutions] == [()]
    assert len(completed.notices) >= 2


@pytest.mark.parametrize("published", [{}, {AU: PublishedInstitution((AU, "https://birk.example/au"), ("au.dk",))}])
def test_two_upstreams_of_an_entity_keep_separate_rights(published: dict[str, PublishedInstitution]) -> None:
    """Each upstream has its own entry in broker.toml; neither gets the rights or scopes of the other."""
    first = Institution(AU, scopes=("au.dk",), max_assurance=Assurance.LOW, unwritten=frozenset(("aliases",)))
    second = Institution(AU, may_assert=frozenset(("cpr",)), unwritten=OPEN)
    completed = complete_upstreams(upstreams(first, second), published, {})
    assert [each.institutions for each in completed.upstreams.values()] == [(first,), (second,)]
