"""Fetching a feed: only what changed, only from its configured address, and bounded in time and size."""

import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from broker.adapters.saml.feeds import feed_fetch
from broker.adapters.saml.feeds.aggregates import FeedTrust
from broker.adapters.saml.feeds.feed_fetch import Document, Feed
from broker.core.errors import MessageRefused
from tests.plugins.feed_server import Publisher, make_tls, publishing

pytestmark = pytest.mark.server

BODY = b"<feed/>" * 1000


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """Give a publisher on loopback."""
    with publishing() as found:
        found.publish(BODY)
        yield found


def feed(url: str, *, largest: int = 100_000, ca_file: Path | None = None) -> Feed:
    """Give a feed; what it is signed by is nothing to the fetch."""
    return Feed("f", url, FeedTrust((), timedelta(days=14), largest), ca_file=ca_file)


def fetch_feed(asked: Feed, etag: str = "", document: Document | None = None) -> tuple[bytes, str | None]:
    """Fetch, and give what came and its ETag."""
    into = io.BytesIO()
    document = document or next(asked.list_documents(iter(())))
    found = feed_fetch.fetch(asked, document, etag, into)
    return into.getvalue(), found


def refusal(asked: Feed, document: Document | None = None) -> str:
    """Give the cause for which a fetch is refused."""
    with pytest.raises(MessageRefused) as refused:
        fetch_feed(asked, document=document)
    return refused.value.cause


def test_an_unchanged_feed_is_not_sent_again(publisher: Publisher) -> None:
    """The ETag is sent back, and a 304 answer contains no document."""
    body, etag = fetch_feed(feed(publisher.url))
    assert body == BODY
    assert etag
    assert fetch_feed(feed(publisher.url), etag) == (b"", None)
    publisher.publish(BODY * 2)
    assert fetch_feed(feed(publisher.url), etag)[0] == BODY * 2


def test_not_modified_answers_a_mark_only(publisher: Publisher) -> None:
    """Without one, it would say that the nothing we have is good."""
    publisher.status = "304 Not Modified"
    assert refusal(feed(publisher.url)) == "feed.status"


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "307 Elsewhere", "204 None", "403 No", "404 No", "500 Oh"]
)
def test_anything_but_200_is_refused(publisher: Publisher, status: str) -> None:
    """A redirect is not followed: an attacker on the network could choose its target."""
    publisher.status, publisher.headers = status, [("Location", publisher.url + "?x")]
    assert refusal(feed(publisher.url)) == "feed.status"
    assert len(publisher.asked) == 1


def test_it_is_cut_off_where_it_grows_too_large(publisher: Publisher) -> None:
    """The bound holds while it comes, not after the disk is full."""
    sent = 0

    def endless(_: bytes) -> Iterator[bytes]:
        nonlocal sent
        while sent < 50_000_000:
            sent += 65_536
            yield b"x" * 65_536

    publisher.trickle = endless
    assert refusal(feed(publisher.url)) == "feed.size"
    assert sent < 20_000_000


def test_it_ends_however_slowly_it_trickles(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends a byte at a time keeps the worker no longer than one that sends none."""
    monkeypatch.setattr(feed_fetch, "_FETCH_TIMEOUT_S", 0.5)

    def trickling(body: bytes) -> Iterator[bytes]:
        for number in range(len(body)):
            pause.wait(0.05)
            yield body[number : number + 1]

    pause = threading.Event()
    publisher.trickle = trickling
    assert refusal(feed(publisher.url)) == "feed.unreachable"
    pause.set()


def test_a_coded_answer_is_refused(publisher: Publisher) -> None:
    """A little that unpacks to a lot would pass the bound."""
    publisher.headers = [("Content-Encoding", "gzip")]
    assert refusal(feed(publisher.url)) == "feed.status"


def test_https_is_believed_by_the_authority_named(tmp_path: Path) -> None:
    """A private authority's file is trusted in place of the public ones, which do not know it."""
    tls, certificate = make_tls(tmp_path / "one")
    with publishing(tls) as publisher:
        publisher.publish(BODY)
        assert fetch_feed(feed(publisher.url, ca_file=certificate))[0] == BODY
        assert refusal(feed(publisher.url)) == "feed.unreachable"
        other = make_tls(tmp_path / "other")[1]
        assert refusal(feed(publisher.url, ca_file=other)) == "feed.unreachable"


def test_each_entity_is_asked_for_by_its_name(publisher: Publisher) -> None:
    """A metadata query quotes the whole entityID, and a copy's file is named by its digest (draft-young-md-query 3)."""
    asked = replace(feed(publisher.base), mdq=True)
    (document,) = asked.list_documents(iter(["https://one.example/a?b=c d"]))
    path = "/entities/https%3A%2F%2Fone.example%2Fa%3Fb%3Dc%20d"
    publisher.publish(BODY, path)
    assert document.url == publisher.base + path
    assert fetch_feed(asked, document=document)[0] == BODY
    assert document.name.isalnum()
