"""The simulated library: SAML services that show their assertion and the borrower's account."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from flask import Flask, abort, g, redirect, render_template, request
from saml2 import samlp
from werkzeug.wrappers import Response

from broker.adapters.saml.xml_security import (
    encryption,
    http_bindings,
    safe_parser,
    signature,
    xml_names,
)
from broker.demo.demo_app import create_demo_app, mask_cpr_numbers
from broker.demo.koha.loans import Circulation
from broker.demo.library import information_pages, self_checkout
from broker.demo.library.attribute_labels import LABELS, read_attributes
from broker.demo.library.sip2_client import Machine
from broker.demo.people.personas import AU, NEMLOGIN
from broker.demo.saml import logout_messages, logout_pages, message_parts
from broker.demo.saml.logout_pages import BrokerAsIdp, Site

__all__ = ["BrokerAsIdp", "Landing", "Site", "create_app", "land", "request_url"]

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
        **message_parts.header(site.entity_id, datetime.now(UTC)),
        destination=peer.sso,
        assertion_consumer_service_url=site.acs,
        protocol_binding=xml_names.POST,
        force_authn="true" if force else None,
        is_passive="true" if passive else None,
        scoping=scoping,
    )
    octets = message_parts.encode(message)
    return http_bindings.build_redirect_url(peer.sso, "SAMLRequest", octets, relay_state, None)


def land(message: bytes, peer: BrokerAsIdp, keys: encryption.DecryptionKeys) -> Landing:
    """Verify the Response, decrypt its assertion and read it."""
    root = safe_parser.parse(message, xml_names.RESPONSE)
    signature.verify(root, peer.keys)
    encrypted = root.find(xml_names.ENCRYPTED_ASSERTION)
    if encrypted is None:
        return Landing(message_parts.read_status(root), {}, None, root.get("InResponseTo"))
    assertion = encryption.decrypt(encrypted, keys, allow_cbc=False)
    signature.verify(assertion, peer.keys)
    authorities = assertion.iter("{*}AuthenticatingAuthority")
    return Landing(
        "Success",
        read_attributes(assertion),
        assertion.findtext("{*}Subject/{*}NameID"),
        root.get("InResponseTo"),
        assertion.findtext(".//{*}AuthnContextClassRef"),
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
    signing: signature.SigningKey,
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
    numbers = landing.attributes.get("borrower_number", landing.attributes.get("uid", ()))
    if numbers and numbers[0]:
        borrower = desk.find_by_number(numbers[0])
    if borrower:
        loans = desk.loans(int(borrower.number))
    page = render_template(
        "landing.html",
        landing=landing,
        attributes=attributes,
        labels=LABELS,
        account=borrower,
        loans=loans,
        journals=_JOURNALS,
        service=service,
        titles=site.titles,
    )
    return Response(page, mimetype="text/html")
