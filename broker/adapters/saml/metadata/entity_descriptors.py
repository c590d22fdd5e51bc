"""Finds the entities that a document of metadata is about, and none that one of them has hidden in its own metadata.

What metadata says of an entity by attributes: its wish for subject identifiers, and the categories it names.

A service writes its own metadata, so nothing here gives it anything: a wish only takes away
(core/identity/subject_ids.py), and categories count as the configuration or a registrar's feed has them
(saml_profiles.md row 48).
"""

from collections.abc import Iterator
from typing import Final

from lxml import etree

from broker.adapters.saml.gate.xml_names import ENTITIES, ENTITY, MD, SAML
from broker.core.identity.subject_ids import PAIRWISE, SUBJECT


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


_ATTRIBUTES: Final = "urn:oasis:names:tc:SAML:metadata:attribute"
_EXTENSIONS: Final = f"{{{MD}}}Extensions/{{{_ATTRIBUTES}}}EntityAttributes/{{{SAML}}}Attribute"
REQ: Final = "urn:oasis:names:tc:SAML:profiles:subject-id:req"
_WISHES: Final = frozenset({SUBJECT, PAIRWISE, "any", "none"})


def said(role: etree._Element, name: str) -> Iterator[str]:
    """Give the values of the entity attribute ``name``, of the role itself or of the entity around it."""
    entity = role.getparent()
    for element in (role, entity) if entity is not None else (role,):
        for each in element.iterfind(_EXTENSIONS):
            if each.get("Name") == name:
                yield from (
                    "".join(str(part) for part in value.itertext()).strip() for value in each
                )


def required(role: etree._Element) -> frozenset[str]:
    """Give the Names of the attributes that a service marks as required; NameFormat and FriendlyName decide nothing."""
    listed = role.iterfind(f"{{{MD}}}AttributeConsumingService/{{{MD}}}RequestedAttribute")
    return frozenset(
        each.get("Name", "")
        for each in listed
        if each.get("isRequired", "").strip() in {"true", "1"}
    )


def subject_id_req(role: etree._Element) -> str | None:
    """Give which subject identifier a service wants; "none" where it says two things or what nobody knows."""
    wishes = set(said(role, REQ))
    if not wishes:
        return None
    return next(iter(wishes)) if len(wishes) == 1 and wishes <= _WISHES else "none"
