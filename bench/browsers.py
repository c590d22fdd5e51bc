"""The browsers of the benchmark, and the logins that they carry out: known and fresh."""

import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final, Protocol
from urllib.parse import urlsplit

from lxml import html

from bench.prepared import PreparedHub, PreparedService
from broker.adapters.saml.xml_security import signature
from broker.demo.library import services
from broker.demo.run.demo_folder import SERVICES, Setting

KNOWN: Final = {"b-" + "0" * 16: "0" * 64}  # the cookie by which the broker knows a browser
_KEPT_COOKIES: Final = ("b-", "mark")
_MOST_REDIRECTS: Final = 5
_RESERVED: Final = re.compile(rb"[^A-Za-z0-9_.~-]")


class Wire(Protocol):
    """How a login's requests reach a server: over a connection, or straight into an application."""

    cookies: dict[str, str]

    def send(self, method: str, url: str, fields: dict[str, str] | None = None) -> tuple[int, str, bytes]:
        """Send a request and return status, Location and body; no redirect is followed."""


Login = Callable[[Wire], None]


class HttpWire:
    """Sends and reads like a browser with its cookies, a connection per request; keeps the seconds of each answer."""

    def __init__(self, origin: str) -> None:
        parts = urlsplit(origin)
        self.host, self.address = parts.netloc, ("127.0.0.1", parts.port or 80)
        self.cookies: dict[str, str] = {}
        self.times: list[float] = []

    def send(self, method: str, url: str, fields: dict[str, str] | None = None) -> tuple[int, str, bytes]:
        """Send a request and return status, Location and body; no redirect is followed."""
        parts = urlsplit(url)
        body = form_encoded(fields) if fields is not None else b""
        head = f"{method} {parts.path}?{parts.query} HTTP/1.0\r\nHost: {self.host}\r\n"
        if self.cookies:
            head += f"Cookie: {cookie_header(self.cookies)}\r\n"
        if fields is not None:
            head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        began = time.perf_counter()
        with self.connect() as connection:
            connection.sendall(f"{head}\r\n".encode() + body)
            answer = b"".join(iter(partial(connection.recv, 65_536), b""))
        self.times.append(time.perf_counter() - began)
        return self._read(answer)

    def connect(self) -> socket.socket:
        """Return a new connection."""
        return socket.create_connection(self.address, timeout=60)

    def _read(self, answer: bytes) -> tuple[int, str, bytes]:
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        location = ""
        for line in lines:
            name, _, value = line.partition(": ")
            if name.lower() == "set-cookie":
                keep_cookie(self.cookies, value)
            elif name.lower() == "location":
                location = value
        return int(status.split()[1]), location, body


def form_encoded(fields: dict[str, str]) -> bytes:
    """Return the body of a form.

    ``urlencode`` looks at each octet of a Response by itself, for a millisecond that the broker does not get.
    """
    return b"&".join(_encode(name) + b"=" + _encode(value) for name, value in fields.items())


def _encode(text: str) -> bytes:
    return _RESERVED.sub(lambda found: b"%%%02X" % ord(found[0]), text.encode())


def cookie_header(cookies: dict[str, str]) -> str:
    """Return the Cookie header of a request."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def keep_cookie(cookies: dict[str, str], written: str) -> None:
    """Keep what a Set-Cookie header sets."""
    name, _, rest = written.partition("=")
    cookies[name] = rest.partition(";")[0]


@dataclass(frozen=True, slots=True)
class UniversityLogin:
    """A login from the university whose consent is on file: AuthnRequest, hub, ACS, self-posting page.

    A ``fresh`` browser brings no cookie: the broker sets one first, and five requests are needed instead of three.
    """

    service: PreparedService
    hub: PreparedHub
    fresh: bool = False

    @classmethod
    def for_setting(cls, setting: Setting, *, fresh: bool = False) -> "UniversityLogin":
        """Return a login at the broker of ``setting``, as it stands in its metadata."""
        key = read_hub_key(setting)
        service = PreparedService(site_of(setting, "my-loans"), read_broker(setting), "my-loans")
        return cls(service, PreparedHub(key), fresh)

    def __call__(self, wire: Wire) -> None:
        """Log asta in; SystemExit where it does not end with a Response."""
        wire.cookies = {} if self.fresh else bound(wire.cookies)
        acs, fields = self.hub.answer(self.ask_hub(wire))
        # The hub's page posts across sites: a browser sends no Lax cookie with it.
        cookies, wire.cookies = wire.cookies, {}
        _, back, _ = wire.send("POST", acs, fields)
        wire.cookies = cookies
        check_issued(*wire.send("GET", back))

    def ask_hub(self, wire: Wire) -> str:
        """Ask for a login, follow the broker's own redirects, and return the query of its AuthnRequest to the hub."""
        url = self.service.make_url()
        for _ in range(_MOST_REDIRECTS):
            status, url, _ = wire.send("GET", url)
            if "SAMLRequest=" in url:
                return urlsplit(url).query
            if not url:
                break
        raise SystemExit(f"no AuthnRequest reached the hub; the last answer was {status} {urlsplit(url).path}")


def site_of(setting: Setting, name: str) -> services.Site:
    """Return a service that people log in at."""
    title, _, entity_id = SERVICES[name]
    return services.Site(title, entity_id, f"{setting.ports.origin('library')}/{name}/acs")


def read_hub_key(setting: Setting) -> signature.SigningKey:
    """Return the key that the simulated hub signs with."""
    return signature.SigningKey.load(setting.hub.key.encode(), setting.hub.certificate.encode())


def read_broker(setting: Setting) -> services.BrokerAsIdp:
    """Return the broker as the service asks it; no answer is verified here."""
    origin = setting.ports.origin("broker")
    return services.BrokerAsIdp(f"{origin}/saml/idp/metadata", f"{origin}/saml/idp/sso", ())


def bound(cookies: dict[str, str]) -> dict[str, str]:
    """Return the cookies that outlive a login, of a browser that the broker knows."""
    return KNOWN | {name: value for name, value in cookies.items() if name.startswith(_KEPT_COOKIES)}


def check_issued(status: int, location: str, page: bytes) -> None:
    """Refuse a login that did not end with a Response to the service."""
    if status != 200 or b"SAMLResponse" not in page:
        raise SystemExit(f"a login ended with {status} {urlsplit(location).path}: {text_of(page)}")


def text_of(page: bytes) -> str:
    """Return the beginning of a page's text."""
    return " ".join("".join(map(str, html.fromstring(page).itertext())).split())[:300] if page.strip() else ""


@dataclass(frozen=True, slots=True)
class LoginTimes:
    """The seconds of a login, and of the broker's answers in it."""

    whole: float
    answers: float


def load(origin: str, login: Login, logins: int, concurrency: int) -> list[LoginTimes]:
    """Run ``logins`` logins over ``concurrency`` browsers, each of them a process, and return their times."""
    context = get_context("fork")  # threads would wait for each other, and for no broker
    started = []
    for number in range(concurrency):
        reader, writer = context.Pipe(duplex=False)
        share = (logins + number) // concurrency
        process = context.Process(target=_browse, args=(origin, login, share, writer))
        process.start()
        writer.close()
        started.append((process, reader))
    times: list[LoginTimes] = []
    failures: list[str] = []
    for process, reader in started:
        found, failure = reader.recv()
        process.join()
        times += found
        failures += failure
    if failures:
        raise SystemExit(f"{logins - len(times)} of {logins} logins did not end: {failures[0]}")
    return times


def _browse(origin: str, login: Login, logins: int, writer: Connection) -> None:
    wire = HttpWire(origin)
    times: list[LoginTimes] = []
    failures: list[str] = []
    try:
        for _ in range(logins):
            began = time.perf_counter()
            login(wire)
            times.append(LoginTimes(time.perf_counter() - began, sum(wire.times)))
            wire.times.clear()
    except (SystemExit, OSError) as failed:
        failures.append(str(failed))
    writer.send((times, failures))
