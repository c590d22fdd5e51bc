"""A service by python3-saml as its README configures one: strict, all signed, with a key to decrypt or without."""

import secrets
from pathlib import Path
from typing import Any, Final

from flask import Flask, Response, make_response, redirect, request
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.settings import OneLogin_Saml2_Settings

from broker.core.entities import PERSISTENT
from tests.interop.parties.pysaml2_settings import told

_POST: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
_REDIRECT: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
_COOKIE: Final = "python3-saml"


class Service:
    """A service under ``origin``; ``key`` is the stem of its key and certificate files."""

    def __init__(self, entity_id: str, origin: str, key: Path, *, encrypts: bool) -> None:
        """Take its place; it knows no identity provider before ``learn``."""
        self.origin = origin
        self.settings: dict[str, Any] = {
            "strict": True,
            "sp": {
                "entityId": entity_id,
                "assertionConsumerService": {"url": f"{origin}/acs", "binding": _POST},
                "singleLogoutService": {"url": f"{origin}/slo", "binding": _REDIRECT},
                "NameIDFormat": PERSISTENT,
                "x509cert": key.with_suffix(".crt").read_text(),
                "privateKey": key.with_suffix(".key").read_text(),
            },
            # The rest is the product's default: RequestedAuthnContext too.
            "security": {
                "authnRequestsSigned": True,
                "logoutRequestSigned": True,
                "logoutResponseSigned": True,
                "wantMessagesSigned": True,
                "wantAssertionsSigned": True,
                "wantAssertionsEncrypted": encrypts,
            },
        }
        self.sessions: dict[str, tuple[dict[str, str], dict[str, str]]] = {}  # by cookie

    def metadata(self) -> bytes:
        """Give its metadata as python3-saml writes it."""
        found = OneLogin_Saml2_Settings(self.settings, sp_validation_only=True).get_sp_metadata()
        return found if isinstance(found, bytes) else str(found).encode()

    def learn(self, descriptor: bytes) -> None:
        """Take the broker's descriptor."""
        self.settings["idp"] = OneLogin_Saml2_IdPMetadataParser.parse(descriptor)["idp"]

    def app(self) -> Flask:
        """Give its pages."""
        app = Flask(__name__)
        app.add_url_rule("/protected/", "protected", self.protected)
        app.add_url_rule("/acs", "acs", self.acs, methods=["POST"])
        app.add_url_rule("/logout", "logout", self.logout)
        app.add_url_rule("/slo", "slo", self.slo)
        return app

    def protected(self) -> Response:
        """Show what the session was told, or ask as the query says: force, passive, any class of authentication."""
        session = self.sessions.get(request.cookies.get(_COOKIE, ""))
        if session and not request.args:
            return told(**session[0])
        flags = {"force_authn": "force" in request.args, "is_passive": "passive" in request.args}
        asking = self._auth(requestedAuthnContext="any" not in request.args)
        return away(asking.login(return_to=f"{self.origin}/protected/", **flags))

    def acs(self) -> Response:
        """Take the answer: a session, or the page that says why not."""
        auth = self._auth()
        auth.process_response()
        if auth.get_errors():
            return told(STATUS=str(auth.get_last_error_reason()).rpartition(":")[2])
        values = {name: ";".join(each) for name, each in auth.get_friendlyname_attributes().items()}
        values |= {"NAME_ID": auth.get_nameid(), "NAME_ID_FORMAT": auth.get_nameid_format()}
        subject = {
            "name_id": auth.get_nameid(),
            "session_index": auth.get_session_index(),
            "nq": auth.get_nameid_nq(),
            "name_id_format": auth.get_nameid_format(),
            "spnq": auth.get_nameid_spnq(),
        }
        session = secrets.token_hex(16)
        self.sessions[session] = values, subject
        onward = away(request.form["RelayState"])
        onward.set_cookie(_COOKIE, session, httponly=True)
        return onward

    def logout(self) -> Response:
        """Begin a logout for the session of this browser: here first, then everywhere."""
        _, subject = self.sessions.pop(request.cookies[_COOKIE])
        return away(self._auth().logout(return_to=f"{self.origin}/", **subject))

    def slo(self) -> Response:
        """Take a LogoutRequest, which ends the session of this browser, or the answer to one of ours."""
        auth = self._auth()
        onward = auth.process_slo(delete_session_cb=self._end)
        if auth.get_errors():
            return told(STATUS=str(auth.get_last_error_reason()))
        return away(onward) if onward else told(STATUS="Success")

    def _end(self) -> None:
        self.sessions.pop(request.cookies.get(_COOKIE, ""), None)

    def _auth(self, **security: bool) -> Any:
        asked = {
            "https": "off",
            "http_host": request.host,
            "script_name": request.path,
            "get_data": request.args.copy(),
            "post_data": request.form.copy(),
            "query_string": request.query_string.decode(),
        }
        settings = {**self.settings, "security": {**self.settings["security"], **security}}
        return OneLogin_Saml2_Auth(asked, settings)


def away(url: str) -> Response:
    """Send the browser on."""
    return make_response(redirect(url))
