"""Feeds read as streams: what xmlsec signs we verify, however the document is written and wherever a piece ends."""

from datetime import timedelta

import pytest
from lxml import etree

from broker.adapters.saml.feeds import aggregates, streamed_signature
from broker.adapters.saml.xml_security import signature_profile, xml_times
from broker.adapters.saml.xml_security.xml_names import EXCLUSIVE, MD
from tests.plugins import metadata_feeds
from tests.plugins.saml_messages import NOW, Forge

ONE, TWO = "https://one.example", "https://two.example"


def entity(name: str = ONE, inside: str = "<md:Organization/>", more: str = "") -> str:
    """Write an entity that need not be a sound one."""
    return f'<md:EntityDescriptor entityID="{name}"{more}>{inside}</md:EntityDescriptor>'


LISTING = (
    f'<ds:Transform xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Algorithm="{EXCLUSIVE}"><ec:InclusiveNamespaces \
xmlns:ec="{EXCLUSIVE}" PrefixList="x md"/></ds:Transform>'
)
# Each document is written as a publisher may write it, and is hard for a canonicaliser that works in pieces.
WRITTEN = {
    "plain": metadata_feeds.build_feed(entity(), entity(TWO)),
    "one entity": metadata_feeds.build_feed(entity()),
    "not a space": f'<md:EntitiesDescriptor xmlns:md="{MD}" ID="_f1" validUntil="2026-12-01T00:00:00Z">'
    f"{entity()}{entity(TWO)}</md:EntitiesDescriptor>",
    "default namespace": metadata_feeds.build_feed(entity()).replace("md:", "").replace(":md=", "="),
    "default inside prefix": metadata_feeds.build_feed(
        f'<EntityDescriptor xmlns="{MD}" entityID="{ONE}"><Organization/></EntityDescriptor>', entity(TWO)
    ),
    "prefix inside default": metadata_feeds.build_feed(
        entity(inside=f'<Organization xmlns="{MD}"/><md:Organization/><o:Organization xmlns:o="{MD}"/>')
    ),
    "prefix taken anew": metadata_feeds.build_feed(
        entity(inside=f'<md:Organization xmlns:md="urn:other"><md:x/><y:z xmlns:y="{MD}"/></md:Organization>')
    ),
    "two prefixes of one name": metadata_feeds.build_feed(entity(), more=f' xmlns:a="{MD}" xmlns="{MD}"').replace(
        "<md:Organization/>", "<a:Organization/><Organization/>"
    ),
    "attributes of a namespace": metadata_feeds.build_feed(
        entity(inside='<md:Extensions x:b="2" x:a="1"/>'), more=' xmlns:x="urn:x" x:root="1" xml:lang="da"'
    ),
    "a prefix only values use": metadata_feeds.build_feed(
        entity(inside='<md:Extensions t="x:type"/>'), more=' xmlns:x="urn:x"'
    ),
    "comments": metadata_feeds.build_feed("<!-- a -->", entity(inside="on<!-- b -->e"), "<!-- c -->", entity(TWO))
    + "<!--d-->",
    "an instruction": metadata_feeds.build_feed("<?sort by=name?>", entity(), entity(TWO)),
    "CDATA and references": metadata_feeds.build_feed(entity(inside="<![CDATA[<&>]]>&#13;&lt;&#x61; \t\r\n")),
    "other languages": metadata_feeds.build_feed(
        entity(inside="Søren Ærø 図書館 \U0001f4da", more=' x="æ&#10;&quot;&lt;"')
    ),
    "text between": metadata_feeds.build_feed("one", entity(), "two &amp; three", entity(TWO), "four"),
    "nested": metadata_feeds.build_feed(
        entity(), f"<md:EntitiesDescriptor>{entity(TWO)}<md:EntitiesDescriptor/></md:EntitiesDescriptor>", entity("u")
    ),
    "empty namespace": metadata_feeds.build_feed(entity(inside='<y xmlns=""><z xmlns="urn:z"><w xmlns=""/></z></y>')),
}


def _read(octets: bytes, forge: Forge, *wanted: str) -> aggregates.Aggregate:
    return metadata_feeds.read(octets, metadata_feeds.trust(forge.upstream.certificate), *wanted)


@pytest.mark.parametrize("piece", [7, 64, 1_000_000])
@pytest.mark.parametrize("written", WRITTEN)
def test_feeds_signed_by_xmlsec_are_verified(
    written: str, piece: int, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest is right wherever the stream is cut into pieces."""
    monkeypatch.setattr(streamed_signature, "_PIECE", piece)
    octets = metadata_feeds.sign_feed(WRITTEN[written], forge.upstream.key)
    found = _read(octets, forge, ONE, "u")
    assert found.entity_count == octets.count(b"EntityDescriptor ")
    assert found.entities[ONE].entity_id == ONE
    assert etree.fromstring(found.entities[ONE].octets).get("entityID") == ONE


@pytest.mark.parametrize("written", WRITTEN)
def test_a_list_of_prefixes_is_obeyed(written: str, forge: Forge) -> None:
    """A canonicalisation may name prefixes that it writes everywhere; xmlsec does, and so do we."""
    octets = metadata_feeds.sign_feed_with(
        WRITTEN[written], forge.upstream.xml, transforms=(signature_profile.ENVELOPED, LISTING)
    )
    assert _read(octets, forge, ONE).entities[ONE]


def test_an_entity_has_the_octets_that_were_signed(forge: Forge) -> None:
    """An extracted entity contains the octets of the digest, without comments, which are not signed."""
    octets = metadata_feeds.sign_feed(
        metadata_feeds.build_feed(entity(inside="<md:Organization/>on<!-- -->e")), forge.upstream.key
    )
    kept = _read(octets, forge, ONE).entities[ONE]
    assert (
        kept.octets
        == (
            f'<md:EntityDescriptor xmlns:md="{MD}" entityID="{ONE}"><md:Organization></md:Organization>one'
            "</md:EntityDescriptor>"
        ).encode()
    )


def test_nothing_that_was_not_asked_for_is_kept(forge: Forge) -> None:
    """Others are counted, whatever they are called and however often."""
    octets = metadata_feeds.sign_feed(metadata_feeds.build_feed(entity(), entity(TWO), entity(TWO)), forge.upstream.key)
    found = _read(octets, forge, ONE, "https://nobody.example")
    assert (set(found.entities), found.duplicates, found.entity_count) == ({ONE}, frozenset(), 3)


def test_one_entity_may_be_the_document(forge: Forge) -> None:
    """A metadata query answers with the entity itself, signed as a feed is; the whole of it is kept."""
    xml = f'<md:EntityDescriptor xmlns:md="{MD}" ID="_f1" entityID="{ONE}" validUntil="2026-12-01T00:00:00Z">\
 <md:Extensions/> <md:IDPSSODescriptor protocolSupportEnumeration="a"/></md:EntityDescriptor>'
    found = _read(metadata_feeds.sign_feed(xml, forge.upstream.key), forge, ONE)
    kept = found.entities[ONE]
    assert [child.tag.rpartition("}")[2] for child in etree.fromstring(kept.octets)] == [
        "Extensions",
        "IDPSSODescriptor",
    ]
    assert (found.entity_count, kept.until) == (1, xml_times.read("2026-12-01T00:00:00Z"))


@pytest.mark.parametrize(
    ("written", "until"),
    [("", 7), ("2026-11-26T12:00:00Z", 1), ("2027-11-26T12:00:00Z", 7), ("2026-02-30T00:00:00Z", None)],
)
def test_an_entity_ends_with_whatever_around_it_ends_first(written: str, until: int | None, forge: Forge) -> None:
    """The feed's own end holds for all within; an end that no calendar has is one already."""
    more = f' validUntil="{written}"' if written else ""
    octets = metadata_feeds.sign_feed(metadata_feeds.build_feed(entity(more=more)), forge.upstream.key)
    ends = xml_times.LONG_AGO if until is None else NOW + timedelta(days=until)
    assert _read(octets, forge, ONE).entities[ONE].until == ends
