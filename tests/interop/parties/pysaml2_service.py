"""A service built on pysaml2 that shows the attributes it received and supports single logout."""

import base64
import secrets
import zlib
from pathlib import Path
from typing import Any

from flask import Flask, Response, make_response, redirect, request
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, samlp
from saml2.client import Saml2Client
from saml2.config import SPConfig
from saml2.metadata import entity_descriptor
from saml2.response import StatusError

from tests.interop.parties.pysaml2_settings import SIGNED, common, make_app, redirect_to, show_lines


class Service:
    """A service at ``origin``; ``key`` is the path of its key and certificate files without the suffix."""

    def __init__(self, entity_id: str, origin: str, key: Path) -> None:
        """Set the address. ``learn`` adds the broker as the identity provider."""
        self.origin = origin
        sp = {
            "endpoints": {
                "assertion_consumer_service": [(f"{origin}/acs", BINDING_HTTP_POST)],
                "single_logout_service": [(f"{origin}/slo", BINDING_HTTP_REDIRECT)],
            },
            "authn_requests_signed": True,
            "logout_requests_signed": True,
            "logout_responses_signed": True,
            "want_response_signed": True,
            "want_assertions_signed": True,
            **SIGNED,
        }
        plain = common(entity_id, key)
        pair = {each: plain[each] for each in ("key_file", "cert_file")}
        self.settings = {**plain, "encryption_keypairs": [pair], "service": {"sp": sp}}
        self.outstanding: dict[str, str] = {}
        self.sessions: dict[str, tuple[dict[str, str], Any]] = {}  # by cookie

    def metadata(self) -> bytes:
        """Return the metadata as pysaml2 writes it."""
        return str(entity_descriptor(SPConfig().load(self.settings))).encode()

    def learn(self, broker: str, descriptor: bytes) -> None:
        """Install the broker's descriptor."""
        self.broker = broker
        self.client = Saml2Client(SPConfig().load({**self.settings, "metadata": {"inline": [descriptor.decode()]}}))

    def app(self) -> Flask:
        """Return a Flask app with the pages."""
        return make_app(self)

    def show_attributes(self) -> Response:
        """Show the session's attributes, or send an AuthnRequest as the query says: force, passive, way, binding."""
        session = self.sessions.get(request.cookies.get("pysaml2", ""))
        if session and not request.args:
            return show_lines(**session[0])
        entries = [samlp.IDPEntry(provider_id=each) for each in request.args.getlist("way")]
        flags = {"force_authn": "force", "is_passive": "passive"}
        binding = BINDING_HTTP_POST if "binding" in request.args else BINDING_HTTP_REDIRECT
        name, sent = self.client.prepare_for_authenticate(
            self.broker,
            "/protected/",
            binding,
            sign=True,
            scoping=samlp.Scoping(idp_list=samlp.IDPList(idp_entry=entries)) if entries else None,
            **{each: "true" for each, asked in flags.items() if asked in request.args},
        )
        self.outstanding[name] = "/protected/"
        if binding == BINDING_HTTP_REDIRECT:
            return redirect_to(sent)
        page = str(sent["data"])
        return make_response(_deflate_request(page) if request.args["binding"] == "deflated" else page)

    def acs(self) -> Response:
        """Handle a Response: start a session, or show the error status."""
        try:
            answer = self.client.parse_authn_request_response(
                request.form["SAMLResponse"], BINDING_HTTP_POST, self.outstanding
            )
        except StatusError as refused:
            return show_lines(STATUS=type(refused).__name__)
        values = {name: ";".join(each) for name, each in answer.ava.items()}
        values |= {"NAME_ID": answer.name_id.text, "NAME_ID_FORMAT": answer.name_id.format}
        session = secrets.token_hex(16)
        self.sessions[session] = values, answer.name_id
        onward = make_response(redirect(request.form["RelayState"]))
        onward.set_cookie("pysaml2", session, httponly=True)
        return onward

    def logout(self) -> Response:
        """Log out: end the session here, then send a LogoutRequest to the broker."""
        _, name_id = self.sessions.pop(request.cookies["pysaml2"])
        ((_, sent),) = self.client.global_logout(name_id, sign=True).values()
        return redirect_to(sent)

    def slo(self) -> Response:
        """Handle a LogoutRequest from the broker, or the LogoutResponse to our own LogoutRequest."""
        sent = request.args
        if "SAMLResponse" in sent:
            try:
                answer = self.client.parse_logout_request_response(sent["SAMLResponse"], BINDING_HTTP_REDIRECT)
            except StatusError as refused:
                return show_lines(STATUS=type(refused).__name__)
            return show_lines(STATUS=answer.response.status.status_code.value.rpartition(":")[2])
        _, name_id = self.sessions.pop(request.cookies.get("pysaml2", ""), ({}, None))
        signed = {"sigalg": sent["SigAlg"], "signature": sent["Signature"], "relay_state": sent.get("RelayState")}
        return redirect_to(
            self.client.handle_logout_request(sent["SAMLRequest"], name_id, BINDING_HTTP_REDIRECT, sign=True, **signed)
        )


def _deflate_request(page: str) -> str:
    """Return a self-posting page with a DEFLATEd request, as passport-saml posts it.

    Source: docs/reference/interop.md#post-deflated.
    """
    before, _, rest = page.partition('name="SAMLRequest" value="')
    message, _, after = rest.partition('"')
    packing = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = base64.b64encode(packing.compress(base64.b64decode(message)) + packing.flush()).decode()
    return f'{before}name="SAMLRequest" value="{packed}"{after}'
