"""Turns a checked Assertion into an Authentication: who, how, when, and the attributes exactly as they stood."""

from collections.abc import Iterator
from typing import Final

from lxml import etree

from broker.adapters.saml.faces.received_response import ReceivedAssertion, moment, saml, text
from broker.core.entities import UNSPECIFIED, UNSPECIFIED_CLASS, Assurance
from broker.core.identity.attribute_values import assurance_of_class
from broker.core.identity.attributes import WireAttribute
from broker.core.login.transaction import Authentication

_ATTRIBUTES: Final = saml("AttributeStatement", "Attribute")
_VALUE: Final = saml("AttributeValue")
_NAME_ID: Final = saml("NameID")
_CLASS: Final = saml("AuthnContext", "AuthnContextClassRef")


def authentication(claim: ReceivedAssertion) -> Authentication:
    """Give what a Claim says that every check has let pass; ``institution`` is the real entityID, aliases resolved."""
    statement = claim.statements[0]
    name_id = claim.subject.find(_NAME_ID)
    issued = moment(claim.assertion, "IssueInstant") or claim.answer.now
    manner = claim.answer.manner
    ends = [
        issued + manner.fresh,
        claim.bound("NotOnOrAfter"),
    ]  # whatever it says, nobody takes it after that
    if claim.confirmation is not None:
        ends.append(moment(claim.confirmation, "NotOnOrAfter"))
    return Authentication(
        upstream=claim.answer.upstream.name,
        issuer=claim.answer.upstream.entity_id,
        institution=claim.institution.entity_id if claim.institution else "",
        authorities=claim.authorities,
        attributes=attributes(claim.assertion),
        authn_instant=claim.instants[0],
        authn_context=None
        if manner.nsis
        else _authn_context(claim),  # there an attribute says it (Rules.came)
        received=claim.answer.now,
        assertion_until=min(end for end in ends if end) + manner.longer,
        name_id=text(name_id) or None,
        name_id_format=UNSPECIFIED if name_id is None else name_id.get("Format", ""),
        name_qualifier=None if name_id is None else name_id.get("NameQualifier"),
        sp_name_qualifier=None if name_id is None else name_id.get("SPNameQualifier"),
        sp_provided_id=None if name_id is None else name_id.get("SPProvidedID"),
        session_index=statement.get("SessionIndex"),
        session_until=moment(statement, "SessionNotOnOrAfter"),
    )


def _authn_context(claim: ReceivedAssertion) -> str | None:
    """Give the class, or unspecified where it says more than the institution is good for: we would vouch for it."""
    written = " ".join(
        text(claim.statements[0].find(_CLASS)).split()
    )  # an anyURI: space around it means nothing
    cap = claim.institution.max_assurance if claim.institution else Assurance.SELF_ASSERTED
    least = assurance_of_class(written)
    return UNSPECIFIED_CLASS if least and least > cap else written or None


def attributes(assertion: etree._Element) -> tuple[WireAttribute, ...]:
    """Give the attributes by Name; one that stands several times is one attribute (attacks.md row 22)."""
    found: dict[str, list[str]] = {}
    for each in assertion.iterfind(_ATTRIBUTES):
        found.setdefault(each.get("Name", ""), []).extend(_values(each))
    return tuple(WireAttribute(name, tuple(values)) for name, values in found.items())


def _values(attribute: etree._Element) -> Iterator[str]:
    """Give the values that are text; eduPersonTargetedID's is a NameID, and any other structure is no value of ours."""
    for value in attribute.iterfind(_VALUE):
        if len(value) == 0:
            yield text(value)
        elif [each.tag for each in value] == [_NAME_ID]:
            yield text(value[0])
