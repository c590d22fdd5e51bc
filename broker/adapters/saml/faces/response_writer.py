"""Writes error Responses, statuses and NameIDs with pysaml2's classes, unsigned."""

from datetime import datetime

from saml2 import saml, samlp

from broker.adapters.saml.gate import xml_times
from broker.core.consent.disclosure import Disclosure
from broker.core.entities import PERSISTENT
from broker.core.errors import Status
from broker.core.login.transaction import AuthnRequest, Issued
from broker.core.logout.sessions import NameID


def response(
    issuer: str, request: AuthnRequest, name: str, at: datetime, status: Status
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


def subject(issuer: str, request: AuthnRequest, disclosure: Disclosure, issued: Issued) -> NameID:
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
