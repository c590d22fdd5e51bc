"""The log-out links of the simulated parties, and their answers to the broker's LogoutRequests."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from flask import Flask, abort, redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.saml.xml_security import http_bindings, signature
from broker.demo.saml import logout_messages
from broker.demo.saml.logout_messages import KnownSession, LogoutMessage

_UNKNOWN: Final = (
    "urn:oasis:names:tc:SAML:2.0:status:Requester",
    "urn:oasis:names:tc:SAML:2.0:status:UnknownPrincipal",
)
_COOKIE: Final = "logged-in-"


@dataclass(frozen=True, slots=True)
class BrokerAsIdp:
    """The broker as the library knows it from its metadata."""

    entity_id: str
    sso: str
    keys: tuple[signature.VerifyKey, ...]
    slo: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """A service of the library."""

    title: str
    entity_id: str
    acs: str
    danish: str = ""

    @property
    def titles(self) -> tuple[str, str]:
        """Return its title in English and in Danish."""
        return self.title, self.danish or self.title


@dataclass(slots=True)
class SessionTable:
    """The sessions of a party by cookie value, each with its service or upstream."""

    by_cookie: dict[str, tuple[str, KnownSession]] = field(default_factory=dict)

    def begin(self, response: Response, party: str, session: KnownSession) -> None:
        """Store a session, and set its cookie in the browser."""
        value = secrets.token_hex(16)
        self.by_cookie[value] = (party, session)
        name = f"{_COOKIE}{crc32(party.encode()):x}"
        response.set_cookie(name, value, httponly=True, samesite="Lax")

    def list_for_browser(self) -> Iterator[tuple[str, str, KnownSession]]:
        """Yield the sessions of the requesting browser: cookie value, party and session."""
        for value in request.cookies.values():
            if value in self.by_cookie:
                yield value, *self.by_cookie[value]

    def end(self, party: str, asked: LogoutMessage) -> tuple[str, ...]:
        """End the sessions that a LogoutRequest names. Return the status codes of the answer."""
        ended = []
        for value, (owner, session) in self.by_cookie.items():
            if (owner, session.name_id) != (party, asked.name_id):
                continue
            if not asked.indexes or session.index in asked.indexes:
                ended.append(value)
        for value in ended:
            del self.by_cookie[value]
        return (logout_messages.SUCCESS,) if ended else _UNKNOWN


@dataclass(frozen=True, slots=True)
class LogoutSender:
    """Sends the browser to the broker with logout messages that ``key`` signs."""

    key: signature.SigningKey

    def ask(self, own: str, slo: str, session: KnownSession, state: str | None = None) -> Response:
        """Redirect with the LogoutRequest of the party ``own``."""
        written = logout_messages.request(own, slo, session)
        url = http_bindings.build_redirect_url(slo, "SAMLRequest", written, state, self.key)
        return redirect(url)

    def answer(self, own: str, slo: str, asked: LogoutMessage, codes: tuple[str, ...]) -> Response:
        """Redirect with the LogoutResponse of the party ``own``."""
        written = logout_messages.response(own, slo, asked.id, codes)
        state = asked.relay_state
        url = http_bindings.build_redirect_url(slo, "SAMLResponse", written, state, self.key)
        return redirect(url)


def find_slo_address(acs: str) -> str:
    """Return the SLO endpoint with the same base as an ACS."""
    return acs.removesuffix("/acs") + "/slo"


def add_library_logout(
    app: Flask,
    services: Mapping[str, Site],
    peer: Callable[[], BrokerAsIdp],
    key: signature.SigningKey | None,
) -> SessionTable:
    """Add a log-out link and an SLO endpoint to the library's services."""
    sessions = SessionTable()
    if key is None:  # a library that cannot sign offers no logout
        return sessions
    sender = LogoutSender(key)

    @app.get("/<service>/log-out")
    def log_out(service: str) -> Response:
        for value, party, session in list(sessions.list_for_browser()):
            if party == service:
                del sessions.by_cookie[value]
                return sender.ask(services[service].entity_id, peer().slo, session, service)
        return redirect("/")

    @app.get("/<service>/slo")
    def slo(service: str) -> Response | str:
        if service not in services:
            abort(404)
        query = request.query_string.decode()
        broker, site = peer(), services[service]
        if "SAMLResponse" in request.args:
            message = logout_messages.read(query, "SAMLResponse", broker.keys)
            return render_template("logged_out.html", status=message.status, titles=site.titles)
        asked = logout_messages.read(query, "SAMLRequest", broker.keys)
        return sender.answer(site.entity_id, broker.slo, asked, sessions.end(service, asked))

    return sessions


def add_upstream_logout(
    app: Flask,
    own: str,
    key: signature.SigningKey,
    read: Callable[[str, http_bindings.MessageField], LogoutMessage],
    find_slo: Callable[[str], str],
    *,
    party: str = "",
) -> SessionTable:
    """Add a log-out link and an SLO endpoint to an upstream.

    ``read`` reads a message of the broker, ``find_slo`` returns the SLO endpoint of one of the
    broker's entityIDs. ``party`` is the name of the upstream on its pages.
    """
    sessions, sender = SessionTable(), LogoutSender(key)

    def show(status: str) -> str:
        return render_template("hub_logged_out.html", party=party, status=status)

    @app.get("/log-out")
    def log_out() -> Response | str:
        for value, sp, session in list(sessions.list_for_browser()):
            del sessions.by_cookie[value]
            return sender.ask(own, find_slo(sp), session)
        return show("")

    @app.get("/slo")
    def slo() -> Response | str:
        query = request.query_string.decode()
        if "SAMLResponse" in request.args:
            return show(read(query, "SAMLResponse").status)
        asked = read(query, "SAMLRequest")
        to = find_slo(asked.issuer)
        return sender.answer(own, to, asked, sessions.end(asked.issuer, asked))

    return sessions
