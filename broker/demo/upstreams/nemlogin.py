"""A simulated NemLog-in: takes our AuthnRequest, lets one pick a persona, level and role, and answers as it does."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

from flask import Flask, abort, render_template, request
from lxml import etree
from saml2 import saml
from werkzeug.wrappers import Response

from broker.adapters.saml.gate import encryption, http_bindings, signature
from broker.core.errors import MessageRefused
from broker.demo.people.personas import NEMLOGIN, PERSONAS, Persona, persona
from broker.demo.saml import logout_messages, logout_pages
from broker.demo.upstreams import assertion_writer, wayf_hub
from broker.demo.upstreams.assertion_writer import CORE, EID_NAMES, NSIS

_A: Final = "{urn:oasis:names:tc:SAML:2.0:assertion}"
LEVELS: Final = ("Low", "Substantial", "High")
ROLES: Final = ("person", "professional")


@dataclass(frozen=True, slots=True)
class BrokerAsSp:
    """The broker as NemLog-in knows it: its ACS, the keys it signs requests with, and the certificate to encrypt to."""

    acs: str
    keys: tuple[signature.VerifyKey, ...]
    encryption: bytes


@dataclass(frozen=True, slots=True)
class PersonaChoice:
    """Who logs in, how surely (None: as the persona does) and in which role."""

    person: Persona
    level: str | None = None
    role: str | None = None

    @property
    def said(self) -> assertion_writer.AssertedSubject:
        """Give what is asserted: a NameID of this service provider's own, an NSIS level, and no chain."""
        eppn = self.person.attributes["eduPersonPrincipalName"][0]
        role = self.role or ("professional" if eppn.startswith("CVR:") else "person")
        level = self.level or self.person.attributes["eduPersonAssurance"][0]
        return assertion_writer.AssertedSubject(
            name_id=f"{CORE}eid/{role}/uuid/{uuid5(NAMESPACE_URL, 'subject ' + eppn)}",
            name_format=saml.NAMEID_FORMAT_PERSISTENT,
            authn_class=f"{NSIS}loa/{level}",
            chain=(),
            attributes=self._attributes(eppn, role) | {f"{NSIS}loa": (level,)},
            friendly={},
        )

    def _attributes(self, eppn: str, role: str) -> dict[str, tuple[str, ...]]:
        plain = {
            EID_NAMES[name]: values
            for name, values in self.person.attributes.items()
            if name in EID_NAMES
        }
        # OIOSAML writes the ten digits alone.
        plain |= {
            name: tuple(each.rpartition(":")[2] for each in plain[name])
            for name in _NUMBERS & plain.keys()
        }
        plain[f"{CORE}specVersion"] = ("OIO-SAML-3.0",)
        plain[f"{CORE}eid/cprUuid"] = (f"urn:uuid:{uuid5(NAMESPACE_URL, eppn)}",)
        if role == "professional":
            plain[f"{CORE}eid/professional/cvr"] = ("12345678",)
            plain[f"{CORE}eid/professional/orgName"] = ("Firma ApS",)
            plain[f"{CORE}eid/professional/uuid/persistent"] = (
                f"urn:uuid:{uuid5(NAMESPACE_URL, 'work ' + eppn)}",
            )
        return plain


_NUMBERS: Final = {EID_NAMES["schacPersonalUniqueID"]}


@dataclass(frozen=True, slots=True, repr=False)
class NemLogin:
    """NemLog-in itself: its entityID and the key it signs with."""

    entity_id: str
    key: signature.SigningKey

    def response(
        self, asked: wayf_hub.Asked, choice: PersonaChoice | None, peer: BrokerAsSp, now: datetime
    ) -> bytes:
        """Write the Response, itself unsigned: its Assertion signed within and encrypted, or an error status."""
        return self.answer(asked, choice, peer, now)[0]

    def answer(
        self, asked: wayf_hub.Asked, choice: PersonaChoice | None, peer: BrokerAsSp, now: datetime
    ) -> tuple[bytes, logout_messages.KnownSession | None]:
        """Write the Response, and give the session that it begins."""
        said = (
            assertion_writer.assertion(self.entity_id, asked, choice.said, now) if choice else None
        )
        root = assertion_writer.response(self.entity_id, asked, said, now)
        plain = root.find(_A + "Assertion")
        if plain is None:
            return bytes(etree.tostring(root)), None
        signature.sign(plain, self.key)
        root.replace(plain, encryption.encrypt(plain, peer.encryption))
        return bytes(etree.tostring(root)), logout_messages.session_cookie(plain)


def read(query: str, peer: BrokerAsSp) -> wayf_hub.Asked:
    """Read an AuthnRequest that came by Redirect; MessageRefused where the broker has not signed it."""
    sent = http_bindings.inflate_redirect(query, "SAMLRequest")
    if sent.signed is None:
        raise MessageRefused("request.unsigned")
    signature.verify_bytes(sent.signed.octets, sent.signed.signature, sent.signed.sigalg, peer.keys)
    return wayf_hub.read(query)


def _asked(known: BrokerAsSp) -> wayf_hub.Asked:
    try:
        found = read(request.query_string.decode(), known)
    except MessageRefused:
        abort(400, "the request is not signed by a system that we know")
    if found.acs != known.acs:
        abort(400, "the address for the answer is none of the system's")
    return found


def create_app(own: NemLogin, peer: Callable[[], BrokerAsSp]) -> Flask:
    """Give NemLog-in; ``peer`` gives the broker as its metadata has it now."""
    app = Flask("broker.demo")
    remembered = logout_pages.at_nemlogin(app, own.entity_id, own.key, peer)

    @app.get("/sso")
    def sso() -> Response | str:
        found = _asked(peer())
        if found.passive:
            return _answer(found, None)
        people = [each for each in PERSONAS if each.institution == NEMLOGIN]
        wanted = [urlsplit(each).path.rpartition("/")[2] for each in found.classes]
        query = request.query_string.decode()
        return render_template(
            "nemlogin.html", people=people, levels=LEVELS, roles=ROLES, wanted=wanted, query=query
        )

    @app.post("/sso")
    def picked() -> Response:
        found, name = _asked(peer()), request.form["persona"]
        level, role = request.form.get("level"), request.form.get("role")
        if (level and level not in LEVELS) or (role and role not in ROLES):
            abort(400)
        return _answer(
            found, PersonaChoice(persona(name), level or None, role or None) if name else None
        )

    def _answer(found: wayf_hub.Asked, choice: PersonaChoice | None) -> Response:
        xml, begun = own.answer(found, choice, peer(), datetime.now(UTC))
        fields = http_bindings.post_fields(xml, "SAMLResponse", found.relay_state)
        page = render_template(
            "hub_post.html", party="Simulated NemLog-in", action=found.acs, fields=fields
        )
        response = Response(page, mimetype="text/html")
        if begun:
            remembered.begin(response, own.entity_id, begun)
        return response

    return app
