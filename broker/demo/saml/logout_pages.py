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
    """The sessions of a party by cookie value, each with its service or upstream.

    ``key`` signs the party's logout messages.
    """

    key: signature.SigningKey
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

    def log_out(
        self, own: str, find_slo: Callable[[str], str], service: str | None = None
    ) -> Response | None:
        """End a session of the browser, and redirect with the LogoutRequest of ``own``.

        With ``service`` only its session counts. Return None if there is no session.
        """
        for value, party, session in list(self.list_for_browser()):
            if service in {None, party}:
                del self.by_cookie[value]
                slo = find_slo(party)
                written = logout_messages.request(own, slo, session)
                return self._send(slo, "SAMLRequest", written, service)
        return None

    def answer(self, own: str, slo: str, party: str, asked: LogoutMessage) -> Response:
        """End the sessions that a LogoutRequest names, and redirect with the LogoutResponse."""
        ended = []
        for value, (owner, session) in self.by_cookie.items():
            if (owner, session.name_id) != (party, asked.name_id):
                continue
            if not asked.indexes or session.index in asked.indexes:
                ended.append(value)
        for value in ended:
            del self.by_cookie[value]
        codes = (logout_messages.SUCCESS,) if ended else _UNKNOWN
        written = logout_messages.response(own, slo, asked.id, codes)
        return self._send(slo, "SAMLResponse", written, asked.relay_state)

    def _send(
        self, slo: str, kind: http_bindings.MessageField, written: bytes, state: str | None
    ) -> Response:
        return redirect(http_bindings.build_redirect_url(slo, kind, written, state, self.key))


def add_library_logout(
    app: Flask,
    services: Mapping[str, Site],
    peer: Callable[[], BrokerAsIdp],
    key: signature.SigningKey,
) -> SessionTable:
    """Add a log-out link and an SLO endpoint to the library's services."""
    sessions = SessionTable(key)

    @app.get("/<service>/log-out")
    def log_out(service: str) -> Response:
        if service not in services:
            abort(404)
        own = services[service].entity_id
        return sessions.log_out(own, lambda _: peer().slo, service) or redirect("/")

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
        return sessions.answer(site.entity_id, broker.slo, service, asked)

    return sessions


def add_upstream_logout(
    app: Flask,
    own: str,
    key: signature.SigningKey,
    read: Callable[[str, http_bindings.MessageField], LogoutMessage],
    find_acs: Callable[[str], str],
    *,
    party: str = "",
) -> SessionTable:
    """Add a log-out link and an SLO endpoint to an upstream.

    ``read`` reads a message of the broker, ``find_acs`` returns the ACS of one of the broker's
    entityIDs. ``party`` is the name of the upstream on its pages.
    """
    sessions = SessionTable(key)

    def find_slo(sp: str) -> str:
        return find_acs(sp).removesuffix("/acs") + "/slo"

    def show(status: str) -> str:
        return render_template("hub_logged_out.html", party=party, status=status)

    @app.get("/log-out")
    def log_out() -> Response | str:
        return sessions.log_out(own, find_slo) or show("")

    @app.get("/slo")
    def slo() -> Response | str:
        query = request.query_string.decode()
        if "SAMLResponse" in request.args:
            return show(read(query, "SAMLResponse").status)
        asked = read(query, "SAMLRequest")
        return sessions.answer(own, find_slo(asked.issuer), asked.issuer, asked)

    return sessions
