"""A simulated WAYF hub: takes our AuthnRequest, lets one pick a persona, and answers as the hub does."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Final

from flask import Flask, abort, render_template, request
from lxml import etree
from saml2 import saml, samlp

from broker.demo.personas import AU, KU, NEMLOGIN, NEMLOGIN_BIRK, PERSONAS, Persona, persona
from broker.demo.wire import NAMES
from broker.saml import bindings, gate, signature

_P: Final = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_A: Final = "{urn:oasis:names:tc:SAML:2.0:assertion}"
_URI: Final = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
_INSTITUTIONS: Final = {AU: "Aarhus University", KU: "University of Copenhagen", NEMLOGIN: "NemID"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the hub keeps of an AuthnRequest while somebody picks a persona."""

    id: str
    issuer: str
    acs: str
    institutions: tuple[str, ...]
    relay_state: str | None
    passive: bool


def read(query: str) -> Asked:
    """Read an AuthnRequest that came by Redirect."""
    message = bindings.inflate_redirect(query, "SAMLRequest")
    root = gate.parse(message.xml, _P + "AuthnRequest")
    listed = tuple(str(entry.get("ProviderID")) for entry in root.iter(_P + "IDPEntry"))
    real = {NEMLOGIN_BIRK: NEMLOGIN}
    return Asked(
        id=str(root.get("ID")),
        issuer=str(root.findtext(_A + "Issuer")),
        acs=str(root.get("AssertionConsumerServiceURL")),
        institutions=tuple(real.get(each, each) for each in listed) or tuple(_INSTITUTIONS),
        relay_state=message.relay_state,
        passive=root.get("IsPassive") in {"1", "true"},
    )


def _stamp(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _attributes(person: Persona) -> saml.AttributeStatement:
    return saml.AttributeStatement(
        attribute=[
            saml.Attribute(
                name=NAMES[name],
                name_format=_URI,
                friendly_name=name,
                attribute_value=[saml.AttributeValue(text=value) for value in values],
            )
            for name, values in person.attributes.items()
        ]
    )


def assertion(hub: str, asked: Asked, person: Persona, now: datetime) -> saml.Assertion:
    """Write what the hub asserts of a persona: four minutes long, the answering institution last in the chain."""
    end = _stamp(now + timedelta(minutes=4))
    chain = ("https://saml.nemlog-in.dk", NEMLOGIN_BIRK) if person.institution == NEMLOGIN else (person.institution,)
    confirmation = saml.SubjectConfirmationData(in_response_to=asked.id, recipient=asked.acs, not_on_or_after=end)
    return saml.Assertion(
        id=f"_{token_hex(16)}",
        version="2.0",
        issue_instant=_stamp(now),
        issuer=saml.Issuer(text=hub),
        subject=saml.Subject(
            name_id=saml.NameID(format=saml.NAMEID_FORMAT_TRANSIENT, text=f"_{token_hex(16)}"),
            subject_confirmation=[
                saml.SubjectConfirmation(method=saml.SCM_BEARER, subject_confirmation_data=confirmation)
            ],
        ),
        conditions=saml.Conditions(
            not_before=_stamp(now - timedelta(seconds=30)),
            not_on_or_after=end,
            audience_restriction=[saml.AudienceRestriction(audience=[saml.Audience(text=asked.issuer)])],
        ),
        authn_statement=[
            saml.AuthnStatement(
                authn_instant=_stamp(now),
                session_index=f"_{token_hex(8)}",
                session_not_on_or_after=_stamp(now + timedelta(hours=4)),
                authn_context=saml.AuthnContext(
                    authn_context_class_ref=saml.AuthnContextClassRef(
                        text="urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
                    ),
                    authenticating_authority=[saml.AuthenticatingAuthority(text=each) for each in chain],
                ),
            )
        ],
        attribute_statement=[_attributes(person)],
    )


def response(hub: str, asked: Asked, person: Persona | None, key: signature.SigningKey, now: datetime) -> bytes:
    """Write the Response: its assertion signed, or an error status where nobody was picked."""
    status = samlp.Status(status_code=samlp.StatusCode(value=samlp.STATUS_SUCCESS))
    if person is None:
        detail = samlp.STATUS_NO_PASSIVE if asked.passive else samlp.STATUS_AUTHN_FAILED
        inner = samlp.StatusCode(value=detail)
        status = samlp.Status(status_code=samlp.StatusCode(value=samlp.STATUS_RESPONDER, status_code=inner))
    message = samlp.Response(
        id=f"_{token_hex(16)}",
        version="2.0",
        issue_instant=_stamp(now),
        destination=asked.acs,
        in_response_to=asked.id,
        issuer=saml.Issuer(text=hub),
        status=status,
        assertion=[assertion(hub, asked, person, now)] if person else [],
    )
    root = etree.fromstring(message.to_string())
    signed = root.find(_A + "Assertion")
    signature.sign(root if signed is None else signed, key)
    return bytes(etree.tostring(root))


def create_app(hub: str, key: signature.SigningKey, descriptors: Mapping[str, str]) -> Flask:
    """Give the hub: ``hub`` its entityID, ``descriptors`` the ACS of each service provider it knows, by entityID."""
    app = Flask(__name__)

    @app.get("/sso")
    def sso() -> str:
        asked = read(request.query_string.decode())
        if descriptors.get(asked.issuer) != asked.acs:
            abort(500, "no common federations")
        if asked.passive:
            return _answer(asked, None)
        people = [each for each in PERSONAS if each.institution in asked.institutions]
        return render_template(
            "hub.html",
            people=people,
            names=_INSTITUTIONS,
            institutions=asked.institutions,
            query=request.query_string.decode(),
        )

    @app.post("/sso")
    def picked() -> str:
        asked = read(request.query_string.decode())
        if descriptors.get(asked.issuer) != asked.acs:
            abort(500, "no common federations")
        name = request.form["persona"]
        person = persona(name) if name else None
        if person and person.institution not in asked.institutions:
            abort(500, "no common federations")
        return _answer(asked, person)

    def _answer(asked: Asked, person: Persona | None) -> str:
        xml = response(hub, asked, person, key, datetime.now(UTC))
        return render_template(
            "hub_post.html", action=asked.acs, fields=bindings.post_fields(xml, "SAMLResponse", asked.relay_state)
        )

    return app
