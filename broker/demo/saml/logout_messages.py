"""LogoutRequests and LogoutResponses of the simulated parties, written and read."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lxml import etree
from saml2 import saml, samlp

from broker.adapters.saml.xml_security import http_bindings, safe_parser, signature, xml_names
from broker.demo.saml import message_parts

# The root of each kind of message, and its attribute with the id of the request.
_ROOTS: Final = {
    "SAMLRequest": (xml_names.LOGOUT_REQUEST, "ID"),
    "SAMLResponse": (xml_names.LOGOUT_RESPONSE, "InResponseTo"),
}
SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"


@dataclass(frozen=True, slots=True)
class KnownSession:
    """A session as a service or an upstream knows it: the NameID and the SessionIndex."""

    name_id: str
    format: str
    name_qualifier: str | None
    sp_name_qualifier: str | None
    index: str


@dataclass(frozen=True, slots=True)
class LogoutMessage:
    """A logout message: the id of the request, the issuer, the NameID, its indexes, the status."""

    id: str
    issuer: str
    name_id: str
    indexes: tuple[str, ...]
    status: str
    relay_state: str | None


def session_of(root: etree._Element) -> KnownSession:
    """Return the session of an assertion, or of a Response with one.

    Raise LookupError without a subject.
    """
    name_id = root.find(".//{*}Subject/{*}NameID")
    statement = root.find(".//{*}AuthnStatement")
    if name_id is None or statement is None:
        raise LookupError("an assertion of nobody")
    return KnownSession(
        name_id.text or "",
        name_id.get("Format", saml.NAMEID_FORMAT_UNSPECIFIED),
        name_id.get("NameQualifier"),
        name_id.get("SPNameQualifier"),
        statement.get("SessionIndex", ""),
    )


def request(issuer: str, destination: str, session: KnownSession) -> bytes:
    """Write a LogoutRequest for a session."""
    indexes = []
    if session.index:
        indexes.append(samlp.SessionIndex(text=session.index))
    name_id = saml.NameID(
        text=session.name_id,
        format=session.format,
        name_qualifier=session.name_qualifier,
        sp_name_qualifier=session.sp_name_qualifier,
    )
    message = samlp.LogoutRequest(
        **message_parts.header(issuer, datetime.now(UTC)),
        destination=destination,
        name_id=name_id,
        session_index=indexes,
    )
    return message_parts.encode(message)


def response(
    issuer: str, destination: str, request_id: str, codes: Iterable[str] = (SUCCESS,)
) -> bytes:
    """Write a LogoutResponse; ``codes`` are the status codes, the top level first."""
    top, *rest = codes
    second = None
    if rest:
        second = samlp.StatusCode(value=rest[0])
    code = samlp.StatusCode(value=top, status_code=second)
    message = samlp.LogoutResponse(
        **message_parts.header(issuer, datetime.now(UTC)),
        destination=destination,
        in_response_to=request_id,
        status=samlp.Status(status_code=code),
    )
    return message_parts.encode(message)


def read(
    query: str, kind: http_bindings.MessageField, keys: Iterable[signature.VerifyKey] | None
) -> LogoutMessage:
    """Read a Redirect logout message; verify it unless ``keys`` is None.

    Raise LookupError if it should be signed and is not.
    """
    message = http_bindings.read_redirect(query, kind)
    root_name, id_name = _ROOTS[kind]
    root = safe_parser.parse(message.xml, root_name)
    if keys is not None:
        signed = message.signed
        if signed is None:
            raise LookupError("an unsigned logout message")
        signature.verify_bytes(signed.octets, signed.signature, signed.sigalg, tuple(keys))
    indexes = [node.text or "" for node in root.findall("{*}SessionIndex")]
    return LogoutMessage(
        id=str(root.get(id_name)),
        issuer=root.findtext(xml_names.ISSUER) or "",
        name_id=root.findtext(xml_names.NAME_ID) or "",
        indexes=tuple(indexes),
        status=message_parts.read_status(root),
        relay_state=message.relay_state,
    )
