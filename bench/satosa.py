"""Runs SATOSA beside the broker as its yardstick: the same hub, service and person, and keys of the same size.

Equal: RSA-2048 on every side; the hub signs its assertion only and encrypts nothing; AuthnRequests to the hub are
signed, those of the service are not; Response and assertion are both signed RSA-SHA256 and, in one of two runs, the
assertion is encrypted to the service; six attributes leave; no screen, no account linking; the state of a login is
sealed.

Not equal, in SATOSA's favour: it encrypts with Triple-DES, since pysaml2 has no setting for anything newer (AES-GCM
here); it looks no borrower up, keeps no consent, decides nothing, and logs nothing (its default writes every message to
standard output); it passes the hub's transient NameID on where ours is persistent and derived; one worker, since the
requests it waits for lie in the memory of one.
To its disadvantage: sync workers, as it was measured for the anchor, close the connection after each of two requests.
"""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from statistics import median
from typing import Final
from urllib.parse import urlsplit

import xmlsec
from lxml import etree, html

from bench.brokers import Setup, broker_running, measure, measure_broker
from bench.browsers import Login, UniversityLogin, Wire, read_hub_key
from bench.figures import Figure, Row, row
from bench.satosa_files import ATTRIBUTES, write_files
from broker.adapters.saml.xml_security import http_bindings, signature, xml_names
from broker.demo.library import services
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB, SERVICES, Ports, Setting, write
from broker.demo.saml.key_pair import KeyPair
from broker.demo.upstreams import wayf_hub

_READY_WITHIN: Final = 60.0
_SERIES: Final = 5
_LOGINS: Final = 20  # of SATOSA a series; of the broker, which needs a tenth of the time, five times as many
_BUDGETS: Final = {"signed and encrypted": 20, "signed": 16}
_MOST_REDIRECTS: Final = 5


@dataclass(frozen=True, slots=True)
class SatosaRun:
    """A SATOSA that answers: its address, the root of its process tree, and a whole login."""

    origin: str
    pid: int
    once: Login


def rows(python: str) -> Iterator[Row]:
    """Measure the broker and SATOSA in both settings in turn, a login at a time, and compare the medians."""
    spent: dict[str, list[float]] = {name: [] for name in ("broker", *_BUDGETS)}
    with ExitStack() as stack:
        demo = stack.enter_context(broker_running(Setup()))
        login = UniversityLogin.for_setting(demo.setting)
        others = {name: stack.enter_context(satosa_running(python, encrypts="encrypted" in name)) for name in _BUDGETS}
        for number in range(_SERIES + 1):
            found = measure_broker(demo, login, 5 * _LOGINS, warm_up=0).cpu_ms
            series = {"broker": found} | {name: _measure_cpu(other) for name, other in others.items()}
            if number:  # the first warms all of them up
                for name, value in series.items():
                    spent[name].append(value)
    ours = median(spent["broker"])
    yield row(f"the broker, median of {_SERIES}", Figure("ms CPU/login", ours))
    for name, least in _BUDGETS.items():
        theirs = median(spent[name])
        ratio = Figure("times the broker's", theirs / ours, least=least)
        yield row(f"SATOSA, {name}, median of {_SERIES}", Figure("ms CPU/login", theirs), ratio)


def _measure_cpu(other: SatosaRun) -> float:
    return measure(other.pid, other.origin, other.once, _LOGINS).cpu_ms


@contextmanager
def satosa_running(python: str, *, encrypts: bool) -> Iterator[SatosaRun]:
    """Run SATOSA in a throw-away folder with a sync worker and stop it at the end.

    ``python`` is an interpreter that has SATOSA and gunicorn installed. SystemExit with the end of its log where it
    does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="bench-satosa-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        now = datetime.now(UTC)
        setting, own = write(Path(folder) / "demo", Ports(), now), KeyPair.generate("satosa", now)
        proxy = write_files(Path(folder), origin, own, setting.folder / "metadata", encrypts=encrypts)
        served = _gunicorn(python, proxy, origin)
        try:
            _await(served, origin, Path(folder) / "log")
            yield SatosaRun(origin, served.pid, _Login(origin, setting, own, encrypts))
        finally:
            _end(served)


def _gunicorn(python: str, proxy: Path, origin: str) -> subprocess.Popen[bytes]:
    """Start it as its documentation does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [python, "-m", "gunicorn", "--bind", urlsplit(origin).netloc, "--workers", "1"]
    with (proxy.parent / "log").open("ab") as out:
        return subprocess.Popen(
            [*command, "--worker-class", "sync", "--timeout", "120", "satosa.wsgi:app"],
            cwd=proxy.parent,
            env={**environment, "SATOSA_CONFIG": str(proxy), "XDG_RUNTIME_DIR": str(proxy.parent)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def _await(served: subprocess.Popen[bytes], origin: str, log: Path) -> None:
    """Wait until its metadata answers."""
    until = time.monotonic() + _READY_WITHIN
    while time.monotonic() < until and served.poll() is None:
        connection = HTTPConnection(urlsplit(origin).netloc, timeout=10)
        try:
            connection.request("GET", "/idp/proxy.xml")
            answer = connection.getresponse()
            if answer.status == 200 and b"IDPSSODescriptor" in answer.read():
                return
        except (OSError, HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise SystemExit(f"SATOSA did not start: has this interpreter SATOSA and gunicorn, and is xmlsec1 on PATH?\n{end}")


def _end(served: subprocess.Popen[bytes]) -> None:
    served.terminate()
    try:
        served.wait(10)
    except subprocess.TimeoutExpired:
        served.kill()
        served.wait()


@dataclass(slots=True)
class _Login:
    """A login: AuthnRequest of the service, the hub's answer, the self-posting page."""

    origin: str
    setting: Setting
    own: KeyPair
    encrypts: bool
    site: services.Site = field(init=False)
    peer: services.BrokerAsIdp = field(init=False)
    key: signature.SigningKey = field(init=False)
    proved: bool = False

    def __post_init__(self) -> None:
        title, _, entity_id = SERVICES["my-loans"]
        acs = f"{self.setting.ports.origin('library')}/my-loans/acs"
        verifying = signature.VerifyKey.load(self.own.certificate.encode())
        self.site = services.Site(title, entity_id, acs)
        self.peer = services.BrokerAsIdp(
            f"{self.origin}/idp/proxy.xml", f"{self.origin}/hub/sso/redirect", (verifying,)
        )
        self.key = read_hub_key(self.setting)

    def __call__(self, wire: Wire) -> None:
        """Log asta in through ``wire``; SystemExit where it does not end with an assertion."""
        asking = services.request_url(self.site, "my-loans", self.peer, force=False, passive=False)
        status, to_hub, page = wire.send("GET", asking)
        if status not in {302, 303}:
            raise SystemExit(f"SATOSA did not send the browser to the hub but answered {status}: {_text(page)}")
        asked = wayf_hub.read(urlsplit(to_hub).query)
        xml = wayf_hub.response(HUB, asked, persona("asta"), self.key, datetime.now(UTC))
        fields = http_bindings.build_post_fields(xml, "SAMLResponse", asked.relay_state)
        status, further, page = wire.send("POST", asked.acs, fields)
        for _ in range(_MOST_REDIRECTS):
            if not further.startswith((self.origin, "/")):
                break
            status, further, page = wire.send("GET", further)
        wire.cookies = {}  # it has taken its cookie back, by an age of zero
        inputs = html.fromstring(page).iter("input") if page.strip() else ()
        message = next((node.get("value") for node in inputs if node.get("name") == "SAMLResponse"), None)
        if status != 200 or not message:
            raise SystemExit(f"the login at SATOSA ended with {status} and without a SAMLResponse: {_text(page)}")
        if not self.proved:
            self._prove(urlsplit(to_hub).query, http_bindings.decode_post(message))
            self.proved = True

    def _prove(self, asked: str, message: bytes) -> None:
        """Check that SATOSA does the measured work; our parser would refuse its Triple-DES."""
        signed = http_bindings.read_redirect(asked, "SAMLRequest").signed
        if signed is None:
            raise SystemExit("SATOSA did not sign its AuthnRequest")
        root = etree.fromstring(message)
        signature.verify_bytes(signed.octets, signed.signature, signed.sigalg, self.peer.keys)
        signature.verify(root, self.peer.keys)
        assertion = self._decrypt(root)
        signature.verify(assertion, self.peer.keys)
        released = sorted(node.get("FriendlyName", "") for node in assertion.iter(f"{{{xml_names.SAML}}}Attribute"))
        if released != sorted(ATTRIBUTES.values()):
            raise SystemExit(f"SATOSA released {released} and not {sorted(ATTRIBUTES.values())}")

    def _decrypt(self, root: etree._Element) -> etree._Element:
        """Return the assertion of a Response, which must be encrypted where that is measured."""
        sealed = root.find(f"{xml_names.ENCRYPTED_ASSERTION}/{xml_names.ENCRYPTED_DATA}")
        plain = root.find(xml_names.ASSERTION)
        if not self.encrypts and plain is not None:
            return plain
        if sealed is None:
            raise SystemExit("SATOSA did not encrypt the assertion")
        holder = xmlsec.KeysManager()
        holder.add_key(xmlsec.Key.from_memory(self.setting.library.key, xmlsec.constants.KeyDataFormatPem))
        opened = xmlsec.EncryptionContext(holder).decrypt(sealed)
        return etree.fromstring(etree.tostring(opened, with_tail=False))


def _text(page: bytes) -> str:
    """Return the beginning of a page's text."""
    return "".join(map(str, html.fromstring(page).itertext()))[:300] if page.strip() else "an empty page"
