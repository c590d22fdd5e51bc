"""Metadata while it changes: the folder first, then feeds, one state of it for each message, and its notices."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.saml.feeds.feed_fetch import Feed
from broker.adapters.saml.metadata.live_metadata import LiveMetadata, feed_refreshes
from broker.adapters.saml.metadata.metadata_folder import MetadataFolder
from broker.adapters.saml.metadata.published_scopes import ScopeRecord
from broker.adapters.saml.metadata.wanted_entities import WantedEntities
from broker.core.entities import Institution, Service, Upstream
from broker.core.errors import NO_AVAILABLE_IDP, BrokerError, MessageRefused, RequestRefused, ServiceNotConnected
from broker.core.events.audit_events import AuditEvent
from broker.core.events.broker_events import BrokerEvent
from broker.core.login.transaction import Outstanding
from tests.plugins import metadata_feeds
from tests.plugins.feed_server import Publisher, publishing
from tests.plugins.saml_messages import Forge
from tests.plugins.saml_parties import (
    AU,
    BASE,
    HUB,
    KU,
    LOANS,
    NOW,
    WORDS,
    Party,
    idp_entity,
    key_descriptor,
    redirect_url,
    sp_entity,
)
from tests.plugins.saml_parties import Parties as Everyone

pytestmark = pytest.mark.server

BIRK = "https://birk.example/"
LATER = NOW + timedelta(hours=2)
CATEGORY = "https://refeds.org/category/personalized"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
SHIBMD = 'xmlns:shibmd="urn:mace:shibboleth:metadata:1.0"'
ATTRIBUTES = f"""<md:Extensions><a:EntityAttributes xmlns:a="urn:oasis:names:tc:SAML:metadata:attribute">
<s:Attribute xmlns:s="urn:oasis:names:tc:SAML:2.0:assertion" Name="http://macedir.org/entity-category"
 NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri"><s:AttributeValue>{CATEGORY}</s:AttributeValue>
</s:Attribute></a:EntityAttributes></md:Extensions><md:SPSSODescriptor"""


@dataclass
class Station:
    """A publisher, and a broker's metadata that follows it."""

    forge: Forge
    everyone: Everyone
    publisher: Publisher
    folder: Path
    results: list[object] = field(default_factory=list)  # of fetches
    changes: list[tuple[object, object]] = field(default_factory=list)  # a party and its fault

    def publish(self, *entities: str, days: float = 7, new: bool = False) -> None:
        """Publish a feed with these entities."""
        key = (self.forge.stranger if new else self.forge.upstream).key
        self.publisher.publish(
            metadata_feeds.sign_feed(metadata_feeds.build_feed(*entities, until=NOW + timedelta(days=days)), key)
        )

    def live(
        self, upstreams: dict[str, Upstream], services: dict[str, Service], now: datetime = NOW, **how: Any
    ) -> LiveMetadata:
        """Give the metadata of a broker with these parties."""
        held = metadata_feeds.trust(self.forge.upstream.certificate)
        feed = replace(Feed("wayf", self.publisher.url, held, birk_prefix=BIRK), **how)
        found = self.following([feed], WantedEntities(upstreams, services), now)
        found.refresh(now)
        return found

    def following(self, feeds: Sequence[Feed], parties: WantedEntities, now: datetime = NOW) -> LiveMetadata:
        """Give the metadata of a broker with these parties that follows these feeds."""
        parties = replace(parties, feeds=feeds)
        folder = MetadataFolder(self.folder / "metadata", parties.list_folder_ids(), None)
        followed = list(feed_refreshes(folder.contents, parties, self.folder / "state"))
        record = ScopeRecord(self.folder / "state" / "scopes.json")
        return LiveMetadata(folder, parties, followed, self.store_change, now, record=record)

    def feeds_of_two(self) -> list[Feed]:
        """Give two feeds that hold the same parties with other keys and scopes, each published once."""
        two = []
        for name, party, scope in (("a", self.everyone.hub, "au.dk"), ("b", self.everyone.stranger, "ku.dk")):
            self.publish_at(name, hub(party), birk(AU, scope), sp_entity(LOANS, key_descriptor(party.certificate)))
            held = metadata_feeds.trust(self.forge.upstream.certificate)
            two.append(Feed(name, f"{self.publisher.base}/{name}.xml", held))
        return two

    def publish_at(self, name: str, *entities: str, days: float = 7) -> None:
        """Publish one of two feeds."""
        octets = metadata_feeds.build_feed(*entities, until=NOW + timedelta(days=days))
        self.publisher.publish(metadata_feeds.sign_feed(octets, self.forge.upstream.key), f"/{name}.xml")

    def store_change(self, event: BrokerEvent | AuditEvent) -> None:
        """Store the reported changes."""
        assert isinstance(event, BrokerEvent)
        if "feed" in event.facts:
            self.results.append(event.facts["result"])
        else:
            self.changes.append((event.facts["party"], event.facts.get("fault")))


@pytest.fixture
def station(forge: Forge, parties: Everyone, tmp_path: Path) -> Iterator[Station]:
    """Give a station whose folder is empty."""
    (tmp_path / "metadata").mkdir()
    with publishing() as publisher:
        yield Station(forge, parties, publisher, tmp_path)


def wayf(*institutions: Institution) -> dict[str, Upstream]:
    """Give one upstream, the hub, with these institutions."""
    listed = institutions or (Institution(AU, scopes=("au.dk",)),)
    return {"wayf": Upstream("wayf", "wayf", HUB, f"{BASE}/saml/sp/wayf/metadata", "wayf", WORDS, listed)}


def loans(**more: Any) -> dict[str, Service]:
    """Give one service."""
    return {"my-loans": replace(Service("my-loans", LOANS, WORDS, ("wayf",)), **more)}


def hub(party: Party) -> str:
    """Give the hub's metadata with this party's key."""
    return idp_entity(HUB, key_descriptor(party.certificate))


def birk(name: str, *scopes: str) -> str:
    """Give an institution's metadata at the hub's proxy."""
    listed = "".join(f'<shibmd:Scope {SHIBMD} regexp="false">{each}</shibmd:Scope>' for each in scopes)
    odd = f'<shibmd:Scope {SHIBMD} regexp="true">.*</shibmd:Scope>'
    return idp_entity(name, f"<md:Extensions>{listed}{odd}</md:Extensions>")


def test_the_folder_comes_first(station: Station) -> None:
    """A feed never replaces a party that the administrator has put into the folder."""
    (station.folder / "metadata" / "hub.xml").write_text(hub(station.everyone.hub))
    station.publish(hub(station.everyone.stranger), sp_entity(LOANS))
    live = station.live(wayf(), loans())
    (key,) = live.current.upstreams[HUB].keys
    assert key.public == station.everyone.hub.key.private.public_key()
    assert live.snapshot.sources == {("upstream", HUB): "folder", ("service", LOANS): "wayf"}


def test_a_feed_speaks_for_what_it_is_believed_about(station: Station) -> None:
    """A federation of services says nothing of the hub, and its institutions' scopes are nobody's business."""
    station.publish(hub(station.everyone.hub), sp_entity(LOANS), birk(AU, "au.dk"))
    left = Institution(AU, unwritten=frozenset(("scopes",)))
    live = station.live(wayf(left), loans(), speaks_for=frozenset(("services",)))
    assert (set(live.current.upstreams), set(live.current.services)) == (set(), {LOANS})
    assert live.current.completed_upstreams["wayf"].institutions[0].scopes == ()


def test_scopes_and_names_come_from_the_hubs_proxy(station: Station) -> None:
    """The BIRK entity of an institution says what it may assert; expressions are left out."""
    station.publish(hub(station.everyone.hub), birk(f"{BIRK}idp.au.example", "au.dk", "aarhus.dk"))
    left = Institution(AU, unwritten=frozenset(("scopes", "aliases")))
    (found,) = station.live(wayf(left), {}).current.completed_upstreams["wayf"].institutions
    assert (found.scopes, found.aliases) == (("au.dk", "aarhus.dk"), (f"{BIRK}idp.au.example",))


@pytest.mark.attack(33)
def test_an_entity_that_is_listed_twice_is_not_used(station: Station) -> None:
    """Two members may claim one entityID. Neither widens the other's scopes, keys or categories; a notice names it."""
    vouched = idp_entity(LOANS).replace("<md:IDPSSODescriptor", ATTRIBUTES.replace("SPSSO", "IDPSSO"), 1)
    station.publish(hub(station.everyone.hub), birk(AU, "au.dk"), birk(AU, "ku.dk"), vouched, sp_entity(LOANS))
    left = Institution(AU, unwritten=frozenset(("scopes",)))
    live = station.live(wayf(left), loans())
    assert live.current.completed_upstreams["wayf"].institutions[0].scopes == ()
    assert (set(live.current.upstreams), set(live.current.services)) == ({HUB}, set())
    assert live.snapshot.services["my-loans"].categories == ()
    assert [each for each in live.snapshot.notices if "more than once" in each] == [
        f"wayf: {name} is in it more than once, and none of its descriptors is used" for name in sorted((AU, LOANS))
    ]


@pytest.mark.attack(33)
def test_scopes_are_of_the_one_role(station: Station) -> None:
    """An entity of two identity providers has none: which of the two answers nobody can say."""
    one = birk(AU, "au.dk")
    role = one[one.index("<md:IDPSSO") : one.index("</md:EntityDescriptor>")]
    station.publish(hub(station.everyone.hub), one.replace(role, role + role.replace("au.dk", "ku.dk")))
    left = Institution(AU, unwritten=frozenset(("scopes",)))
    assert station.live(wayf(left), {}).current.completed_upstreams["wayf"].institutions[0].scopes == ()


@pytest.mark.attack(33)
@pytest.mark.parametrize(
    ("mark", "taken"),
    [("", True), (' regexp="false"', True), (' regexp=" 0 "', True), (' regexp="true"', False), (' regexp="1"', False)]
    + [(f' regexp="{each}"', False) for each in (" true ", "TRUE", "yes", "")],
)
def test_an_expression_is_no_scope(station: Station, mark: str, taken: bool) -> None:
    """Read as it stands, ``ku.dk`` would be a name that nobody has vouched for; what is not said plainly is one too."""
    scope = f"<md:Extensions><shibmd:Scope {SHIBMD}{mark}>ku.dk</shibmd:Scope></md:Extensions>"
    station.publish(hub(station.everyone.hub), idp_entity(AU, scope))
    left = Institution(AU, unwritten=frozenset(("scopes",)))
    (found,) = station.live(wayf(left), {}).current.completed_upstreams["wayf"].institutions
    assert found.scopes == (("ku.dk",) if taken else ())


def test_categories_count_from_a_feed_only(station: Station) -> None:
    """A service's own file may say anything of itself; the feed's publisher has looked.

    Source: docs/reference/saml-profiles.md#48.
    """
    xml = sp_entity(LOANS).replace("<md:SPSSODescriptor", ATTRIBUTES, 1)
    station.publish(hub(station.everyone.hub), xml)
    assert station.live(wayf(), loans(categories=("own",))).snapshot.services["my-loans"].categories == (
        "own",
        CATEGORY,
    )
    (station.folder / "metadata" / "loans.xml").write_text(xml)
    assert station.live(wayf(), loans()).snapshot.services["my-loans"].categories == ()


def test_an_encryption_key_may_come_and_go(station: Station) -> None:
    """Whether a CPR number may leave follows the service's metadata of the moment.

    Source: docs/reference/design.md#invariant-4.
    """
    station.publish(hub(station.everyone.hub), sp_entity(LOANS))
    live = station.live(wayf(), loans())
    assert not live.snapshot.services["my-loans"].encrypts
    sealed = sp_entity(LOANS, key_descriptor(station.everyone.service.certificate))
    station.publish(hub(station.everyone.hub), sealed, days=8)
    live.refresh(LATER)
    assert live.snapshot.services["my-loans"].encrypts


def test_a_party_removed_from_a_feed_is_no_longer_trusted(station: Station) -> None:
    """It can neither get a request nor answer one; so can an expired one."""
    everyone = station.everyone
    (station.folder / "metadata" / "loans.xml").write_text(sp_entity(LOANS))
    station.publish(hub(everyone.hub))
    live = station.live(wayf(), loans())
    role = replace(everyone.sp, metadata=live, upstreams=wayf())
    idp = replace(everyone.idp, metadata=live, services={LOANS: loans()["my-loans"]})
    asked = idp.read_redirect(everyone.query(everyone.authn_request(), key=None), NOW)
    assert redirect_url(role.ask("wayf", "_q1", asked, NOW)).startswith(f"{HUB}/sso?")
    posted = b64encode(everyone.sign_response(everyone.response())).decode()
    message = role.parse_response("wayf", [("SAMLResponse", posted)])[0]
    station.publish(idp_entity("https://other.example"), days=8)
    live.refresh(LATER)
    with pytest.raises(RequestRefused) as refused:
        redirect_url(role.ask("wayf", "_q1", asked, NOW))
    assert refused.value.refusal == NO_AVAILABLE_IDP
    with pytest.raises(MessageRefused, match=r"response\.no_metadata"):
        role.receive("wayf", message, Outstanding("_q1", "wayf", NOW), force_authn=False, now=NOW)
    assert live.faults(LATER) == [f"no metadata of {HUB} is in force"]


def test_a_service_is_believed_until_its_end(station: Station) -> None:
    """Metadata expires with three minutes of clock skew, without a run of the refresh loop."""
    station.publish(hub(station.everyone.hub), sp_entity(LOANS), days=1)
    live = station.live(wayf(), loans())
    idp = replace(station.everyone.idp, metadata=live, services={LOANS: loans()["my-loans"]})
    asked = idp.read_redirect(station.everyone.query(station.everyone.authn_request(), key=None), NOW)
    assert idp.refuse(asked, NO_AVAILABLE_IDP, "_r", NOW + timedelta(days=1, seconds=179))
    ended = NOW + timedelta(days=1, seconds=180)
    with pytest.raises(BrokerError, match="no longer registered"):
        idp.refuse(asked, NO_AVAILABLE_IDP, "_r", ended)
    late = station.everyone.authn_request(lambda root: root.set("IssueInstant", f"{ended:%Y-%m-%dT%H:%M:%SZ}"))
    with pytest.raises(ServiceNotConnected, match=r"request\.no_metadata: my-loans"):
        idp.read_redirect(station.everyone.query(late, key=None), ended)


def test_a_start_without_anything_begins_and_recovers(station: Station) -> None:
    """A feed that never answered is no reason not to start: it says so, and logins work once it answers."""
    station.publisher.status = "503 Down"
    live = station.live(wayf(), loans())
    assert live.has_missing_copy
    assert live.faults(NOW) == [f"no metadata of {HUB} is in force"]
    assert [each.partition(" ")[0] for each in live.alarms(NOW)] == ["wayf:", HUB, LOANS]
    station.publisher.status = "200 OK"
    station.publish(hub(station.everyone.hub), sp_entity(LOANS))
    live.refresh(LATER)
    assert (live.has_missing_copy, live.faults(LATER), live.alarms(LATER)) == (False, [], [])


@pytest.mark.attack(33)
@pytest.mark.parametrize("named", [{}, {"wayf": ("a",)}])
def test_no_second_feed_takes_over_an_upstream(station: Station, named: dict[str, tuple[str, ...]]) -> None:
    """Once the first feed loses the hub, the second's key for it would let its publisher log anybody in."""
    both = station.feeds_of_two()
    parties = WantedEntities(wayf(Institution(AU, unwritten=frozenset(("scopes",)))), {}, named)
    live = station.following(both, parties)
    live.refresh(NOW)
    assert live.snapshot.sources == {("upstream", HUB): "a", ("institution", AU): "a"}
    station.publish_at("a", sp_entity(LOANS), days=8)
    live.refresh(LATER)
    assert (live.current.upstreams, live.snapshot.sources) == ({}, {})
    assert live.current.completed_upstreams["wayf"].institutions[0].scopes == ()
    assert live.faults(LATER) == [f"no metadata of {HUB} is in force"]


@pytest.mark.attack(33)
def test_an_upstream_names_the_feed_that_speaks_for_it(station: Station) -> None:
    """Its keys and its institutions' scopes are those of that feed, wherever it stands in the file."""
    parties = WantedEntities(wayf(Institution(AU, unwritten=frozenset(("scopes",)))), loans(), {"wayf": ("b",)})
    live = station.following(station.feeds_of_two(), parties)
    live.refresh(NOW)
    assert live.snapshot.sources == {("upstream", HUB): "b", ("institution", AU): "b", ("service", LOANS): "a"}
    (key,) = live.current.upstreams[HUB].keys
    assert key.public == station.everyone.stranger.key.private.public_key()
    assert live.current.completed_upstreams["wayf"].institutions[0].scopes == ("ku.dk",)


@pytest.mark.attack(33)
@pytest.mark.parametrize(("named", "source"), [({}, "a"), ({"my-loans": ("b",)}, "b")])
def test_no_second_feed_takes_over_a_service(station: Station, named: dict[str, tuple[str, ...]], source: str) -> None:
    """Once its feed loses it, the other's publisher would have assertions sent to an ACS of their own."""
    both = station.feeds_of_two()
    live = station.following(both, WantedEntities(wayf(), loans(), {"wayf": ("a",)}, named))
    live.refresh(NOW)
    assert live.snapshot.sources["service", LOANS] == source
    station.publish_at(source, hub(station.everyone.hub), days=8)
    live.refresh(LATER)
    assert ("service", LOANS) not in live.snapshot.sources
    assert live.current.service(LOANS, LATER) is None


def write_file(station: Station, name: str, xml: str) -> None:
    """Write a file of the folder."""
    (station.folder / "metadata" / f"{name}.xml").write_text(xml)


def read_until_settled(live: LiveMetadata, now: datetime = NOW) -> None:
    """Read the folder until its content has settled."""
    live.read_changes(now)
    live.read_changes(now)


def ending(xml: str, at: datetime) -> str:
    """Give metadata an end."""
    return xml.replace(" entityID=", f' validUntil="{at:%Y-%m-%dT%H:%M:%SZ}" entityID=', 1)


def test_a_party_that_is_lost_is_told_once_and_so_is_its_return(station: Station) -> None:
    """A party that breaks, recovers or disappears causes one event each, and an alarm while it lasts."""
    write_file(station, "hub", hub(station.everyone.hub))
    write_file(station, "loans", sp_entity(LOANS))
    live = station.following([], WantedEntities(wayf(), loans()))
    write_file(station, "loans", "nonsense")
    read_until_settled(live)
    read_until_settled(live)
    ((party, fault),) = station.changes
    assert (party, live.alarms(NOW)) == (LOANS, [fault])
    assert "keeps its earlier metadata, because the new is faulty: metadata/loans.xml" in str(fault)
    assert live.current.service(LOANS, NOW)
    write_file(station, "loans", sp_entity(LOANS))
    read_until_settled(live)
    assert station.changes[1:] == [(LOANS, None)]
    (station.folder / "metadata" / "hub.xml").unlink()
    read_until_settled(live)
    assert station.changes[2:] == [(HUB, f"{HUB} has no metadata in force")]
    assert live.faults(NOW) == [f"no metadata of {HUB} is in force"]


def test_the_last_good_descriptor_stands_until_its_own_end(station: Station) -> None:
    """Expired metadata stays expired when an edit breaks its file."""
    write_file(station, "hub", hub(station.everyone.hub))
    write_file(station, "loans", ending(sp_entity(LOANS), NOW + timedelta(days=1)))
    live = station.following([], WantedEntities(wayf(), loans()))
    write_file(station, "loans", "nonsense")
    read_until_settled(live)
    assert live.current.service(LOANS, NOW + timedelta(days=1))
    assert live.current.service(LOANS, NOW + timedelta(days=1, minutes=3)) is None


@pytest.mark.attack(33)
@pytest.mark.parametrize("spoil", ["nonsense", "ended", "no key"])
@pytest.mark.parametrize("institution", [AU, HUB])
def test_no_feed_speaks_for_whom_the_folder_holds_in_vain(station: Station, spoil: str, institution: str) -> None:
    """The administrator has written the hub down: once that file is of no use, no publisher decides who the hub is.

    The same holds if the upstream is an institution itself, whose scopes the feed may publish.
    """
    mine = hub(station.everyone.hub)
    broken = {"nonsense": mine[:-5], "ended": ending(mine, NOW - timedelta(days=1)), "no key": idp_entity(HUB)}
    write_file(station, "hub", broken[spoil])
    station.publish(hub(station.everyone.stranger))
    live = station.live(wayf(Institution(institution, scopes=("au.dk",))), {})
    assert live.current.upstream(HUB, NOW) is None
    assert live.faults(NOW) == [f"no metadata of {HUB} is in force"]


@pytest.mark.parametrize(
    "named", [f"<!-- for {HUB} -->", f'<md:X Location="{HUB}/sso"/>', f'<md:X entityID="{HUB}.old"/>']
)
def test_a_broken_file_that_only_names_the_hub_does_not_lose_it(station: Station, named: str) -> None:
    """A service may write anything of the hub that it uses; whom the feed speaks for stays in force."""
    station.publish(hub(station.everyone.hub))
    write_file(station, "loans", f"{sp_entity(LOANS)[:-30]}{named}")
    live = station.live(wayf(), loans())
    assert live.current.upstream(HUB, NOW) is not None
    assert HUB not in live.party_faults(NOW)


@pytest.mark.attack(33)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "latin-1"])
def test_a_file_in_the_wrong_encoding_is_still_the_hubs(station: Station, encoding: str) -> None:
    """No feed speaks for it, though nothing else of the file can be read."""
    comment = "<!-- Århus -->" if encoding == "latin-1" else ""
    (station.folder / "metadata" / "hub.xml").write_bytes((hub(station.everyone.hub) + comment).encode(encoding))
    station.publish(hub(station.everyone.stranger))
    assert station.live(wayf(), {}).current.upstream(HUB, NOW) is None


@pytest.mark.attack(33)
@pytest.mark.parametrize("late", [False, True])
def test_a_services_file_does_not_say_who_the_hub_is(station: Station, *, late: bool) -> None:
    """A second entity in the metadata that a service sends would be the key of all logins; the feed's stays."""
    station.publish(hub(station.everyone.hub))
    service = sp_entity(LOANS)
    both = f'<md:EntitiesDescriptor xmlns:md="{MD}">{service}{hub(station.everyone.stranger)}</md:EntitiesDescriptor>'
    write_file(station, "loans", service if late else both)
    live = station.live(wayf(), loans())
    write_file(station, "loans", both)
    read_until_settled(live)
    (key,) = live.current.upstreams[HUB].keys
    assert key.public == station.everyone.hub.key.private.public_key()
    assert live.current.service(LOANS, NOW) is not None
    (told,) = live.alarms(NOW)
    assert told.startswith(
        f"metadata/loans.xml: holds {HUB}, which a feed publishes, together with the service {LOANS}"
    )


@pytest.mark.attack(33, control=True)
def test_without_a_feed_one_file_may_hold_all(station: Station) -> None:
    """A federation's list, downloaded, holds the hub and its services."""
    both = (
        f'<md:EntitiesDescriptor xmlns:md="{MD}">{sp_entity(LOANS)}{hub(station.everyone.hub)}</md:EntitiesDescriptor>'
    )
    write_file(station, "all", both)
    live = station.following([], WantedEntities(wayf(), loans()))
    assert live.current.upstream(HUB, NOW) is not None
    assert live.alarms(NOW) == []


def test_a_warning_comes_two_weeks_before_metadata_expires(station: Station) -> None:
    """Also before the last certificate of a party in the folder expires."""
    write_file(station, "loans", ending(sp_entity(LOANS), NOW + timedelta(days=15)))
    write_file(station, "hub", hub(station.everyone.hub))
    missing = Service("missing", "https://missing.example", WORDS, ("wayf",))
    live = station.following([], WantedEntities(wayf(), {**loans(), "missing": missing}))
    assert live.warnings(NOW) == []
    (told,) = live.warnings(NOW + timedelta(days=1))
    assert told.startswith(f"metadata/loans.xml: {LOANS} expires 2026-12-10T12:00:00Z")
    (key,) = [each for each in live.endings() if each.kind == "upstream"]
    (told,) = live.warnings(key.at - timedelta(days=1))
    assert told.startswith(f"metadata/hub.xml: the last certificate of {HUB} ends ")


def own_scopes(station: Station, *, folder_scopes: bool) -> LiveMetadata:
    """Give the metadata of a broker with an upstream that is its own institution, whose file has scopes."""
    listed = (
        '<md:Extensions><shibmd:Scope xmlns:shibmd="urn:mace:shibboleth:metadata:1.0">{}</shibmd:Scope></md:Extensions>'
    )
    write_file(
        station,
        "direct",
        idp_entity(HUB, listed.format("peer.example"), key_descriptor(station.everyone.hub.certificate)),
    )
    institution = Institution(HUB, unwritten=frozenset(("scopes", "aliases")), folder_scopes=folder_scopes)
    direct = replace(wayf()["wayf"], name="direct", profile="saml", institutions=(institution,))
    return station.following([], WantedEntities({"direct": direct}, {}))


def test_scopes_come_from_the_folder_where_the_configuration_says_so(station: Station) -> None:
    """An upstream of profile saml without any feed."""
    live = own_scopes(station, folder_scopes=True)
    (found,) = live.current.completed_upstreams["direct"].institutions
    assert (found.scopes, live.snapshot.sources[("institution", HUB)]) == (("peer.example",), "folder")
    assert live.snapshot.notices == ()


def test_scopes_in_the_folder_that_are_ignored_are_told(station: Station) -> None:
    """Else the first login would be the first to know; the notice names the setting."""
    live = own_scopes(station, folder_scopes=False)
    assert live.current.completed_upstreams["direct"].institutions[0].scopes == ()
    (told,) = live.snapshot.notices
    assert told == (
        f"{HUB} has shibmd:Scope in the metadata folder, which is ignored (peer.example): write "
        f'{{ entity_id = "{HUB}", scopes = "metadata" }} in upstreams.direct.institutions'
    )


def scopes_of(live: LiveMetadata) -> tuple[str, ...]:
    """Give the scopes of the one institution."""
    (upstream,) = live.current.completed_upstreams.values()
    return upstream.institutions[0].scopes


@pytest.mark.attack(21)
@pytest.mark.parametrize("how", ["cut short", "no schema", "in another file", "twice in it"])
def test_an_edit_that_breaks_scopes_leaves_them_as_they_were(station: Station, how: str) -> None:
    """As it leaves the descriptor; a second file, which anybody may have sent, changes nobody's scopes."""
    live = own_scopes(station, folder_scopes=True)
    mine = (station.folder / "metadata" / "direct.xml").read_text()
    other = mine.replace("peer.example", "other.example")
    if how == "in another file":
        write_file(station, "zz", other)
    else:
        twice = f'<md:EntitiesDescriptor xmlns:md="{MD}">{other}{other}</md:EntitiesDescriptor>'
        unbound = other.replace(" Binding=", " Bound=")
        spoiled = {"cut short": other[:-5], "no schema": unbound, "twice in it": twice}
        write_file(station, "direct", spoiled[how])
    read_until_settled(live)
    assert (live.current.upstream(HUB, NOW) is not None, scopes_of(live)) == (True, ("peer.example",))
    told = [each for each in live.snapshot.notices if "publishes its scopes in several places" in each]
    assert len(told) == (0 if how == "cut short" else 1)  # that file's fault says it
    afresh = station.following([], live.wanted)  # a start has nothing to fall back on
    assert (afresh.current.upstream(HUB, NOW), scopes_of(afresh)) == (None, ())


@pytest.mark.attack(21)
def test_scopes_of_the_folder_end_with_their_entity(station: Station) -> None:
    """Scopes of an institution in a file are valid until its validUntil, as in a feed."""
    write_file(station, "hub", hub(station.everyone.hub))
    write_file(station, "au", ending(birk(AU, "au.dk"), NOW + timedelta(days=1)))
    left = Institution(AU, unwritten=frozenset(("scopes", "aliases")), folder_scopes=True)
    live = station.following([], WantedEntities(wayf(left), {}))
    live.read_changes(NOW + timedelta(days=1, minutes=2))
    assert scopes_of(live) == ("au.dk",)
    live.read_changes(NOW + timedelta(days=1, minutes=3))
    assert scopes_of(live) == ()


@pytest.mark.attack(21)
def test_a_scope_that_was_had_undisputed_outlives_a_restart(station: Station) -> None:
    """Another institution that claims it later takes it from nobody, in this process or the next."""
    left = Institution(AU, unwritten=frozenset(("scopes",))), Institution(KU, unwritten=frozenset(("scopes",)))
    station.publish(hub(station.everyone.hub), birk(AU, "au.dk"), birk(KU, "ku.dk"))
    live = station.live(wayf(*left), {})
    station.publish(hub(station.everyone.hub), birk(AU, "au.dk"), birk(KU, "ku.dk", "au.dk", "dk"), days=8)
    live.refresh(LATER)
    again = station.live(wayf(*left), {}, now=LATER)
    for each in (live, again):
        assert [one.scopes for one in each.current.completed_upstreams["wayf"].institutions] == [("au.dk",), ("ku.dk",)]
        assert len(each.snapshot.notices) == 2
