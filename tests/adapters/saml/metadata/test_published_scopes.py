"""What an institution may say, where broker.toml leaves it to a feed: never another's, never more than is written."""

from dataclasses import replace
from typing import Final

import pytest

from broker.adapters.saml.metadata.published_scopes import PublishedInstitution, spellings, with_published_scopes
from broker.core.entities import Assurance, Institution, Upstream
from tests.plugins.saml_parties import AU, HUB, KU, WORDS

BIRK = "https://birk.example/birk.php/"
OPEN = frozenset(("scopes", "aliases"))


def upstreams(*institutions: Institution) -> dict[str, Upstream]:
    """Give two upstreams over one hub; the last institution is the second's."""
    first = Upstream("wayf", "wayf", HUB, "sp", "wayf", WORDS, institutions[:-1])
    return {"wayf": first, "eid": replace(first, name="eid", institutions=institutions[-1:])}


def scopes(au: Institution, ku: Institution, *, au_says: tuple[str, ...] = (), ku_says: tuple[str, ...] = ()) -> object:
    """Give the scopes both have in force, and how many notices there are."""
    published = {name: PublishedInstitution((name,), given) for name, given in ((AU, au_says), (KU, ku_says)) if given}
    completed, notices = with_published_scopes(upstreams(au, ku), published)
    found = [each.scopes for party in completed.values() for each in party.institutions]
    return (*found, len(notices))


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
    "more than anybody has": (FED, {"ku_says": tuple(f"ku{n}.dk" for n in range(201))}, ((), (), 1)),
    "as many as may be": (FED, {"ku_says": MANY}, ((), MANY, 0)),
    "capitals": (FED, {"ku_says": ("AU.dk",)}, ((), (), 1)),
    "another @": (FED, {"ku_says": ("adm.ku.dk@ku.dk", "ku.dk")}, ((), ("ku.dk",), 1)),
    "empty, spaces, lines": (FED, {"ku_says": ("", "ku dk", "ku.dk\nau.dk", ".dk", "ku..dk", "*.dk")}, ((), (), 6)),
}


@pytest.mark.parametrize("case", CASES)
def test_whose_a_scope_is(case: str) -> None:
    """What is written is in force whole; a feed fills gaps, but never with what is another's or overlaps it."""
    (au, ku), says, expected = CASES[case]
    assert scopes(au, ku, **says) == expected


def test_a_hubs_proxy_and_what_it_stands_for_are_one() -> None:
    """WAYF's BIRK name of an institution and its own are looked for, whichever of the two is written."""
    own, proxy = "https://idp.au.example/x", f"{BIRK}idp.au.example/x"
    assert spellings(Institution(own), BIRK) == (own, proxy)
    assert spellings(Institution(proxy), BIRK) == (proxy, own)
    assert spellings(Institution(proxy), "") == (proxy,)


def test_a_feed_names_aliases() -> None:
    """Once it holds the institution, every spelling of it is the institution's."""
    completed, notices = with_published_scopes(
        upstreams(*FED), {AU: PublishedInstitution((AU, "https://birk.example/au"), ())}
    )
    assert [each.aliases for each in completed["wayf"].institutions] == [("https://birk.example/au",)]
    assert not notices


@pytest.mark.parametrize("theirs", [Institution(KU, aliases=("https://both.example",)), FED[1]])
def test_no_alias_names_two(theirs: Institution) -> None:
    """Else AuthenticatingAuthority would not say who answered; a notice names it, and it is left out."""
    published = {
        AU: PublishedInstitution((AU, "https://both.example", KU), ()),
        KU: PublishedInstitution((KU, "https://both.example"), ()),
    }
    completed, notices = with_published_scopes(upstreams(FED[0], theirs), published)
    assert [each.aliases for each in completed["wayf"].institutions] == [()]
    assert len(notices) >= 2


def test_aliases_that_are_written_are_all() -> None:
    """An empty list too."""
    written = Institution(AU, unwritten=frozenset(("scopes",)))
    completed, _ = with_published_scopes(
        upstreams(written, FED[1]), {AU: PublishedInstitution((AU, "https://birk.example/au"), ())}
    )
    assert [each.aliases for each in completed["wayf"].institutions] == [()]


@pytest.mark.parametrize("published", [{}, {AU: PublishedInstitution((AU, "https://birk.example/au"), ("au.dk",))}])
def test_what_one_upstream_may_read_another_may_not(published: dict[str, PublishedInstitution]) -> None:
    """An entityID behind two upstreams has two rows of broker.toml, and neither takes the other's rights or scopes."""
    first = Institution(AU, scopes=("au.dk",), max_assurance=Assurance.LOW, unwritten=frozenset(("aliases",)))
    second = Institution(AU, may_assert=frozenset(("cpr",)), unwritten=OPEN)
    completed, _ = with_published_scopes(upstreams(first, second), published)
    assert [each.institutions for each in completed.values()] == [(first,), (second,)]
