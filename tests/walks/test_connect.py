"""A service and two upstreams connected_broker as docs/connect.md writes it: init, check, first login."""

import json
import re
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import requests
from click.testing import CliRunner

from broker.app.work_lock import is_work_running
from broker.cli.main import broker
from broker.demo.check.http_browser import Browser
from broker.demo.check.persona_walk import onward, texts
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import Setting
from broker.demo.run.loopback_server import serve_on_loopback
from broker.demo.run.running_demo import run_demo
from broker.demo.saml.key_pair import KeyPair
from tests.interop.parties import lasso_peer, passport_peer, python3_saml_service
from tests.plugins.demo import write_demo
from tests.plugins.ports import free_port
from tests.plugins.programs import wait_until

if TYPE_CHECKING:
    from tests.interop.parties import pysaml2_provider

pytestmark = pytest.mark.server

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "connect.md"
EXAMPLE: Final = re.compile(r"^ *```(?:toml|yaml)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
WHERE: Final = re.compile(r"# ([\w./-]+)(?:, under (\w+:))?\n")
CATALOGUE: Final = "https://catalogue.library.example/saml2/metadata/"
CAMPUS: Final = "https://login.campus.example/idp"
ENTRA: Final = "https://sts.windows.net/00000000-0000-0000-0000-000000000000/"
CLAIM: Final = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
AFFILIATION: Final = "urn:oid:1.3.6.1.4.1.5923.1.1.1.9"
# The attributes asserted by the campus (pysaml2's names) and by Entra ID (names of its claims).
BY_CAMPUS: Final = {
    "eduPersonPrincipalName": ["asta@campus.example"],
    "eduPersonScopedAffiliation": ["student@campus.example"],
    "givenName": ["Asta"],
    "mail": ["asta@post.example"],
}
BY_ENTRA: Final = {
    f"{CLAIM}name": ["asta@staff.example"],
    f"{CLAIM}givenname": ["Asta"],
    f"{CLAIM}emailaddress": ["asta@post.example"],
    AFFILIATION: ["student@staff.example"],
}
PERSON: Final = persona("asta")


def examples() -> Iterator[tuple[str, str, str]]:
    """Give each example of the document: the file it belongs to, the line it stands under ("" the end), its text."""
    for found in EXAMPLE.findall(DOCUMENT.read_text(encoding="utf-8")):
        text = textwrap.dedent(found)
        where = WHERE.match(text)
        assert where, text
        yield where[1], where[2] or "", text[where.end() :]


def type_in(folder: Path) -> None:
    """Write every example of the document where it says that it belongs; ``folder`` holds ``library``."""
    for name, under, text in examples():
        path = folder / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if under:
            assert before.count(f"\n{under}\n") == 1
            path.write_text(before.replace(f"\n{under}\n", f"\n{under}\n{text}"), encoding="utf-8")
        else:
            path.write_text(f"{before}\n{text}", encoding="utf-8")


@dataclass(frozen=True)
class Connected:
    """The demo's broker with what the document connects: the service's origin, and the campus."""

    setting: Setting
    catalogue: str
    campus: "pysaml2_provider.IdentityProvider"

    def log_in(self, way: str, query: str = "") -> Browser:
        """Log the student in at the catalogue, to whatever page is the last."""
        browser = Browser()
        browser.get(f"{self.catalogue}/protected/{query}")
        onward(browser, PERSON, way)
        return browser

    def last_login(self) -> dict[str, str]:
        """Return the last line of the broker's log about a login; broker work writes there too, whenever it likes."""
        written = (self.setting.folder / "broker.log").read_text().splitlines()
        lines = [json.loads(line) for line in written if line.startswith("{")]
        told: list[dict[str, str]] = [line for line in lines if line["event"] in {"issued", "refused"}]
        return told[-1]


@dataclass(frozen=True)
class Peers:
    """Those whom the document connects, without a broker yet."""

    catalogue: python3_saml_service.Service | passport_peer.Place
    campus: "pysaml2_provider.IdentityProvider"
    entra: lasso_peer.Lasso
    passport: passport_peer.Passport | None

    def publish(self, folder: Path) -> None:
        """Save the descriptors into the metadata folder, as step 1 says."""
        for name in ("catalogue", "campus", "entra"):
            (folder / f"{name}.xml").write_bytes(getattr(self, name).metadata())

    def learn(self, broker: str) -> None:
        """Take the broker's descriptors, as step 4 says."""
        idp, campus, entra = (
            requests.get(f"{broker}/saml/{each}/metadata", timeout=60).content
            for each in ("idp", "sp/campus", "sp/entra")
        )
        self.campus.learn(campus)
        self.entra.learn(entra)
        if self.passport:
            self.passport.learn(idp)
        elif isinstance(self.catalogue, python3_saml_service.Service):
            self.catalogue.learn(idp)


@contextmanager
def peers(folder: Path, product: str) -> Iterator[Peers]:
    """Start them, the catalogue by a product that asks for a class of authentication by default.

    Its metadata lasts as long as its recipe says.
    """
    from tests.interop.parties import pysaml2_provider  # reads schemas for half a second

    key = KeyPair.generate("connect", datetime.now(UTC))
    (folder / "own.key").write_text(key.key)
    (folder / "own.crt").write_text(key.certificate)
    at, campus_at = free_port(), free_port()
    catalogue: python3_saml_service.Service | passport_peer.Place
    passport = None
    with ExitStack() as stack:
        if product == "passport-saml":
            catalogue = passport_peer.Place(CATALOGUE, "catalogue", at, encrypts=True)
            passport = stack.enter_context(passport_peer.serving(folder / "passport", key, [catalogue]))
        else:
            catalogue = python3_saml_service.Service(
                CATALOGUE, f"http://catalogue.localhost:{at}", folder / "own", encrypts=True
            )
            until = datetime.now(UTC) + timedelta(days=365)
            catalogue.settings["security"]["metadataValidUntil"] = f"{until:%Y-%m-%dT%H:%M:%SZ}"
            stack.enter_context(serve_on_loopback(catalogue.app(), at))
        campus = pysaml2_provider.IdentityProvider(
            CAMPUS, f"http://campus.localhost:{campus_at}", folder / "own", {PERSON.name: BY_CAMPUS}
        )
        stack.enter_context(serve_on_loopback(campus.app(), campus_at))
        entra = stack.enter_context(lasso_peer.serving(folder / "entra", ENTRA, key, {PERSON.name: BY_ENTRA}))
        yield Peers(catalogue, campus, entra, passport)


@pytest.fixture(scope="module", params=["python3-saml", pytest.param("passport-saml", marks=pytest.mark.full)])
def connected_broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    """Type the document in, put the descriptors into the folder, and introduce the broker to everybody."""
    folder = tmp_path_factory.mktemp("connect")
    setting = write_demo(folder / "library")
    type_in(folder)
    # Lasso encrypts whatever it sends, as Entra ID does with token encryption.
    setting.config.write_text(setting.config.read_text().replace('# encryption = "cbc"', 'encryption = "cbc"'))
    with peers(folder, request.param) as found:
        found.publish(setting.folder / "metadata")
        with run_demo(setting):
            found.learn(f"http://127.0.0.1:{setting.ports.number('broker')}")
            yield Connected(setting, found.catalogue.origin, found.campus)


def test_check_finds_nothing_once_all_is_typed_in(connected_broker: Connected) -> None:
    """Tables, map and policies of the document are valid together, and their examples hold."""
    wait_until(lambda: is_work_running(connected_broker.setting.folder / "state"))
    for command in (["check"], ["policy", "check"], ["policy", "test"]):
        checked = CliRunner().invoke(broker, ["--config", str(connected_broker.setting.config), *command])
        assert (checked.exit_code, checked.stderr) == (0, ""), checked.output
    assert checked.stdout.splitlines()[-1].endswith("examples hold")


@pytest.mark.parametrize("way", ["wayf", "campus", "entra"])
def test_the_first_login_arrives_with_what_is_released(connected_broker: Connected, way: str) -> None:
    """By WAYF, by the campus, and by claims that are named as Entra ID names them."""
    told = "".join(texts(connected_broker.log_in(way), "//pre/text()"))
    assert ("Asta" in told, "asta@post." in told, "NAME_ID=" in told) == (True, True, True)
    assert connected_broker.last_login()["released"] == "gn mail"


@pytest.mark.parametrize(
    ("came", "query", "event"),
    [
        ("https://refeds.org/profile/mfa", "", "issued"),
        ("urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "", "issued"),
        ("urn:federation:authentication:windows", "", "issued"),
        ("urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified", "", "refused"),
        ("urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified", "?any", "issued"),
    ],
)
def test_the_recipe_for_requested_classes_lets_in(
    connected_broker: Connected, monkeypatch: pytest.MonkeyPatch, came: str, query: str, event: str
) -> None:
    """More than was asked for, what the document lists, or anything once the service asks for none."""
    monkeypatch.setattr(connected_broker.campus, "class_ref", came)
    connected_broker.log_in("campus", query)
    line = connected_broker.last_login()
    assert line["event"] == event
    if event == "refused":
        assert line["reason"] == "assurance_too_low"
        assert all(
            each in line["detail"] for each in (came, "PasswordProtectedTransport", "upstreams.campus.authn_contexts")
        )
