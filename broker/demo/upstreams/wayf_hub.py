"""A simulated WAYF hub: takes our AuthnRequest, lets one pick a persona, and answers as the hub does."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Final

from flask import Flask, abort, render_template, request
from lxml import etree
from saml2 import saml
from werkzeug.wrappers import Response

from broker.adapters.saml.gate import http_bindings, safe_parser, signature
from broker.demo.people.personas import AU, KU, NEMLOGIN, NEMLOGIN_BIRK, PERSONAS, Persona, persona
from broker.demo.saml import logout_messages, logout_pages
from broker.demo.upstreams import assertion_writer
from broker.demo.upstreams.assertion_writer import NAMES, ResponseAddressee

_P: Final = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_A: Final = "{urn:oasis:names:tc:SAML:2.0:assertion}"
_INSTITUTIONS: Final = {AU: "Aarhus University", KU: "University of Copenhagen", NEMLOGIN: "NemID"}


@dataclass(frozen=True, slots=True)
class Asked(ResponseAddressee):
    """What the hub keeps of an AuthnRequest while somebody picks a persona."""

    institutions: tuple[str, ...] = ()
    relay_state: str | None = None
    classes: tuple[str, ...] = ()


def read(query: str) -> Asked:
    """Read an AuthnRequest that came by Redirect."""
    message = http_bindings.inflate_redirect(query, "SAMLRequest")
    root = safe_parser.parse(message.xml, _P + "AuthnRequest")
    listed = tuple(str(entry.get("ProviderID")) for entry in root.iter(_P + "IDPEntry"))
    real = {NEMLOGIN_BIRK: NEMLOGIN}
    return Asked(
        id=str(root.get("ID")),
        issuer=str(root.findtext(_A + "Issuer")),
        acs=str(root.get("AssertionConsumerServiceURL")),
        institutions=tuple(real.get(each, each) for each in listed) or tuple(_INSTITUTIONS),
        relay_state=message.relay_state,
        passive=root.get("IsPassive") in {"1", "true"},
        classes=tuple(str(each.text) for each in root.iter(_A + "AuthnContextClassRef")),
    )


def assertion(hub: str, asked: Asked, person: Persona, now: datetime) -> saml.Assertion:
    """Write what the hub asserts of a persona: the answering institution last in the chain."""
    chain = (
        ("https://saml.nemlog-in.dk", NEMLOGIN_BIRK)
        if person.institution == NEMLOGIN
        else (person.institution,)
    )
    said = assertion_writer.AssertedSubject(
        name_id=f"_{token_hex(16)}",
        name_format=saml.NAMEID_FORMAT_TRANSIENT,
        authn_class="urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
        chain=chain,
        attributes={NAMES[name]: values for name, values in person.attributes.items()},
        friendly={NAMES[name]: name for name in person.attributes},
    )
    return assertion_writer.assertion(hub, asked, said, now)


def response(
    hub: str, asked: Asked, person: Persona | None, key: signature.SigningKey, now: datetime
) -> bytes:
    """Write the Response: its assertion signed, or an error status where nobody was picked."""
    root = assertion_writer.response(
        hub, asked, assertion(hub, asked, person, now) if person else None, now
    )
    signed = root.find(_A + "Assertion")
    signature.sign(root if signed is None else signed, key)
    return bytes(etree.tostring(root))


def _choice(asked: Asked, query: str) -> str:
    people = [each for each in PERSONAS if each.institution in asked.institutions]
    return render_template(
        "hub.html", people=people, names=_INSTITUTIONS, institutions=asked.institutions, query=query
    )


def create_app(hub: str, key: signature.SigningKey, descriptors: Mapping[str, str]) -> Flask:
    """Give the hub: ``hub`` its entityID, ``descriptors`` the ACS of each service provider it knows, by entityID."""
    app = Flask("broker.demo")
    remembered = logout_pages.at_hub(app, hub, key, descriptors)

    @app.get("/sso")
    def sso() -> Response | str:
        asked = read(request.query_string.decode())
        if descriptors.get(asked.issuer) != asked.acs:
            abort(500, "no common federations")
        if asked.passive:
            return _answer(asked, None)
        return _choice(asked, request.query_string.decode())

    @app.post("/sso")
    def picked() -> Response:
        asked = read(request.query_string.decode())
        if descriptors.get(asked.issuer) != asked.acs:
            abort(500, "no common federations")
        name = request.form["persona"]
        person = persona(name) if name else None
        if person and person.institution not in asked.institutions:
            abort(500, "no common federations")
        return _answer(asked, person)

    def _answer(asked: Asked, person: Persona | None) -> Response:
        xml = response(hub, asked, person, key, datetime.now(UTC))
        fields = http_bindings.post_fields(xml, "SAMLResponse", asked.relay_state)
        page = Response(
            render_template("hub_post.html", action=asked.acs, fields=fields), mimetype="text/html"
        )
        if person:
            remembered.begin(
                page,
                asked.issuer,
                logout_messages.session_cookie(next(etree.fromstring(xml).iter(_A + "Assertion"))),
            )
        return page

    return app
