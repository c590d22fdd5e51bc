"""The log-out links of the simulated parties, and their answers to the broker's LogoutRequests."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol
from zlib import crc32

from flask import Flask, abort, redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.saml.xml_security import http_bindings, signature
from broker.core.errors import MessageRefused
from broker.demo.saml import logout_messages
from broker.demo.saml.logout_messages import KnownSession

_UNKNOWN: Final = (
    "urn:oasis:names:tc:SAML:2.0:status:Requester",
    "urn:oasis:names:tc:SAML:2.0:status:UnknownPrincipal",
)
_COOKIE: Final = "logged-in-"


class LogoutBroker(Protocol):
    """The broker as a service knows it."""

    @property
    def slo(self) -> str:
        """Return the address of its SLO endpoint."""
        ...

    @property
    def keys(self) -> tuple[signature.VerifyKey, ...]:
        """Return the broker's signing keys."""
        ...


class RequestingBroker(Protocol):
    """The broker as NemLog-in knows it."""

    @property
    def acs(self) -> str:
        """Return the address of its ACS; its SLO endpoint has the same base."""
        ...

    @property
    def keys(self) -> tuple[signature.VerifyKey, ...]:
        """Return the broker's signing keys."""
        ...


class LogoutSite(Protocol):
    """A service: its entityID, and its titles in two languages."""

    @property
    def entity_id(self) -> str:
        """Return its entityID."""
        ...

    @property
    def titles(self) -> tuple[str, str]:
        """Return its title in English and in Danish."""
        ...


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

    def end(self, party: str, name_id: str, indexes: tuple[str, ...]) -> bool:
        """End the sessions with this NameID and these indexes. Return whether there were any."""
        ended = []
        for value, (owner, session) in self.by_cookie.items():
            if (owner, session.name_id) != (party, name_id):
                continue
            if not indexes or session.index in indexes:
                ended.append(value)
        for value in ended:
            del self.by_cookie[value]
        return bool(ended)


def _codes(*, ended: bool) -> tuple[str, ...]:
    if ended:
        return (logout_messages.SUCCESS,)
    return _UNKNOWN


def _find_slo_address(acs: str) -> str:
    """Return the SLO endpoint with the same base as an ACS."""
    return acs.removesuffix("/acs") + "/slo"


def add_library_logout(
    app: Flask,
    services: Mapping[str, LogoutSite],
    peer: Callable[[], LogoutBroker],
    key: signature.SigningKey | None,
) -> SessionTable:
    """Add a log-out link and an SLO endpoint to the library's services."""
    sessions = SessionTable()
    if key is None:  # a library that cannot sign offers no logout
        return sessions

    @app.get("/<service>/log-out")
    def log_out(service: str) -> Response:
        for value, party, session in list(sessions.list_for_browser()):
            if party == service:
                del sessions.by_cookie[value]
                slo = peer().slo
                written = logout_messages.request(services[service].entity_id, slo, session)
                url = http_bindings.build_redirect_url(slo, "SAMLRequest", written, service, key)
                return redirect(url)
        return redirect("/")

    @app.get("/<service>/slo")
    def slo(service: str) -> Response | str:
        if service not in services:
            abort(404)
        query = request.query_string.decode()
        broker = peer()
        if "SAMLResponse" in request.args:
            message = logout_messages.read(query, "SAMLResponse", broker.keys)
            titles = services[service].titles
            return render_template("logged_out.html", status=message.status, titles=titles)
        asked = logout_messages.read(query, "SAMLRequest", broker.keys)
        codes = _codes(ended=sessions.end(service, asked.name_id, asked.indexes))
        issuer, to = services[service].entity_id, broker.slo
        written = logout_messages.response(issuer, to, asked.id, codes)
        url = http_bindings.build_redirect_url(to, "SAMLResponse", written, asked.relay_state, key)
        return redirect(url)

    return sessions


def add_hub_logout(
    app: Flask, hub: str, key: signature.SigningKey, addresses: Mapping[str, str]
) -> SessionTable:
    """Add a log-out link and an SLO endpoint to the hub; ``addresses`` are ACSs by entityID."""
    sessions = SessionTable()

    @app.get("/log-out")
    def log_out() -> Response | str:
        for value, party, session in list(sessions.list_for_browser()):
            del sessions.by_cookie[value]
            to = _find_slo_address(addresses[party])
            written = logout_messages.request(hub, to, session)
            return redirect(http_bindings.build_redirect_url(to, "SAMLRequest", written, None, key))
        return render_template("hub_logged_out.html", status="")

    @app.get("/slo")
    def slo() -> Response | str:
        query = request.query_string.decode()
        if "SAMLResponse" in request.args:
            # WAYF verifies no logout message either (docs/reference/wayf.md#logout).
            return render_template("hub_logged_out.html", status=logout_messages.status(query))
        issuer, asked = logout_messages.peek(query)
        if issuer not in addresses:
            abort(500, "no common federations")
        codes = _codes(ended=sessions.end(issuer, asked.name_id, asked.indexes))
        to = _find_slo_address(addresses[issuer])
        written = logout_messages.response(hub, to, asked.id, codes)
        url = http_bindings.build_redirect_url(to, "SAMLResponse", written, asked.relay_state, key)
        return redirect(url)

    return sessions


def add_nemlogin_logout(
    app: Flask, own: str, key: signature.SigningKey, peer: Callable[[], RequestingBroker]
) -> SessionTable:
    """Add a log-out link and an SLO endpoint to NemLog-in, which requires signed messages."""
    sessions = SessionTable()

    def verify_message(
        kind: http_bindings.MessageField,
    ) -> tuple[str, logout_messages.LogoutMessage]:
        broker = peer()
        try:
            message = logout_messages.read(request.query_string.decode(), kind, broker.keys)
        except (LookupError, MessageRefused):
            abort(400, "the message is not signed by a system that we know")
        return _find_slo_address(broker.acs), message

    @app.get("/log-out")
    def log_out() -> Response | str:
        for value, _, session in list(sessions.list_for_browser()):
            del sessions.by_cookie[value]
            to = _find_slo_address(peer().acs)
            written = logout_messages.request(own, to, session)
            return redirect(http_bindings.build_redirect_url(to, "SAMLRequest", written, None, key))
        return render_template("hub_logged_out.html", party="Simulated NemLog-in", status="")

    @app.get("/slo")
    def slo() -> Response | str:
        if "SAMLResponse" in request.args:
            _, answer = verify_message("SAMLResponse")
            return render_template(
                "hub_logged_out.html", party="Simulated NemLog-in", status=answer.status
            )
        to, asked = verify_message("SAMLRequest")
        codes = _codes(ended=sessions.end(own, asked.name_id, asked.indexes))
        written = logout_messages.response(own, to, asked.id, codes)
        url = http_bindings.build_redirect_url(to, "SAMLResponse", written, asked.relay_state, key)
        return redirect(url)

    return sessions
