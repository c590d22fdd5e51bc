"""An identity provider built on pysaml2 with a login page, a session, and logout started by either side."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask, Response, make_response, request
from lxml import etree
from markupsafe import escape
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, samlp
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.response import IncorrectlySigned
from saml2.saml import AUTHN_PASSWORD_PROTECTED, name_id_from_string
from saml2.server import Server

from tests.interop.parties.pysaml2_settings import SIGNED, common, redirect_to, show_lines

People = Mapping[str, Mapping[str, Sequence[str]]]


@dataclass(slots=True)
class Session:
    """One login session: the person, and the NameID and SessionIndex that the broker knows."""

    who: str
    name_id: Any = None
    indexes: list[str] = field(default_factory=list)

    def remember(self, response: str) -> None:
        """Save NameID and SessionIndex of a Response that was just written."""
        root = etree.fromstring(response.encode())
        (name_id,) = root.iterfind(".//{*}Subject/{*}NameID")
        self.name_id = name_id_from_string(etree.tostring(name_id).decode())
        self.indexes += [str(each.get("SessionIndex")) for each in root.iter("{*}AuthnStatement")]


class IdentityProvider:
    """An identity provider at ``origin`` with a login page and a session. It requires signed requests."""

    def __init__(self, entity_id: str, origin: str, key: Path, people: People) -> None:
        """Set the address and the people. ``learn`` adds the broker as the service provider."""
        self.origin = origin
        idp = {
            "endpoints": {
                "single_sign_on_service": [(f"{origin}/sso", BINDING_HTTP_REDIRECT)],
                "single_logout_service": [(f"{origin}/slo", BINDING_HTTP_REDIRECT)],
            },
            "want_authn_requests_signed": True,
            "policy": {"default": {"lifetime": {"minutes": 4}}},
            **SIGNED,
        }
        self.settings = {**common(entity_id, key), "service": {"idp": idp}}
        self.people = people
        self.class_ref = AUTHN_PASSWORD_PROTECTED
        self.sessions: dict[str, Session] = {}  # by cookie

    def metadata(self) -> bytes:
        """Return the metadata as pysaml2 writes it."""
        return str(entity_descriptor(IdPConfig().load(self.settings))).encode()

    def learn(self, descriptor: bytes) -> None:
        """Install the broker's SP descriptor for this upstream."""
        self.broker = str(etree.fromstring(descriptor).get("entityID"))
        self.server = Server(config=IdPConfig().load({**self.settings, "metadata": {"inline": [descriptor.decode()]}}))

    def app(self) -> Flask:
        """Return a Flask app with the endpoints and the login page."""
        app = Flask(__name__)
        app.add_url_rule("/sso", "sso", self.sso)
        app.add_url_rule("/sso", "submit_login", self.submit_login, methods=["POST"])
        app.add_url_rule("/log-out", "log_out", self.log_out)
        app.add_url_rule("/slo", "slo", self.slo)
        return app

    def sso(self) -> Response:
        """Answer an AuthnRequest at once if there is a session. Otherwise show the login page."""
        try:
            asked = self._read_authn_request()
        except IncorrectlySigned as refused:
            return show_lines(REFUSED=type(refused).__name__)
        session = self.sessions.get(request.cookies.get("pysaml2", ""))
        if asked.is_passive == "true" or (session and asked.force_authn != "true"):
            return make_response(self._answer(asked, session))
        buttons = "".join(f'<button name=persona value="{name}">{name}</button>' for name in ("", *self.people))
        query = escape(request.query_string.decode())
        return make_response(f'<title>pysaml2</title><form method=post action="/sso?{query}">{buttons}</form>')

    def submit_login(self) -> Response:
        """Handle the submitted login page."""
        who, name = request.form["persona"], secrets.token_hex(16)
        session = Session(who) if who else None
        page = make_response(self._answer(self._read_authn_request(), session))
        if session:
            self.sessions[name] = session
            page.set_cookie("pysaml2", name, httponly=True)
        return page

    def log_out(self) -> Response:
        """Log out: end the session here, then send a LogoutRequest to the broker."""
        session = self.sessions.pop(request.cookies["pysaml2"])
        destination = self.server.metadata.single_logout_service(self.broker, BINDING_HTTP_REDIRECT, "spsso")[0]
        _, message = self.server.create_logout_request(
            destination["location"], self.broker, name_id=session.name_id, session_indexes=session.indexes, sign=False
        )
        return self._send_logout_message(message, destination["location"])

    def slo(self) -> Response:
        """Handle a LogoutRequest from the broker, or the LogoutResponse to our own LogoutRequest."""
        sent = request.args
        if "SAMLResponse" in sent:
            answer = self.server.parse_logout_request_response(sent["SAMLResponse"], BINDING_HTTP_REDIRECT)
            return show_lines(STATUS=answer.response.status.status_code.value.rpartition(":")[2])
        signed = {"sigalg": sent["SigAlg"], "signature": sent["Signature"], "relay_state": sent.get("RelayState")}
        asked = self.server.parse_logout_request(sent["SAMLRequest"], BINDING_HTTP_REDIRECT, **signed).message
        self.sessions.pop(request.cookies.get("pysaml2", ""), None)
        message = self.server.create_logout_response(asked, [BINDING_HTTP_REDIRECT], sign=False)
        destination = self.server.response_args(asked, [BINDING_HTTP_REDIRECT])["destination"]
        return self._send_logout_message(message, destination, sent.get("RelayState", ""), response=True)

    def _send_logout_message(
        self, message: Any, destination: str, relay_state: str = "", *, response: bool = False
    ) -> Response:
        packed = self.server.apply_binding(
            BINDING_HTTP_REDIRECT, str(message), destination, relay_state, response=response, sign=True
        )
        return redirect_to(packed)

    def _read_authn_request(self) -> Any:
        sent = request.args
        read = self.server.parse_authn_request(
            sent["SAMLRequest"], BINDING_HTTP_REDIRECT, sigalg=sent.get("SigAlg"), signature=sent.get("Signature")
        )
        return read.message

    def _answer(self, asked: Any, session: "Session | None") -> str:
        places = self.server.response_args(asked)
        if session:
            message = self.server.create_authn_response(
                dict(self.people[session.who]),
                userid=session.who,
                authn={"class_ref": self.class_ref},
                sign_assertion=True,
                **{name: places[name] for name in ("in_response_to", "destination", "sp_entity_id", "name_id_policy")},
            )
            session.remember(str(message))
        else:
            status = samlp.STATUS_NO_PASSIVE if asked.is_passive == "true" else samlp.STATUS_AUTHN_FAILED
            message = self.server.create_error_response(
                places["in_response_to"], places["destination"], (status, "nobody logged in"), sign=True
            )
        sent = self.server.apply_binding(BINDING_HTTP_POST, str(message), places["destination"], response=True)
        return str(sent["data"])
