"""Writes Responses, Assertions, statuses and NameIDs with pysaml2's classes, unsigned."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from saml2 import saml, samlp

from broker.adapters.saml.messages.message_values import make_name_id, make_status
from broker.adapters.saml.xml_security import xml_times
from broker.core.consent.disclosure import Disclosure, Item
from broker.core.entities import PERSISTENT, UNSPECIFIED_CLASS
from broker.core.errors import BrokerError, Status
from broker.core.identity.attribute_properties import find_properties
from broker.core.identity.canonical_attributes import (
    CPR_ATTRIBUTE,
    AttributeMap,
    MapRow,
    find_outgoing_row,
)
from broker.core.identity.cpr import looks_like_cpr
from broker.core.login.transaction import Authentication, AuthnRequest, Issued
from broker.core.logout.sessions import NameID, session_index

# The service's clock may be this much behind ours (docs/reference/interop.md#clocks).
STARTS_BEFORE: Final = timedelta(seconds=60)
LIFETIME: Final = timedelta(minutes=5)
LONGEST_SESSION: Final = timedelta(hours=8)
# eduPersonTargetedID: its value is a NameID element. mod_shib silently drops a plain text
# (docs/reference/interop.md#targeted-id).
_TARGETED_ID: Final = "urn:oid:1.3.6.1.4.1.5923.1.1.1.10"


@dataclass(frozen=True, slots=True, repr=False)
class AssertionContents:
    """Everything that goes into one assertion."""

    issuer: str
    request: AuthnRequest
    disclosure: Disclosure
    authentication: Authentication
    issued: Issued


def response(
    issuer: str, request: AuthnRequest, response_id: str, at: datetime, status: Status
) -> samlp.Response:
    """Return a Response to ``request`` without an assertion; its status has no message."""
    return samlp.Response(
        id=response_id,
        version="2.0",
        issue_instant=xml_times.write(at),
        destination=request.acs,
        in_response_to=request.id,
        issuer=saml.Issuer(text=issuer),
        status=make_status(status),
    )


def subject(issuer: str, request: AuthnRequest, disclosure: Disclosure, issued: Issued) -> NameID:
    """Return the NameID of the person; a persistent one is qualified by both entityIDs."""
    if disclosure.name_id_format != PERSISTENT:
        return NameID(issued.name_id, disclosure.name_id_format)
    return NameID(issued.name_id, PERSISTENT, issuer, request.entity_id)


def assertion(
    contents: AssertionContents, attribute_map: AttributeMap, *, encrypted: bool
) -> saml.Assertion:
    """Return the Assertion; the same ``issued`` gives the same Assertion.

    The authentication has the class and time that the upstream asserted. AuthenticatingAuthority is
    the upstream's chain in its order, then the upstream itself, as a hub writes it
    (docs/reference/wayf.md#authenticating-authority). Raises BrokerError for a CPR number if the
    assertion will not be ``encrypted``, and for an attribute without a row in the service's map. An
    empty AttributeStatement is left out, because the schema forbids it
    (docs/reference/interop.md#attribute-statement). Sources: saml-profiles 4.1.4.2,
    docs/reference/saml-profiles.md#26, #29 to #31, #38, #39 and #41.
    """
    attributes = list(_attributes(contents, attribute_map, encrypted=encrypted))
    statements = [saml.AttributeStatement(attribute=attributes)] if attributes else []
    issued_at = contents.issued.at
    audience = saml.Audience(text=contents.request.entity_id)
    return saml.Assertion(
        id=contents.issued.assertion,
        version="2.0",
        issue_instant=xml_times.write(issued_at),
        issuer=saml.Issuer(text=contents.issuer),
        subject=_subject_element(contents),
        conditions=saml.Conditions(
            not_before=xml_times.write(issued_at - STARTS_BEFORE),
            not_on_or_after=xml_times.write(issued_at + LIFETIME),
            audience_restriction=[saml.AudienceRestriction(audience=[audience])],
        ),
        authn_statement=[_authn_statement(contents)],
        attribute_statement=statements,
    )


def _subject_element(contents: AssertionContents) -> saml.Subject:
    request, issued = contents.request, contents.issued
    confirmation = saml.SubjectConfirmation(
        method=saml.SCM_BEARER,
        subject_confirmation_data=saml.SubjectConfirmationData(
            in_response_to=request.id,
            recipient=request.acs,
            not_on_or_after=xml_times.write(issued.at + LIFETIME),
        ),
    )
    named = subject(contents.issuer, request, contents.disclosure, issued)
    return saml.Subject(name_id=make_name_id(named), subject_confirmation=[confirmation])


def _authn_statement(contents: AssertionContents) -> saml.AuthnStatement:
    authentication = contents.authentication
    longest = contents.issued.at + LONGEST_SESSION
    until = min(authentication.session_until or longest, longest)
    authn_class = authentication.authn_context or UNSPECIFIED_CLASS
    authorities = [saml.AuthenticatingAuthority(text=name) for name in authentication.chain]
    return saml.AuthnStatement(
        authn_instant=xml_times.write(authentication.authn_instant),
        session_index=session_index(contents.issued.assertion),
        session_not_on_or_after=xml_times.write(until),
        authn_context=saml.AuthnContext(
            authn_context_class_ref=saml.AuthnContextClassRef(text=authn_class),
            authenticating_authority=authorities,
        ),
    )


def _attributes(
    contents: AssertionContents, attribute_map: AttributeMap, *, encrypted: bool
) -> Iterator[saml.Attribute]:
    for item in contents.disclosure.attributes:
        if not encrypted and _carries_cpr(item):
            raise BrokerError("a CPR would leave unencrypted")
        row = find_outgoing_row(attribute_map, item.name)
        if row is None:
            raise BrokerError(f"the attribute map {attribute_map.name} has no row for {item.name}")
        if item.values:
            yield saml.Attribute(
                name=row.wire,
                name_format=row.name_format,
                friendly_name=row.friendly_name,
                attribute_value=[_value(contents, row, value) for value in item.values],
            )


def _carries_cpr(item: Item) -> bool:
    """Return whether an attribute is the CPR number, or has a value that looks like one."""
    if item.name == CPR_ATTRIBUTE:
        return True
    opaque = find_properties(item.name).opaque
    return any(looks_like_cpr(value, apart=opaque) for value in item.values)


def _value(contents: AssertionContents, row: MapRow, value: str) -> saml.AttributeValue:
    written = row.write(value)
    if row.wire != _TARGETED_ID:
        return saml.AttributeValue(text=written)
    targeted = NameID(written, PERSISTENT, contents.issuer, contents.request.entity_id)
    return saml.AttributeValue(extension_elements=[make_name_id(targeted)])
