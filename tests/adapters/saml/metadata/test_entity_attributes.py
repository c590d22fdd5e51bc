"""Which entities a document of metadata is about: never one that a member of it has hidden in its own metadata."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from broker.adapters.saml.metadata import metadata_folder
from broker.adapters.saml.metadata.wanted_entities import WantedIds
from broker.adapters.saml.xml_security.xml_names import MD
from tests.plugins import metadata_feeds
from tests.plugins.saml_messages import Forge
from tests.plugins.saml_parties import HUB, LOANS, Parties, idp_entity, key_descriptor, sp_entity

MEMBER: Final = "https://member.example"


def _extensions(hidden: str) -> str:
    """Hide something where a foreign element around it passes the schemas."""
    return f'<md:Extensions><x:x xmlns:x="urn:x">{hidden}</x:x></md:Extensions>'


def _add_extension(written: str, hidden: str) -> str:
    """Give an entity whose own extensions hold more than they should."""
    return re.sub("(<md:(?:IDP|SP)SSO)", rf"{_extensions(hidden)}\1", written, count=1)


HIDDEN: Final[dict[str, Callable[[str], str]]] = {
    "in the entity's extensions": lambda hub: _add_extension(idp_entity(MEMBER), hub),
    "in the role's extensions": lambda hub: idp_entity(MEMBER, _extensions(hub)),
    "in a collection there": lambda hub: _add_extension(
        idp_entity(MEMBER), f'<m:EntitiesDescriptor xmlns:m="{MD}">{hub}</m:EntitiesDescriptor>'
    ),
    "in the entity itself": lambda hub: idp_entity(MEMBER).replace("</md:Entity", f"{hub}</md:Entity", 1),
    "in the extensions of the feed": _extensions,
    "in the extensions of a collection": lambda hub: (
        f"<md:EntitiesDescriptor><md:Extensions>{hub}</md:Extensions></md:EntitiesDescriptor>"
    ),
    "in a foreign element": lambda hub: f'<x:x xmlns:x="urn:x">{hub}</x:x>',
    "in a collection of no namespace": lambda hub: f"<EntitiesDescriptor>{hub}</EntitiesDescriptor>",
}


@pytest.mark.attack(33)
@pytest.mark.parametrize("place", HIDDEN)
@pytest.mark.parametrize("beside", [True, False])
def test_a_hidden_entity_is_none_of_the_feeds(place: str, beside: bool, forge: Forge) -> None:
    """A federation may copy a member's extensions unread: the hub in there would replace the hub, or bar it."""
    listed = [idp_entity(HUB)] if beside else []
    hidden = HIDDEN[place](idp_entity(HUB).replace("<md:EntityDescriptor", '<md:EntityDescriptor ID="_hidden"', 1))
    octets = metadata_feeds.sign_feed(metadata_feeds.build_feed(hidden, *listed), forge.upstream.key)
    found = metadata_feeds.read(octets, metadata_feeds.trust(forge.upstream.certificate), HUB)
    assert [b"_hidden" in each.octets for each in found.entities.values()] == [False] * beside
    assert not found.duplicates


@pytest.mark.attack(33, control=True)
def test_an_entity_counts_in_any_depth_of_collections(forge: Forge) -> None:
    """A feed may be a collection of collections; in each the entities are the federation's own."""
    nested = f"<md:EntitiesDescriptor><md:EntitiesDescriptor>{idp_entity(HUB)}</md:EntitiesDescriptor>"
    octets = metadata_feeds.sign_feed(
        metadata_feeds.build_feed(f"{nested}</md:EntitiesDescriptor>"), forge.upstream.key
    )
    assert set(metadata_feeds.read(octets, metadata_feeds.trust(forge.upstream.certificate), HUB).entities) == {HUB}


@pytest.mark.attack(33)
@pytest.mark.parametrize("place", ["in the entity's extensions", "in the role's extensions"])
def test_a_hidden_entity_is_none_of_the_folders(place: str, parties: Parties, tmp_path: Path) -> None:
    """A file of a service never sets the keys of the hub, with or without another source for the hub."""
    hub = idp_entity(HUB, key_descriptor(parties.stranger.certificate))
    role = place == "in the role's extensions"
    service = sp_entity(LOANS, before=_extensions(hub)) if role else _add_extension(sp_entity(LOANS), hub)
    (tmp_path / "loans.xml").write_text(service)
    wanted = WantedIds(frozenset((HUB,)), frozenset((LOANS,)))
    read = metadata_folder.read(tmp_path, wanted).metadata
    assert (set(read.upstreams), set(read.services)) == (set(), {LOANS})
