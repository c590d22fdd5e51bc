"""A simulated NemLog-in: its login page offers personas, levels and roles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

from flask import Flask, abort, render_template, request
from lxml import etree
from saml2 import saml
from werkzeug.wrappers import Response

from broker.adapters.saml.xml_security import encryption, http_bindings, signature, xml_names
from broker.core.errors import MessageRefused
from broker.demo.demo_app import create_demo_app
from broker.demo.people.personas import NEMLOGIN, PERSONAS, Persona, persona
from broker.demo.saml import logout_messages, logout_pages
from broker.demo.upstreams import assertion_writer, wayf_hub
from broker.demo.upstreams.assertion_writer import CORE, EID_NAMES, NSIS, ReceivedAuthnRequest

_CPR_NUMBER: Final = EID_NAMES["schacPersonalUniqueID"]
_PARTY: Final = "Simulated NemLog-in"
LEVELS: Final = ("Low", "Substantial", "High")
ROLES: Final = ("person", "professional")


@dataclass(frozen=True, slots=True)
class BrokerAsSp:
    """The broker as NemLog-in knows it: ACS, signing keys and encryption certificate."""

    acs: str
    keys: tuple[signature.VerifyKey, ...]
    encryption: bytes


@dataclass(frozen=True, slots=True)
class PersonaChoice:
    """The person who logs in, with the level (None: the persona's own) and the role."""

    person: Persona
    level: str | None = None
    role: str | None = None

    @property
    def subject(self) -> assertion_writer.AssertedSubject:
        """Return the asserted subject: a NameID for this service provider, and an NSIS level."""
        eppn = self.person.attributes["eduPersonPrincipalName"][0]
        own_role = "professional" if eppn.startswith("CVR:") else "person"
        role = self.role or own_role
        level = self.level or self.person.attributes["eduPersonAssurance"][0]
        return assertion_writer.AssertedSubject(
            name_id=f"{CORE}eid/{role}/uuid/{uuid5(NAMESPACE_URL, 'subject ' + eppn)}",
            name_format=saml.NAMEID_FORMAT_PERSISTENT,
            authn_class=f"{NSIS}loa/{level}",
            chain=(),
            attributes=self._attributes(eppn, role) | {f"{NSIS}loa": (level,)},
        )

    def _attributes(self, eppn: str, role: str) -> dict[str, tuple[str, ...]]:
        plain = {
            EID_NAMES[name]: values
            for name, values in self.person.attributes.items()
            if name in EID_NAMES
        }
        if _CPR_NUMBER in plain:
            # OIOSAML has the ten digits without a URN prefix.
            plain[_CPR_NUMBER] = tuple(urn.rpartition(":")[2] for urn in plain[_CPR_NUMBER])
        plain[f"{CORE}specVersion"] = ("OIO-SAML-3.0",)
        plain[f"{CORE}eid/cprUuid"] = (f"urn:uuid:{uuid5(NAMESPACE_URL, eppn)}",)
        if role == "professional":
            plain[f"{CORE}eid/professional/cvr"] = ("12345678",)
            plain[f"{CORE}eid/professional/orgName"] = ("Firma ApS",)
            plain[f"{CORE}eid/professional/uuid/persistent"] = (
                f"urn:uuid:{uuid5(NAMESPACE_URL, 'work ' + eppn)}",
            )
        return plain


@dataclass(frozen=True, slots=True, repr=False)
class NemLogin:
    """NemLog-in itself: its entityID and its signing key."""

    entity_id: str
    key: signature.SigningKey

    def answer(
        self,
        asked: ReceivedAuthnRequest,
        choice: PersonaChoice | None,
        peer: BrokerAsSp,
        now: datetime,
    ) -> tuple[bytes, logout_messages.KnownSession | None]:
        """Write the unsigned Response: with a signed, encrypted Assertion, or an error status.

        Return also the session that it begins.
        """
        inner = None
        if choice:
            inner = assertion_writer.assertion(self.entity_id, asked, choice.subject, now)
        root = assertion_writer.response(self.entity_id, asked, inner, now)
        plain = root.find(xml_names.ASSERTION)
        if plain is None:
            return bytes(etree.tostring(root)), None
        signature.sign(plain, self.key)
        root.replace(plain, encryption.encrypt(plain, peer.encryption))
        return bytes(etree.tostring(root)), logout_messages.session_of(plain)


def read(query: str, peer: BrokerAsSp) -> ReceivedAuthnRequest:
    """Read a Redirect AuthnRequest. Raise MessageRefused unless the broker signed it."""
    sent = http_bindings.read_redirect(query, "SAMLRequest")
    if sent.signed is None:
        raise MessageRefused("request.unsigned")
    signed = sent.signed
    signature.verify_bytes(signed.octets, signed.signature, signed.sigalg, peer.keys)
    return wayf_hub.read(query)


def _authn_request(peer: BrokerAsSp) -> ReceivedAuthnRequest:
    try:
        received = read(request.query_string.decode(), peer)
    except MessageRefused:
        abort(400, "the request is not signed by a system that we know")
    if received.acs != peer.acs:
        abort(400, "the address for the answer is none of the system's")
    return received


def _choice(people: Sequence[Persona]) -> PersonaChoice | None:
    """Read the form; None if no persona was picked."""
    name = request.form["persona"]
    level = request.form.get("level") or None
    role = request.form.get("role") or None
    if level not in {None, *LEVELS} or role not in {None, *ROLES}:
        abort(400)
    if not name:
        return None
    return PersonaChoice(persona(name, people), level, role)


def create_app(
    own: NemLogin, peer: Callable[[], BrokerAsSp], everybody: Sequence[Persona] = PERSONAS
) -> Flask:
    """Return NemLog-in; ``peer`` reads the broker's metadata as it is now."""
    app = create_demo_app()

    def read_logout(query: str, kind: http_bindings.MessageField) -> logout_messages.LogoutMessage:
        try:
            return logout_messages.read(query, kind, peer().keys)
        except (LookupError, MessageRefused):
            abort(400, "the message is not signed by a system that we know")

    sessions = logout_pages.add_upstream_logout(
        app, own.entity_id, own.key, read_logout, lambda _: peer().acs, party=_PARTY
    )

    @app.get("/sso")
    def sso() -> Response | str:
        received = _authn_request(peer())
        if received.passive:
            return _answer(received, None)
        people = [person for person in everybody if person.institution == NEMLOGIN]
        wanted = [urlsplit(name).path.rpartition("/")[2] for name in received.classes]
        query = request.query_string.decode()
        return render_template(
            "nemlogin.html", people=people, levels=LEVELS, roles=ROLES, wanted=wanted, query=query
        )

    @app.post("/sso")
    def log_persona_in() -> Response:
        received = _authn_request(peer())
        return _answer(received, _choice(everybody))

    def _answer(received: ReceivedAuthnRequest, choice: PersonaChoice | None) -> Response:
        xml, session = own.answer(received, choice, peer(), datetime.now(UTC))
        return wayf_hub.post_answer(received, xml, session, sessions, _PARTY)

    return app
