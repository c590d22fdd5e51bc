"""Replay attack under load: browsers log in at two real workers and post each Response several times at once."""

import http.client
import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode, urlsplit

from bench.browsers import read_hub_key
from broker.adapters.saml.xml_security import http_bindings
from broker.demo.check import persona_check
from broker.demo.check.http_browser import Browser
from broker.demo.library import services
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB, SERVICES, Setting
from broker.demo.run.running_demo import Running
from broker.demo.upstreams import wayf_hub

POSTS_PER_RESPONSE: Final = 3
_FORM: Final = re.compile(rb'name="SAMLResponse" value="([^"]+)"')


@dataclass(slots=True)
class Wire:
    """One HTTP connection that is kept alive, with a browser's cookies."""

    origin: str
    cookies: dict[str, str] = field(default_factory=dict)
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        """Connect to the loopback address, whatever the host name is."""
        self.connection = http.client.HTTPConnection("127.0.0.1", urlsplit(self.origin).port, timeout=60)

    def send(self, method: str, url: str, fields: dict[str, str] | None = None) -> tuple[int, str, bytes]:
        """Send one request and return status, Location and body. Redirects are not followed."""
        parts = urlsplit(url)
        headers = {"Host": urlsplit(self.origin).netloc}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(fields) if fields is not None else None
        self.connection.request(method, f"{parts.path}?{parts.query}", body, headers)
        answer = self.connection.getresponse()
        for value in answer.headers.get_all("Set-Cookie") or ():
            key, _, rest = value.partition("=")
            self.cookies[key] = rest.partition(";")[0]
        return answer.status, answer.getheader("Location") or "", answer.read()


def configure_single_method(setting: Setting) -> None:
    """Configure a single login method, so that the broker sends a known browser to it at once."""
    text = setting.config.read_text(encoding="utf-8")
    setting.config.write_text(re.sub(r"(?m)^methods = .*$", 'methods = ["wayf"]', text), encoding="utf-8")


class Replays:
    """Logins of one person whose consent is stored. Each Response is posted three times in parallel."""

    def __init__(self, demo: Running) -> None:
        """Create the borrower and store the consent."""
        self.demo, self.peer = demo, demo.peer()
        self.key = read_hub_key(demo.setting)
        persona_check.walk(Browser(), demo.setting.ports.origin("library"), persona("asta"), "wayf", remember=True)
        title, _, entity_id = SERVICES["my-loans"]
        self.site = services.Site(title, entity_id, f"{demo.setting.ports.origin('library')}/my-loans/acs")
        self.statuses: Counter[int] = Counter()
        self.assertions: list[bytes] = []
        self._lock = threading.Lock()

    def run(self, logins: int, browsers: int = 4) -> None:
        """Run this many logins, divided among several browsers that run in parallel."""
        left = iter(range(logins))

        def browse() -> None:
            origin = self.demo.setting.ports.origin("broker")
            wires = [Wire(origin) for _ in range(POSTS_PER_RESPONSE + 1)]
            with ThreadPoolExecutor(POSTS_PER_RESPONSE) as pool, ExitStack() as ending:
                for each in wires:
                    ending.callback(each.connection.close)
                while True:
                    with self._lock:
                        if next(left, None) is None:
                            return
                    self._once(wires, pool)

        with ThreadPoolExecutor(browsers) as pool:
            for each in [pool.submit(browse) for _ in range(browsers)]:
                each.result()

    def _once(self, wires: list[Wire], pool: ThreadPoolExecutor) -> None:
        # The posters send no cookies, as in a cross-site POST. Of the browser's cookies, only the one
        # that makes it known (b-) is kept for the next login.
        browser, *posters = wires
        url = services.request_url(self.site, "my-loans", self.peer, force=False, passive=False)
        while not url.startswith(self.demo.setting.ports.origin("hub")):
            _, url, _ = browser.send("GET", url)
        asked = wayf_hub.read(urlsplit(url).query)
        xml = wayf_hub.response(HUB, asked, persona("asta"), self.key, datetime.now(UTC))
        fields = http_bindings.build_post_fields(xml, "SAMLResponse", asked.relay_state)
        together = threading.Barrier(POSTS_PER_RESPONSE)

        def post(wire: Wire) -> tuple[int, str]:
            together.wait(60)
            status, onward, _ = wire.send("POST", asked.acs, fields)
            return status, onward

        answers = list(pool.map(post, posters))
        arrivals = [onward for status, onward in answers if status == 303]
        page = b""
        for onward in arrivals:
            _, _, page = browser.send("GET", onward)
        found = _FORM.search(page)
        browser.cookies = {name: value for name, value in browser.cookies.items() if name.startswith("b-")}
        with self._lock:
            self.statuses.update(status for status, _ in answers)
            self.assertions += [found[1]] if found else []
