"""Turns a checked Assertion into an Authentication; the attributes stay exactly as they stood."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from lxml import etree

from broker.adapters.saml.faces.received_response import (
    ReceivedAssertion,
    confirmation_end,
    moment,
    saml,
    text,
)
from broker.core.entities import UNSPECIFIED, UNSPECIFIED_CLASS, Assurance
from broker.core.identity.accepted_text import TextKind, find_text_fault
from broker.core.identity.attribute_values import find_class_fault
from broker.core.identity.canonical_attributes import WireAttribute, Withheld
from broker.core.login.transaction import Authentication
from broker.core.logout.sessions import NameID

_ATTRIBUTES: Final = saml("AttributeStatement", "Attribute")
_VALUE: Final = saml("AttributeValue")
_NAME_ID: Final = saml("NameID")
_NO_NAME_ID: Final = NameID("", UNSPECIFIED)
_CLASS: Final = saml("AuthnContext", "AuthnContextClassRef")


def authentication(received: ReceivedAssertion) -> Authentication:
    """Return the Authentication of an Assertion that has passed every check.

    ``institution`` is the real entityID, aliases resolved. What a service or a logout would be told
    and is not accepted is left out, and stands in ``withheld`` with the reason.
    """
    statement = received.statements[0]
    upstream = received.response.upstream
    institution = received.institution
    withheld: Withheld = []
    name_id = _name_id(received.subject.find(_NAME_ID), withheld)
    return Authentication(
        upstream=upstream.name,
        issuer=upstream.entity_id,
        institution=institution.entity_id if institution else "",
        authorities=_known_authorities(received, withheld),
        attributes=attributes(received.assertion),
        authn_instant=received.instants[0],
        authn_context=_authn_context(received, withheld),
        received=received.response.now,
        assertion_until=_assertion_until(received),
        name_id=name_id.value or None,
        name_id_format=name_id.format or "",
        name_qualifier=name_id.name_qualifier,
        sp_name_qualifier=name_id.sp_name_qualifier,
        sp_provided_id=name_id.sp_provided_id,
        session_index=_session_index(statement, withheld),
        session_until=moment(statement, "SessionNotOnOrAfter"),
        withheld=tuple(withheld),
    )


def _name_id(element: etree._Element | None, withheld: Withheld) -> NameID:
    """Return the NameID as it was received, all of it or nothing: a logout must name it so."""
    if element is None:
        return _NO_NAME_ID
    for part in (text(element), *element.attrib.values()):
        fault = find_text_fault(str(part), TextKind.NAME_ID)
        if fault:
            withheld.append(("NameID", fault))
            return _NO_NAME_ID
    return NameID(
        value=text(element),
        format=element.get("Format"),
        name_qualifier=element.get("NameQualifier"),
        sp_name_qualifier=element.get("SPNameQualifier"),
        sp_provided_id=element.get("SPProvidedID"),
    )


def _session_index(statement: etree._Element, withheld: Withheld) -> str | None:
    written = statement.get("SessionIndex")
    if written is None:
        return None
    fault = find_text_fault(written, TextKind.SESSION_INDEX)
    if fault:
        withheld.append(("SessionIndex", fault))
        return None
    return written


def _known_authorities(received: ReceivedAssertion, withheld: Withheld) -> tuple[str, ...]:
    """Return the chain without the names that neither configuration nor metadata has.

    Services get it as our word. The last one has been found among the institutions already.
    """
    upstream = received.response.upstream
    known = {upstream.entity_id}
    for institution in upstream.institutions:
        known.update((institution.entity_id, *institution.aliases))
    chain = tuple(name for name in received.authorities if name in known)
    if len(chain) < len(received.authorities):
        withheld.append(("AuthenticatingAuthority", "unknown_authority"))
    return chain


def _assertion_until(received: ReceivedAssertion) -> datetime:
    """Return the end of the assertion: whatever is written, it is not accepted after that."""
    traits = received.traits
    issued = moment(received.assertion, "IssueInstant") or received.response.now
    ends = [issued + traits.fresh, received.bound("NotOnOrAfter")]
    confirmed = [confirmation_end(confirmation) for confirmation in received.confirmations]
    # Until the last of them it could be brought again.
    ends.append(max((end for end in confirmed if end), default=None))
    return min(end for end in ends if end) + traits.longer


def _authn_context(received: ReceivedAssertion, withheld: Withheld) -> str | None:
    """Return the class, or unspecified for one that nobody knows or that is above the cap.

    We would vouch for it. None where there is no class, or the profile has the level in an
    attribute.
    """
    if received.traits.nsis:
        return None
    # An anyURI: space around it means nothing.
    written = " ".join(text(received.statements[0].find(_CLASS)).split())
    if not written:
        return None
    cap = Assurance.SELF_ASSERTED
    if received.institution:
        cap = received.institution.max_assurance
    fault = find_class_fault(written, cap, received.response.upstream.meets)
    if fault is None:
        return written
    withheld.append(("AuthnContextClassRef", fault))
    return UNSPECIFIED_CLASS


def attributes(assertion: etree._Element) -> tuple[WireAttribute, ...]:
    """Return the attributes by Name; one that stands several times is one.

    Source: docs/reference/attacks.md#22.
    """
    found: dict[str, list[str]] = {}
    for attribute in assertion.iterfind(_ATTRIBUTES):
        values = found.setdefault(attribute.get("Name", ""), [])
        values.extend(_values(attribute))
    return tuple(WireAttribute(name, tuple(values)) for name, values in found.items())


def _values(attribute: etree._Element) -> Iterator[str]:
    """Yield the values that are text, and eduPersonTargetedID's, which is a NameID.

    Any other structure is no value of ours.
    """
    for value in attribute.iterfind(_VALUE):
        if len(value) == 0:
            yield text(value)
        elif [child.tag for child in value] == [_NAME_ID]:
            yield text(value[0])
