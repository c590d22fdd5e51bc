"""The site record: every setting that decides besides the policies changes the digest of its part, no other does."""

from dataclasses import replace
from typing import Any

import pytest

from broker.core.entities import Assurance, Controller, Institution, Service, Text, Upstream
from broker.core.identity.canonical_attributes import AttributeMap, MapRow
from broker.core.policy.set_digest import changes
from broker.core.policy.site_record import site_digest, site_record

WORDS = Text("words", "ord")
OTHER = Text("other words", "andre ord")
AU = Institution("https://au.example", scopes=("au.dk",), may_assert=frozenset({"cpr", "mail"}))
WAYF = Upstream("wayf", "wayf", "https://hub", "https://sp", "wayf", WORDS, (AU,))
LOANS = Service("my-loans", "https://loans", WORDS, ("wayf",), Controller(WORDS))
WIRE = AttributeMap("wayf", (MapRow("urn:oid:1", "mail"), MapRow("urn:oid:2", "cpr")))
LIBRARY = {"system": "koha", "desk_categories": ("STAFF",)}


def record(
    service: Service = LOANS, upstream: Upstream = WAYF, wire: AttributeMap = WIRE, library: dict[str, Any] = LIBRARY
) -> dict[str, str]:
    """Give the site record of one part each."""
    return site_record({"my-loans": service}, {"wayf": upstream}, {"wayf": wire}, library)


def _of(institution: Institution) -> Upstream:
    return replace(WAYF, institutions=(institution,))


DECIDES: dict[str, list[dict[str, Any]]] = {
    "services.my-loans": [
        {"service": replace(LOANS, **change)}
        for change in (
            {"methods": ("wayf", "nemid")},
            {"controller": Controller(OTHER)},
            {"controller": None},
            {"encrypts": True},
            {"categories": ("https://category",)},
            {"entity_id": "https://other"},
            {"attribute_map": "other"},
            {"scope": "library.dk"},
        )
    ],
    "upstreams.wayf": [
        {"upstream": _of(replace(AU, may_assert=frozenset({"mail"})))},
        {"upstream": _of(replace(AU, max_assurance=Assurance.LOW))},
        {"upstream": _of(replace(AU, scopes=("au.dk", "ku.dk")))},
        {"upstream": _of(replace(AU, aliases=("https://alias",)))},
        {"upstream": _of(replace(AU, national_eid=True))},
        {"upstream": replace(WAYF, least=Assurance.HIGH)},
        {"upstream": replace(WAYF, profile="saml")},
    ],
    "attribute_maps.wayf": [
        {"wire": replace(WIRE, rows=WIRE.rows[:1])},
        {"wire": replace(WIRE, rows=(replace(WIRE.rows[0], pattern="[a-z]+"), WIRE.rows[1]))},
        {"wire": replace(WIRE, complete=True)},
    ],
    "library": [{"library": LIBRARY | {"desk_categories": ()}}, {"library": LIBRARY | {"system": "folio"}}],
}


@pytest.mark.parametrize(("part", "change"), [(part, each) for part, those in DECIDES.items() for each in those])
def test_what_decides_changes_its_part(part: str, change: dict[str, Any]) -> None:
    """A plan tells it by the part's name, as it tells a policy that changed; the digest of the site is another."""
    changed = record(**change)
    assert changes(record(), changed) == (f"{part} changed",)
    assert site_digest(changed) != site_digest(record())


@pytest.mark.parametrize(
    "change",
    [
        {"service": replace(LOANS, label=OTHER, description=OTHER, url=OTHER)},
        {"service": replace(LOANS, requires=frozenset({"mail"}), required=frozenset({"mail"}))},
        {"upstream": replace(WAYF, label=OTHER)},
        {"upstream": _of(replace(AU, label=OTHER, unwritten=frozenset({"aliases"})))},
        {"upstream": _of(replace(AU, may_assert=frozenset({"mail", "cpr"})))},
        {"wire": replace(WIRE, rows=(replace(WIRE.rows[0], friendly="mail"), WIRE.rows[1]))},
    ],
)
def test_what_decides_nothing_changes_nothing(change: dict[str, Any]) -> None:
    """Labels, what a feed may say otherwise at any hour, and the order of a set."""
    assert record(**change) == record()


def test_a_part_that_came_or_went_is_told() -> None:
    """A service more, an upstream less."""
    more = site_record({"my-loans": LOANS, "new": LOANS}, {}, {"wayf": WIRE}, LIBRARY)
    assert changes(record(), more) == ("services.new added", "upstreams.wayf removed")
