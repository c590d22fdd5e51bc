"""Attack: a metadata feed that uses up memory or time. It is refused while it is read, even if its signature is valid.

Source: docs/reference/attacks.md#33.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from lxml import etree

from bench import metadata
from broker.adapters.saml.feeds import aggregates, streamed_signature
from broker.adapters.saml.feeds.streamed_signature import PiecewiseC14n
from broker.adapters.saml.metadata import entity_roles
from broker.core.errors import MessageRefused
from tests.plugins import metadata_feeds
from tests.plugins.saml_messages import NOW, Forge
from tests.plugins.saml_parties import HUB, LOANS, idp_entity, sp_entity

ROOT: Final = Path(__file__).resolve().parents[2]
ONE: Final = "https://one.example"
ENTITY_XML: Final = f'<md:EntityDescriptor entityID="{ONE}"><md:Organization/></md:EntityDescriptor>'
KB: Final = 1024
MB: Final = 1024 * KB
ENOUGH: Final = 200 * MB  # bytes read of an endless feed


class Endless(BytesIO):
    """An endless document: a beginning, then one part again and again. It counts the bytes that are read."""

    def __init__(self, start: bytes, again: bytes) -> None:
        self._left, self._again = start, again * (MB // len(again) + 1)
        self.given = 0

    def read(self, size: int | None = -1) -> bytes:
        """Return exactly ``count`` bytes."""
        assert self.given < ENOUGH
        assert size is not None
        while len(self._left) < size:
            self._left += self._again
        found, self._left = self._left[:size], self._left[size:]
        self.given += size
        return found


def _begin_feed(forge: Forge, more: str = "") -> bytes:
    """Return the beginning of a genuine feed with its signature, as a man in the middle has it."""
    octets = metadata_feeds.sign_feed(metadata_feeds.build_feed(ENTITY_XML, more=more), forge.upstream.key)
    return octets[: octets.index(b"</md:EntitiesDescriptor>")]


def _begin_entity(forge: Forge) -> bytes:
    """Return the beginning of a genuine metadata answer about one entity."""
    xml = metadata_feeds.build_feed("<md:Extensions/>").replace("EntitiesD", "EntityD")
    return _cut(metadata_feeds.sign_feed(xml, forge.upstream.key), b"<md:Extensions/>")


def _cut(octets: bytes, at: bytes) -> bytes:
    return octets[: octets.index(at) + len(at)]


_OPEN: Final = b'<md:EntityDescriptor entityID="x">'
ENDLESS: Final[dict[str, tuple[Callable[[Forge], tuple[bytes, bytes]], str, int]]] = {
    "space before the root": (lambda _: (b"<?xml version='1.0'?>", b" " * KB), "feed.root", 64 * KB),
    "comments before the root": (lambda _: (b"", b"<!-- " + b"x" * KB + b"-->"), "feed.root", 64 * KB),
    "the root's own tag": (
        lambda f: (_cut(_begin_feed(f), b"<md:EntitiesDescriptor"), b' a="x"'),
        "feed.root",
        64 * KB,
    ),
    "one attribute of the root": (
        lambda f: (_cut(_begin_feed(f), b"<md:EntitiesDescriptor") + b' a="', b"x" * KB),
        "feed.root",
        64 * KB,
    ),
    "text before the signature": (lambda f: (_cut(_begin_feed(f), b'">'), b" " * KB), "feed.unsigned", 64 * KB),
    "the signature": (lambda f: (_cut(_begin_feed(f), b"SignatureValue>"), b"<a/>"), "feed.unsigned", 64 * KB),
    "text behind the signature": (lambda f: (_cut(_begin_feed(f), b"Signature>"), b" " * KB), "feed.unsigned", 64 * KB),
    "comments instead of a signature": (lambda f: (_cut(_begin_feed(f), b'">'), b"<!-- -->"), "feed.unsigned", 64 * KB),
    "one entity": (lambda f: (_begin_feed(f) + _OPEN, b"<a>" + b"x" * KB + b"</a>"), "feed.unbroken", 18 * MB),
    "one entity of nothing but tags": (lambda f: (_begin_feed(f) + _OPEN, b"<a/>"), "feed.unbroken", 6 * MB),
    "one entity of nothing but attributes": (
        lambda f: (_begin_feed(f) + _OPEN, b'<a b="" c="" d="" e="" f="" g=""/>'),
        "feed.unbroken",
        7 * MB,
    ),
    "the one entity of an answer": (lambda f: (_begin_entity(f), b"<md:Extensions/>" * 64), "feed.unbroken", 18 * MB),
    "text between entities": (lambda f: (_begin_feed(f), b" " * KB), "feed.unreadable", 11 * MB),
    "entities": (lambda f: (_begin_feed(f), ENTITY_XML.encode()), "feed.size", 5 * MB),
}
WHOLE: Final = "one entity"  # tested with the real bound of 16 MB


@pytest.mark.attack(33)
@pytest.mark.parametrize("case", ENDLESS)
def test_an_endless_feed_is_refused_early(case: str, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document without end is refused after 64 kB before the end of the signature, or 16 MB within one entity."""
    make, cause, most = ENDLESS[case]
    if cause == "feed.unbroken" and case != WHOLE:
        # Test an eighth of each bound, to save time.
        most = most // 8 + MB
        for bound in ("_BETWEEN", "_MARKS"):
            monkeypatch.setattr(streamed_signature, bound, getattr(streamed_signature, bound) // 8)
    stream, largest = Endless(*make(forge)), 4 if cause == "feed.size" else 32
    with pytest.raises(MessageRefused) as refused:
        aggregates.read(stream, metadata_feeds.trust(forge.upstream.certificate, largest=largest * MB), [ONE], NOW)
    assert (refused.value.cause, stream.given <= most) == (cause, True), (refused.value.cause, stream.given)


def _nest_namespaces(count: int) -> str:
    """Return ``count`` namespace declarations: thirty on nested elements, the others on the innermost."""
    opened = "".join(f'<n{each}:a xmlns:n{each}="urn:{each}">' for each in range(30))
    return f"{opened}<a{_spaces(count - 30)}/>" + "".join(f"</n{each}:a>" for each in reversed(range(30)))


def _spaces(count: int) -> str:
    return "".join(f' xmlns:n{each}="urn:{each}"' for each in range(count))


def _attributes(count: int) -> str:
    return "".join(f' a{each}=""' for each in range(count))


def _entity(inside: str = "", more: str = "") -> str:
    return f'<md:EntityDescriptor entityID="{ONE}"{more}>{inside}</md:EntityDescriptor>'


# Content whose canonicalisation costs quadratic time, with the highest allowed number (md and ds count as well).
COSTLY: Final[dict[str, tuple[Callable[[int], str], int, str]]] = {
    "namespaces on the root": (lambda n: metadata_feeds.build_feed(_entity(), more=_spaces(n)), 98, "feed.namespaces"),
    "namespaces on an entity": (lambda n: metadata_feeds.build_feed(_entity(more=_spaces(n))), 99, "feed.namespaces"),
    "namespaces in each other": (
        lambda n: metadata_feeds.build_feed(_entity(_nest_namespaces(n))),
        99,
        "feed.namespaces",
    ),
    "attributes of the root": (
        lambda n: metadata_feeds.build_feed(_entity(), more=_attributes(n)),
        98,
        "feed.attributes",
    ),
    "attributes of an entity": (
        lambda n: metadata_feeds.build_feed(_entity(more=_attributes(n))),
        99,
        "feed.attributes",
    ),
    "attributes deep within": (
        lambda n: metadata_feeds.build_feed(_entity(f"<a><b{_attributes(n)}/></a>")),
        100,
        "feed.attributes",
    ),
    "depth": (lambda n: metadata_feeds.build_feed(_entity("<a>" * n + "</a>" * n)), 38, "feed.depth"),
}


@pytest.mark.attack(33)
@pytest.mark.parametrize("case", COSTLY)
def test_costly_canonicalisation_is_refused(case: str, forge: Forge) -> None:
    """Canonicalisation needs quadratic time for these: an otherwise valid feed would block a worker for hours."""
    make, most, cause = COSTLY[case]
    key, held = forge.upstream.key, metadata_feeds.trust(forge.upstream.certificate)
    with pytest.raises(MessageRefused) as refused:
        metadata_feeds.read(metadata_feeds.sign_feed(make(most + 1), key), held, ONE)
    assert refused.value.cause == cause


@pytest.mark.attack(33, control=True)
@pytest.mark.parametrize("case", COSTLY)
def test_content_at_the_bound_is_accepted(case: str, forge: Forge) -> None:
    """Control: content at the bound is accepted. Real feeds are far below it."""
    make, most, _ = COSTLY[case]
    octets = metadata_feeds.sign_feed(make(most), forge.upstream.key)
    assert metadata_feeds.read(octets, metadata_feeds.trust(forge.upstream.certificate), ONE).entities


@pytest.mark.attack(33, control=True)
def test_a_notice_may_stand_above_a_feed(forge: Forge) -> None:
    """Control: a long comment above the feed is accepted, because publishers write their terms of use there."""
    octets = metadata_feeds.sign_feed(metadata_feeds.build_feed(ENTITY_XML), forge.upstream.key)
    written = octets.replace(b"<md:EntitiesDescriptor", b"<!--" + b"x" * 50 * KB + b"--><md:EntitiesDescriptor", 1)
    assert metadata_feeds.read(written, metadata_feeds.trust(forge.upstream.certificate), ONE).entities


@pytest.mark.attack(33, control=True)
def test_an_entity_may_be_large(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: a large entity is accepted. The bound limits each part, not the sum."""
    monkeypatch.setattr(streamed_signature, "_BETWEEN", 100 * KB)
    monkeypatch.setattr(streamed_signature, "_PIECE", 10 * KB)
    large = _entity("x" * 80 * KB)
    octets = metadata_feeds.sign_feed(
        metadata_feeds.build_feed(*[large.replace("one", f"one{n}") for n in range(10)]), forge.upstream.key
    )
    assert metadata_feeds.read(octets, metadata_feeds.trust(forge.upstream.certificate), ONE).entity_count == 10


POISON: Final[dict[str, tuple[str, str]]] = {
    "too large": (f"<md:Extensions><x xmlns='urn:x'>{'x' * 3 * MB}</x></md:Extensions>", "xml.size"),
    "too many nodes": ("<md:NameIDFormat><b/></md:NameIDFormat>" * 20_000, "xml.nodes"),
    "too many that are kept": ("<md:NameIDFormat/>" * 5_000, "xml.nodes"),
    "too many attributes that are kept": ("<md:NameIDFormat a='' b=''/>" * 2_500, "xml.attributes"),
    "larger when canonical": (
        f"<md:Extensions><x xmlns='urn:x' a='{'&#9;' * 2_010_000}'/></md:Extensions>",
        "xml.size",
    ),
}


@pytest.mark.attack(33)
@pytest.mark.parametrize("case", POISON)
def test_a_hostile_entity_is_skipped(case: str, forge: Forge) -> None:
    """One member's hostile metadata is skipped with a notice, and the other entities are read."""
    inside, cause = POISON[case]
    xml = metadata_feeds.build_feed(idp_entity(HUB, inside), sp_entity(LOANS))
    held = metadata_feeds.trust(forge.upstream.certificate, largest=32 * MB)
    found = metadata_feeds.read(metadata_feeds.sign_feed(xml, forge.upstream.key), held, HUB, LOANS)
    read = entity_roles.read_feed_descriptors(found.entities, [HUB], [LOANS])
    assert (set(read.upstreams), set(read.services)) == (set(), {LOANS})
    assert [notice.removesuffix(" (keep only the entities you need)") for notice in read.notices] == [
        f"feed: {HUB} is no valid metadata: {cause}"
    ]


@pytest.mark.attack(33)
def test_the_notices_of_an_entity_are_limited(forge: Forge) -> None:
    """At most twenty notices are written for one entity, so that it cannot fill the log."""
    wrong = idp_entity(HUB).replace("https://hub.example/sso", "http://hub.example/sso")
    start, end = wrong.index("<md:SingleSignOn"), wrong.index("</md:IDPSSO")
    many = "".join(wrong[start:end].replace("/sso", f"/sso{n}") for n in range(1000))
    xml = metadata_feeds.build_feed(wrong[:start] + many + wrong[end:])
    found = metadata_feeds.read(
        metadata_feeds.sign_feed(xml, forge.upstream.key), metadata_feeds.trust(forge.upstream.certificate), HUB
    )
    assert len(entity_roles.read_feed_descriptors(found.entities, [HUB], []).notices) == 20


@pytest.mark.attack(33)
def test_a_start_tag_that_is_not_the_roots_is_refused() -> None:
    """The start tag that was found in the octets must be the root element that the parser found."""
    root = etree.fromstring(metadata_feeds.build_feed(ENTITY_XML))
    pieces = PiecewiseC14n(root, metadata_feeds.build_feed().replace("_f1", "_f2").encode(), ())
    with pytest.raises(MessageRefused, match=r"feed\.root"):
        pieces.cut(list(root))


@pytest.mark.slow
@pytest.mark.attack(33, control=True)
def test_a_feed_of_sixty_megabytes_is_read_within_its_budget(tmp_path: Path) -> None:
    """Control: 12,500 entities are read in a separate process with at most 120 MB and a few seconds of CPU time."""
    metadata.write(tmp_path, 12_500)
    assert (tmp_path / "feed.xml").stat().st_size >= 60_000_000
    command = [sys.executable, "-m", "bench.metadata", "verified and read", str(tmp_path)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environ).stdout)
    assert (found["cpu"] < 6, found["peak"] <= 120) == (True, True), found  # measured: 0.5 s and 54 MB
