"""An identity provider built on Lasso: a login page, a session, and signed and encrypted Responses.

Debian's own Python runs it, because Lasso has no package for other Pythons. Arguments: port, folder. The folder holds
idp.xml, key.pem, key.crt and people.json ({name: {attribute: [values]}}). From the first request on it also holds
sp.xml, the broker's descriptor.
"""

import json
import secrets
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from http import HTTPStatus
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import lasso

PORT, FOLDER = int(sys.argv[1]), Path(sys.argv[2])
PEOPLE: dict[str, dict[str, list[str]]] = json.loads((FOLDER / "people.json").read_text())
LIVES = timedelta(minutes=4)
SESSIONS: dict[str, "Session"] = {}  # by cookie


@dataclass
class Session:
    """One login session: the person and Lasso's own state."""

    who: str
    kept: str = ""
    identity: str = ""

    def into(self, profile: Any) -> None:
        """Load the saved state into a Lasso profile."""
        if self.kept:
            profile.setSessionFromDump(self.kept)
        if self.identity:
            profile.setIdentityFromDump(self.identity)

    def out_of(self, profile: Any) -> None:
        """Save the state of a Lasso profile."""
        self.kept = profile.session.dump() if profile.session else ""
        self.identity = profile.identity.dump() if profile.identity else ""


def server() -> Any:
    """Return a Lasso server that knows the broker as its only service provider."""
    made = lasso.Server(*(str(FOLDER / name) for name in ("idp.xml", "key.pem")), None, str(FOLDER / "key.crt"))
    made.signatureMethod = lasso.SIGNATURE_METHOD_RSA_SHA256
    made.addProvider(lasso.PROVIDER_ROLE_SP, str(FOLDER / "sp.xml"), None, None)
    provider = made.getProvider(next(iter(made.providerIds)))
    provider.setEncryptionMode(lasso.ENCRYPTION_MODE_ASSERTION)
    provider.setEncryptionSymKeyType(lasso.ENCRYPTION_SYM_KEY_TYPE_AES_256)
    return made


def read_authn_request(query: str) -> Any:
    """Read an AuthnRequest. Lasso verifies the signature and looks up the ACS."""
    login = lasso.Login(server())
    login.processAuthnRequestMsg(query)
    return login


def stamp(when: datetime) -> str:
    """Format a time as SAML does."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def statement(attributes: dict[str, list[str]]) -> Any:
    """Return an AttributeStatement."""
    written = []
    for name, values in attributes.items():
        attribute = lasso.Saml2Attribute()
        attribute.name, attribute.nameFormat = name, lasso.SAML2_ATTRIBUTE_NAME_FORMAT_URI
        attribute.attributeValue = [value_of(each) for each in values]
        written.append(attribute)
    found = lasso.Saml2AttributeStatement()
    found.attribute = written
    return found


def value_of(text: str) -> Any:
    """Return one AttributeValue."""
    node, value = lasso.MiscTextNode.newWithString(text), lasso.Saml2AttributeValue()
    node.textChild = True
    value.any = [node]
    return value


def answer(login: Any, session: Session | None) -> str:
    """Return the self-posting page with a Response; without a person it says NoPassive or a cancelled login."""
    if session:
        session.into(login)
        login.validateRequestMsg(authentication_result=True, is_consent_obtained=True)
        now = datetime.now(UTC)
        times = (stamp(now), None, stamp(now - timedelta(seconds=5)), stamp(now + LIVES))
        login.buildAssertion(lasso.SAML2_AUTHN_CONTEXT_PASSWORD_PROTECTED_TRANSPORT, *times)
        login.assertion.attributeStatement = [statement(PEOPLE[session.who])]
    else:
        try:
            login.validateRequestMsg(authentication_result=False, is_consent_obtained=False)
        except lasso.LoginRequestDeniedError:
            passive = login.request.isPassive
            detail = lasso.SAML2_STATUS_CODE_NO_PASSIVE if passive else lasso.SAML2_STATUS_CODE_AUTHN_FAILED
            login.response.status.statusCode.statusCode.value = detail
    login.buildAuthnResponseMsg()
    if session:
        session.out_of(login)
    fields = {"SAMLResponse": login.msgBody, **({"RelayState": login.msgRelayState} if login.msgRelayState else {})}
    hidden = "".join(f'<input type=hidden name="{name}" value="{escape(each)}">' for name, each in fields.items())
    return f'<form method=post action="{escape(login.msgUrl)}">{hidden}<button>Continue</button></form>'


def page(query: str) -> str:
    """Return the login page."""
    buttons = "".join(f'<button name=persona value="{name}">{name}</button>' for name in ("", *PEOPLE))
    return f'<title>Lasso</title><form method=post action="/sso?{escape(query)}">{buttons}</form>'


class Endpoint(BaseHTTPRequestHandler):
    """The HTTP endpoints for the Redirect binding."""

    def do_GET(self) -> None:
        """Handle a SAML message, or a click on "log out"."""
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        try:
            if path == "/log-out":
                self.log_out()
            elif path == "/slo":
                self.end(query)
            else:
                self.sso(query)
        except lasso.Error as refused:
            self.tell("REFUSED", type(refused).__name__)

    def sso(self, query: str) -> None:
        """Answer an AuthnRequest at once if there is a session. Otherwise show the login page."""
        login, session = read_authn_request(query), SESSIONS.get(self.cookie())
        if login.request.isPassive or (session and not login.request.forceAuthn):
            self.show(answer(login, session))
        else:
            self.show(page(query))

    def log_out(self) -> None:
        """Log out: end the session here, then send a LogoutRequest to the broker."""
        logout = lasso.Logout(server())
        SESSIONS.pop(self.cookie()).into(logout)
        logout.initRequest(None, lasso.HTTP_METHOD_REDIRECT)
        logout.buildRequestMsg()
        self.send_on(logout.msgUrl)

    def end(self, query: str) -> None:
        """Handle a LogoutRequest from the broker, or the LogoutResponse to our own LogoutRequest."""
        logout = lasso.Logout(server())
        if "SAMLResponse" in parse_qs(query):
            logout.processResponseMsg(query)
            self.tell("STATUS", str(logout.response.status.statusCode.value).rpartition(":")[2])
            return
        session = SESSIONS.pop(self.cookie(), None)
        logout.processRequestMsg(query)
        if session:
            session.into(logout)
        logout.validateRequest()
        logout.buildResponseMsg()
        self.send_on(logout.msgUrl)

    def do_POST(self) -> None:
        """Handle the submitted login page."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True)
        who, name = form["persona"][0], secrets.token_hex(16)
        session = Session(who) if who else None
        if session:
            SESSIONS[name] = session
        self.show(answer(read_authn_request(urlsplit(self.path).query), session), name)

    def cookie(self) -> str:
        """Return the session name from the cookie, or ""."""
        found = SimpleCookie(self.headers.get("Cookie", "")).get("lasso")
        return found.value if found else ""

    def send_on(self, url: str) -> None:
        """Redirect the browser."""
        self.send_response(HTTPStatus.FOUND)
        self.send_header("Location", url)
        self.end_headers()

    def tell(self, name: str, value: str) -> None:
        """Show the result of an operation."""
        self.show(f"<title>Lasso</title><pre id=seen>{name}={value}</pre>")

    def show(self, text: str, session: str = "") -> None:
        """Send a page."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        if session:
            self.send_header("Set-Cookie", f"lasso={session}; HttpOnly; Path=/")
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Endpoint).serve_forever()
