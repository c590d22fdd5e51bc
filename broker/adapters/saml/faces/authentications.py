"""Turns a checked Assertion into an Authentication; the attributes stay exactly as they stood."""

from collections.abc import Iterator
from dataclasses import replace
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
from broker.core.identity.attribute_values import assurance_of_class
from broker.core.identity.canonical_attributes import WireAttribute
from broker.core.login.transaction import Authentication

_ATTRIBUTES: Final = saml("AttributeStatement", "Attribute")
_VALUE: Final = saml("AttributeValue")
_NAME_ID: Final = saml("NameID")
_CLASS: Final = saml("AuthnContext", "AuthnContextClassRef")


def authentication(received: ReceivedAssertion) -> Authentication:
    """Return the Authentication of an Assertion that has passed every check.

    ``institution`` is the real entityID, aliases resolved.
    """
    statement = received.statements[0]
    upstream = received.response.upstream
    institution = received.institution
    made = Authentication(
        upstream=upstream.name,
        issuer=upstream.entity_id,
        institution=institution.entity_id if institution else "",
        authorities=received.authorities,
        attributes=attributes(received.assertion),
        authn_instant=received.instants[0],
        authn_context=_authn_context(received),
        received=received.response.now,
        assertion_until=_assertion_until(received),
        name_id_format=UNSPECIFIED,
        session_index=statement.get("SessionIndex"),
        session_until=moment(statement, "SessionNotOnOrAfter"),
    )
    name_id = received.subject.find(_NAME_ID)
    if name_id is None:
        return made
    return replace(
        made,
        name_id=text(name_id) or None,
        name_id_format=name_id.get("Format", ""),
        name_qualifier=name_id.get("NameQualifier"),
        sp_name_qualifier=name_id.get("SPNameQualifier"),
        sp_provided_id=name_id.get("SPProvidedID"),
    )


def _assertion_until(received: ReceivedAssertion) -> datetime:
    """Return the end of the assertion: whatever is written, it is not accepted after that."""
    traits = received.traits
    issued = moment(received.assertion, "IssueInstant") or received.response.now
    ends = [issued + traits.fresh, received.bound("NotOnOrAfter")]
    confirmed = [confirmation_end(confirmation) for confirmation in received.confirmations]
    # Until the last of them it could be brought again.
    ends.append(max((end for end in confirmed if end), default=None))
    return min(end for end in ends if end) + traits.longer


def _authn_context(received: ReceivedAssertion) -> str | None:
    """Return the class, or unspecified where it is above what the institution is good for.

    We would vouch for it. None where there is no class, or the profile has the level in an
    attribute.
    """
    if received.traits.nsis:
        return None
    # An anyURI: space around it means nothing.
    written = " ".join(text(received.statements[0].find(_CLASS)).split())
    cap = Assurance.SELF_ASSERTED
    if received.institution:
        cap = received.institution.max_assurance
    least = assurance_of_class(written)
    if least and least > cap:
        return UNSPECIFIED_CLASS
    return written or None


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
