"""Reads the entity attributes and required attributes in a service's metadata.

A service writes its own metadata, so nothing here grants it anything: a request for subject
identifiers only restricts (core/identity/person_id.py), and categories come from the configuration
or a registrar's feed (docs/reference/saml-profiles.md#48).
"""

from collections.abc import Iterator
from typing import Final

from lxml import etree

from broker.adapters.saml.messages.message_values import read_flag
from broker.adapters.saml.xml_security.xml_names import MD, SAML
from broker.core.identity.person_id import PAIRWISE, SUBJECT

ATTRIBUTES: Final = "urn:oasis:names:tc:SAML:metadata:attribute"
_EXTENSIONS: Final = f"{{{MD}}}Extensions/{{{ATTRIBUTES}}}EntityAttributes/{{{SAML}}}Attribute"
REQ: Final = "urn:oasis:names:tc:SAML:profiles:subject-id:req"
_KNOWN: Final = frozenset({SUBJECT, PAIRWISE, "any", "none"})


def read_entity_attributes(role: etree._Element, name: str) -> Iterator[str]:
    """Yield the values of the entity attribute ``name``, of the role or of the entity around it."""
    for attribute in (*role.iterfind(_EXTENSIONS), *role.iterfind(f"../{_EXTENSIONS}")):
        if attribute.get("Name") == name:
            for value in attribute:
                yield (value.text or "").strip()


def read_required(role: etree._Element) -> frozenset[str]:
    """Return the Names of the attributes that a service marks as required."""
    asked = role.iterfind(f"{{{MD}}}AttributeConsumingService/{{{MD}}}RequestedAttribute")
    return frozenset(
        attribute.get("Name", "") for attribute in asked if read_flag(attribute.get("isRequired"))
    )


def read_subject_id_req(role: etree._Element) -> str | None:
    """Return which subject identifier a service requests, None without request.

    Two requests, or one that is not in the standard, count as "none".
    """
    requested = set(read_entity_attributes(role, REQ))
    if not requested:
        return None
    if len(requested) > 1 or not requested <= _KNOWN:
        return "none"
    return requested.pop()
