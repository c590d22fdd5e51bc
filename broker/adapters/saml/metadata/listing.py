"""Finds the entities that a document of metadata is about, and none that one of them has hidden in its own metadata."""

from collections.abc import Iterator

from lxml import etree

from broker.adapters.saml.gate.names import ENTITIES, ENTITY


def entity_descriptors(element: etree._Element) -> Iterator[etree._Element]:
    """Give the EntityDescriptors of a document or of a part of it: the root, or those that only collections are around.

    Extensions hold what their owner likes, and a federation may copy them unread: an
    EntityDescriptor in there is the word of a member, who would speak for another (attacks.md row
    33).
    """
    if element.tag == ENTITY:
        yield element
    elif element.tag == ENTITIES:
        for child in element:
            yield from entity_descriptors(child)
