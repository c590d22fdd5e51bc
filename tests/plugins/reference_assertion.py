"""The Assertion and its Response as pysaml2's classes write them: the reference that our text is held against."""

from collections.abc import Iterator

from lxml import etree
from saml2 import element_to_extension_element, saml, samlp

from broker.adapters.saml.faces import response_writer
from broker.adapters.saml.faces.assertion_text import LIVES, LONGEST_SESSION, STARTS_BEFORE, Assertable
from broker.adapters.saml.faces.response_writer import name_id, subject
from broker.adapters.saml.gate import written_message, xml_times
from broker.core.entities import PERSISTENT, UNSPECIFIED_CLASS
from broker.core.errors import SUCCESS
from broker.core.identity.canonical_attributes import AttributeMap, MapRow, wire
from broker.core.login.transaction import Authentication
from broker.core.logout.sessions import session_index

_TARGETED_ID = "urn:oid:1.3.6.1.4.1.5923.1.1.1.10"


def canonical(message: saml.Assertion | samlp.Response | samlp.AuthnRequest) -> bytes:
    """Return a message in exclusive canonical form, by lxml."""
    return bytes(etree.tostring(written_message.tree(message), method="c14n", exclusive=True))


def response(of: Assertable) -> samlp.Response:
    """Return the Response without its assertion."""
    return response_writer.response(of.issuer, of.request, of.issued.response, of.issued.at, SUCCESS)


def assertion(of: Assertable, attribute_map: AttributeMap) -> saml.Assertion:
    """Return the Assertion."""
    statements = []
    attributes = list(_attributes(of, attribute_map))
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
        name_id=name_id(subject(of.issuer, of.request, of.disclosure, of.issued)), subject_confirmation=[confirmation]
    )


def _conditions(of: Assertable) -> saml.Conditions:
    audience = saml.Audience(text=of.request.entity_id)
    return saml.Conditions(
        not_before=xml_times.write(of.issued.at - STARTS_BEFORE),
        not_on_or_after=xml_times.write(of.issued.at + LIVES),
        audience_restriction=[saml.AudienceRestriction(audience=[audience])],
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


def _attributes(of: Assertable, attribute_map: AttributeMap) -> Iterator[saml.Attribute]:
    for item in of.disclosure.items:
        row = wire(attribute_map, item.name)
        assert row is not None
        if item.values:
            yield saml.Attribute(
                name=row.wire,
                name_format=row.name_format,
                friendly_name=row.friendly_name,
                attribute_value=[_value(of, row, value) for value in item.values],
            )


def _value(of: Assertable, row: MapRow, value: str) -> saml.AttributeValue:
    if row.wire != _TARGETED_ID:
        return saml.AttributeValue(text=row.written(value))
    targeted = saml.NameID(
        format=PERSISTENT, name_qualifier=of.issuer, sp_name_qualifier=of.request.entity_id, text=row.written(value)
    )
    return saml.AttributeValue(extension_elements=[element_to_extension_element(targeted)])
