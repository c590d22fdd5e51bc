"""Turns a checked Assertion into an Authentication; the attributes are not changed."""

from datetime import datetime
from typing import Final

from saml2 import saml

from broker.adapters.saml.messages.message_values import read_name_id, read_text
from broker.adapters.saml.sp.received_response import ReceivedAssertion, confirmation_data
from broker.adapters.saml.xml_security import xml_times
from broker.core.entities import UNSPECIFIED, UNSPECIFIED_CLASS, Assurance
from broker.core.identity.accepted_text import TextKind, find_text_fault
from broker.core.identity.attribute_values import find_class_fault
from broker.core.identity.canonical_attributes import WireAttribute, Withheld
from broker.core.login.transaction import Authentication
from broker.core.logout.sessions import NameID

_NO_NAME_ID: Final = NameID("", UNSPECIFIED)


def make_authentication(received: ReceivedAssertion) -> Authentication:
    """Return the Authentication of an Assertion that has passed every check.

    ``institution`` is the real entityID, aliases resolved. ``withheld`` lists the values that were
    not accepted, with the reason: no service and no logout gets them.
    """
    statement = received.statements[0]
    upstream = received.upstream
    institution = received.institution
    withheld: Withheld = []
    name_id = _name_id(received.subject.name_id, withheld)
    return Authentication(
        upstream=upstream.name,
        issuer=upstream.entity_id,
        institution=institution.entity_id if institution else "",
        authorities=_list_known_authorities(received, withheld),
        attributes=_read_attributes(received.message),
        authn_instant=received.instants[0],
        authn_context=_authn_context(received, withheld),
        received=received.now,
        assertion_until=_assertion_until(received),
        name_id=name_id.value or None,
        name_id_format=name_id.format or "",
        name_qualifier=name_id.name_qualifier,
        sp_name_qualifier=name_id.sp_name_qualifier,
        sp_provided_id=name_id.sp_provided_id,
        session_index=_session_index(statement, withheld),
        session_until=xml_times.read(statement.session_not_on_or_after),
        withheld=tuple(withheld),
    )


def _name_id(element: saml.NameID | None, withheld: Withheld) -> NameID:
    """Return the NameID unchanged or not at all: a logout must repeat it exactly."""
    if element is None:
        return _NO_NAME_ID
    name_id = read_name_id(element)
    for part in (
        name_id.value,
        name_id.format,
        name_id.name_qualifier,
        name_id.sp_name_qualifier,
        name_id.sp_provided_id,
    ):
        fault = find_text_fault(part, TextKind.NAME_ID) if part is not None else None
        if fault:
            withheld.append(("NameID", fault))
            return _NO_NAME_ID
    return name_id


def _session_index(statement: saml.AuthnStatement, withheld: Withheld) -> str | None:
    if statement.session_index is None:
        return None
    written = str(statement.session_index)
    fault = find_text_fault(written, TextKind.SESSION_INDEX)
    if fault:
        withheld.append(("SessionIndex", fault))
        return None
    return written


def _list_known_authorities(received: ReceivedAssertion, withheld: Withheld) -> tuple[str, ...]:
    """Return the chain without names that neither configuration nor metadata contains.

    Services trust the broker that the chain is true. The last name is the institution, and was
    checked before.
    """
    upstream = received.upstream
    known = {upstream.entity_id}
    for institution in upstream.institutions:
        known.update((institution.entity_id, *institution.aliases))
    chain = tuple(name for name in received.authorities if name in known)
    if len(chain) < len(received.authorities):
        withheld.append(("AuthenticatingAuthority", "unknown_authority"))
    return chain


def _assertion_until(received: ReceivedAssertion) -> datetime:
    """Return the time after which the assertion is not accepted."""
    traits = received.traits
    issued = xml_times.read(received.message.issue_instant) or received.now
    ends = [issued + traits.fresh, received.ends]
    data = [confirmation_data(confirmation) for confirmation in received.confirmations]
    confirmed = [xml_times.read(each.not_on_or_after) for each in data]
    # A replay would pass the checks until the last confirmation ends.
    ends.append(max((end for end in confirmed if end), default=None))
    return min(end for end in ends if end) + traits.replay_margin


def _authn_context(received: ReceivedAssertion, withheld: Withheld) -> str | None:
    """Return the class; unspecified if it is unknown or above the institution's maximum.

    Otherwise the broker would vouch for a level that it has not checked. Return None if there is no
    class, or if the profile states the level in an attribute.
    """
    if received.traits.nsis:
        return None
    # The class is an anyURI: white space around it has no meaning.
    context = received.statements[0].authn_context or saml.AuthnContext()
    written = " ".join(read_text(context.authn_context_class_ref).split())
    if not written:
        return None
    cap = Assurance.SELF_ASSERTED
    if received.institution:
        cap = received.institution.max_assurance
    fault = find_class_fault(written, cap, received.upstream.meets)
    if fault is None:
        return written
    withheld.append(("AuthnContextClassRef", fault))
    return UNSPECIFIED_CLASS


def _read_attributes(assertion: saml.Assertion) -> tuple[WireAttribute, ...]:
    """Return the attributes by Name; values of the same Name are joined.

    Source: docs/reference/attacks.md#22.
    """
    found: dict[str, list[str]] = {}
    for statement in assertion.attribute_statement:
        for attribute in statement.attribute:
            values = found.setdefault(str(attribute.name or ""), [])
            values.extend(_value(value) for value in attribute.attribute_value)
    return tuple(WireAttribute(name, tuple(values)) for name, values in found.items())


def _value(value: saml.AttributeValue) -> str:
    """Return the text of a value, or of the NameID of an eduPersonTargetedID.

    ``message_model`` has refused any other structure.
    """
    for name_id in value.extension_elements:
        return str(name_id.text or "")
    return read_text(value)
