"""Measures the first logins of many people at once before a slow library system: answers, accounts, library calls.

Every person logs in at My loans for the first time, agrees, and looks again from the waiting page until an assertion
is there. Counted are the seconds of every answer of the broker after the agreement (the waiting page is one), until
each person is through, and until the last account exists.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from bench import processes
from bench.brokers import Setup, broker_running
from bench.browsers import read_broker, read_hub_key, site_of
from bench.figures import Figure, Row, part, row
from broker.adapters.saml.xml_security import http_bindings, signature
from broker.demo.check.http_browser import Browser
from broker.demo.check.persona_walk import texts
from broker.demo.library import services
from broker.demo.people.persona import Persona, university_attributes
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB, Setting
from broker.demo.run.running_demo import Running
from broker.demo.upstreams import wayf_hub
from broker.demo.upstreams.assertion_writer import ReceivedAuthnRequest

_PEOPLE: Final = 60
_CALL_MS: Final = 200
_CONNECTIONS: Final = 8
_LOOKS_AGAIN: Final = 1.0
_GIVES_UP: Final = 90.0
_ONWARD: Final = "//main//a[contains(@class, 'button')]/@href"


def person(number: int) -> Persona:
    """Return an invented student; the CPR number is synthetic, of a birth on one of 336 days of 1990."""
    month, day = divmod(number, 28)
    cpr = f"{day + 1:02}{month % 12 + 1:02}90{1000 + number:04}"
    name = f"first{number}"
    attributes = university_attributes(name, f"Prøve Person{number}", cpr, ("student@au.dk",))
    return replace(persona("asta"), name=name, attributes=attributes)


@dataclass
class Figures:
    """The waiting times of the people, in seconds."""

    answers: list[float] = field(default_factory=list)
    through: list[float] = field(default_factory=list)
    looks: int = 0
    lost: list[str] = field(default_factory=list)


def log_in(demo: Running, key: signature.SigningKey, who: Persona, figures: Figures) -> None:
    """Log a person in for the first time, from the AuthnRequest to the assertion."""
    browser = Browser()
    arrive(browser, demo.setting, who, read_broker(demo.setting), key)
    form = next(form for form in browser.forms() if ("answer", "yes") in form.buttons)
    began = time.perf_counter()
    sent = began
    browser.submit(form, answer="yes")
    while True:
        figures.answers.append(time.perf_counter() - sent)
        if b"SAMLResponse" in (browser.page.content if browser.page else b""):
            figures.through.append(time.perf_counter() - began)
            return
        if browser.mark()[0] != "enrol" or time.perf_counter() - began > _GIVES_UP:
            figures.lost.append(f"{who.name}: {browser.mark()}")
            return
        time.sleep(_LOOKS_AGAIN)
        figures.looks += 1
        sent = time.perf_counter()
        browser.open(texts(browser, _ONWARD)[0])


def arrive(
    browser: Browser, setting: Setting, who: Persona, broker: services.BrokerAsIdp, key: signature.SigningKey
) -> None:
    """Log a person in at My loans up to the broker's first page; ``key`` is the hub's."""
    url = services.request_url(site_of(setting, "my-loans"), "my-loans", broker, force=False, passive=False)
    asked = find_request(browser, url)
    xml = wayf_hub.response(HUB, asked, who, key, datetime.now(UTC))
    fields = http_bindings.build_post_fields(xml, "SAMLResponse", asked.relay_state)
    answer = browser.session.post(asked.acs, fields, allow_redirects=False, timeout=60)
    browser.get(answer.headers["Location"])


def find_request(browser: Browser, url: str) -> ReceivedAuthnRequest:
    """Follow our own redirects up to the hub's address, which is read and not opened."""
    while True:
        answer = browser.session.get(url, allow_redirects=False)
        url = answer.headers["Location"]
        if "SAMLRequest=" in url:
            return wayf_hub.read(urlsplit(url).query)


def accounts(demo: Running) -> int:
    """Return how many of the people have an account."""
    numbers = {cpr_of(person(number)) for number in range(_PEOPLE)}
    return sum(row["userid"] in numbers for row in demo.patrons.patrons.rows())


def cpr_of(who: Persona) -> str:
    """Return the CPR number of a person."""
    return who.attributes["schacPersonalUniqueID"][0].rpartition(":")[2]


def _open_connections(setting: Setting) -> None:
    text = setting.config.read_text()
    setting.config.write_text(text.replace("[library]\n", f"[library]\nconnections = {_CONNECTIONS}\n", 1))
    if f"connections = {_CONNECTIONS}" not in setting.config.read_text():
        raise SystemExit("the demo's configuration has no table [library]")


def rows() -> Iterator[Row]:
    """Let everybody come at once to a broker with two workers."""
    with broker_running(Setup(workers=2, prepare=_open_connections)) as demo:
        key = read_hub_key(demo.setting)
        figures = Figures()
        calls, spent = len(demo.patrons.access), processes.cpu(demo.broker.pid)
        demo.patrons.faults.slow = _CALL_MS / 1000
        threads = [
            threading.Thread(target=log_in, args=(demo, key, person(number), figures)) for number in range(_PEOPLE)
        ]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        while accounts(demo) < _PEOPLE and time.perf_counter() - began < _GIVES_UP:
            time.sleep(0.2)
        made = time.perf_counter() - began
        for thread in threads:
            thread.join()
        calls = len(demo.patrons.access) - calls
        spent = processes.cpu(demo.broker.pid) - spent
    name = f"{_PEOPLE} people at once, {_CALL_MS} ms a call of the library system, {_CONNECTIONS} connections"
    yield row(
        name,
        Figure("s an answer p50", part(figures.answers, 0.5)),
        Figure("s p95", part(figures.answers, 0.95)),
        Figure("s the slowest page", max(figures.answers, default=0.0), most=3),
        Figure("s until half are through", part(figures.through, 0.5)),
        Figure("s the last", max(figures.through, default=0.0)),
        Figure("s the last account", made, most=15),
    )
    yield row(
        "of them",
        Figure("lost", len(figures.lost), most=0),
        Figure("library calls each", calls / _PEOPLE),
        Figure("ms CPU each", spent * 1000 / _PEOPLE),
    )
