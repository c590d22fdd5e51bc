"""Following a feed: when it is fetched, what a bad one changes (nothing), and who else may touch the copy."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from broker.adapters.saml.feeds.feed_copies import Copies
from broker.adapters.saml.feeds.feed_fetch import Feed
from broker.adapters.saml.feeds.feed_refresh import FeedRefresh, FetchOutcome
from tests.plugins import metadata_feeds
from tests.plugins.feed_server import Publisher, publishing
from tests.plugins.saml_messages import NOW, Forge
from tests.plugins.saml_parties import HUB, idp_entity

pytestmark = pytest.mark.server

OTHER = "https://other.example"


def write_publication_info(created: str) -> str:
    """Write when a feed was made."""
    return (
        f'<r:PublicationInfo xmlns:r="urn:oasis:names:tc:SAML:metadata:rpi" publisher="p" creationInstant="{created}"/>'
    )


@dataclass
class Station:
    """A publisher, its keys, and a folder of copies that several workers share."""

    forge: Forge
    publisher: Publisher
    folder: Path
    mdq: bool = False
    pins: tuple[bytes, ...] = ()
    made: list[FeedRefresh] = field(default_factory=list)

    def publish(
        self,
        *entities: str,
        until: datetime = NOW + timedelta(days=7),
        created: str | None = None,
        more: str = "",
        new: bool = False,
    ) -> bytes:
        """Publish a feed with these entities, signed with the pinned key or the new one."""
        key = (self.forge.stranger if new else self.forge.upstream).key
        extensions = (
            [f"<md:Extensions>{write_publication_info(created)}</md:Extensions>"] if created is not None else []
        )
        octets = metadata_feeds.sign_feed(
            metadata_feeds.build_feed(*extensions, *entities, until=until, more=more), key
        )
        self.publisher.publish(octets)
        return octets

    def worker(self, now: datetime = NOW) -> FeedRefresh:
        """Give a worker's own follower, which has looked at what is there."""
        pins = self.pins or (self.forge.upstream.certificate,)
        feed = Feed(
            "wayf", self.publisher.base if self.mdq else self.publisher.url, metadata_feeds.trust(*pins), mdq=self.mdq
        )
        found = FeedRefresh(feed, [HUB, OTHER], Copies(self.folder))
        found.read_changes(now)
        return found

    @property
    def copy(self) -> Path:
        """Give the copy of the feed."""
        return self.folder / "feed.xml"


@pytest.fixture
def station(forge: Forge, tmp_path: Path) -> Iterator[Station]:
    """Give a station with a good feed of one entity."""
    with publishing() as publisher:
        found = Station(forge, publisher, tmp_path / "wayf")
        found.publish(idp_entity(HUB))
        yield found


def turn(worker: FeedRefresh, now: datetime = NOW, *, force: bool = False) -> list[FetchOutcome]:
    """Let a worker fetch what is due and look."""
    outcomes = list(worker.fetch(now, force=force))
    worker.read_changes(now)
    return outcomes


def results(outcomes: list[FetchOutcome]) -> list[str]:
    """Give result, and cause where there is one."""
    return [each.cause or each.result for each in outcomes]


def test_a_feed_is_fetched_once_for_all_workers(station: Station) -> None:
    """A worker fetches the feed, the others read its copy, and no worker fetches before it is due."""
    first, second = station.worker(), station.worker()
    assert results(turn(first)) == ["new"]
    assert results(turn(second)) == []
    assert (set(first.entities(NOW)), set(second.entities(NOW))) == ({HUB}, {HUB})
    assert len(station.publisher.asked) == 1


def test_two_workers_do_not_fetch_at_once(station: Station) -> None:
    """While one has the turn the other leaves it alone, and may take it once that one is gone, however it went."""
    with Copies(station.folder).lock() as ours:
        assert ours
        assert results(turn(station.worker())) == ["busy"]
    assert results(turn(station.worker())) == ["new"]


@pytest.mark.profile(4)
def test_it_is_asked_again_when_it_is_due(station: Station) -> None:
    """A feed is fetched every hour; an unchanged one costs a request and no document."""
    worker = station.worker()
    turn(worker)
    assert results(turn(worker, NOW + timedelta(minutes=59))) == []
    assert results(turn(worker, NOW + timedelta(minutes=61))) == ["same"]
    assert station.publisher.asked[-1][1]


@pytest.mark.parametrize(("asked", "early", "late"), [("PT10M", 9, 10), ("PT1S", 4, 5), ("P5D", 59, 60)])
@pytest.mark.profile(4)
def test_a_shorter_cache_duration_is_obeyed(station: Station, asked: str, early: int, late: int) -> None:
    """Down to five minutes. A cacheDuration above the configured interval is ignored."""
    station.publish(idp_entity(HUB), more=f' cacheDuration="{asked}"')
    worker = station.worker()
    turn(worker)
    assert results(turn(worker, NOW + timedelta(minutes=early))) == []
    assert results(turn(worker, NOW + timedelta(minutes=late))) == ["same"]


BAD: Final[dict[str, tuple[Callable[[Station], object], str]]] = {
    "unsigned": (lambda s: s.publisher.publish(metadata_feeds.build_feed(idp_entity(OTHER)).encode()), "feed.unsigned"),
    "another key": (lambda s: s.publish(idp_entity(OTHER), new=True), "feed.signature"),
    "expired": (lambda s: s.publish(idp_entity(OTHER), until=NOW - timedelta(days=1)), "feed.expired"),
    "for a year": (lambda s: s.publish(idp_entity(OTHER), until=NOW + timedelta(days=365)), "feed.window"),
    "broken": (
        lambda s: s.publisher.publish(s.publisher.documents["/feed.xml"].replace(b"//hub.", b"//evil.")),
        "feed.digest",
    ),
    "a page": (lambda s: s.publisher.publish(b"<html>"), "feed.unreadable"),
    "gone": (lambda s: setattr(s.publisher, "status", "404 No"), "feed.status"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.profile(5, 6)
def test_a_bad_feed_changes_nothing_but_the_alarm(station: Station, case: str) -> None:
    """The last good copy stays in force in every worker and at the next start, and each of them knows why."""
    worker, other = station.worker(), station.worker()
    turn(worker)
    before, (change, cause) = station.copy.read_bytes(), BAD[case]
    change(station)
    assert results(turn(worker, force=True)) == [cause]
    turn(other)
    late = station.worker()
    for each in (worker, other, late):
        assert set(each.entities(NOW)) == {HUB}
        (alarm,) = each.alarms(NOW)
        assert cause in alarm
        assert "lasts until 2026-12-02 12:00 UTC" in alarm
    assert station.copy.read_bytes() == before
    assert not list(station.folder.glob(".*"))


def test_a_start_with_the_server_down_uses_the_copy(station: Station) -> None:
    """And one whose copy has run out has none: what it said may have been taken back since."""
    turn(station.worker())
    station.publisher.status = "503 Down"
    late = station.worker()
    assert set(late.entities(NOW)) == {HUB}
    assert set(late.entities(NOW + timedelta(days=7, seconds=179))) == {HUB}
    assert set(late.entities(NOW + timedelta(days=7, seconds=180))) == set()


@pytest.mark.profile(5)
def test_the_publishers_key_rolls_over(station: Station) -> None:
    """With both keys pinned either is believed; with the new one alone the old copy is not, and a new one fetched."""
    turn(station.worker())
    station.pins = (station.forge.upstream.certificate, station.forge.stranger.certificate)
    both = station.worker()
    station.publish(idp_entity(HUB), new=True, until=NOW + timedelta(days=8))
    assert results(turn(both, force=True)) == ["new"]
    station.pins = (station.forge.stranger.certificate,)
    assert set(station.worker().entities(NOW)) == {HUB}
    station.pins = (station.forge.upstream.certificate,)
    assert set(station.worker().entities(NOW)) == set()


FIRST, SECOND = "2026-11-24T12:00:00Z", "2026-11-25T11:00:00Z"
# The publication in force, and the next one: creationInstant and validity in days.
ORDER: Final[dict[str, tuple[tuple[str | None, float], tuple[str | None, float], str]]] = {
    "ends before": ((None, 8), (None, 7), "feed.older"),
    "ends after": ((None, 7), (None, 8), "new"),
    "ends with it": ((None, 7), (None, 7), "new"),
    "made before": ((SECOND, 7), (FIRST, 7), "feed.older"),
    "made before, ends after": ((SECOND, 1), (FIRST, 7), "feed.older"),
    "made after, ends before": ((FIRST, 7), (SECOND, 1), "new"),
    "made with it, ends before": ((FIRST, 7), (FIRST, 6), "feed.older"),
    "made with it, ends with it": ((FIRST, 7), (FIRST, 7), "new"),
    "says it no more, ends before": ((FIRST, 7), (None, 6), "feed.older"),
    "says it no more, ends after": ((FIRST, 7), (None, 8), "new"),
    "says it first, ends before": ((None, 7), (SECOND, 6), "feed.older"),
}


@pytest.mark.attack(33)
@pytest.mark.parametrize("case", ORDER)
def test_which_of_two_was_published_first(station: Station, case: str) -> None:
    """By the publisher's own mark, so that a short-lived one that takes something back is believed; else by the end."""
    (created, days), (then, more), expected = ORDER[case]
    worker = station.worker()
    station.publish(idp_entity(HUB), until=NOW + timedelta(days=days), created=created)
    turn(worker)
    station.publish(idp_entity(OTHER), until=NOW + timedelta(days=more), created=then)
    assert results(turn(worker, force=True)) == [expected]
    assert set(worker.entities(NOW)) == ({HUB} if expected == "feed.older" else {OTHER})


@pytest.mark.attack(33)
def test_an_older_feed_is_an_alarm(station: Station) -> None:
    """Signed and not run out, it was brought again to hold back what came after, or a mirror lags: one must look."""
    worker = station.worker()
    newest = station.publish(idp_entity(HUB), until=NOW + timedelta(days=8))
    turn(worker)
    station.publish(idp_entity(OTHER), until=NOW + timedelta(days=7))
    assert results(turn(worker, force=True)) == ["feed.older"]
    for each in (worker, station.worker()):
        assert set(each.entities(NOW)) == {HUB}
        assert "is refused (feed.older); the last good copy lasts until 2026-12-03" in each.alarms(NOW)[0]
    station.publisher.publish(newest)
    assert results(turn(worker, NOW + timedelta(hours=2))) == ["new"]
    assert worker.alarms(NOW) == []


@pytest.mark.attack(33)
def test_a_replaced_feed_is_not_accepted_again(station: Station) -> None:
    """Two feeds with the same end have no order, but a replaced feed is refused when it comes again."""
    worker = station.worker()
    first = station.publish(idp_entity(HUB))
    turn(worker)
    second = station.publish(idp_entity(OTHER))
    turn(worker, force=True)
    station.publisher.publish(first)
    assert results(turn(station.worker(), force=True)) == ["feed.older"]
    station.publisher.publish(second)
    assert results(turn(worker, force=True)) == ["new"]
    assert (set(worker.entities(NOW)), worker.alarms(NOW)) == ({OTHER}, [])


@pytest.mark.attack(33)
def test_an_expired_feed_still_blocks_older_ones(station: Station) -> None:
    """A revocation must not be undone after the feed has expired, also not by a restart."""
    worker, late = station.worker(), NOW + timedelta(days=3)
    first = station.publish(idp_entity(HUB), created=FIRST)
    turn(worker)
    station.publish(idp_entity(OTHER), created=SECOND, until=NOW + timedelta(days=1))
    turn(worker, force=True)
    station.publisher.publish(first)
    for each in (worker, station.worker(late)):
        assert results(turn(each, late, force=True)) == ["feed.older"]
        assert set(each.entities(late)) == set()


@pytest.mark.attack(33)
@pytest.mark.parametrize("name", [' Name="https://fed.example/test"', ' Name=""', ""])
def test_another_feed_of_the_publisher_is_none_of_ours(station: Station, name: str) -> None:
    """One key signs all feeds of a publisher, so an attacker could send its test feed, or a feed without our parties."""
    worker = station.worker()
    station.publish(idp_entity(HUB), more=' Name="https://fed.example/all"')
    turn(worker)
    station.publish(idp_entity(OTHER), more=name, until=NOW + timedelta(days=8))
    for each in (worker, station.worker()):
        assert results(turn(each, force=True)) == ["feed.other_feed"]
        assert set(each.entities(NOW)) == {HUB}
    station.publish(idp_entity(OTHER), more=' Name="https://fed.example/all"', until=NOW + timedelta(days=8))
    assert results(turn(worker, force=True)) == ["new"]


CREATED: Final = {
    "to come": (write_publication_info("2026-11-25T12:03:01Z"), "feed.created"),
    "to come within the skew": (write_publication_info("2026-11-25T12:02:59Z"), "new"),
    "no time": (write_publication_info("yesterday"), "feed.created"),
    "twice": (write_publication_info(FIRST) + write_publication_info(SECOND), "feed.created"),
    "of a member": (f'<x:x xmlns:x="urn:x">{write_publication_info("2999-01-01T00:00:00Z")}</x:x>', "new"),
    "not at all": ('<r:PublicationInfo xmlns:r="urn:oasis:names:tc:SAML:metadata:rpi" publisher="p"/>', "new"),
}


@pytest.mark.attack(33)
@pytest.mark.parametrize("case", CREATED)
def test_when_a_feed_says_it_was_made(station: Station, case: str) -> None:
    """A feed has one creationInstant, not in the future: else all later feeds would be older. Members' own are ignored."""
    created, expected = CREATED[case]
    station.publish(f"<md:Extensions>{created}</md:Extensions>", idp_entity(HUB))
    assert results(turn(station.worker())) == [expected]


def test_a_copy_that_somebody_changed_is_not_read(station: Station) -> None:
    """The file is verified like the feed: the old stays in force, there is an alarm, and a good one is fetched."""
    worker = station.worker()
    turn(worker)
    station.copy.write_bytes(station.copy.read_bytes().replace(b"//hub.", b"//evil."))
    assert not worker.read_changes(NOW)
    assert set(worker.entities(NOW)) == {HUB}
    assert "feed.digest" in worker.alarms(NOW)[0]
    assert set(station.worker().entities(NOW)) == set()
    assert results(turn(worker, NOW + timedelta(seconds=2))) == ["new"]
    assert worker.alarms(NOW) == []


def test_a_copy_that_nobody_renews_is_told_in_time(station: Station) -> None:
    """A day before it ends, though every fetch went well: the publisher may have stopped."""
    worker = station.worker()
    turn(worker)
    assert worker.alarms(NOW + timedelta(days=5)) == []
    assert "has not been renewed" in worker.alarms(NOW + timedelta(days=6, hours=1))[0]


def _query(station: Station, entity_id: str, xml: str) -> None:
    path = "/entities/" + entity_id.replace(":", "%3A").replace("/", "%2F")
    whole = xml.replace("<md:EntityDescriptor", '<md:EntityDescriptor ID="_f1" validUntil="2026-12-01T00:00:00Z"', 1)
    station.publisher.publish(metadata_feeds.sign_feed(whole, station.forge.upstream.key), path)


def test_entities_are_asked_for_one_by_one(station: Station) -> None:
    """A metadata query service is asked for each in use; one that it does not have is no alarm until it had it."""
    station.mdq = True
    _query(station, HUB, idp_entity(HUB))
    worker = station.worker()
    assert sorted(results(turn(worker))) == ["absent", "new"]
    assert (set(worker.entities(NOW)), worker.alarms(NOW)) == ({HUB}, [])
    assert results(turn(worker, NOW + timedelta(minutes=1))) == []
    station.publisher.documents.clear()
    assert sorted(results(turn(worker, force=True))) == ["absent", "feed.absent"]
    assert set(worker.entities(NOW)) == {HUB}
    assert HUB in worker.alarms(NOW)[0]


@pytest.mark.attack(33)
def test_an_answer_holds_nothing_beside(station: Station) -> None:
    """With MDQ, a document about one entity is accepted for that entity only, and never a whole feed."""
    station.mdq = True
    both = metadata_feeds.sign_feed(
        metadata_feeds.build_feed(idp_entity(HUB), idp_entity(OTHER)), station.forge.upstream.key
    )
    for each in (HUB, OTHER):
        station.publisher.publish(both, "/entities/" + each.replace(":", "%3A").replace("/", "%2F"))
    worker = station.worker()
    assert results(turn(worker)) == ["feed.other_entity", "feed.other_entity"]
    assert not worker.entities(NOW)


def test_a_disk_that_cannot_be_written_is_an_alarm_and_no_end(station: Station) -> None:
    """Logins go on with what is in memory."""
    worker = station.worker()
    turn(worker)
    station.folder.rename(station.folder.with_name("away"))
    station.folder.write_text("a file where the folder was")
    assert results(turn(worker, force=True)) == ["feed.disk"]
    assert set(worker.entities(NOW)) == {HUB}


def test_an_older_copy_is_not_read(station: Station) -> None:
    """A running worker refuses an older copy that an attacker puts into the folder."""
    worker = station.worker()
    turn(worker)
    old = station.copy.read_bytes()
    station.publish(idp_entity(OTHER), until=NOW + timedelta(days=8))
    turn(worker, force=True)
    station.copy.write_bytes(old)
    worker.read_changes(NOW)
    assert set(worker.entities(NOW)) == {OTHER}
