"""Writes the Response of a simulated login, unsigned and unencrypted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lxml import etree

from broker.adapters.saml.idp import response_writer
from broker.adapters.saml.xml_security import written_message
from broker.core.consent.disclosure import Disclosure
from broker.core.entities import Service
from broker.core.errors import SUCCESS
from broker.core.identity.canonical_attributes import AttributeMap
from broker.core.login.transaction import Authentication, AuthnRequest, Issued

_MADE_UP: Final = "_made-up"


@dataclass(frozen=True, slots=True)
class Addressee:
    """Our entityID, the service that the Response is for, and its ACS."""

    issuer: str
    service: Service
    acs: str


def write_unsigned_response(
    to: Addressee,
    disclosure: Disclosure,
    upstream: tuple[str, str],
    attribute_map: AttributeMap,
    now: datetime,
) -> str:
    """Return the Response with exactly the content of ``disclosure``, and made-up ids and names.

    ``upstream`` is the entityIDs of upstream and institution. BrokerError as
    ``response_writer.assertion``.
    """
    issuer, institution = upstream
    authentication = Authentication(
        upstream="",
        issuer=issuer,
        institution=institution,
        authorities=(institution,) if institution != issuer else (),
        attributes=(),
        authn_instant=now,
        authn_context=None,
        received=now,
        assertion_until=now,
    )
    issued = Issued(
        response=_MADE_UP,
        assertion=f"{_MADE_UP}-assertion",
        at=now,
        name_id=disclosure.address or "made-up-name",
        content="",
    )
    request = AuthnRequest(f"{_MADE_UP}-request", to.service.name, to.service.entity_id, to.acs)
    contents = response_writer.AssertionContents(
        to.issuer, request, disclosure, authentication, issued
    )
    response = response_writer.response(to.issuer, request, issued.response, now, SUCCESS)
    response.assertion = [
        response_writer.assertion(contents, attribute_map, encrypted=to.service.encrypts)
    ]
    return etree.tostring(written_message.tree(response), encoding="unicode")
