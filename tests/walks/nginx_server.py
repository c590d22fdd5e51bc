"""Debian's nginx with ``deploy/nginx.conf`` as it is shipped: only addresses, names and paths are the test's own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.demo.run.demo_folder import Ports
from tests.plugins.programs import run_program

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
NAME: Final = "broker.localhost"
_USER: Final = "www-data"  # as the package runs it; other users than root run it as themselves
_AROUND: Final = """\
daemon off;
pid {folder}/nginx.pid;
worker_processes 1;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    include /etc/nginx/mime.types;
    access_log {folder}/elsewhere.log;
    gzip on;
    client_body_temp_path {folder}/spool;
    proxy_temp_path {folder}/spool;
    fastcgi_temp_path {folder}/spool;
    uwsgi_temp_path {folder}/spool;
    scgi_temp_path {folder}/spool;
    include {folder}/broker.conf;
}}
"""
_CERTIFICATE: Final = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
    *("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1"),
    *("-keyout", "privkey.pem", "-out", "fullchain.pem"),
)
_UP_WITHIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class Front:
    """An nginx that listens: its folder, ports and certificate."""

    folder: Path
    port: int
    plain_port: int

    @property
    def origin(self) -> str:
        """Return the address that browsers use."""
        return f"https://{NAME}:{self.port}"

    @property
    def certificate(self) -> Path:
        """Return the certificate to trust."""
        return self.folder / "fullchain.pem"

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of its public key in base64, as Chromium names it."""
        key = x509.load_pem_x509_certificate(self.certificate.read_bytes()).public_key()
        plain = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b64encode(sha256(plain).digest()).decode()

    @property
    def log(self) -> str:
        """Return the log of requests as it is."""
        return (self.folder / "log" / "broker.log").read_text(encoding="utf-8")

    def leave_out(self, broker: int | None) -> None:
        """Send no requests to the broker at this port; None: send requests to all."""
        file = self.folder / "broker.conf"
        text = file.read_text(encoding="utf-8").replace(" down;", ";")
        file.write_text(text.replace(f":{broker};", f":{broker} down;"), encoding="utf-8")
        os.kill(int((self.folder / "nginx.pid").read_text()), signal.SIGHUP)

    @property
    def all_logs(self) -> str:
        """Give everything that nginx wrote anywhere."""
        logs = [*(self.folder / "log").iterdir(), *self.folder.glob("*.log")]
        return "".join(each.read_text(encoding="utf-8") for each in logs)


@dataclass(frozen=True, slots=True)
class PortsBehind(Ports):
    """The demo's ports, with the broker reached at nginx."""

    front: int = 0

    def origin(self, party: str) -> str:
        """Return the address browsers use."""
        if party == "broker":
            return f"https://{NAME}:{self.front}"
        return Ports.origin(self, party)


@contextmanager
def nginx(port: int, plain_port: int, *brokers: int) -> Iterator[Front]:
    """Start nginx before brokers that listen at ports of loopback, and end it with the block."""
    folder = Path(tempfile.mkdtemp(prefix="nginx-"))
    try:
        front = Front(folder, port, plain_port)
        _write(front, brokers)
        command = [
            "/usr/sbin/nginx",
            "-p",
            str(folder),
            "-e",
            str(folder / "start.log"),
            "-c",
            str(folder / "nginx.conf"),
        ]
        with run_program(command, {}, **_as_unprivileged_user(folder)) as running:
            _await(front, running)
            yield front
    finally:
        shutil.rmtree(folder)


def _write(front: Front, brokers: Sequence[int]) -> None:
    folder = front.folder
    for name in ("log", "spool"):
        (folder / name).mkdir()
    shutil.copytree(DEPLOY / "error_pages", folder / "error_pages")
    subprocess.run(_CERTIFICATE, cwd=folder, check=True, capture_output=True)
    own = {
        "listen 443 ssl;": f"listen 127.0.0.1:{front.port} ssl;",
        "listen 80;": f"listen 127.0.0.1:{front.plain_port};",
        "    listen [::]:443 ssl;\n": "",
        "    listen [::]:80;\n": "",
        "server_name login.library.example;": f"server_name {NAME};",
        "/etc/ssl/login.library.example/": f"{folder}/",
        "/var/log/nginx/": f"{folder}/log/",
        "/opt/broker/deploy": str(folder),
        "server 127.0.0.1:8000;": " ".join(f"server 127.0.0.1:{broker};" for broker in brokers),
    }
    (folder / "broker.conf").write_text(_replace_all((DEPLOY / "nginx.conf").read_text(encoding="utf-8"), own))
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder))
    (folder / "spool").chmod(0o500)  # whatever does not stay in memory fails


def _replace_all(text: str, own: Mapping[str, str]) -> str:
    for shipped, ours in own.items():
        assert shipped in text, shipped
        text = text.replace(shipped, ours)
    return text


def _as_unprivileged_user(folder: Path) -> dict[str, Any]:
    """Give the folder to an unprivileged user, and return the options that start a program as that user."""
    if os.getuid():
        return {}
    who = pwd.getpwnam(_USER)
    for each in (folder, *folder.rglob("*")):
        os.chown(each, who.pw_uid, who.pw_gid)
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": ()}


def _await(front: Front, running: "subprocess.Popen[Any]") -> None:
    until = time.monotonic() + _UP_WITHIN
    while time.monotonic() < until and running.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", front.port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"nginx did not start: {(front.folder / 'start.log').read_text()}")
