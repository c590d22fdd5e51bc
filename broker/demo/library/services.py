"""The simulated library: SAML services that show the assertion they got and the borrower's account.

Hides CPR numbers on the demo's own pages.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from flask import Flask, abort, redirect, render_template, request
from saml2 import saml, samlp
from werkzeug.wrappers import Response

from broker.adapters.saml.gate import encryption, http_bindings, safe_parser, signature
from broker.demo.koha.loans import Circulation
from broker.demo.library import page_language, plain_pages, self_service
from broker.demo.people.personas import AU, NEMLOGIN
from broker.demo.saml import logout_messages, logout_pages

_NUMBER: Final = re.compile(r"(?<!\d)(\d{6})[- ]?[0-9A-Za-z]{4}(?!\d)")


def masked(text: str) -> str:
    """Give ``text`` with the last four characters of every CPR number hidden."""
    return _NUMBER.sub(r"\1-••••", text)


_P: Final = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_A: Final = "{urn:oasis:names:tc:SAML:2.0:assertion}"
_JOURNALS: Final = (
    "Annals of the Improbable Fjord",
    "Nordic Letters on Moss",
    "The Slow Review of Fast Things",
)


@dataclass(frozen=True, slots=True)
class BrokerAsIdp:
    """The broker as the library knows it from its metadata."""

    entity_id: str
    sso: str
    keys: tuple[signature.VerifyKey, ...]
    slo: str = ""


@dataclass(frozen=True, slots=True)
class Landing:
    """What an assertion, or an error status, came to."""

    status: str
    attributes: Mapping[str, tuple[str, ...]]
    name_id: str | None
    in_response_to: str | None
    authn_context: str | None = None
    authorities: tuple[
        str, ...
    ] = ()  # who authenticated the person, nearest last; none where the broker itself did
    session: logout_messages.KnownSession | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """One of the library's services."""

    title: str
    entity_id: str
    acs: str
    danish: str = ""

    @property
    def titles(self) -> tuple[str, str]:
        """Give its title in English and in Danish."""
        return self.title, self.danish or self.title


def request_url(
    site: Site,
    relay_state: str,
    peer: BrokerAsIdp,
    *,
    force: bool,
    passive: bool,
    listed: tuple[str, ...] = (),
) -> str:
    """Write an AuthnRequest and give the URL that carries it; ``listed`` are the entityIDs of its IDPList."""
    entries = [samlp.IDPEntry(provider_id=each) for each in listed]
    asked = samlp.AuthnRequest(
        id=f"_{secrets.token_hex(16)}",
        version="2.0",
        issue_instant=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        destination=peer.sso,
        assertion_consumer_service_url=site.acs,
        protocol_binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        issuer=saml.Issuer(text=site.entity_id),
        force_authn="true" if force else None,
        is_passive="true" if passive else None,
        scoping=samlp.Scoping(idp_list=samlp.IDPList(idp_entry=entries)) if entries else None,
    )
    return http_bindings.redirect_url(peer.sso, "SAMLRequest", asked.to_string(), relay_state, None)


def land(message: bytes, peer: BrokerAsIdp, keys: encryption.DecryptionKeys) -> Landing:
    """Verify the Response, decrypt its assertion and read it."""
    root = safe_parser.parse(message, _P + "Response")
    signature.verify(root, peer.keys)
    codes = [str(each.get("Value")).rpartition(":")[2] for each in root.iter(_P + "StatusCode")]
    sealed = root.find(_A + "EncryptedAssertion")
    if sealed is None:
        return Landing(" / ".join(codes), {}, None, root.get("InResponseTo"))
    assertion = encryption.decrypt(sealed, keys, allow_cbc=False)
    signature.verify(assertion, peer.keys)
    attributes = {
        str(each.get("FriendlyName") or each.get("Name")): tuple(
            value.text or "" for value in each.iter(_A + "AttributeValue")
        )
        for each in assertion.iter(_A + "Attribute")
    }
    return Landing(
        "Success",
        attributes,
        assertion.findtext(f"{_A}Subject/{_A}NameID"),
        root.get("InResponseTo"),
        assertion.findtext(f"{_A}AuthnStatement/{_A}AuthnContext/{_A}AuthnContextClassRef"),
        tuple(each.text or "" for each in assertion.iter(_A + "AuthenticatingAuthority")),
        logout_messages.session_cookie(assertion),
    )


def create_app(
    services: Mapping[str, Site],
    peer: Callable[[], BrokerAsIdp],
    keys: encryption.DecryptionKeys,
    circulation: Circulation,
    broker: str,
    *,
    signing: signature.SigningKey | None = None,
) -> Flask:
    """Give the library: ``peer`` reads the broker's metadata when needed, ``broker`` is where its own pages lie."""
    app = Flask("broker.demo")
    page_language.speak(app)
    self_service.serve(app, circulation)
    plain_pages.serve(app)
    remembered = logout_pages.at_library(app, services, peer, signing)

    @app.get("/")
    def start() -> str:
        known = {party for _, party, _ in remembered.mine()}
        return render_template(
            "library.html",
            services=services,
            places=plain_pages.PLACES,
            broker=broker,
            open_at=known,
        )

    @app.get("/<service>")
    def log_in(service: str) -> Response:
        return _asking(service, services[service], peer()) if service in services else abort(404)

    @app.post("/<service>/acs")
    def land_here(service: str) -> Response:
        if service not in services:
            abort(404)
        landing = land(http_bindings.decode_post(request.form["SAMLResponse"]), peer(), keys)
        if request.form.get("RelayState") != service:
            abort(400, "RelayState changed")
        page = Response(
            _landed(landing, service, services[service], circulation), mimetype="text/html"
        )
        if landing.session:
            remembered.begin(page, service, landing.session)
        return page

    return app


def _asking(service: str, site: Site, known: BrokerAsIdp) -> Response:
    force, passive = "force" in request.args, "passive" in request.args
    listed = {"wayf": (AU,), "nemid": (NEMLOGIN,), "library": (known.entity_id,)}.get(
        request.args.get("way", "")
    )
    return redirect(
        request_url(site, service, known, force=force, passive=passive, listed=listed or ())
    )


def _landed(landing: Landing, service: str, site: Site, circulation: Circulation) -> str:
    number = next(
        iter(landing.attributes.get("borrower_number", landing.attributes.get("uid", ()))), None
    )
    account = circulation.account(number) if number else None
    return render_template(
        "landing.html",
        landing=landing,
        attributes={
            name: [masked(value) for value in values] for name, values in landing.attributes.items()
        },
        account=account,
        loans=circulation.loans(account["patron_id"]) if account else (),
        balance=circulation.balance(account["patron_id"]) if account else 0,
        journals=_JOURNALS,
        service=service,
        titles=site.titles,
    )
