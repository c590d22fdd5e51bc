"""The browsers of the benchmark, and the logins that they carry out: known and fresh."""

import http.client
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol
from urllib.parse import urlsplit

from lxml import html

from broker.adapters.saml.xml_security import http_bindings, signature
from broker.demo.library import services
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB, SERVICES, Setting
from broker.demo.upstreams import wayf_hub

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
    """A kept-alive connection that sends and reads like a browser, with its cookies."""

    def __init__(self, origin: str) -> None:
        parts = urlsplit(origin)
        self.host, self.connection = parts.netloc, http.client.HTTPConnection("127.0.0.1", parts.port, timeout=60)
        self.cookies: dict[str, str] = {}

    def send(self, method: str, url: str, fields: dict[str, str] | None = None) -> tuple[int, str, bytes]:
        """Send a request and return status, Location and body; no redirect is followed."""
        parts = urlsplit(url)
        headers = {"Host": self.host, "Cookie": cookie_header(self.cookies)}
        if fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = form_encoded(fields) if fields is not None else None
        self.connection.request(method, f"{parts.path}?{parts.query}", body, headers)
        answer = self.connection.getresponse()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                keep_cookie(self.cookies, value)
        return answer.status, answer.getheader("Location") or "", answer.read()


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

    site: services.Site
    peer: services.BrokerAsIdp
    key: signature.SigningKey
    fresh: bool = False

    @classmethod
    def for_setting(cls, setting: Setting, *, fresh: bool = False) -> "UniversityLogin":
        """Return a login at the broker of ``setting``, as it stands in its metadata."""
        key = signature.SigningKey.load(setting.hub.key.encode(), setting.hub.certificate.encode())
        return cls(site_of(setting, "my-loans"), read_broker(setting), key, fresh)

    def __call__(self, wire: Wire) -> None:
        """Log asta in; SystemExit where it does not end with a Response."""
        wire.cookies = {} if self.fresh else bound(wire.cookies)
        asked = self.ask_hub(wire)
        xml = wayf_hub.response(HUB, asked, persona("asta"), self.key, datetime.now(UTC))
        # The hub's page posts across sites: a browser sends no Lax cookie with it.
        cookies, wire.cookies = wire.cookies, {}
        fields = http_bindings.build_post_fields(xml, "SAMLResponse", asked.relay_state)
        _, back, _ = wire.send("POST", asked.acs, fields)
        wire.cookies = cookies
        check_issued(*wire.send("GET", back))

    def ask_hub(self, wire: Wire) -> wayf_hub.ReceivedAuthnRequest:
        """Ask for a login, follow the broker's own redirects, and read its AuthnRequest to the hub."""
        url = services.request_url(self.site, "my-loans", self.peer, force=False, passive=False)
        for _ in range(_MOST_REDIRECTS):
            status, url, _ = wire.send("GET", url)
            if "SAMLRequest=" in url:
                return wayf_hub.read(urlsplit(url).query)
            if not url:
                break
        raise SystemExit(f"no AuthnRequest reached the hub; the last answer was {status} {urlsplit(url).path}")


def site_of(setting: Setting, name: str) -> services.Site:
    """Return a service that people log in at."""
    title, _, entity_id = SERVICES[name]
    return services.Site(title, entity_id, f"{setting.ports.origin('library')}/{name}/acs")


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


def load(origin: str, login: Login, logins: int, concurrency: int) -> list[float]:
    """Run ``logins`` logins over ``concurrency`` browsers and return the seconds of every login."""
    times: list[float] = []
    failures: list[str] = []
    left = iter(range(logins))
    lock = threading.Lock()

    def browse() -> None:
        wire = HttpWire(origin)
        while True:
            with lock:
                if next(left, None) is None:
                    return
            began = time.perf_counter()
            try:
                login(wire)
            except SystemExit as failed:  # a thread would end without a word
                failures.append(str(failed))
                return
            times.append(time.perf_counter() - began)

    threads = [threading.Thread(target=browse) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(times) != logins:
        raise SystemExit(f"{logins - len(times)} of {logins} logins did not end: {failures[:1]}")
    return times
