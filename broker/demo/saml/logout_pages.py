"""The log-out links of the simulated library and hub, and their answers when the broker asks them to end a session."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol
from zlib import crc32

from flask import Flask, abort, redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.saml.gate import http_bindings, signature
from broker.core.errors import MessageRefused
from broker.demo.saml import logout_messages
from broker.demo.saml.logout_messages import KnownSession

_UNKNOWN: Final = tuple(
    f"urn:oasis:names:tc:SAML:2.0:status:{each}" for each in ("Requester", "UnknownPrincipal")
)
_COOKIE: Final = "logged-in-"


class LogoutBroker(Protocol):
    """The broker as a service knows it."""

    @property
    def slo(self) -> str:
        """Give where it takes logout messages."""
        ...

    @property
    def keys(self) -> tuple[signature.VerifyKey, ...]:
        """Give the keys it signs with."""
        ...


class RequestingBroker(Protocol):
    """The broker as NemLog-in knows it."""

    @property
    def acs(self) -> str:
        """Give where it takes Responses; its logout messages go beside that."""
        ...

    @property
    def keys(self) -> tuple[signature.VerifyKey, ...]:
        """Give the keys it signs with."""
        ...


class LogoutSite(Protocol):
    """A service: its entityID, and its titles in two languages."""

    @property
    def entity_id(self) -> str:
        """Give its entityID."""
        ...

    @property
    def titles(self) -> tuple[str, str]:
        """Give its title in English and in Danish."""
        ...


@dataclass(slots=True)
class Remembered:
    """The sessions of a party, by a cookie's value: to whom each was given, and by which names it goes."""

    kept: dict[str, tuple[str, KnownSession]] = field(default_factory=dict)

    def begin(self, response: Response, party: str, known: KnownSession) -> None:
        """Remember a session and give the browser its cookie."""
        value = secrets.token_hex(16)
        self.kept[value] = (party, known)
        response.set_cookie(
            f"{_COOKIE}{crc32(party.encode()):x}", value, httponly=True, samesite="Lax"
        )

    def mine(self) -> Iterator[tuple[str, str, KnownSession]]:
        """Give the sessions of the browser that asks: cookie value, party and names."""
        for value in request.cookies.values():
            if value in self.kept:
                yield value, *self.kept[value]

    def end(self, party: str, name_id: str, indexes: tuple[str, ...]) -> bool:
        """End the sessions of these names, and say whether there were any."""
        found = [
            value
            for value, (given, known) in self.kept.items()
            if (given, known.name_id) == (party, name_id)
            and (not indexes or known.index in indexes)
        ]
        for value in found:
            del self.kept[value]
        return bool(found)


def at_library(
    app: Flask,
    services: Mapping[str, LogoutSite],
    peer: Callable[[], LogoutBroker],
    key: signature.SigningKey | None,
) -> Remembered:
    """Give the library's services a way to log out, and an answer for the broker."""
    remembered = Remembered()
    if key is None:  # a library that is only looked at
        return remembered

    @app.get("/<service>/log-out")
    def log_out(service: str) -> Response:
        for value, party, known in list(remembered.mine()):
            if party == service:
                del remembered.kept[value]
                slo = peer().slo
                written = logout_messages.request(services[service].entity_id, slo, known)
                return redirect(
                    http_bindings.redirect_url(slo, "SAMLRequest", written, service, key)
                )
        return redirect("/")

    @app.get("/<service>/slo")
    def slo(service: str) -> Response | str:
        if service not in services:
            abort(404)
        query, known = request.query_string.decode(), peer()
        if "SAMLResponse" in request.args:
            message = logout_messages.read(query, "SAMLResponse", known.keys)
            return render_template(
                "logged_out.html", status=message.status, titles=services[service].titles
            )
        asked = logout_messages.read(query, "SAMLRequest", known.keys)
        ended = remembered.end(service, asked.name_id, asked.indexes)
        codes = (logout_messages.SUCCESS,) if ended else _UNKNOWN
        written = logout_messages.response(services[service].entity_id, known.slo, asked.id, codes)
        return redirect(
            http_bindings.redirect_url(known.slo, "SAMLResponse", written, asked.relay_state, key)
        )

    return remembered


def at_hub(
    app: Flask, hub: str, key: signature.SigningKey, addresses: Mapping[str, str]
) -> Remembered:
    """Give the hub a way to log out, and an answer; ``addresses`` are its service providers' ACSs, by entityID."""
    remembered = Remembered()

    @app.get("/log-out")
    def log_out() -> Response | str:
        for value, party, known in list(remembered.mine()):
            del remembered.kept[value]
            slo = addresses[party].removesuffix("/acs") + "/slo"
            return redirect(
                http_bindings.redirect_url(
                    slo, "SAMLRequest", logout_messages.request(hub, slo, known), None, key
                )
            )
        return render_template("hub_logged_out.html", status="")

    @app.get("/slo")
    def slo() -> Response | str:
        query = request.query_string.decode()
        if "SAMLResponse" in request.args:
            # WAYF verifies no logout message either (wayf.md section 8).
            return render_template("hub_logged_out.html", status=logout_messages.status(query))
        issuer, asked = logout_messages.peek(query)
        if issuer not in addresses:
            abort(500, "no common federations")
        ended = remembered.end(issuer, asked.name_id, asked.indexes)
        to = addresses[issuer].removesuffix("/acs") + "/slo"
        written = logout_messages.response(
            hub, to, asked.id, (logout_messages.SUCCESS,) if ended else _UNKNOWN
        )
        return redirect(
            http_bindings.redirect_url(to, "SAMLResponse", written, asked.relay_state, key)
        )

    return remembered


def at_nemlogin(
    app: Flask, own: str, key: signature.SigningKey, peer: Callable[[], RequestingBroker]
) -> Remembered:
    """Give NemLog-in a way to log out, and an answer to signed messages only."""
    remembered = Remembered()

    def heard(kind: http_bindings.MessageField) -> tuple[str, logout_messages.LogoutMessage]:
        known = peer()
        try:
            message = logout_messages.read(request.query_string.decode(), kind, known.keys)
        except (LookupError, MessageRefused):
            abort(400, "the message is not signed by a system that we know")
        return known.acs.removesuffix("/acs") + "/slo", message

    @app.get("/log-out")
    def log_out() -> Response | str:
        for value, _, known in list(remembered.mine()):
            del remembered.kept[value]
            to = peer().acs.removesuffix("/acs") + "/slo"
            return redirect(
                http_bindings.redirect_url(
                    to, "SAMLRequest", logout_messages.request(own, to, known), None, key
                )
            )
        return render_template("hub_logged_out.html", party="Simulated NemLog-in", status="")

    @app.get("/slo")
    def slo() -> Response | str:
        if "SAMLResponse" in request.args:
            _, answer = heard("SAMLResponse")
            return render_template(
                "hub_logged_out.html", party="Simulated NemLog-in", status=answer.status
            )
        to, asked = heard("SAMLRequest")
        ended = remembered.end(own, asked.name_id, asked.indexes)
        written = logout_messages.response(
            own, to, asked.id, (logout_messages.SUCCESS,) if ended else _UNKNOWN
        )
        return redirect(
            http_bindings.redirect_url(to, "SAMLResponse", written, asked.relay_state, key)
        )

    return remembered
