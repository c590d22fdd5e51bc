"""A simulated WAYF hub: its login page offers personas."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from typing import Final

from flask import Flask, abort, render_template, request
from lxml import etree
from saml2 import saml
from werkzeug.wrappers import Response

from broker.adapters.saml.xml_security import http_bindings, safe_parser, signature, xml_names
from broker.demo.demo_app import create_demo_app
from broker.demo.people.persona import university_attributes
from broker.demo.people.personas import AU, KU, NEMLOGIN, NEMLOGIN_BIRK, PERSONAS, Persona, persona
from broker.demo.saml import logout_messages, logout_pages
from broker.demo.upstreams import assertion_writer
from broker.demo.upstreams.assertion_writer import NAMES, ReceivedAuthnRequest

_OTHER: Final = "somebody-else"
_INSTITUTIONS: Final = {
    AU: ("Aarhus University", "Aarhus Universitet"),
    KU: ("University of Copenhagen", "Københavns Universitet"),
    NEMLOGIN: ("MitID", "MitID"),
}


def read(query: str) -> ReceivedAuthnRequest:
    """Read an AuthnRequest that came by Redirect."""
    message = http_bindings.read_redirect(query, "SAMLRequest")
    root = safe_parser.parse(message.xml, xml_names.AUTHN_REQUEST)
    listed = [str(entry.get("ProviderID")) for entry in root.iter("{*}IDPEntry")]
    listed = [NEMLOGIN if name == NEMLOGIN_BIRK else name for name in listed]
    classes = [str(node.text) for node in root.iter("{*}AuthnContextClassRef")]
    return ReceivedAuthnRequest(
        id=str(root.get("ID")),
        issuer=str(root.findtext(xml_names.ISSUER)),
        acs=str(root.get("AssertionConsumerServiceURL")),
        institutions=tuple(listed or _INSTITUTIONS),
        relay_state=message.relay_state,
        passive=root.get("IsPassive") in {"1", "true"},
        classes=tuple(classes),
    )


def assertion(
    hub: str, authn_request: ReceivedAuthnRequest, person: Persona, now: datetime
) -> saml.Assertion:
    """Write the hub's Assertion about a persona: the answering institution is last in the chain."""
    chain: tuple[str, ...] = (person.institution,)
    if person.institution == NEMLOGIN:
        chain = ("https://saml.nemlog-in.dk", NEMLOGIN_BIRK)
    subject = assertion_writer.AssertedSubject(
        name_id=f"_{token_hex(16)}",
        name_format=saml.NAMEID_FORMAT_TRANSIENT,
        authn_class="urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
        chain=chain,
        attributes={NAMES[name]: values for name, values in person.attributes.items()},
    )
    return assertion_writer.assertion(hub, authn_request, subject, now)


def response(
    hub: str,
    authn_request: ReceivedAuthnRequest,
    person: Persona | None,
    key: signature.SigningKey,
    now: datetime,
) -> bytes:
    """Write the Response: its Assertion signed, or an error status where no persona was picked."""
    inner = None
    if person:
        inner = assertion(hub, authn_request, person, now)
    root = assertion_writer.response(hub, authn_request, inner, now)
    written = root.find(xml_names.ASSERTION)
    signature.sign(root if written is None else written, key)
    return bytes(etree.tostring(root))


def _choice(authn_request: ReceivedAuthnRequest, query: str, everybody: Sequence[Persona]) -> str:
    people = [person for person in everybody if person.institution in authn_request.institutions]
    return render_template(
        "hub.html",
        people=people,
        names=_INSTITUTIONS,
        institutions=authn_request.institutions,
        query=query,
        other=_OTHER,
        other_at=AU in authn_request.institutions,
    )


def _read_other_person() -> Persona:
    """Return the person of Aarhus University that the form describes."""
    form = request.form
    name = form["name"].strip() or "Robin Lund"
    user_name = "".join(filter(str.isalnum, name.lower()))
    affiliations = tuple(form["affiliations"].split()) or ("member@au.dk",)
    cpr = form["cpr"].strip() or None
    attributes = university_attributes(user_name, name, cpr, affiliations)
    if form["entitlements"].split():
        attributes["eduPersonEntitlement"] = tuple(form["entitlements"].split())
    attributes["eduPersonAssurance"] = (form["assurance"],)
    return Persona(_OTHER, AU, ("", ""), attributes, "")


def _read_known_request(descriptors: Mapping[str, str]) -> ReceivedAuthnRequest:
    authn_request = read(request.query_string.decode())
    if descriptors.get(authn_request.issuer) != authn_request.acs:
        abort(500, "no common federations")
    return authn_request


def post_answer(
    received: ReceivedAuthnRequest,
    xml: bytes,
    session: logout_messages.KnownSession | None,
    sessions: logout_pages.SessionTable,
    party: str = "",
) -> Response:
    """Return the page that posts the Response ``xml``, and begin its session.

    ``party`` is as for ``add_upstream_logout``.
    """
    fields = http_bindings.build_post_fields(xml, "SAMLResponse", received.relay_state)
    page = render_template("hub_post.html", party=party, action=received.acs, fields=fields)
    answer = Response(page, mimetype="text/html")
    if session:
        sessions.begin(answer, received.issuer, session)
    return answer


def create_app(
    hub: str,
    key: signature.SigningKey,
    descriptors: Mapping[str, str],
    people: Sequence[Persona] = PERSONAS,
) -> Flask:
    """Return the hub; ``hub`` is its entityID, ``descriptors`` the ACSs of its SPs by entityID.

    The login page offers ``people``.
    """
    app = create_demo_app()
    # WAYF verifies no logout message (docs/reference/wayf.md#logout).
    read_logout = partial(logout_messages.read, keys=None)
    sessions = logout_pages.add_upstream_logout(app, hub, key, read_logout, descriptors.__getitem__)

    @app.get("/sso")
    def sso() -> Response | str:
        authn_request = _read_known_request(descriptors)
        if authn_request.passive:
            return _answer(authn_request, None)
        return _choice(authn_request, request.query_string.decode(), people)

    @app.post("/sso")
    def log_persona_in() -> Response:
        authn_request = _read_known_request(descriptors)
        name = request.form["persona"]
        if name == _OTHER:
            person: Persona | None = _read_other_person()
        else:
            person = persona(name, people) if name else None
        if person and person.institution not in authn_request.institutions:
            abort(500, "no common federations")
        return _answer(authn_request, person)

    def _answer(authn_request: ReceivedAuthnRequest, person: Persona | None) -> Response:
        xml = response(hub, authn_request, person, key, datetime.now(UTC))
        session = None
        if person:
            session = logout_messages.session_of(etree.fromstring(xml))
        return post_answer(authn_request, xml, session, sessions)

    return app
