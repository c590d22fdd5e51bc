"""Writes the Assertion for a service, and the Response around it, as canonical text."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from broker.adapters.saml.faces.response_writer import subject
from broker.adapters.saml.gate import xml_times
from broker.adapters.saml.gate.canonical_text import attribute, text
from broker.adapters.saml.gate.signed_text import Signable
from broker.adapters.saml.gate.xml_names import BEARER, SAML, SAMLP, XS, XSI
from broker.core.consent.disclosure import Disclosure
from broker.core.entities import PERSISTENT, UNSPECIFIED_CLASS
from broker.core.errors import SUCCESS, BrokerError
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
_STRING: Final = f'<saml:AttributeValue xmlns:xsi="{XSI}" xsi:type="xs:string">'
_DECLARED_STRING: Final = (
    f'<saml:AttributeValue xmlns:xs="{XS}" xmlns:xsi="{XSI}" xsi:type="xs:string">'
)


@dataclass(frozen=True, slots=True, repr=False)
class Assertable:
    """All that goes into one assertion, and nothing else can."""

    issuer: str
    request: AuthnRequest
    disclosure: Disclosure
    authentication: Authentication
    issued: Issued


def response(of: Assertable, assertion: str) -> Signable:
    """Return the Response that brings an Assertion or EncryptedAssertion, which is canonical."""
    return Signable(
        id=of.issued.response,
        before=(
            f'<samlp:Response xmlns:samlp="{SAMLP}"'
            f"{attribute('Destination', of.request.acs)}"
            f"{attribute('ID', of.issued.response)}"
            f"{attribute('InResponseTo', of.request.id)}"
            f"{attribute('IssueInstant', xml_times.write(of.issued.at))}"
            ' Version="2.0">'
            f'<saml:Issuer xmlns:saml="{SAML}">{text(of.issuer)}</saml:Issuer>'
        ),
        after=(
            f"<samlp:Status><samlp:StatusCode{attribute('Value', SUCCESS.top)}></samlp:StatusCode>"
            f"</samlp:Status>{assertion}</samlp:Response>"
        ),
    )


def assertion(of: Assertable, attribute_map: AttributeMap, *, encrypted: bool) -> Signable:
    """Return the Assertion: the same for the same ``issued``.

    How and when the person was authenticated is what the upstream asserted, never stamped anew;
    AuthenticatingAuthority is its chain in its order, then the upstream itself, as a hub writes it
    (docs/reference/wayf.md#authenticating-authority). ``BrokerError`` for a CPR where the assertion
    will not be ``encrypted``, for an attribute that the service's map cannot name, and for a
    character that XML cannot hold. Sources: saml-profiles 4.1.4.2,
    docs/reference/saml-profiles.md#26, #29 to #31, #38, #39 and #41.
    """
    return Signable(
        id=of.issued.assertion,
        before=(
            f'<saml:Assertion xmlns:saml="{SAML}"'
            f"{attribute('ID', of.issued.assertion)}"
            f"{attribute('IssueInstant', xml_times.write(of.issued.at))}"
            ' Version="2.0">'
            f"<saml:Issuer>{text(of.issuer)}</saml:Issuer>"
        ),
        after=(
            f"{_subject(of)}{_conditions(of)}{_statement(of)}"
            f"{_attribute_statement(of, attribute_map, encrypted=encrypted)}</saml:Assertion>"
        ),
    )


def declared(canonical: str) -> bytes:
    """Return the octets to be sent: with xs declared, which canonical form leaves out.

    It is used in the value of an attribute only, xsi:type, where a canonicaliser does not look. No
    value can hold the tag that is replaced, since its "<" is escaped.
    """
    return canonical.replace(_STRING, _DECLARED_STRING).encode()


def _subject(of: Assertable) -> str:
    name_id = _name_id(subject(of.issuer, of.request, of.disclosure, of.issued))
    return (
        f"<saml:Subject>{name_id}<saml:SubjectConfirmation{attribute('Method', BEARER)}>"
        "<saml:SubjectConfirmationData"
        f"{attribute('InResponseTo', of.request.id)}"
        f"{attribute('NotOnOrAfter', xml_times.write(of.issued.at + LIVES))}"
        f"{attribute('Recipient', of.request.acs)}"
        "></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>"
    )


def _name_id(of: NameID) -> str:
    return (
        "<saml:NameID"
        f"{attribute('Format', of.format)}"
        f"{attribute('NameQualifier', of.name_qualifier)}"
        f"{attribute('SPNameQualifier', of.sp_name_qualifier)}"
        f"{attribute('SPProvidedID', of.sp_provided_id)}"
        f">{text(of.value)}</saml:NameID>"
    )


def _conditions(of: Assertable) -> str:
    return (
        "<saml:Conditions"
        f"{attribute('NotBefore', xml_times.write(of.issued.at - STARTS_BEFORE))}"
        f"{attribute('NotOnOrAfter', xml_times.write(of.issued.at + LIVES))}"
        f"><saml:AudienceRestriction><saml:Audience>{text(of.request.entity_id)}</saml:Audience>"
        "</saml:AudienceRestriction></saml:Conditions>"
    )


def _statement(of: Assertable) -> str:
    authentication = of.authentication
    longest = of.issued.at + LONGEST_SESSION
    until = min(authentication.session_until or longest, longest)
    return (
        "<saml:AuthnStatement"
        f"{attribute('AuthnInstant', xml_times.write(authentication.authn_instant))}"
        f"{attribute('SessionIndex', session_index(of.issued.assertion))}"
        f"{attribute('SessionNotOnOrAfter', xml_times.write(until))}"
        f">{_authn_context(authentication)}</saml:AuthnStatement>"
    )


def _authn_context(authentication: Authentication) -> str:
    reference = authentication.authn_context or UNSPECIFIED_CLASS
    authorities = "".join(
        f"<saml:AuthenticatingAuthority>{text(name)}</saml:AuthenticatingAuthority>"
        for name in authentication.chain
    )
    return (
        f"<saml:AuthnContext><saml:AuthnContextClassRef>{text(reference)}"
        f"</saml:AuthnContextClassRef>{authorities}</saml:AuthnContext>"
    )


def _attribute_statement(of: Assertable, attribute_map: AttributeMap, *, encrypted: bool) -> str:
    """Return the attributes; nothing without any, since an empty statement is against the schema.

    Source: docs/reference/interop.md#attribute-statement.
    """
    attributes = "".join(_attributes(of, attribute_map, encrypted=encrypted))
    if not attributes:
        return ""
    return f"<saml:AttributeStatement>{attributes}</saml:AttributeStatement>"


def _attributes(of: Assertable, attribute_map: AttributeMap, *, encrypted: bool) -> Iterator[str]:
    for item in of.disclosure.attributes:
        if item.name == CPR_ATTRIBUTE and not encrypted:
            raise BrokerError("a CPR would leave unencrypted")
        row = wire(attribute_map, item.name)
        if row is None:
            raise BrokerError(f"the attribute map {attribute_map.name} has no row for {item.name}")
        if item.values:
            values = "".join(_value(of, row, value) for value in item.values)
            yield (
                "<saml:Attribute"
                f"{attribute('FriendlyName', row.friendly_name)}"
                f"{attribute('Name', row.wire)}"
                f"{attribute('NameFormat', row.name_format)}"
                f">{values}</saml:Attribute>"
            )


def _value(of: Assertable, row: MapRow, value: str) -> str:
    written = row.written(value)
    if row.wire != _TARGETED_ID:
        return f"{_STRING}{text(written)}</saml:AttributeValue>"
    name_id = NameID(written, PERSISTENT, of.issuer, of.request.entity_id)
    return f"<saml:AttributeValue>{_name_id(name_id)}</saml:AttributeValue>"
