"""The deployment with NemLog-in as a direct upstream (OIOSAML 3) instead of through the hub."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from werkzeug.test import TestResponse

from broker.adapters.saml.xml_security import http_bindings, signature
from broker.app.application import create_app
from broker.configuration.settings.config import load
from broker.demo.people.personas import Persona, persona
from broker.demo.run.demo_folder import EID
from broker.demo.upstreams.nemlogin import BrokerAsSp, NemLogin, PersonaChoice, read
from tests.plugins.deployment import Deployment, Person, mark

DIRECT: Final = {
    "BROKER_UPSTREAMS__NEMID__PROFILE": "oiosaml3",
    "BROKER_UPSTREAMS__NEMID__ENTITY_ID": EID,
    "BROKER_UPSTREAMS__NEMID__ATTRIBUTE_MAP": "oiosaml3",
    "BROKER_UPSTREAMS__NEMID__INSTITUTIONS": json.dumps([{"entity_id": EID, "may_assert": ["cpr"]}]),
}


def restart_with(deployment: Deployment, more: Mapping[str, str] | None = None) -> Deployment:
    """Restart the broker with other settings, over the store, library and mailbox of ``deployment``."""
    config = deployment.parts.config
    environ = {
        "BROKER_LIBRARY__URL": config.library.url,
        "BROKER_STORE__URL": config.store.url,
        "BROKER_MAIL__URL": config.mail.url,
        **(DIRECT if more is None else more),
    }
    restarted = replace(deployment, app=create_app(load(deployment.setting.config, environ)))
    restarted.be_patient()
    return restarted


def peer(deployment: Deployment) -> BrokerAsSp:
    """Return the broker's service provider as NemLog-in knows it."""
    ring, base = deployment.parts.keys.sp, deployment.setting.ports.origin("broker")
    keys = tuple(signature.VerifyKey.load(each) for each in ring.signing_certificates)
    return BrokerAsSp(f"{base}/saml/sp/nemid/acs", keys, ring.encryption_certificate)


def answer(deployment: Deployment, url: str, choice: PersonaChoice | None) -> tuple[str, dict[str, str]]:
    """Let NemLog-in answer the AuthnRequest in ``url``; return ACS and fields."""
    known = peer(deployment)
    asked = read(urlsplit(url).query, known)
    nemlogin = NemLogin(EID, deployment.setting.nemlogin.signing)
    xml, _ = nemlogin.answer(asked, choice, known, deployment.clock.now())
    return asked.acs, http_bindings.build_post_fields(xml, "SAMLResponse", asked.relay_state)


def log_in(
    deployment: Deployment,
    who: str | Persona,
    service: str = "my-loans",
    level: str | None = None,
    role: str | None = None,
) -> tuple[Person, TestResponse]:
    """Log in from a service through NemLog-in; return the browser and the next page."""
    person = deployment.person()
    url = person.choose(person.ask(service), "nemid")
    chosen = PersonaChoice(persona(who) if isinstance(who, str) else who, level, role)
    arrived = person.deliver(*answer(deployment, url, chosen))
    assert arrived.status_code == 303, mark(arrived)
    return person, person.get(arrived.location)
