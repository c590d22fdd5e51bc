"""Writes the folder of a demo: configuration, keys, metadata, policies and attribute maps."""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from broker.adapters.saml.keys import key_ring
from broker.configuration.settings import new_folder
from broker.configuration.settings.config import load
from broker.core.errors import ConfigurationFaults, Fault
from broker.demo.demo_app import LIBRARY_NAME
from broker.demo.people.personas import AU, KU, NEMLOGIN, NEMLOGIN_BIRK
from broker.demo.run import demo_library, demo_register
from broker.demo.saml.key_pair import KeyPair

_LOGO: Final = Path(__file__).parents[1] / "static" / "logo.svg"
_ORIGIN: Final = re.compile(r"http://([a-z]+)\.localhost:\d+")
_LIBRARY_NAME: Final = '{{ en = "{}", da = "{}" }}'.format(*LIBRARY_NAME)
_CERTIFICATE: Final = re.compile(r"(?<=<ds:X509Certificate>)[^<]+")

_KEY_FOLDER: Final = "demo"  # has the keys of the simulated parties
_WITH_KEYS: Final = ("hub", "library", "nemlogin")
PARTIES: Final = ("broker", "hub", "library", "patrons", "mailbox", "smtp", "nemlogin", "sip2")

HUB: Final = "https://wayf.demo.example"
EID: Final = "https://saml.nemlogin.demo.example"
# Name: title in both languages, entityID.
SERVICES: Final = {
    "my-loans": ("My loans", "Mine lån", "https://my-loans.demo.example"),
    "myprint": ("MyPrint", "MyPrint", "https://myprint.demo.example"),
    "e-resources": (
        "Electronic resources",
        "Elektroniske ressourcer",
        "https://e-resources.demo.example",
    ),
}

# The login methods of each service, in the order of the page.
METHODS: Final = {
    "my-loans": ("library", "wayf", "nemid"),
    "myprint": ("library", "wayf", "nemid"),
    "e-resources": ("wayf", "nemid"),
}

TOML: Final = """\
# The configuration of a broker with the demo, which simulates WAYF, the library and a mail server.
base_url = "{broker}"
site = "."
keys = "keys"
state = "state"
colour = "#7a3b00"
accessibility_statement = "{library}/accessibility"
privacy_notice = {{ en = "{library}/privacy?lang=en", da = "{library}/privacy?lang=da" }}

[store]
url = "{store}"
accept_loss = true

# The hub: no institution outside the list is believed.
[upstreams.wayf]
profile = "wayf"
entity_id = "{hub}"
attribute_map = "wayf"
label = {{ en = "University login (WAYF)", da = "Universitetslogin (WAYF)" }}
institutions = [
  {{ entity_id = "{au}", scopes = ["au.dk"], may_assert = {au_may_assert}, label = {au_label} }},
  {{ entity_id = "{ku}", scopes = ["ku.dk"], label = {ku_label} }},
]

{national_eid}

# The library account: a CPR or card number and a PIN, verified by the library system.
[upstreams.library]
profile = "library"

[upstreams.library.label]
en = "Library account (CPR number or card number, and PIN)"
da = "Lånerkonto (CPR-nummer eller kortnummer og pinkode)"

{services}
[sign_up]
service = "my-loans"
university = "wayf"
national_eid = "nemid"

[sign_up.links]
{links}

[admin]
institution = "{au}"
assurance = "low"  # the demo's university asserts no more

[admin.roles]
identity-admin = ["bo@au.dk"]
service-desk = ["cilla@au.dk"]

{library_system}
[mail]
url = "smtp://127.0.0.1:{smtp}"
sender = "library@library.example"

[contact]
name = {library_name}
email = "help@library.example"
phone = "+45 00 00 00 00"
page = {{ en = "{library}/contact?lang=en", da = "{library}/contact?lang=da" }}
dpo = "dpo@library.example"

[places]
{places}

[serve]
bind = "127.0.0.1:{port}"
workers = 2
threads = 8
"""

# The national eID by way of WAYF, or directly from NemLog-in. Policies and services do not differ.
NATIONAL_EID: Final = {
    "wayf": """\
[upstreams.nemid]
profile = "wayf"
entity_id = "{hub}"
attribute_map = "wayf"
label = {{ en = "MitID", da = "MitID" }}

[[upstreams.nemid.institutions]]
entity_id = "{nemlogin}"
aliases = ["{birk}"]
scopes = ["sikker-adgang.dk"]
may_assert = ["cpr"]
""",
    "direct": """\
[upstreams.nemid]
profile = "oiosaml3"
entity_id = "{eid}"
label = {{ en = "MitID", da = "MitID" }}
institutions = [{{ entity_id = "{eid}", may_assert = ["cpr"] }}]
""",
}

# Keys of [places], and the path of each page at the library.
PLACES: Final = {
    "service_locations": "locations",
    "e_resources": "e-resources",
    "loan_terms": "loan-terms",
}
# Keys of [sign_up.links].
LINKS: Final = {
    "search_engine": "search",
    "subject_guides": "subject-guides",
    "databases": "databases",
    "electronic_resources": "e-resources?way=wayf",
    "faq_hospital_da": "hospital-da",
}

SERVICE: Final = """\
[services.{name}]
entity_id = "{entity_id}"
methods = {methods}
label = {{ en = "{en}", da = "{da}" }}
url = {{ en = "{library}/{name}?lang=en", da = "{library}/{name}?lang=da" }}
controller = {library_name}
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the demo's parties: the broker has ``base``, the others follow."""

    base: int = 8080

    def origin(self, party: str) -> str:
        """Return the URL for browsers. Each party has a host name because cookies ignore ports."""
        return f"http://{party}.localhost:{self.number(party)}"

    def number(self, party: str) -> int:
        """Return a party's port."""
        return self.base + (*PARTIES, *demo_register.PARTIES).index(party)


@dataclass(frozen=True, slots=True)
class Setting:
    """The folder of a demo, its ports, and the keys of the simulated parties."""

    folder: Path
    ports: Ports
    hub: KeyPair
    library: KeyPair
    nemlogin: KeyPair
    has_register: bool = False

    @property
    def parties(self) -> tuple[str, ...]:
        """Return the parties of this demo; each has a port."""
        if self.has_register:
            return (*PARTIES, *demo_register.PARTIES)
        return PARTIES

    @property
    def config(self) -> Path:
        """Return the path of broker.toml."""
        return self.folder / "broker.toml"

    def save_party_keys(self) -> None:
        """Save the keys of the simulated parties for later runs of the demo."""
        folder = self.folder / _KEY_FOLDER
        folder.mkdir(mode=0o700)
        for name in _WITH_KEYS:
            getattr(self, name).save(folder, name)


def read(folder: Path) -> Setting:
    """Read the setting of a folder that has the parties' keys.

    Raise OSError if the keys are missing. Raise ConfigurationFaults if broker.toml has errors or
    another library system than Koha.
    """
    key_folder = folder / _KEY_FOLDER
    hub, library, nemlogin = (KeyPair.load(key_folder, name) for name in _WITH_KEYS)
    config = load(folder / "broker.toml", {})
    if config.library.system != "koha":
        what = f"is {config.library.system!r}, and the demo simulates a Koha only"
        fix = "the demo needs its own [library] table; for your library system run broker serve"
        raise ConfigurationFaults([Fault("library.system", what, fix)])
    ports = Ports(urlsplit(config.base_url).port or 0)
    return Setting(folder, ports, hub, library, nemlogin)


def write(
    folder: Path,
    ports: Ports,
    now: datetime,
    *,
    store: str = "sqlite:state/broker.db",
    national_eid: str = "wayf",
    register: bool = False,
    rules: bool = False,
    key_size: int = key_ring.SIZE,
) -> Setting:
    """Write the demo into ``folder``, which must be empty or absent, and return the setting.

    ``national_eid`` is "wayf", or "direct" for a connection to NemLog-in itself. ``register`` adds
    a register of persons, ``rules`` the shipped site rules. ``key_size`` is the size of the
    broker's RSA keys in bits.
    """
    configuration = _configuration(ports, store, national_eid)
    if register:
        configuration += demo_register.table(ports.number("register-service"))
    new_folder.write_folder(folder, configuration, {}, site_rules=rules)
    if register:
        demo_register.write_certificates(folder, now)
    (folder / "state").mkdir(mode=0o700)
    (folder / "pictures").mkdir()
    shutil.copyfile(_LOGO, folder / "pictures" / "logo.svg")
    key_ring.generate(folder / "keys", now, key_size)
    hub = KeyPair.generate("hub", now)
    library = KeyPair.generate("library", now)
    nemlogin = KeyPair.generate("nemlogin", now)
    keys = {"hub": hub, "nemlogin": nemlogin}
    for shipped in (new_folder.SHIPPED / "metadata" / "demo").iterdir():
        text = shipped.read_text(encoding="utf-8")
        descriptor = _fill_in(text, ports, keys.get(shipped.stem, library))
        (folder / "metadata" / shipped.name).write_text(descriptor, encoding="utf-8")
    return Setting(folder, ports, hub, library, nemlogin, register)


def _configuration(ports: Ports, store: str, national_eid: str) -> str:
    library = ports.origin("library")
    services = (
        SERVICE.format(
            name=name,
            en=en,
            da=da,
            entity_id=entity_id,
            methods=json.dumps(METHODS[name]),
            library=library,
            library_name=_LIBRARY_NAME,
        )
        for name, (en, da, entity_id) in SERVICES.items()
    )
    return TOML.format(
        broker=ports.origin("broker"),
        store=store,
        hub=HUB,
        library=library,
        library_name=_LIBRARY_NAME,
        au=AU,
        au_may_assert='["cpr", "alumni_cpr"]',
        au_label='{ en = "Aarhus University", da = "Aarhus Universitet" }',
        ku=KU,
        ku_label='{ en = "University of Copenhagen", da = "Københavns Universitet" }',
        national_eid=NATIONAL_EID[national_eid].format(
            hub=HUB, eid=EID, nemlogin=NEMLOGIN, birk=NEMLOGIN_BIRK
        ),
        services="\n".join(services),
        places=_addresses(library, PLACES),
        links=_addresses(library, LINKS),
        library_system=demo_library.TABLE.format(
            patrons=ports.number("patrons"), secret=demo_library.CLIENT_SECRET
        ),
        smtp=ports.number("smtp"),
        port=ports.number("broker"),
    )


def _addresses(library: str, paths: Mapping[str, str]) -> str:
    lines = []
    for key, path in paths.items():
        url = f"{library}/{path}{'&' if '?' in path else '?'}lang="
        lines.append(f'{key} = {{ en = "{url}en", da = "{url}da" }}')
    return "\n".join(lines)


def _fill_in(descriptor: str, ports: Ports, party: KeyPair) -> str:
    """Return a shipped descriptor with the ports and the certificate of this demo."""
    own = _ORIGIN.sub(lambda found: ports.origin(found[1]), descriptor)
    certificate = "".join(party.certificate.strip().splitlines()[1:-1])
    return _CERTIFICATE.sub(certificate, own)
