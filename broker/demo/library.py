"""The simulated library: SAML services that show the assertion they got and the borrower's account."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from flask import Flask, abort, redirect, render_template, request
from saml2 import saml, samlp
from werkzeug.wrappers import Response

from broker.demo.masking import masked
from broker.saml import bindings, encryption, gate, signature

_P: Final = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_A: Final = "{urn:oasis:names:tc:SAML:2.0:assertion}"


@dataclass(frozen=True, slots=True)
class Peer:
    """The broker as the library knows it from its metadata."""

    entity_id: str
    sso: str
    keys: tuple[signature.VerifyKey, ...]


@dataclass(frozen=True, slots=True)
class Landing:
    """What an assertion, or an error status, came to."""

    status: str
    attributes: Mapping[str, tuple[str, ...]]
    name_id: str | None
    in_response_to: str | None


@dataclass(frozen=True, slots=True)
class Site:
    """One of the library's services."""

    title: str
    entity_id: str
    acs: str


def request_url(site: Site, relay_state: str, peer: Peer, *, force: bool, passive: bool) -> str:
    """Write an AuthnRequest and give the URL that carries it."""
    asked = samlp.AuthnRequest(
        id=f"_{secrets.token_hex(16)}",
        version="2.0",
        issue_instant=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        destination=peer.sso,
        assertion_consumer_service_url=site.acs,
        protocol_binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        issuer=saml.Issuer(text=site.entity_id),
        force_authn="true" if force else None,
        is_passive="true" if passive else None,
    )
    return bindings.redirect_url(peer.sso, "SAMLRequest", asked.to_string(), relay_state, None)


def land(message: bytes, peer: Peer, keys: encryption.DecryptionKeys) -> Landing:
    """Verify the Response, decrypt its assertion and read it."""
    root = gate.parse(message, _P + "Response")
    signature.verify(root, peer.keys)
    codes = [str(each.get("Value")).rpartition(":")[2] for each in root.iter(_P + "StatusCode")]
    sealed = root.find(_A + "EncryptedAssertion")
    if sealed is None:
        return Landing(" / ".join(codes), {}, None, root.get("InResponseTo"))
    assertion = encryption.decrypt(sealed, keys, allow_cbc=False)
    signature.verify(assertion, peer.keys)
    attributes = {
        str(each.get("FriendlyName") or each.get("Name")): tuple(
            value.text or "" for value in each.iter(_A + "AttributeValue")
        )
        for each in assertion.iter(_A + "Attribute")
    }
    return Landing("Success", attributes, assertion.findtext(f"{_A}Subject/{_A}NameID"), root.get("InResponseTo"))


def create_app(
    services: Mapping[str, Site],
    peer: Callable[[], Peer],
    keys: encryption.DecryptionKeys,
    account: Callable[[str], Mapping[str, Any] | None],
) -> Flask:
    """Give the library: ``peer`` reads the broker's metadata when needed, ``account`` finds a borrower by number."""
    app = Flask(__name__)

    @app.get("/")
    def start() -> str:
        return render_template("library.html", services=services)

    @app.get("/<service>")
    def log_in(service: str) -> Response:
        if service not in services:
            abort(404)
        force, passive = "force" in request.args, "passive" in request.args
        return redirect(request_url(services[service], service, peer(), force=force, passive=passive))

    @app.post("/<service>/acs")
    def land_here(service: str) -> str:
        landing = land(bindings.decode_post(request.form["SAMLResponse"]), peer(), keys)
        if request.form.get("RelayState") != service:
            abort(400, "RelayState changed")
        number = next(iter(landing.attributes.get("borrower_number", landing.attributes.get("uid", ()))), None)
        shown = {name: [masked(value) for value in values] for name, values in landing.attributes.items()}
        found = account(number) if number else None
        return render_template(
            "landing.html",
            landing=landing,
            attributes=shown,
            account=found,
            title=services[service].title,
        )

    return app
