"""Fetches metadata feeds over HTTPS with bounds on time and size, and without redirects."""

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from broker.adapters.deadline_sockets import apply_deadline, seconds_left, set_deadline
from broker.adapters.saml.feeds.aggregates import FeedTrust
from broker.core.errors import MessageRefused

_FETCH_TIMEOUT_S: Final = 60.0
_PIECE: Final = 65_536
_MAX_ETAG_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Document:
    """One signed document of a feed: its URL, and the file name of its copy.

    ``entity_id`` is the only entity that it may contain, None for a whole feed.
    """

    url: str
    name: str
    entity_id: str | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """A configured feed.

    ``speaks_for`` is the kinds of parties whose metadata it may publish. ``birk`` is the prefix of
    the entity IDs under which WAYF publishes institutions; "" for other feeds.
    """

    name: str
    url: str
    trust: FeedTrust
    mdq: bool = False
    speaks_for: frozenset[str] = frozenset(("upstreams", "institutions", "services"))
    ca_file: Path | None = None
    birk_prefix: str = ""

    def list_documents(self, wanted: Iterable[str]) -> Iterator[Document]:
        """Yield the feed itself, or with MDQ a document for every wanted entity.

        Source: draft-young-md-query 3.
        """
        if not self.mdq:
            yield Document(self.url, "feed")
            return
        for entity_id in wanted:
            url = f"{self.url}/entities/{quote(entity_id, safe='')}"
            name = hashlib.sha256(entity_id.encode()).hexdigest()  # an entityID is no file name
            yield Document(url, name, entity_id)


def fetch(feed: Feed, document: Document, etag: str, into: BinaryIO) -> str | None:
    """Write the document into ``into``; return its new ETag, None if it has not changed.

    ``etag`` is that of the copy, or empty to get the document in any case. A server without ETags
    sends the document each time. The document is not verified here. Raises MessageRefused with the
    cause ``feed.unreachable``, ``feed.status`` (also for a redirect: its target is not
    configured), ``feed.absent`` (the MDQ server does not know the entity) or ``feed.size``.
    """
    set_deadline(time.monotonic() + _FETCH_TIMEOUT_S, feed.trust.largest)
    try:
        with _send(feed, document, etag) as answer:
            if answer.status_code == requests.codes.not_modified and etag:
                return None
            if answer.status_code == requests.codes.not_found and document.entity_id:
                raise MessageRefused("feed.absent")
            coding = answer.headers.get("Content-Encoding", "identity")
            if answer.status_code != requests.codes.ok or coding != "identity":
                raise MessageRefused("feed.status")
            _copy(answer, into, feed.trust.largest)
            return _clean_etag(answer.headers.get("ETag", ""))
    except (requests.RequestException, HTTPError, HTTPException, OSError):
        raise MessageRefused("feed.unreachable") from None


@contextmanager
def _send(feed: Feed, document: Document, etag: str) -> Iterator[requests.Response]:
    """Send the request without a session.

    A session would follow redirects, keep cookies and use the proxies of the environment.
    """
    # A compressed answer could become a thousand times larger than the bound.
    headers = {"Accept": "application/samlmetadata+xml", "Accept-Encoding": "identity"}
    if etag:
        headers["If-None-Match"] = etag
    request = requests.Request("GET", document.url, headers).prepare()
    adapter = HTTPAdapter()
    apply_deadline(adapter.poolmanager)
    verify = str(feed.ca_file) if feed.ca_file else True
    try:
        with adapter.send(
            request,
            stream=True,
            # A host name may have two addresses, which are tried in turn.
            timeout=(seconds_left() / 2, seconds_left()),
            verify=verify,
        ) as answer:
            yield answer
    finally:
        adapter.close()


def _copy(answer: requests.Response, into: BinaryIO, largest: int) -> None:
    octets = 0
    for piece in answer.raw.stream(_PIECE, decode_content=False):
        octets += len(piece)
        if octets > largest:
            raise MessageRefused("feed.size")
        into.write(piece)
        seconds_left()  # raises TimeoutError after the deadline


def _clean_etag(value: str) -> str:
    """Return an ETag if it can be sent back unchanged, else an empty one."""
    is_clean = len(value) <= _MAX_ETAG_LENGTH and value.isascii() and value.isprintable()
    return value if is_clean else ""
