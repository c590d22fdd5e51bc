"""Writes the Response and the Assertion for a service, with pysaml2's classes, unsigned."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from saml2 import element_to_extension_element, saml, samlp

from broker.adapters.saml.gate import xml_times
from broker.core.consent.disclosure import Disclosure
from broker.core.entities import PERSISTENT, UNSPECIFIED_CLASS
from broker.core.errors import BrokerError, Status
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE, AttributeMap, MapRow, wire
from broker.core.login.transaction import Authentication, AuthnRequest, Issued
from broker.core.logout.sessions import NameID, session_index

# The service's clock may be behind ours by as much (docs/reference/interop.md#clocks).
STARTS_BEFORE: Final = timedelta(seconds=60)
LIVES: Final = timedelta(minutes=5)
LONGEST_SESSION: Final = timedelta(hours=8)
# eduPersonTargetedID: its value is a NameID, and mod_shib silently drops one that is a text
# (docs/reference/interop.md#targeted-id).
_TARGETED_ID: Final = "urn:oid:1.3.6.1.4.1.5923.1.1.1.10"


@dataclass(frozen=True, slots=True, repr=False)
class Assertable:
    """All that goes into one assertion, and nothing else can."""

    issuer: str
    request: AuthnRequest
    disclosure: Disclosure
    authentication: Authentication
    issued: Issued


def response(
    issuer: str,
    request: AuthnRequest,
    name: str,
    at: datetime,
    status: Status,
) -> samlp.Response:
    """Return a Response to ``request`` without an assertion.

    A status carries no message, least of all an upstream's.
    """
    return samlp.Response(
        id=name,
        version="2.0",
        issue_instant=xml_times.write(at),
        destination=request.acs,
        in_response_to=request.id,
        issuer=saml.Issuer(text=issuer),
        status=status_element(status),
    )


def status_element(status: Status) -> samlp.Status:
    """Return a status as the element that is written."""
    second = None
    if status.second:
        second = samlp.StatusCode(value=status.second)
    top = samlp.StatusCode(value=status.top, status_code=second)
    return samlp.Status(status_code=top)


def assertion(
    of: Assertable,
    attribute_map: AttributeMap,
    *,
    encrypted: bool,
) -> saml.Assertion:
    """Return the Assertion: the same for the same ``issued``.

    How and when the person was authenticated is what the upstream asserted, never stamped anew;
    AuthenticatingAuthority is its chain in its order, then the upstream itself, as a hub writes it
    (docs/reference/wayf.md#authenticating-authority). ``BrokerError`` for a CPR where the assertion
    will not be ``encrypted``, and for an attribute that the service's map cannot name. Sources:
    saml-profiles 4.1.4.2, docs/reference/saml-profiles.md#26, #29 to #31, #38, #39 and #41.
    """
    statements = []
    attributes = list(_attributes(of, attribute_map, encrypted=encrypted))
    # An empty AttributeStatement is against the schema
    # (docs/reference/interop.md#attribute-statement)
    if attributes:
        statements.append(saml.AttributeStatement(attribute=attributes))
    return saml.Assertion(
        id=of.issued.assertion,
        version="2.0",
        issue_instant=xml_times.write(of.issued.at),
        issuer=saml.Issuer(text=of.issuer),
        subject=_subject_element(of),
        conditions=_conditions(of),
        authn_statement=[_statement(of)],
        attribute_statement=statements,
    )


def _subject_element(of: Assertable) -> saml.Subject:
    confirmation = saml.SubjectConfirmation(
        method=saml.SCM_BEARER,
        subject_confirmation_data=saml.SubjectConfirmationData(
            in_response_to=of.request.id,
            recipient=of.request.acs,
            not_on_or_after=xml_times.write(of.issued.at + LIVES),
        ),
    )
    return saml.Subject(
        name_id=name_id(subject(of.issuer, of.request, of.disclosure, of.issued)),
        subject_confirmation=[confirmation],
    )


def _conditions(of: Assertable) -> saml.Conditions:
    audience = saml.Audience(text=of.request.entity_id)
    return saml.Conditions(
        not_before=xml_times.write(of.issued.at - STARTS_BEFORE),
        not_on_or_after=xml_times.write(of.issued.at + LIVES),
        audience_restriction=[saml.AudienceRestriction(audience=[audience])],
    )


def subject(
    issuer: str,
    request: AuthnRequest,
    disclosure: Disclosure,
    issued: Issued,
) -> NameID:
    """Return the NameID that the assertion of ``issued`` names the person by.

    A persistent one is qualified by both entityIDs.
    """
    if disclosure.name_id_format != PERSISTENT:
        return NameID(issued.name_id, disclosure.name_id_format)
    return NameID(issued.name_id, PERSISTENT, issuer, request.entity_id)


def name_id(of: NameID) -> saml.NameID:
    """Return a NameID as the element that is written."""
    return saml.NameID(
        format=of.format,
        name_qualifier=of.name_qualifier,
        sp_name_qualifier=of.sp_name_qualifier,
        sp_provided_id=of.sp_provided_id,
        text=of.value,
    )


def _statement(of: Assertable) -> saml.AuthnStatement:
    authentication = of.authentication
    longest = of.issued.at + LONGEST_SESSION
    until = min(authentication.session_until or longest, longest)
    return saml.AuthnStatement(
        authn_instant=xml_times.write(authentication.authn_instant),
        session_index=session_index(of.issued.assertion),
        session_not_on_or_after=xml_times.write(until),
        authn_context=_authn_context(authentication),
    )


def _authn_context(authentication: Authentication) -> saml.AuthnContext:
    reference = authentication.authn_context or UNSPECIFIED_CLASS
    # A person with the library's own PIN was authenticated by no authority before us.
    chain = dict.fromkeys((*authentication.authorities, authentication.issuer))
    authorities = [name for name in chain if name]
    return saml.AuthnContext(
        authn_context_class_ref=saml.AuthnContextClassRef(text=reference),
        authenticating_authority=[saml.AuthenticatingAuthority(text=name) for name in authorities],
    )


def _attributes(
    of: Assertable,
    attribute_map: AttributeMap,
    *,
    encrypted: bool,
) -> Iterator[saml.Attribute]:
    for item in of.disclosure.attributes:
        if item.name == CPR_ATTRIBUTE and not encrypted:
            raise BrokerError("a CPR would leave unencrypted")
        row = wire(attribute_map, item.name)
        if row is None:
            raise BrokerError(f"the attribute map {attribute_map.name} has no row for {item.name}")
        if item.values:
            yield saml.Attribute(
                name=row.wire,
                name_format=row.name_format,
                friendly_name=row.friendly or item.name,
                attribute_value=[_value(of, row, value) for value in item.values],
            )


def _value(
    of: Assertable,
    row: MapRow,
    value: str,
) -> saml.AttributeValue:
    if row.wire != _TARGETED_ID:
        return saml.AttributeValue(text=row.written(value))
    name_id = saml.NameID(
        format=PERSISTENT,
        name_qualifier=of.issuer,
        sp_name_qualifier=of.request.entity_id,
        text=row.written(value),
    )
    return saml.AttributeValue(extension_elements=[element_to_extension_element(name_id)])
