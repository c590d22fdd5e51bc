"""Writes the Assertions and Responses of the simulated identity providers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Final

from lxml import etree
from saml2 import saml, samlp

from broker.adapters.saml.xml_security import written_message
from broker.demo.saml import message_parts

_URI: Final = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
NAMES: Final = {
    "eduPersonPrincipalName": "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
    "cn": "urn:oid:2.5.4.3",
    "gn": "urn:oid:2.5.4.42",
    "sn": "urn:oid:2.5.4.4",
    "mail": "urn:oid:0.9.2342.19200300.100.1.3",
    "eduPersonPrimaryAffiliation": "urn:oid:1.3.6.1.4.1.5923.1.1.1.5",
    "eduPersonScopedAffiliation": "urn:oid:1.3.6.1.4.1.5923.1.1.1.9",
    "organizationName": "urn:oid:2.5.4.10",
    "schacHomeOrganization": "urn:oid:1.3.6.1.4.1.25178.1.2.9",
    "schacPersonalUniqueID": "urn:oid:1.3.6.1.4.1.25178.1.2.15",
    "eduPersonEntitlement": "urn:oid:1.3.6.1.4.1.5923.1.1.1.7",
    "eduPersonAssurance": "urn:oid:1.3.6.1.4.1.5923.1.1.1.11",
    "preferredLanguage": "urn:oid:2.16.840.1.113730.3.1.39",
    "cprUuid": "cprUuid",
}

CORE: Final = "https://data.gov.dk/model/core/"
NSIS: Final = "https://data.gov.dk/concept/core/nsis/"
# WAYF's attribute names, and the names of NemLog-in (OIOSAML 3) for the same attributes.
EID_NAMES: Final = {
    "cn": f"{CORE}eid/fullName",
    "gn": f"{CORE}eid/firstName",
    "sn": f"{CORE}eid/lastName",
    "mail": f"{CORE}eid/email",
    "schacPersonalUniqueID": f"{CORE}eid/cprNumber",
    "eduPersonAssurance": f"{NSIS}loa",
}


@dataclass(frozen=True, slots=True)
class ReceivedAuthnRequest:
    """An AuthnRequest as the simulated identity providers read it."""

    id: str
    issuer: str
    acs: str
    passive: bool = False
    institutions: tuple[str, ...] = ()
    relay_state: str | None = None
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AssertedSubject:
    """The subject of an assertion: NameID, class, chain of authorities, attributes by wire Name."""

    name_id: str
    name_format: str
    authn_class: str
    chain: tuple[str, ...]
    attributes: Mapping[str, tuple[str, ...]]


def assertion(
    issuer: str, addressee: ReceivedAuthnRequest, subject: AssertedSubject, now: datetime
) -> saml.Assertion:
    """Write an unsigned Assertion, valid for four minutes."""
    begin = message_parts.stamp(now - timedelta(seconds=30))
    end = message_parts.stamp(now + timedelta(minutes=4))
    audience = saml.AudienceRestriction(audience=[saml.Audience(text=addressee.issuer)])
    return saml.Assertion(
        **message_parts.header(issuer, now),
        subject=_subject(addressee, subject, end),
        conditions=saml.Conditions(
            not_before=begin, not_on_or_after=end, audience_restriction=[audience]
        ),
        authn_statement=[_authn_statement(subject, now)],
        attribute_statement=[_attributes(subject)],
    )


def _subject(addressee: ReceivedAuthnRequest, subject: AssertedSubject, end: str) -> saml.Subject:
    """Write the Subject, confirmed for its bearer at this ACS until ``end``."""
    confirmation = saml.SubjectConfirmation(
        method=saml.SCM_BEARER,
        subject_confirmation_data=saml.SubjectConfirmationData(
            in_response_to=addressee.id, recipient=addressee.acs, not_on_or_after=end
        ),
    )
    return saml.Subject(
        name_id=saml.NameID(format=subject.name_format, text=subject.name_id),
        subject_confirmation=[confirmation],
    )


def _authn_statement(subject: AssertedSubject, now: datetime) -> saml.AuthnStatement:
    authorities = [saml.AuthenticatingAuthority(text=name) for name in subject.chain]
    return saml.AuthnStatement(
        authn_instant=message_parts.stamp(now),
        session_index=f"_{token_hex(8)}",
        session_not_on_or_after=message_parts.stamp(now + timedelta(hours=4)),
        authn_context=saml.AuthnContext(
            authn_context_class_ref=saml.AuthnContextClassRef(text=subject.authn_class),
            authenticating_authority=authorities,
        ),
    )


def _attributes(subject: AssertedSubject) -> saml.AttributeStatement:
    friendly = {wire: name for name, wire in NAMES.items()}
    return saml.AttributeStatement(
        attribute=[
            saml.Attribute(
                name=name,
                name_format=_URI,
                friendly_name=friendly.get(name),
                attribute_value=[saml.AttributeValue(text=value) for value in values],
            )
            for name, values in subject.attributes.items()
        ]
    )


def response(
    issuer: str, addressee: ReceivedAuthnRequest, inner: saml.Assertion | None, now: datetime
) -> etree._Element:
    """Write an unsigned Response with an Assertion, or with an error status without one."""
    assertions = []
    code = samlp.StatusCode(value=samlp.STATUS_SUCCESS)
    if inner:
        assertions.append(inner)
    else:
        second = samlp.STATUS_NO_PASSIVE if addressee.passive else samlp.STATUS_AUTHN_FAILED
        detail = samlp.StatusCode(value=second)
        code = samlp.StatusCode(value=samlp.STATUS_RESPONDER, status_code=detail)
    message = samlp.Response(
        **message_parts.header(issuer, now),
        destination=addressee.acs,
        in_response_to=addressee.id,
        status=samlp.Status(status_code=code),
        assertion=assertions,
    )
    return written_message.tree(message)
