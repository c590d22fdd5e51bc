"""Single logout as the simulated library's services and the simulated hub do it: ask, be asked, and answer."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lxml import etree
from saml2 import saml, samlp

from broker.adapters.saml.gate import http_bindings, safe_parser, signature

_P: Final = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_A: Final = "{urn:oasis:names:tc:SAML:2.0:assertion}"
SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"


@dataclass(frozen=True, slots=True)
class KnownSession:
    """A session as a service or an upstream knows it: whose, by which name, and which."""

    name_id: str
    format: str
    name_qualifier: str | None
    sp_name_qualifier: str | None
    index: str


@dataclass(frozen=True, slots=True)
class LogoutMessage:
    """A logout message that was verified: its id or the one that it answers, whom it names, and its status."""

    id: str
    name_id: str
    indexes: tuple[str, ...]
    status: str
    relay_state: str | None


def session_cookie(assertion: etree._Element) -> KnownSession:
    """Read what a logout needs off an assertion."""
    named = assertion.find(f"{_A}Subject/{_A}NameID")
    statement = assertion.find(f"{_A}AuthnStatement")
    if named is None or statement is None:
        raise LookupError("an assertion of nobody")
    return KnownSession(
        named.text or "",
        named.get("Format", saml.NAMEID_FORMAT_UNSPECIFIED),
        named.get("NameQualifier"),
        named.get("SPNameQualifier"),
        statement.get("SessionIndex", ""),
    )


def request(issuer: str, destination: str, session: KnownSession) -> bytes:
    """Write a LogoutRequest for a session."""
    named = saml.NameID(
        text=session.name_id,
        format=session.format,
        name_qualifier=session.name_qualifier,
        sp_name_qualifier=session.sp_name_qualifier,
    )
    message = samlp.LogoutRequest(
        id=f"_{secrets.token_hex(16)}",
        version="2.0",
        issue_instant=_now(),
        destination=destination,
        issuer=saml.Issuer(text=issuer),
        name_id=named,
        session_index=[samlp.SessionIndex(text=session.index)] if session.index else [],
    )
    return bytes(message.to_string())


def response(
    issuer: str, destination: str, answered: str, codes: Iterable[str] = (SUCCESS,)
) -> bytes:
    """Write a LogoutResponse; ``codes`` are the status, the top first."""
    top, *rest = codes
    second = samlp.StatusCode(value=rest[0]) if rest else None
    message = samlp.LogoutResponse(
        id=f"_{secrets.token_hex(16)}",
        version="2.0",
        issue_instant=_now(),
        destination=destination,
        in_response_to=answered,
        issuer=saml.Issuer(text=issuer),
        status=samlp.Status(status_code=samlp.StatusCode(value=top, status_code=second)),
    )
    return bytes(message.to_string())


def peek(query: str) -> tuple[str, LogoutMessage]:
    """Read a LogoutRequest without a look at its signature, as WAYF's hub does; give who sent it too."""
    message = http_bindings.inflate_redirect(query, "SAMLRequest")
    root = safe_parser.parse(message.xml, _P + "LogoutRequest")
    return root.findtext(_A + "Issuer") or "", _message(root, "SAMLRequest", message.relay_state)


def status(query: str) -> str:
    """Read the status of a LogoutResponse without a look at its signature."""
    root = safe_parser.parse(
        http_bindings.inflate_redirect(query, "SAMLResponse").xml, _P + "LogoutResponse"
    )
    return _message(root, "SAMLResponse", None).status


def read(
    query: str, kind: http_bindings.MessageField, keys: Iterable[signature.VerifyKey]
) -> LogoutMessage:
    """Verify a logout message that came by Redirect, and read it."""
    message = http_bindings.inflate_redirect(query, kind)
    root = safe_parser.parse(
        message.xml, _P + ("LogoutRequest" if kind == "SAMLRequest" else "LogoutResponse")
    )
    if message.signed is None:
        raise LookupError("an unsigned logout message")
    signed = message.signed
    signature.verify_bytes(signed.octets, signed.signature, signed.sigalg, tuple(keys))
    return _message(root, kind, message.relay_state)


def _message(
    root: etree._Element, kind: http_bindings.MessageField, relay_state: str | None
) -> LogoutMessage:
    return LogoutMessage(
        id=str(root.get("ID") if kind == "SAMLRequest" else root.get("InResponseTo")),
        name_id=root.findtext(_A + "NameID") or "",
        indexes=tuple(each.text or "" for each in root.findall(_P + "SessionIndex")),
        status=" / ".join(
            str(each.get("Value")).rpartition(":")[2] for each in root.iter(_P + "StatusCode")
        ),
        relay_state=relay_state,
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
