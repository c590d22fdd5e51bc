"""The simulated library: SAML services that show their assertion and the borrower's account."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from flask import Flask, abort, g, redirect, render_template, request
from lxml import etree
from saml2 import saml, samlp
from werkzeug.wrappers import Response

from broker.adapters.saml.xml_security import (
    encryption,
    http_bindings,
    safe_parser,
    signature,
    written_message,
)
from broker.demo.demo_app import create_demo_app, mask_cpr_numbers
from broker.demo.koha.loans import Circulation
from broker.demo.library import information_pages, self_checkout
from broker.demo.library.attribute_labels import LABELS, read_attributes
from broker.demo.library.sip2_client import Machine
from broker.demo.people.personas import AU, NEMLOGIN
from broker.demo.saml import logout_messages, logout_pages
from broker.demo.saml.logout_pages import BrokerAsIdp, Site

__all__ = ["BrokerAsIdp", "Landing", "Site", "create_app", "land", "request_url"]

_SAMLP: Final = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_SAML: Final = "{urn:oasis:names:tc:SAML:2.0:assertion}"
_JOURNALS: Final = (
    "Annals of the Improbable Fjord",
    "Nordic Letters on Moss",
    "The Slow Review of Fast Things",
)


@dataclass(frozen=True, slots=True)
class Landing:
    """The outcome of a Response: the data of its assertion, or its error status."""

    status: str
    attributes: Mapping[str, tuple[str, ...]]
    name_id: str | None
    in_response_to: str | None
    authn_context: str | None = None
    # The institutions that authenticated the person, the nearest last; empty if the broker did.
    authorities: tuple[str, ...] = ()
    session: logout_messages.KnownSession | None = None


def request_url(
    site: Site,
    relay_state: str,
    peer: BrokerAsIdp,
    *,
    force: bool,
    passive: bool,
    listed: tuple[str, ...] = (),
) -> str:
    """Return the URL of a new AuthnRequest; ``listed`` are the entityIDs of its IDPList."""
    scoping = None
    if listed:
        entries = [samlp.IDPEntry(provider_id=entity_id) for entity_id in listed]
        scoping = samlp.Scoping(idp_list=samlp.IDPList(idp_entry=entries))
    message = samlp.AuthnRequest(
        id=f"_{secrets.token_hex(16)}",
        version="2.0",
        issue_instant=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        destination=peer.sso,
        assertion_consumer_service_url=site.acs,
        protocol_binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        issuer=saml.Issuer(text=site.entity_id),
        force_authn="true" if force else None,
        is_passive="true" if passive else None,
        scoping=scoping,
    )
    octets = etree.tostring(written_message.tree(message), encoding="utf-8")
    return http_bindings.build_redirect_url(peer.sso, "SAMLRequest", octets, relay_state, None)


def land(message: bytes, peer: BrokerAsIdp, keys: encryption.DecryptionKeys) -> Landing:
    """Verify the Response, decrypt its assertion and read it."""
    root = safe_parser.parse(message, _SAMLP + "Response")
    signature.verify(root, peer.keys)
    encrypted = root.find(_SAML + "EncryptedAssertion")
    if encrypted is None:
        codes = [str(node.get("Value")) for node in root.iter(_SAMLP + "StatusCode")]
        status = " / ".join(code.rpartition(":")[2] for code in codes)
        return Landing(status, {}, None, root.get("InResponseTo"))
    assertion = encryption.decrypt(encrypted, keys, allow_cbc=False)
    signature.verify(assertion, peer.keys)
    class_ref = f"{_SAML}AuthnStatement/{_SAML}AuthnContext/{_SAML}AuthnContextClassRef"
    authorities = assertion.iter(_SAML + "AuthenticatingAuthority")
    return Landing(
        "Success",
        read_attributes(assertion),
        assertion.findtext(f"{_SAML}Subject/{_SAML}NameID"),
        root.get("InResponseTo"),
        assertion.findtext(class_ref),
        tuple(node.text or "" for node in authorities),
        logout_messages.session_of(assertion),
    )


def create_app(
    services: Mapping[str, Site],
    peer: Callable[[], BrokerAsIdp],
    keys: encryption.DecryptionKeys,
    desk: Circulation,
    broker: str,
    *,
    machine: Machine,
    signing: signature.SigningKey | None = None,
) -> Flask:
    """Return the library; ``peer`` reads the broker's metadata, ``broker`` is its address."""
    app = create_demo_app()
    app.jinja_env.globals["broker"] = broker
    self_checkout.serve(app, machine, desk)
    information_pages.serve(app)
    sessions = logout_pages.add_library_logout(app, services, peer, signing)

    @app.get("/")
    def start() -> str:
        return _start_page(services, sessions)

    @app.get("/<service>")
    def log_in(service: str) -> Response:
        if service not in services:
            abort(404)
        return _redirect_to_broker(service, services[service], peer())

    @app.get("/<_>/acs")  # the language link of a page that a Response has led to
    def go_to_start(_: str) -> Response:
        return redirect("/?" + request.query_string.decode())

    @app.post("/<service>/acs")
    def acs(service: str) -> Response:
        if service not in services:
            abort(404)
        landing = land(http_bindings.decode_post(request.form["SAMLResponse"]), peer(), keys)
        if request.form.get("RelayState") != service:
            abort(400, "RelayState changed")
        g.landing = landing
        answer = _landing_page(landing, service, services[service], desk)
        if landing.session:
            sessions.begin(answer, service, landing.session)
        return answer

    return app


def _start_page(services: Mapping[str, Site], sessions: logout_pages.SessionTable) -> str:
    return render_template(
        "library.html",
        services=services,
        places=information_pages.PLACES,
        open_at={party for _, party, _ in sessions.list_for_browser()},
    )


def _redirect_to_broker(service: str, site: Site, peer: BrokerAsIdp) -> Response:
    ways = {"wayf": (AU,), "nemid": (NEMLOGIN,), "library": (peer.entity_id,)}
    way = request.args.get("way", "")
    url = request_url(
        site,
        service,
        peer,
        force="force" in request.args,
        passive="passive" in request.args,
        listed=ways.get(way, ()),
    )
    return redirect(url)


def _landing_page(landing: Landing, service: str, site: Site, desk: Circulation) -> Response:
    attributes = {}
    for name, values in landing.attributes.items():
        attributes[name] = [mask_cpr_numbers(value) for value in values]
    borrower = None
    loans: tuple[str, ...] = ()
    balance = 0
    numbers = landing.attributes.get("borrower_number", landing.attributes.get("uid", ()))
    if numbers and numbers[0]:
        borrower = desk.find_by_number(numbers[0])
    if borrower:
        loans = desk.table.loans(borrower.number)
        balance = desk.table.balance(borrower.number)
    page = render_template(
        "landing.html",
        landing=landing,
        attributes=attributes,
        labels=LABELS,
        account=borrower,
        loans=loans,
        balance=balance,
        journals=_JOURNALS,
        service=service,
        titles=site.titles,
    )
    return Response(page, mimetype="text/html")
