"""A whole broker configured for the parties of ``saml_parties``, so that tests send their messages over HTTP."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from lxml import etree
from werkzeug.test import TestResponse

from broker.adapters.saml.xml_security import http_bindings, signature
from broker.app import assembly
from broker.core.login.transaction import Transaction
from broker.demo.people import persona
from broker.demo.run import demo_folder
from broker.demo.run.demo_folder import Ports, Setting
from broker.demo.saml.key_pair import KeyPair
from tests.plugins import saml_parties as named
from tests.plugins.deployment import Clock, Deployment, run_deployment
from tests.plugins.saml_parties import BASE, NOW, Change, Parties

_MORE = f"""
[upstreams.kb]
profile = "saml"
entity_id = "{named.DIRECT}"
attribute_map = "wayf"
label = {{ en = "KB", da = "KB" }}

[upstreams.eid]
profile = "oiosaml3"
entity_id = "{named.EID}"
encryption = "cbc"
label = {{ en = "EID", da = "EID" }}

"""
_NAMES = {
    demo_folder.HUB: named.HUB,
    persona.AU: named.AU,
    persona.KU: named.KU,
    persona.NEMLOGIN: named.NEMLOGIN,
    persona.NEMLOGIN_BIRK: "https://birk.example/nemlogin",
}
_WAYS, _MORE_WAYS = '["library", "wayf", "nemid"]', '["library", "wayf", "nemid", "kb", "eid"]'
_TITLES = {"my-loans": named.LOANS, "myprint": named.PRINT, "e-resources": named.OPEN}


class At(Ports):
    """The demo's ports, with the broker at the parties' address."""

    def origin(self, party: str) -> str:
        """Return the address that browsers use."""
        return BASE if party == "broker" else super().origin(party)


@dataclass(frozen=True, repr=False)
class AnsweringParties(Parties):
    """The parties; their upstreams answer the newest request."""

    asked: dict[str, str] = field(default_factory=lambda: {"id": "_q1"})

    def response(self, *changes: Change, upstream: str = "wayf", now: datetime = NOW) -> Any:
        """Return a valid unsigned Response to the newest request, with the changes applied."""
        root = super().response(upstream=upstream, now=now)
        for each in root.iter():
            if each.get("InResponseTo"):
                each.set("InResponseTo", self.asked["id"])
        for change in changes:
            change(root)
        return root


@dataclass(slots=True)
class SamlDeployment:
    """The broker and its parties."""

    deployment: Deployment
    parties: AnsweringParties

    @property
    def now(self) -> datetime:
        """Return the broker's time."""
        return self.deployment.clock.now()

    def begin_login(self, upstream: str = "wayf", **how: Any) -> Transaction:
        """Begin a login in a browser and ask an upstream; later responses answer that request."""
        broker = self.deployment.broker
        context, _ = broker.begin(replace(self.parties.request, **how), self.now, None, shared=False)
        bound = broker.bind(context, "browser", self.now)
        asked, outstanding = broker.ask_upstream(bound, upstream, self.now)
        self.parties.asked["id"] = outstanding.id
        return asked.transaction

    def transaction(self, name: str) -> Transaction:
        """Return a transaction from the store."""
        return self.deployment.broker.read(name, self.now).transaction

    @property
    def client(self) -> FlaskClient:
        """Return a browser without cookies, as the ACS sees each browser."""
        return self.deployment.app.test_client()

    def post(self, xml: bytes, upstream: str = "wayf", **more: str) -> TestResponse:
        """Post a Response to an ACS."""
        sent = {**http_bindings.build_post_fields(xml, "SAMLResponse", None), **more}
        return self.client.post(f"/saml/sp/{upstream}/acs", data=sent, base_url=BASE)

    def ask(self, query: str) -> TestResponse:
        """Send an AuthnRequest to the SSO endpoint by HTTP-Redirect."""
        return self.client.get(f"/saml/idp/sso?{query}", base_url=BASE)

    def ask_by_post(self, root: Any, key: signature.SigningKey | None) -> TestResponse:
        """Send an AuthnRequest to the SSO endpoint by HTTP-POST, signed if a key is given."""
        if key:
            signature.sign(root, key)
        sent = http_bindings.build_post_fields(etree.tostring(root), "SAMLRequest", "state/1")
        return self.client.post("/saml/idp/sso", data=sent, base_url=BASE)


def _write_demo_folder(folder: Path, parties: Parties) -> Setting:
    """Write a demo folder with the names, keys and metadata of the parties."""
    setting = demo_folder.write(folder, At(48090), NOW)
    text = setting.config.read_text(encoding="utf-8")
    services = {demo_folder.SERVICES[name][2]: entity_id for name, entity_id in _TITLES.items()}
    for old, new in {**_NAMES, **services, "[sign_up]": _MORE + "[sign_up]"}.items():
        assert old in text
        text = text.replace(old, new)
    setting.config.write_text(text.replace(_WAYS, _MORE_WAYS), encoding="utf-8")
    for name, source in (("metadata", parties.folder / "metadata"), ("keys", parties.folder / "keys")):
        shutil.rmtree(folder / name)
        shutil.copytree(source, folder / name)
    hub = KeyPair(parties.hub.private.decode(), parties.hub.certificate.decode())
    library = KeyPair(parties.service.private.decode(), parties.service.certificate.decode())
    return replace(setting, hub=hub, library=library)


@pytest.fixture(scope="module")
def saml_deployment(tmp_path_factory: pytest.TempPathFactory, parties: Parties) -> Iterator[SamlDeployment]:
    """Return a broker with the parties, shared by the tests of a module. Its clock starts at NOW."""
    folder = tmp_path_factory.mktemp("saml-deployment")
    clock = Clock(NOW - datetime.now(UTC))
    setting = _write_demo_folder(folder / "demo", parties)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "now", clock.now)
        patch.setattr("broker.app.application.now", clock.now)
        with run_deployment(setting, folder, clock, {}) as deployment:
            given = {each.name: getattr(parties, each.name) for each in fields(parties)}
            guests = AnsweringParties(**{**given, "sp": deployment.ports.sp_role, "idp": deployment.ports.idp_role})
            yield SamlDeployment(deployment, guests)
