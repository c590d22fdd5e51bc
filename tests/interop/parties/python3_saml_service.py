"""A service built on python3-saml and configured as in its README: strict, signed messages, optional decryption key."""

import secrets
from pathlib import Path
from typing import Any, Final

from flask import Flask, Response, make_response, redirect, request
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.settings import OneLogin_Saml2_Settings

from broker.core.entities import PERSISTENT
from tests.interop.parties.pysaml2_settings import make_app, show_lines

_POST: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
_REDIRECT: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
_COOKIE: Final = "python3-saml"


class Service:
    """A service at ``origin``; ``key`` is the path of its key and certificate files without the suffix."""

    def __init__(self, entity_id: str, origin: str, key: Path, *, encrypts: bool) -> None:
        """Set the address. ``learn`` adds the broker as the identity provider."""
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
            # Everything else is the product's default, RequestedAuthnContext included.
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
        """Return the metadata as python3-saml writes it."""
        found = OneLogin_Saml2_Settings(self.settings, sp_validation_only=True).get_sp_metadata()
        return found if isinstance(found, bytes) else str(found).encode()

    def learn(self, descriptor: bytes) -> None:
        """Install the broker's descriptor."""
        self.settings["idp"] = OneLogin_Saml2_IdPMetadataParser.parse(descriptor)["idp"]

    def app(self) -> Flask:
        """Return a Flask app with the pages."""
        return make_app(self)

    def show_attributes(self) -> Response:
        """Show the session's attributes, or send an AuthnRequest with the options of the query (force, passive, class)."""
        session = self.sessions.get(request.cookies.get(_COOKIE, ""))
        if session and not request.args:
            return show_lines(**session[0])
        flags = {"force_authn": "force" in request.args, "is_passive": "passive" in request.args}
        asking = self._auth(requestedAuthnContext="any" not in request.args)
        return redirect_to(asking.login(return_to=f"{self.origin}/protected/", **flags))

    def acs(self) -> Response:
        """Handle a Response: start a session, or show the error status."""
        auth = self._auth()
        auth.process_response()
        if auth.get_errors():
            return show_lines(STATUS=str(auth.get_last_error_reason()).rpartition(":")[2])
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
        onward = redirect_to(request.form["RelayState"])
        onward.set_cookie(_COOKIE, session, httponly=True)
        return onward

    def logout(self) -> Response:
        """Log out: end the session here, then send a LogoutRequest to the broker."""
        _, subject = self.sessions.pop(request.cookies[_COOKIE])
        return redirect_to(self._auth().logout(return_to=f"{self.origin}/", **subject))

    def slo(self) -> Response:
        """Handle a LogoutRequest from the broker, or the LogoutResponse to our own LogoutRequest."""
        auth = self._auth()
        onward = auth.process_slo(delete_session_cb=self._end)
        if auth.get_errors():
            return show_lines(STATUS=str(auth.get_last_error_reason()))
        return redirect_to(onward) if onward else show_lines(STATUS="Success")

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


def redirect_to(url: str) -> Response:
    """Redirect the browser."""
    return make_response(redirect(url))
