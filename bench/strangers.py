"""Measures a stranger's worst at full speed: what store, trail and log grow by, and whether people log in meanwhile.

The flood mixes what costs most without a login: look-ups of logins that do not exist, requests of services with and
without a made-up browser cookie, forms with a made-up cookie, sign-ups, askings for a PIN, rubbish at the ACS. People
log in meanwhile from a home, from a campus that the configuration names, and, with the mark of an earlier login, from
a network that floods.
"""

import argparse
import json
import re
import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from bench.brokers import Setup, broker_running
from bench.browsers import HttpWire, Login, UniversityLogin, known_broker, site_of
from bench.figures import Figure, Row, part, row
from bench.processes import cpu
from broker.core.errors import BrokerError
from broker.demo.library import services
from broker.demo.run.demo_folder import Setting
from broker.demo.run.running_demo import Running

CAMPUS = "130.225.0.0/16"
HOME, ON_CAMPUS, FLOODED = "203.0.113.7", "130.225.20.4", "198.18.0.9"
# An address of a network that has begun all it may.
FULL, FULL_NETWORK = "192.0.2.9", "192.0.2.0/24"
TOKEN = re.compile(rb'name="token" value="([^"]+)"')


@dataclass
class Flood:
    """What strangers have sent, and been answered."""

    networks: int
    answers: Counter[str] = field(default_factory=Counter)

    def address(self, number: int) -> str:
        """Give an address of one of the networks, 198.18.0.0/24 and on."""
        network = number % self.networks
        return f"198.{18 + network // 256}.{network % 256}.{1 + secrets.randbelow(250)}"


class Stranger:
    """One connection that sends the mix, each turn from the next network."""

    def __init__(self, setting: Setting, flood: Flood, first: int) -> None:
        self.flood, self.turn = flood, first
        self.wire = HttpWire(setting.ports.origin("broker"))
        self.site = site_of(setting, "my-loans")
        self.peer = known_broker(setting)
        self.kinds: tuple[Callable[[], None], ...] = (
            self.look_up,
            self.request,
            self.request_with_made_up_cookie,
            self.form_with_made_up_cookie,
            self.sign_up,
            self.asking,
            self.rubbish,
        )

    def attack(self, until: float) -> None:
        """Send until a moment of the monotonic clock."""
        while time.monotonic() < until:
            self.turn += 1
            self.wire.cookies = {}
            self.wire.headers = {"X-Forwarded-For": self.flood.address(self.turn // len(self.kinds))}
            self.kinds[self.turn % len(self.kinds)]()

    def send(self, method: str, url: str, fields: dict[str, str] | None = None) -> tuple[str, bytes]:
        """Send one request, count its answer, and give Location and body."""
        status, location, body = self.wire.send(method, url, fields)
        self.flood.answers[str(status)] += 1
        return location, body

    def made_up(self) -> None:
        """Bring a browser cookie that nobody set."""
        self.wire.cookies = {f"b-{secrets.token_hex(8)}": secrets.token_hex(32)}

    def asked(self) -> str:
        """Give the address of a fresh AuthnRequest."""
        return services.request_url(self.site, "my-loans", self.peer, force=False, passive=False)

    def look_up(self) -> None:
        """Look for a login that does not exist."""
        self.send("GET", f"/login/{secrets.token_hex(16)}")

    def request(self) -> None:
        """Begin a login and never come for it."""
        self.send("GET", self.asked())

    def request_with_made_up_cookie(self) -> None:
        """Begin a login that is bound at once and goes upstream."""
        self.made_up()
        self.send("GET", self.asked())

    def form_with_made_up_cookie(self) -> None:
        """Post a form of a login without its token."""
        self.made_up()
        self.send("POST", f"/login/{secrets.token_hex(16)}/upstream", {"token": "x", "upstream": "wayf"})

    def sign_up(self) -> None:
        """Begin a sign-up."""
        self.send("GET", "/sign-up/begin?affiliation=student")

    def asking(self) -> None:
        """Ask for a letter of a number that is nobody's."""
        self.made_up()
        form = self._form_of_letter()
        if form is not None:
            self._ask(*form)

    def asking_again(self) -> Callable[[], None]:
        """Open the page where a letter is asked for, and return one more asking by it."""
        self.wire.headers = {"X-Forwarded-For": HOME}
        self.made_up()
        form = self._form_of_letter()
        if form is None:
            raise SystemExit("no page asks for a letter")
        cookies, (url, fields) = self.wire.cookies, form

        def ask() -> None:
            self.wire.cookies = dict(cookies)
            self.wire.headers = {"X-Forwarded-For": HOME}
            self._ask(url, fields)

        return ask

    def _form_of_letter(self) -> tuple[str, dict[str, str]] | None:
        """Return the address and the fields of the form; None where this network may begin no more."""
        location, _ = self.send("GET", "/pin")
        if not location:
            return None
        url = f"{urlsplit(location).path}?{urlsplit(location).query}"
        _, page = self.send("GET", url)
        token = TOKEN.search(page)
        return (url, {"token": token[1].decode(), "do": "letter"}) if token else None

    def _ask(self, url: str, fields: dict[str, str]) -> None:
        """Post the form with a number that is nobody's."""
        self.wire.headers["Sec-Fetch-Site"] = "same-origin"
        self.send("POST", url, {**fields, "identifier": str(secrets.randbelow(10**9) + 10**9)})
        del self.wire.headers["Sec-Fetch-Site"]

    def rubbish(self) -> None:
        """Post what is no SAML to the ACS."""
        self.send("POST", "/saml/sp/wayf/acs", {"SAMLResponse": "QUFBQQ=="})


@dataclass
class Honest:
    """People who log in one after another from one place, ``pause`` seconds apart."""

    name: str
    address: str
    pause: float = 0.5
    times: list[float] = field(default_factory=list)
    lost: int = 0

    def come(self, demo: Running, login: Login, mark: str, until: float) -> None:
        """Log in until a moment of the monotonic clock."""
        while time.monotonic() < until:
            wire = HttpWire(demo.setting.ports.origin("broker"))
            wire.headers = {"X-Forwarded-For": self.address}
            wire.cookies = {f"b-{secrets.token_hex(8)}": secrets.token_hex(32), **({"mark": mark} if mark else {})}
            began = time.perf_counter()
            try:
                login(wire)
            except (SystemExit, OSError, HTTPException, BrokerError):
                self.lost += 1
            else:
                self.times.append(time.perf_counter() - began)
            time.sleep(self.pause)


@dataclass(frozen=True)
class Sizes:
    """Bytes that are kept at a moment."""

    at: float
    store: int
    trail: int
    log: int

    @classmethod
    def of(cls, demo: Running, store: str) -> "Sizes":
        """Look at store, trail and log."""
        folder = demo.setting.folder
        trail = sum(file.stat().st_size for file in folder.rglob("audit-*.jsonl"))
        return cls(time.monotonic(), kept(folder, store), trail, (folder / "broker.log").stat().st_size)

    def slope(self, before: "Sizes") -> tuple[float, float, float]:
        """Give bytes a second of each since ``before``."""
        seconds = self.at - before.at
        grown = (self.store - before.store, self.trail - before.trail, self.log - before.log)
        return tuple(each / seconds for each in grown)  # type: ignore[return-value]


def kept(folder: Path, store: str) -> int:
    """Give the bytes of the records that a store holds, expired ones that are not swept yet included."""
    if store.startswith("redis"):
        memory: Any = redis.Redis.from_url(store).info("memory")
        return int(memory["used_memory"])
    [file] = folder.rglob("broker.db")
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as found:
        pages, free, size = (
            found.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def refusals_on_trail(demo: Running) -> int:
    """Count the entries of refusals on the trail: each would be a stranger's."""
    lines = (line for file in demo.setting.folder.rglob("audit-*.jsonl") for line in file.read_text().splitlines())
    return sum(json.loads(line)["event"] == "refused" for line in lines)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this case to the driver's."""
    group = parser.add_argument_group("strangers")
    group.add_argument("--seconds", type=int, default=120)
    group.add_argument("--networks", type=int, nargs="*", default=[1, 10, 1000], help="none: the kinds alone")
    group.add_argument("--connections", type=int, default=4)
    group.add_argument("--store", default="sqlite:state/broker.db")


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    """Flood a broker behind one proxy, which knows a campus and a borrower, from so many networks."""
    setup = Setup(store=arguments.store, workers=2, prepare=behind_proxy)
    with broker_running(setup) as demo:
        mark = marked(demo)
        for networks in arguments.networks:
            yield from _flooded(demo, arguments, networks, mark)


def _flooded(demo: Running, arguments: argparse.Namespace, networks: int, mark: str) -> Iterator[Row]:
    flood, login = Flood(networks), UniversityLogin.at(demo.setting)
    until = time.monotonic() + arguments.seconds
    people = [Honest("home", HOME), Honest("campus", ON_CAMPUS), Honest("marked, flooded", FLOODED, 2.0)]
    strangers = [Stranger(demo.setting, flood, 1000 * number) for number in range(arguments.connections)]
    threads = [threading.Thread(target=each.attack, args=(until,)) for each in strangers]
    for each in people:
        brought = mark if each.address == FLOODED else ""
        threads.append(threading.Thread(target=each.come, args=(demo, login, brought, until)))
    before, spent = Sizes.of(demo, arguments.store), cpu(demo.broker.pid)
    for thread in threads:
        thread.start()
    time.sleep(arguments.seconds / 2)
    middle = Sizes.of(demo, arguments.store)
    for thread in threads:
        thread.join()
    after = Sizes.of(demo, arguments.store)
    seconds, sent = after.at - before.at, flood.answers.total()
    milliseconds = (cpu(demo.broker.pid) - spent) * 1000 / sent
    answered = [Figure(f"/s of {status}", count / seconds) for status, count in sorted(flood.answers.items())]
    name = f"{networks} networks"
    yield row(name, Figure("requests/s", sent / seconds), Figure("ms CPU each", milliseconds, most=1), *answered)
    for half, slope in (("first half", middle.slope(before)), ("second half", after.slope(middle))):
        units = ("B/s of store", "B/s of trail", "B/s of log")
        yield row(f"{name}, {half}", *(Figure(unit, grown) for unit, grown in zip(units, slope, strict=True)))
    yield row(f"{name}, refusals on the trail", Figure("lines", refusals_on_trail(demo), most=0))
    for each in people:
        figures = (Figure("logins", len(each.times)), Figure("lost", each.lost, most=0))
        yield row(f"{name}, {each.name}", *figures, Figure("ms p95", part(each.times, 0.95) * 1000))


def behind_proxy(setting: Setting) -> None:
    """Count one proxy, so that strangers may come from many networks; a campus has a ceiling of its own."""
    text = setting.config.read_text().replace("threads = 8", "threads = 8\nproxies = 1")
    text = text.replace("beginnings = 1000000", "")
    for network, beginnings in ((CAMPUS, 6000), (FULL_NETWORK, 1)):
        text += f'\n[[limits.campuses]]\nnetwork = "{network}"\nbeginnings = {beginnings}\n'
    setting.config.write_text(text)


def marked(demo: Running) -> str:
    """Log in once and give the mark that the browser keeps of it."""
    wire = HttpWire(demo.setting.ports.origin("broker"))
    wire.headers = {"X-Forwarded-For": HOME}
    UniversityLogin.at(demo.setting)(wire)
    return wire.cookies["mark"]
