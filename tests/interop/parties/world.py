"""A real broker whose services are Apache modules and three libraries, and whose upstreams are a hub and two IdPs."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import requests

from broker.adapters.saml.keys import key_ring
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import SERVICES, Setting
from broker.demo.run.loopback_server import serve_on_loopback
from broker.demo.run.running_demo import Running, run_demo
from broker.demo.saml.key_pair import KeyPair
from broker.demo.upstreams.assertion_writer import NAMES
from tests.interop.parties import apache, lasso_peer, passport_peer, python3_saml_service
from tests.plugins.demo import write_demo
from tests.plugins.ports import free_port

if TYPE_CHECKING:
    from tests.interop.parties import pysaml2_provider, pysaml2_service

# A student with a borrower at the library, so that every service accepts her first login.
KARLA: Final = persona("karla")
# Karla at an upstream that also asserts a role at another university.
STRAY: Final = replace(
    KARLA,
    name="stray",
    attributes={**KARLA.attributes, "eduPersonScopedAffiliation": ("student@au.dk", "student@ku.dk")},
)
# The demo service that each product stands for.
PLAYED: Final = {"shib": "my-loans", "mellon": "e-resources", "python": "myprint"}
# Additional services, which get the attributes that the policy releases to "myprint".
MORE: Final = {
    "python3": "https://python3-saml.interop.example",
    "python3-key": "https://python3-saml-key.interop.example",
    "passport": "https://passport-saml.interop.example",
    "passport-key": "https://passport-saml-key.interop.example",
}
KEYED: Final = frozenset({"python3-key", "passport-key"})
_SERVICE: Final = """
[services.{name}]
entity_id = "{entity_id}"
methods = {methods}
label = {{ en = "{name}", da = "{name}" }}
controller = {{ en = "Royal Danish Library", da = "Det Kgl. Bibliotek" }}
"""
# Upstreams in addition to the hub, by their names in broker.toml.
UPSTREAMS: Final = {"lasso": "https://lasso.interop.example", "pysaml2": "https://pysaml2.interop.example"}
_UPSTREAM: Final = """
[upstreams.{name}]
profile = "saml"
entity_id = "{entity_id}"
attribute_map = "wayf"
encryption = {encryption}
label = {{ en = "{name}", da = "{name}" }}
institutions = [{{ entity_id = "{entity_id}", scopes = ["au.dk"], may_assert = ["cpr"] }}]
"""
_STUDENT: Final = "{upstream: wayf, schacHomeOrganization: [au.dk], eduPersonScopedAffiliation: [student@au.dk]}"
# Attributes that the shipped policy does not release to My loans. mod_shib is known to drop some of them
# (docs/reference/interop.md#targeted-id).
_MORE: Final = "".join(
    f"{name}: {{why: {{en: It is tested here, da: Det afprøves her}}}}, "
    for name in ("eduPersonPrincipalName", "pairwise-id", "eduPersonTargetedID")
)
_EXAMPLE: Final = """\
examples:
  - name: who logs in by Lasso is a student too
    login: {upstream: lasso, schacHomeOrganization: au.dk, eduPersonScopedAffiliation: [student@au.dk]}
    service: e-resources
    expect: {effect: permit, affiliation: student}
"""
_BEFORE: Final = "my-loans: {make: ["
WIRE: Final = {**NAMES, "eduPersonTargetedID": "urn:oid:1.3.6.1.4.1.5923.1.1.1.10"}
_LOCAL: Final = {"gn": "givenName"}  # pysaml2's name for it
OWN_SCOPE: Final = "library.example"
TARGETED: Final = "WAYF-DK-0123456789abcdef"


@dataclass(frozen=True, slots=True)
class World:
    """All running parties."""

    demo: Running
    apache: apache.Apache
    lasso: lasso_peer.Lasso
    service: "pysaml2_service.Service"
    provider: "pysaml2_provider.IdentityProvider"
    libraries: Mapping[str, python3_saml_service.Service | passport_peer.Place]  # by their names in MORE
    passport: passport_peer.Passport

    def origin(self, service: str) -> str:
        """Return the origin of a service."""
        if service in self.libraries:
            return self.libraries[service].origin
        return self.service.origin if service == "python" else self.apache.origin(service)

    def sso(self, upstream: str) -> str:
        """Return the SSO address of an upstream."""
        origins = {"lasso": self.lasso.origin, "pysaml2": self.provider.origin}
        return (origins.get(upstream) or self.demo.setting.ports.origin("hub")) + "/sso"

    @property
    def front(self) -> str:
        """Return the broker's origin."""
        return self.demo.setting.ports.origin("broker")

    @property
    def broker(self) -> str:
        """Return the broker's entityID for services."""
        return self.front + "/saml/idp/metadata"

    def number(self) -> str:
        """Return Karla's borrower number."""
        user_name = KARLA.registered[0]["userid"]
        rows = self.demo.patrons.patrons.rows()
        return next(str(row["patron_id"]) for row in rows if row["userid"] == user_name)

    def introduce(self) -> None:
        """Install the broker's descriptors at all peers, as their operators would."""
        port = self.demo.setting.ports.number("broker")
        paths = ("idp", *(f"sp/{name}" for name in UPSTREAMS))
        answers = [requests.get(f"http://127.0.0.1:{port}/saml/{each}/metadata", timeout=60) for each in paths]
        idp, lasso, pysaml2 = (each.content for each in answers)
        self.apache.learn(idp)
        self.service.learn(self.broker, idp)
        self.passport.learn(idp)
        for library in self.libraries.values():
            if isinstance(library, python3_saml_service.Service):
                library.learn(idp)
        self.lasso.learn(lasso)
        self.provider.learn(pysaml2)


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Start all parties in ``folder``: first the peers, then the broker with their metadata."""
    # Import here: pysaml2 needs half a second to read its schemas.
    from tests.interop.parties import pysaml2_provider, pysaml2_service

    setting = write_demo(folder / "demo")
    entity_ids = {each: SERVICES[service][2] for each, service in PLAYED.items()}
    key = KeyPair.generate("interop", datetime.now(UTC))
    (folder / "own.key").write_text(key.key)
    (folder / "own.crt").write_text(key.certificate)
    people = {each.name: {**each.attributes, "eduPersonTargetedID": (TARGETED,)} for each in (KARLA, STRAY)}
    wire = {who: {WIRE[name]: values for name, values in of.items()} for who, of in people.items()}
    local = {who: {_LOCAL.get(name, name): [*values] for name, values in of.items()} for who, of in people.items()}
    own = f"{setting.ports.origin('broker')}/saml/idp/metadata"
    with ExitStack() as stack:
        pinned = key_ring.load(setting.folder / "keys").idp.signing.certificate
        modules = {each: entity_ids[each] for each in ("shib", "mellon")}
        server = stack.enter_context(apache.serving(own, pinned, UPSTREAMS["lasso"], modules))
        lasso = stack.enter_context(lasso_peer.serving(folder / "lasso", UPSTREAMS["lasso"], key, wire))
        ports = free_port(), free_port()
        own_key = folder / "own"
        service = pysaml2_service.Service(entity_ids["python"], f"http://python-sp.localhost:{ports[0]}", own_key)
        origin = f"http://python-idp.localhost:{ports[1]}"
        provider = pysaml2_provider.IdentityProvider(UPSTREAMS["pysaml2"], origin, own_key, local)
        stack.enter_context(serve_on_loopback(service.app(), ports[0]))
        stack.enter_context(serve_on_loopback(provider.app(), ports[1]))
        libraries: dict[str, python3_saml_service.Service | passport_peer.Place] = {}
        for name, entity_id in MORE.items():
            at = free_port()
            if name.startswith("passport"):
                libraries[name] = passport_peer.Place(entity_id, name, at, name in KEYED)
                continue
            python3 = python3_saml_service.Service(
                entity_id, f"http://{name}.localhost:{at}", own_key, encrypts=name in KEYED
            )
            stack.enter_context(serve_on_loopback(python3.app(), at))
            libraries[name] = python3
        places = [each for each in libraries.values() if isinstance(each, passport_peer.Place)]
        passport = stack.enter_context(passport_peer.serving(folder / "passport", key, places))
        written = {
            **{name: library.metadata() for name, library in libraries.items()},
            **{PLAYED[each]: server.metadata(each) for each in modules},
            PLAYED["python"]: service.metadata(),
            "lasso": lasso.metadata(),
            "pysaml2": provider.metadata(),
        }
        _arrange(setting, written)
        found = World(stack.enter_context(run_demo(setting)), server, lasso, service, provider, libraries, passport)
        found.introduce()
        yield found


def _arrange(setting: Setting, metadata: dict[str, bytes]) -> None:
    """Add the peers to the demo's folder: metadata, two upstreams, the services, and the policy rules."""
    for name, xml in metadata.items():
        (setting.folder / "metadata" / f"{name}.xml").write_bytes(xml)
    more = "".join(
        _UPSTREAM.format(name=name, entity_id=entity_id, encryption=json.dumps("cbc" if name == "lasso" else "gcm"))
        for name, entity_id in UPSTREAMS.items()
    )
    methods = json.dumps(["wayf", *UPSTREAMS])
    more += "".join(
        _SERVICE.format(name=name, entity_id=entity_id, methods=methods) for name, entity_id in MORE.items()
    )
    written = re.sub(r"^methods = .*$", f"methods = {methods}", setting.config.read_text(), flags=re.MULTILINE)
    setting.config.write_text(f'{written}{more}\n[idp]\nscope = "{OWN_SCOPE}"\n')
    student = setting.folder / "policies" / "student.yaml"
    text = student.read_text()
    assert _STUDENT in text
    assert _BEFORE in text
    matches = "".join(f"  - {_STUDENT.replace('wayf', name)}\n" for name in UPSTREAMS)
    text = text.replace(f"  - {_STUDENT}\n", f"  - {_STUDENT}\n{matches}").replace(_BEFORE, _BEFORE + _MORE)
    release = re.search(r"  myprint: .*\n", text)
    assert release
    for name in MORE:
        text = text.replace(release[0], release[0] + release[0].replace("myprint", name))
    services = student.with_name("services.yaml")
    stated = services.read_text()
    printing = re.search(r"myprint:\n(  .*\n)+", stated)
    assert printing
    services.write_text(stated + "".join(printing[0].replace("myprint", name) for name in MORE))
    student.write_text(text.partition("examples:")[0] + _EXAMPLE)  # the shipped examples state the shipped release
