"""The broker behind ``deploy/nginx.conf``: logins, slow and rude clients, and what the log may hold.

Source: docs/operations.md#in-front.
"""

import socket
import ssl
import zlib
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Response
from requests.adapters import HTTPAdapter

from broker.adapters.observability import application_log
from broker.demo.check import persona_walk
from broker.demo.check.http_browser import Browser, _Loopback
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import write
from broker.demo.run.running_demo import Running, run_demo
from tests.plugins.chromium import EXECUTABLE, TURNED_OFF
from tests.plugins.demo import free_base
from tests.plugins.ports import free_port
from tests.plugins.programs import wait_until
from tests.plugins.visitor import Visitor
from tests.walks.nginx_server import DEPLOY, NAME, Front, PortsBehind, nginx

pytestmark = pytest.mark.server

_HONEST: Final = "127.0.0.1"
_RUDE: Final = "127.0.66.{}"  # another network of loopback
_LIMIT: Final = 100  # limit_conn
_STRANGERS: Final = 40  # of each kind
_OF_ONE_NETWORK: Final = 50
_HEAD: Final = f"GET / HTTP/1.1\r\nHost: {NAME}\r\nX-Slow: ".encode()
_FORM: Final = (
    f"POST /saml/sp/wayf/acs HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    "Content-Length: 100000\r\n\r\nSAMLResponse="
).encode()
_PAGES: Final = f"GET /sign-up HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode() * 10


@dataclass(frozen=True, slots=True)
class Site:
    """A demo whose broker stands behind nginx."""

    demo: Running
    front: Front

    def browser(self, address: str = _HONEST, **headers: str) -> Browser:
        """Return a browser without a screen at an address of loopback, that trusts nginx's certificate."""
        browser = Browser()
        browser.session.mount("https://", _From(address))
        browser.session.mount("http://", _From(address))
        browser.session.verify = str(self.front.certificate)
        browser.session.headers.update(headers)
        return browser

    def log_in(self, name: str) -> Browser:
        """Log a persona in from an honest network."""
        browser = self.browser()
        persona_walk.walk(browser, self.demo.setting.ports.origin("library"), persona(name), demo=self.demo)
        return browser

    def connect(self, address: str = _HONEST) -> ssl.SSLSocket:
        """Return a bare connection from an address of loopback."""
        trust = ssl.create_default_context(cafile=str(self.front.certificate))
        bare = socket.create_connection((_HONEST, self.front.port), 60, (address, 0))
        return trust.wrap_socket(bare, server_hostname=NAME)


class _From(_Loopback):
    """Connects from a chosen address."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make connections from the address."""
        HTTPAdapter.init_poolmanager(self, *args, **options, source_address=(self.address, 0))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Yield a demo behind nginx, where everything from the rude network is a computer that several people use."""
    ports = PortsBehind(free_base(), free_port())
    setting = write(tmp_path_factory.mktemp("behind") / "demo", ports, datetime.now(UTC), key_size=2048)
    text = setting.config.read_text(encoding="utf-8") + "proxies = 1\n"
    setting.config.write_text('shared_networks = ["127.0.66.0/24", "198.51.100.0/24"]\n' + text, encoding="utf-8")
    with run_demo(setting) as demo, nginx(ports.front, free_port(), ports.number("broker")) as front:
        yield Site(demo, front)


def test_logins_and_mailed_links_leave_no_secret_in_the_log(site: Site) -> None:
    """Nor do query, message, RelayState or the name of a login stand in any log of nginx."""
    browser = site.log_in("dorte")  # who proves an address by a mail
    assert browser.mark()[0] == "done"
    pin = f"{site.front.origin}/pin?link=abcdefghij&lang=da"
    browser.get(pin)
    requests.get(f"http://127.0.0.1:{site.front.plain_port}/pin?link=abcdefghij", allow_redirects=False, timeout=60)
    written = site.front.all_logs
    for wanted in ("/login/-/proof 200", "/login/-/consent 200", "/saml/sp/nemid/acs 303", "/pin 410"):
        assert wanted in written
    for unwanted in ("?", "SAML", "RelayState", "arrival", "abcdefghij"):
        assert unwanted not in written


def test_one_id_finds_a_request_in_both_logs(site: Site) -> None:
    """The broker's line carries the id of nginx's line, not the one that a client wrote."""
    path = "/no-such-page"
    assert _get(site.front, path, **{"X-Request-ID": "c0ffee00c0ffee00c0ffee00c0ffee00"}).status_code == 404
    wait_until(lambda: f"GET {path} 404 404 " in site.front.log)  # it is written after the answer has left
    (line,) = (line for line in site.front.log.splitlines() if f"GET {path} " in line)
    request_id = application_log.mask(line.split()[-1])  # an id may look like a CPR number
    assert f'"request_id": "{request_id}"' in (site.demo.setting.folder / "broker.log").read_text(encoding="utf-8")


def test_the_log_holds_no_secret_of_what_the_broker_never_answered() -> None:
    """With the broker down nginx's own log of errors, which quotes whole requests, is silent too."""
    with nginx(free_port(), free_port(), free_port()) as front:
        for path in ("/login/abc/proof/hush?x=1", "/pin?link=hush", "/saml/idp/sso?SAMLRequest=hush"):
            page = _get(front, path)
            assert page.status_code == 502
            assert page.headers["Retry-After"] == "60"
            assert page.text == _own("down")
        posted = requests.post(
            _url(front, "/saml/sp/wayf/acs"), {"SAMLResponse": "x"}, verify=str(front.certificate), timeout=60
        )
        assert posted.text == page.text
        assert "hush" not in front.all_logs
        assert "GET /login/-/proof 502" in front.log


def test_a_person_in_a_browser_lands_behind_nginx(chromium: Chromium, site: Site) -> None:
    """Over HTTP/2, with cookies of https only, up to the service."""
    # The invented service has no https, and from ours no page would post to it.
    window = chromium.new_context(ignore_https_errors=True, locale="en-GB", bypass_csp=True)
    person = Visitor(window.new_page(), site.demo)
    person.open("library", "/my-loans")
    person.wait_for_page("choose")
    person.press("button[name=upstream][value=wayf]")
    person.pick("karla")
    person.wait_for_page("ask")
    names = {each["name"] for each in window.cookies() if "broker" in each["domain"]}
    assert {name[:7] for name in names} == {"__Host-"}
    person.agree()
    person.page.wait_for_selector("#borrower")
    assert person.faults == []
    window.close()


def test_slow_strangers_hold_up_nobody(site: Site) -> None:
    """A person logs in while strangers hold more connections than the broker has threads.

    A third of them sends a head slowly, a third a body, and a third asks for pages and reads none.
    """
    with ExitStack() as held:
        strangers = []
        for number, octets in enumerate([_HEAD, _FORM, _PAGES] * _STRANGERS):
            network, host = divmod(number, _OF_ONE_NETWORK)
            stranger = held.enter_context(site.connect(f"127.0.{70 + network}.{host + 1}"))
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            stranger.sendall(octets)
            stranger.settimeout(0)
            strangers.append(stranger)
        held.enter_context(_sending_slowly(strangers))
        assert site.log_in("asta").mark()[0] in {None, "done"}


@contextmanager
def _sending_slowly(strangers: Sequence[ssl.SSLSocket]) -> Iterator[None]:
    """Send an octet on each connection every second, so that nginx does not give up a body."""
    ended = Event()

    def send() -> None:
        while not ended.wait(1):
            for stranger in strangers:
                with suppress(OSError):  # nginx has given it up, or the stranger reads nothing
                    stranger.send(b"x")

    thread = Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


_SMUGGLED: Final = f"GET /smuggled HTTP/1.1\r\nHost: {NAME}\r\n\r\n"


@pytest.mark.parametrize("headers", [
    "Content-Length: 5\r\nTransfer-Encoding: chunked", "Content-Length: 5\r\nContent-Length: 6", "Content-Length: +5",
    "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding : chunked",
    "Content-Length: 0x5", "Host: other.example",
])  # fmt: skip
def test_no_request_is_smuggled_past_nginx(site: Site, headers: str) -> None:
    """Nginx closes the connection of an ambiguous request, and the request does not reach the broker.

    Source: RFC 9112, section 11.2.
    """
    head = f"POST /saml/sp/wayf/acs HTTP/1.1\r\nHost: {NAME}\r\n{headers}\r\n\r\n0\r\n\r\n"
    with site.connect() as wire:
        wire.sendall((head + _SMUGGLED).encode())
        answer = b""
        with suppress(ConnectionResetError):
            while part := wire.recv(65536):
                answer += part
    assert answer.split(b" ")[1] in {b"400", b"501"}
    assert answer.count(b"HTTP/1.1 ") == 1
    assert "/smuggled" not in site.front.log


def test_one_network_s_connections_are_limited_and_no_other_s(site: Site) -> None:
    """At the limit its next request gets the page that says so; another network, and its files, are served."""
    with ExitStack() as held:
        for number in range(_LIMIT):
            held.enter_context(_slow_body(site, number))
        refused = site.browser(_RUDE.format(251)).get(f"{site.front.origin}/sign-up")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
        assert refused.text == _own("busy")
        style = site.browser(_RUDE.format(251)).get(f"{site.front.origin}/error_pages/style.css")
        assert (style.status_code, style.headers["Content-Type"]) == (200, "text/css")
        assert site.browser().get(f"{site.front.origin}/sign-up").status_code == 200


def _slow_body(site: Site, number: int) -> ssl.SSLSocket:
    slow = site.connect(_RUDE.format(number % 250 + 1))
    slow.sendall(_FORM)
    return slow


@pytest.mark.parametrize(("headers", "address", "fresh"), [
    ({"X-Forwarded-For": "198.51.100.7"}, _HONEST, False),
    ({"Forwarded": "for=198.51.100.7", "X-Real-IP": "198.51.100.7"}, _HONEST, False),
    ({"X-Forwarded-For": "192.0.2.7"}, _RUDE.format(7), True),
])  # fmt: skip
def test_no_client_chooses_its_address(site: Site, headers: dict[str, str], address: str, fresh: bool) -> None:
    """The broker uses the real client address, not the header of the client: a shared computer gets a fresh login."""
    browser = site.browser(address, **headers)
    at_hub = browser.get(site.demo.setting.ports.origin("library") + "/my-loans?way=wayf").url
    (message,) = parse_qs(urlsplit(at_hub).query)["SAMLRequest"]
    request = zlib.decompress(b64decode(message), -zlib.MAX_WBITS)
    assert (b'ForceAuthn="true"' in request) is fresh


@pytest.mark.parametrize(("forged", "value"), [
    ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "http"), ("Host", "evil.example"),
])  # fmt: skip
def test_no_client_chooses_our_address(site: Site, forged: str, value: str) -> None:
    """Descriptors name the configured address, and redirects stay on it."""
    page = _get(site.front, "/saml/idp/metadata", **{forged: value})
    assert page.status_code == 200
    assert site.front.origin in page.text
    assert "evil" not in page.text


def test_a_giant_cookie_is_told_and_dropped(site: Site) -> None:
    """Its page tells the browser to drop cookies, and only that page does."""
    page = _get(site.front, "/sign-up", Cookie="b=" + "x" * 20_000)
    assert page.status_code == 431
    assert page.headers["Clear-Site-Data"] == '"cookies"'
    assert page.text == _own("cookies")
    fetched = _get(site.front, "/error_pages/cookies.html")
    assert (fetched.status_code, fetched.headers.get("Clear-Site-Data")) == (200, None)


def test_a_browser_with_too_many_cookies_comes_in_after_the_page(chromium: Chromium, site: Site) -> None:
    """The next step of that page works: what stood in the way is gone."""
    # It drops cookies for nobody whose certificate it only puts up with.
    known = f"--ignore-certificate-errors-spki-list={site.front.fingerprint}"
    browser = chromium.browser_type.launch(executable_path=EXECUTABLE, args=["--no-sandbox", TURNED_OFF, known])
    page = browser.new_page()
    many: Any = [{"name": f"n{each}", "value": "x" * 4000, "url": site.front.origin} for each in range(6)]
    page.context.add_cookies(many)
    statuses = [_status(page.goto(f"{site.front.origin}/sign-up")) for _ in range(2)]
    browser.close()
    assert statuses == [431, 200]


def _status(shown: Response | None) -> int:
    assert shown is not None
    return shown.status


def test_a_body_is_bounded_and_a_large_one_stays_in_memory(site: Site) -> None:
    """One above the broker's own bound never reaches it, one below does though no file may be written."""
    acs = _url(site.front, "/saml/sp/wayf/acs")
    verify = str(site.front.certificate)
    refused = requests.post(acs, {"SAMLResponse": "x" * 1_100_000}, verify=verify, timeout=60)
    assert (refused.status_code, refused.text) == (413, _own("unreadable"))
    assert requests.post(acs, {"SAMLResponse": "x" * 900_000}, verify=verify, timeout=60).status_code == 400


@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
def test_metrics_and_details_are_not_served_by_nginx(site: Site, path: str) -> None:
    """Metrics are not here at all, and readiness tells no details."""
    assert _get(site.front, path).status_code == 404
    wait_until(lambda: f"GET {path} 404 - " in site.front.log)  # it is written after the answer has left
    assert _get(site.front, "/readyz").text.strip() == '{"ready":true}'


def test_answers_tell_browsers_to_stay_with_https(site: Site) -> None:
    """Pages of the broker and nginx's own alike; nothing says which version of nginx it is, and nothing is packed."""
    for path in ("/sign-up", "/nowhere", "/error_pages/busy.html"):
        page = _get(site.front, path)
        assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert page.headers["Server"] in {"nginx", "gunicorn"}
        assert "Content-Encoding" not in page.headers
    plain = requests.get(f"http://127.0.0.1:{site.front.plain_port}/sign-up", allow_redirects=False, timeout=60)
    assert (plain.status_code, plain.headers["Location"]) == (301, f"https://{NAME}/sign-up")


def test_a_stolen_key_opens_no_connection_of_before(site: Site) -> None:
    """No ticket is handed out, and of TLS 1.2 no key exchange or mode that is broken or lasts."""
    assert _has_ticket(site, "ECDHE-ECDSA-AES128-GCM-SHA256") is False
    with pytest.raises(ssl.SSLError):
        _has_ticket(site, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA")


def _has_ticket(site: Site, ciphers: str) -> bool:
    """Connect by TLS 1.2 with these ciphers, and say whether a ticket came."""
    trust = ssl.create_default_context(cafile=str(site.front.certificate))
    trust.maximum_version = ssl.TLSVersion.TLSv1_2
    trust.set_ciphers(ciphers)
    bare = socket.create_connection((_HONEST, site.front.port), 60)
    with trust.wrap_socket(bare, server_hostname=NAME) as tls:
        tls.sendall(f"GET /error_pages/style.css HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        assert tls.recv(12) == b"HTTP/1.1 200"
        return tls.session is not None and tls.session.has_ticket


def _own(page: str) -> str:
    return (DEPLOY / "error_pages" / f"{page}.html").read_text(encoding="utf-8")


def _url(front: Front, path: str) -> str:
    return f"https://127.0.0.1:{front.port}{path}"


def _get(front: Front, path: str, **headers: str) -> requests.Response:
    headers.setdefault("Host", f"{NAME}:{front.port}")
    return requests.get(_url(front, path), headers=headers, verify=str(front.certificate), timeout=60)
