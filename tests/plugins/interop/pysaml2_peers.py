"""pysaml2 on both sides: a service that shows what it was told, and an identity provider with a session."""

import base64
import secrets
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from flask import Flask, Response, make_response, redirect, request
from markupsafe import escape
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, samlp
from saml2.client import Saml2Client
from saml2.config import IdPConfig, SPConfig
from saml2.metadata import entity_descriptor
from saml2.response import IncorrectlySigned, StatusError
from saml2.saml import AUTHN_PASSWORD_PROTECTED
from saml2.server import Server

XMLSEC: Final = "/usr/bin/xmlsec1"
_SHA256: Final = {
    "signing_algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
}
People = Mapping[str, Mapping[str, Sequence[str]]]


def _common(entity_id: str, key: Path) -> dict[str, Any]:
    pair = {"key_file": f"{key}.key", "cert_file": f"{key}.crt"}
    return {"entityid": entity_id, "xmlsec_binary": XMLSEC, "allow_unknown_attributes": True, **pair}


class Service:
    """A service under ``origin``; ``key`` is the stem of its key and certificate files."""

    def __init__(self, entity_id: str, origin: str, key: Path) -> None:
        """Take its place; it knows no identity provider before ``learn``."""
        self.origin = origin
        sp = {
            "endpoints": {"assertion_consumer_service": [(f"{origin}/acs", BINDING_HTTP_POST)]},
            "authn_requests_signed": True,
            "want_response_signed": True,
            "want_assertions_signed": True,
            **_SHA256,
        }
        common = _common(entity_id, key)
        pair = {each: common[each] for each in ("key_file", "cert_file")}
        self.settings = {**common, "encryption_keypairs": [pair], "service": {"sp": sp}}
        self.outstanding: dict[str, str] = {}
        self.sessions: dict[str, str] = {}

    def metadata(self) -> bytes:
        """Give its metadata as pysaml2 writes it."""
        return str(entity_descriptor(SPConfig().load(self.settings))).encode()

    def learn(self, broker: str, descriptor: bytes) -> None:
        """Take the broker's descriptor."""
        self.broker = broker
        self.client = Saml2Client(SPConfig().load({**self.settings, "metadata": {"inline": [descriptor.decode()]}}))

    def app(self) -> Flask:
        """Give its pages."""
        app = Flask(__name__)
        app.add_url_rule("/protected/", "protected", self.protected)
        app.add_url_rule("/acs", "acs", self.acs, methods=["POST"])
        return app

    def protected(self) -> Response:
        """Show what the session was told, or ask as the query says: force, passive, way, binding (post, deflated)."""
        told = self.sessions.get(request.cookies.get("pysaml2", ""))
        if told is not None and not request.args:
            return make_response(f"<title>Seen</title><pre id=seen>{escape(told)}</pre>")
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
            return make_response(redirect(dict(sent["headers"])["Location"]))
        page = str(sent["data"])
        return make_response(_deflated(page) if request.args["binding"] == "deflated" else page)

    def acs(self) -> Response:
        """Take the answer: a session, or the page that says why not."""
        try:
            answer = self.client.parse_authn_request_response(
                request.form["SAMLResponse"], BINDING_HTTP_POST, self.outstanding
            )
        except StatusError as refused:
            return make_response(f"<title>Refused</title><pre id=seen>STATUS={type(refused).__name__}</pre>")
        values = {name: ";".join(each) for name, each in answer.ava.items()}
        values |= {"NAME_ID": answer.name_id.text, "NAME_ID_FORMAT": answer.name_id.format}
        session = secrets.token_hex(16)
        self.sessions[session] = "\n".join(f"{name}={value}" for name, value in values.items())
        onward = make_response(redirect(request.form["RelayState"]))
        onward.set_cookie("pysaml2", session, httponly=True)
        return onward


def _deflated(page: str) -> str:
    """Deflate the request on a self-posting page, as passport-saml posts its own (interop.md)."""
    before, _, rest = page.partition('name="SAMLRequest" value="')
    message, _, after = rest.partition('"')
    packing = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = base64.b64encode(packing.compress(base64.b64decode(message)) + packing.flush()).decode()
    return f'{before}name="SAMLRequest" value="{packed}"{after}'


class IdentityProvider:
    """An identity provider under ``origin`` with a login page and a session; it demands signed requests."""

    def __init__(self, entity_id: str, origin: str, key: Path, people: People) -> None:
        """Take its place and whom it knows; it knows no service provider before ``learn``."""
        self.origin = origin
        idp = {
            "endpoints": {"single_sign_on_service": [(f"{origin}/sso", BINDING_HTTP_REDIRECT)]},
            "want_authn_requests_signed": True,
            "policy": {"default": {"lifetime": {"minutes": 4}}},
            **_SHA256,
        }
        self.settings = {**_common(entity_id, key), "service": {"idp": idp}}
        self.people = people
        self.sessions: dict[str, str] = {}

    def metadata(self) -> bytes:
        """Give its metadata as pysaml2 writes it."""
        return str(entity_descriptor(IdPConfig().load(self.settings))).encode()

    def learn(self, descriptor: bytes) -> None:
        """Take the broker's descriptor of its face toward this upstream."""
        self.server = Server(config=IdPConfig().load({**self.settings, "metadata": {"inline": [descriptor.decode()]}}))

    def app(self) -> Flask:
        """Give its endpoint and login page."""
        app = Flask(__name__)
        app.add_url_rule("/sso", "sso", self.sso)
        app.add_url_rule("/sso", "picked", self.picked, methods=["POST"])
        return app

    def sso(self) -> Response:
        """Take an AuthnRequest: answer for who has a session, else show the login page."""
        try:
            asked = self._asked()
        except IncorrectlySigned as refused:
            return make_response(f"<title>Refused</title><pre id=seen>REFUSED={type(refused).__name__}</pre>")
        who = self.sessions.get(request.cookies.get("pysaml2", ""), "")
        if asked.is_passive == "true" or (who and asked.force_authn != "true"):
            return make_response(self._answer(asked, who))
        buttons = "".join(f'<button name=persona value="{name}">{name}</button>' for name in ("", *self.people))
        query = escape(request.query_string.decode())
        return make_response(f'<title>pysaml2</title><form method=post action="/sso?{query}">{buttons}</form>')

    def picked(self) -> Response:
        """Take the login page."""
        who, session = request.form["persona"], secrets.token_hex(16)
        page = make_response(self._answer(self._asked(), who))
        if who:
            self.sessions[session] = who
            page.set_cookie("pysaml2", session, httponly=True)
        return page

    def _asked(self) -> Any:
        sent = request.args
        read = self.server.parse_authn_request(
            sent["SAMLRequest"], BINDING_HTTP_REDIRECT, sigalg=sent.get("SigAlg"), signature=sent.get("Signature")
        )
        return read.message

    def _answer(self, asked: Any, who: str) -> str:
        places = self.server.response_args(asked)
        if who:
            message = self.server.create_authn_response(
                dict(self.people[who]),
                userid=who,
                authn={"class_ref": AUTHN_PASSWORD_PROTECTED},
                sign_assertion=True,
                **{name: places[name] for name in ("in_response_to", "destination", "sp_entity_id", "name_id_policy")},
            )
        else:
            status = samlp.STATUS_NO_PASSIVE if asked.is_passive == "true" else samlp.STATUS_AUTHN_FAILED
            message = self.server.create_error_response(
                places["in_response_to"], places["destination"], (status, "nobody logged in"), sign=True
            )
        sent = self.server.apply_binding(BINDING_HTTP_POST, str(message), places["destination"], response=True)
        return str(sent["data"])
