"""Runs Apache with mod_shib and mod_auth_mellon as two services of the library, each under its own host name."""

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Final

import requests

from broker.demo.saml.key_pair import KeyPair
from tests.plugins.ports import free_port

MODULES: Final = "/usr/lib/apache2/modules"
NOBODY: Final = "nobody"  # account of the servers if the tests run as root, because Apache does not serve as root
_CONF: Final = Path(__file__).parent / "conf"
_WITHIN: Final = 60.0
_PAGE: Final = "<title>Seen</title><pre id=seen><!--#printenv --></pre>"
_STOCK_MAP: Final = Path("/etc/shibboleth/attribute-map.xml")
# A library needs these attributes. Debian's map contains them as comments. schacPersonalUniqueID has the CPR number.
_ENABLED: Final = {
    "urn:oid:0.9.2342.19200300.100.1.1": "uid",
    "urn:oid:0.9.2342.19200300.100.1.3": "mail",
    "urn:oid:2.5.4.4": "sn",
    "urn:oid:2.5.4.42": "givenName",
    "urn:oid:1.3.6.1.4.1.25178.1.2.15": "schacPersonalUniqueID",
}


@dataclass(frozen=True, slots=True)
class Apache:
    """A running Apache server; ``folder`` holds its files and logs."""

    folder: Path
    port: int
    server: "subprocess.Popen[bytes]"
    broker: str  # entityID of the broker

    def origin(self, peer: str) -> str:
        """Return the origin of the service "shib" or "mellon"."""
        return f"http://{peer}.localhost:{self.port}"

    def metadata(self, peer: str) -> bytes:
        """Return a service's metadata as its own tool wrote it."""
        if peer == "mellon":
            return (self.folder / "mellon.xml").read_bytes()
        return self._get("shib", "/Shibboleth.sso/Metadata").content

    def learn(self, descriptor: bytes) -> None:
        """Install the broker's descriptor in both modules, as an operator would."""
        (self.folder / "broker.xml").write_bytes(descriptor)
        (self.folder / "broker" / f"{hashlib.sha1(self.broker.encode()).hexdigest()}.xml").write_bytes(descriptor)  # noqa: S324 - LocalDynamic names its files so
        self.server.send_signal(signal.SIGUSR1)  # mod_auth_mellon reads its files only when it starts
        self._await(lambda: self._get("mellon", "/protected/").status_code == requests.codes.see_other)

    def wait_for_shibd(self) -> None:
        """Wait until mod_shib has found shibd."""
        self._await(lambda: self._get("shib", "/Shibboleth.sso/Metadata").status_code == requests.codes.ok)

    def logs(self) -> str:
        """Return the last lines of each log."""
        ends = (f"{path.name}:\n{path.read_text(errors='replace')[-3000:]}" for path in self.folder.glob("*.log"))
        return "\n".join(ends)

    def _get(self, peer: str, path: str) -> requests.Response:
        host = {"Host": self.origin(peer).removeprefix("http://")}
        url = f"http://127.0.0.1:{self.port}{path}"
        return requests.get(url, headers=host, timeout=30, allow_redirects=False)

    def _await(self, come: Callable[[], bool]) -> None:
        until = time.monotonic() + _WITHIN
        while time.monotonic() < until:
            try:
                if self.server.poll() is None and come():
                    return
            except requests.RequestException:
                pass
            time.sleep(0.05)
        raise AssertionError(self.logs())


@contextmanager
def serving(broker: str, certificate: bytes, upstream: str, entity_ids: dict[str, str]) -> Iterator[Apache]:
    """Start shibd and Apache for the services ``entity_ids`` ("shib", "mellon") of the identity provider ``broker``.

    mod_shib accepts the broker's descriptor only if ``certificate`` signed it. One of its login links names
    ``upstream``.

    mod_shib takes the broker's descriptor only as signed by ``certificate``, and has a way in that names ``upstream``.
    """
    folder = Path(tempfile.mkdtemp(prefix="interop-"))  # pytest's own folder can be entered by root only
    port = free_port()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "broker.crt").write_bytes(certificate)
        _write(folder, port, broker, upstream, entity_ids)
        _run(
            stack,
            folder,
            "/usr/sbin/shibd",
            "-f",
            "-F",
            "-w",
            "0",
            "-c",
            f"{folder}/shibboleth2.xml",
            "-p",
            f"{folder}/pid",
        )
        server = _run(stack, folder, "/usr/sbin/apache2", "-DFOREGROUND", "-f", f"{folder}/apache.conf")
        apache = Apache(folder, port, server, broker)
        apache.wait_for_shibd()
        yield apache


def _write(folder: Path, port: int, broker: str, upstream: str, entity_ids: dict[str, str]) -> None:
    own = {each: f"http://{each}.localhost:{port}" for each in entity_ids}
    common = {"folder": str(folder), "port": str(port), "modules": MODULES, "broker": broker}
    _fill("apache.conf", folder / "apache.conf", **common, **own)
    shib = {"origin": own["shib"], "entity_id": entity_ids["shib"], "upstream": upstream}
    _fill("shibboleth2.xml", folder / "shibboleth2.xml", **common, **shib)
    for name in ("shibd", "native"):
        _fill("log4j", folder / f"{name}.logger", folder=str(folder), log=name)
    rows = "".join(f'<Attribute name="{name}" id="{each}"/>\n' for name, each in _ENABLED.items())
    stock = _STOCK_MAP.read_text()
    (folder / "attribute-map.xml").write_text(stock.replace("</Attributes>", f"{rows}</Attributes>"))
    key = KeyPair.generate("shib", datetime.now(UTC))
    (folder / "shib.key").write_text(key.key)
    (folder / "shib.crt").write_text(key.certificate)
    command = ["/usr/sbin/mellon_create_metadata", entity_ids["mellon"], f"{own['mellon']}/mellon"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    for path in folder.glob(entity_ids["mellon"].partition(":")[0] + "_*"):
        path.rename(folder / f"mellon{path.suffix}")
    (folder / "broker.xml").touch()
    (folder / "broker").mkdir()
    (folder / "pages" / "protected").mkdir(parents=True)
    for page in ("refused.shtml", "index.shtml", "protected/index.shtml"):
        (folder / "pages" / page).write_text(_PAGE)


def _fill(name: str, target: Path, **values: str) -> None:
    target.write_text(Template((_CONF / name).read_text()).substitute(values))


def _run(stack: ExitStack, folder: Path, *command: str) -> "subprocess.Popen[bytes]":
    """Start a server as an unprivileged user, and stop it with the stack."""
    who = pwd.getpwnam(NOBODY) if os.geteuid() == 0 else None
    if who:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, who.pw_uid, who.pw_gid)
    with (folder / "started.log").open("ab") as out:
        server = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            user=who.pw_uid if who else None,
            group=who.pw_gid if who else None,
            extra_groups=[] if who else None,
        )
    stack.callback(_end, server)
    return server


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
