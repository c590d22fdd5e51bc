"""Measures the first logins of many people at once before a slow library system: answers, PIN mails, library calls.

    .venv/bin/python bench/first_logins.py [--people 60] [--call-ms 200] [--workers 2] [--store sqlite|redis://...]

Every person logs in at My loans for the first time, agrees, and looks again from the waiting page until an assertion
is there. The library system takes ``--call-ms`` for each call. Counted are the seconds of every answer of the broker
after the agreement (the waiting page is one), until each person is through, and until the last PIN is mailed.
"""

import argparse
import re
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from bench.figures import part
from broker.adapters.saml.gate import http_bindings, signature
from broker.demo.check.http_browser import Browser
from broker.demo.check.persona_walk import texts
from broker.demo.library import services
from broker.demo.people.persona import Persona, by_university
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB, SERVICES, Ports, write
from broker.demo.run.running_demo import Running, running
from broker.demo.upstreams import wayf_hub

_LOOKS_AGAIN = 1.0
_GIVES_UP = 90.0
_ONWARD = "//main//a[contains(@class, 'button')]/@href"


def person(number: int) -> Persona:
    """Return an invented student; the CPR number is synthetic, of a birth on one of 336 days of 1990."""
    month, day = divmod(number, 28)
    cpr = f"{day + 1:02}{month % 12 + 1:02}90{1000 + number:04}"
    name = f"first{number}"
    attributes = by_university(name, f"Prøve Person{number}", cpr, ("student@au.dk",))
    return replace(persona("asta"), name=name, attributes=attributes)


@dataclass
class Figures:
    """What the people saw, in seconds."""

    answers: list[float] = field(default_factory=list)
    through: list[float] = field(default_factory=list)
    looks: int = 0
    lost: list[str] = field(default_factory=list)


def log_in(
    demo: Running, peer: services.BrokerAsIdp, key: signature.SigningKey, who: Persona, figures: Figures
) -> None:
    """Log one person in for the first time, from the AuthnRequest to the assertion."""
    title, _, entity_id = SERVICES["my-loans"]
    site = services.Site(title, entity_id, f"{demo.setting.ports.origin('library')}/my-loans/acs")
    browser = Browser()
    asked = _asked(browser, services.request_url(site, "my-loans", peer, force=False, passive=False))
    xml = wayf_hub.response(HUB, asked, who, key, datetime.now(UTC))
    answer = browser.session.post(
        asked.acs, http_bindings.post_fields(xml, "SAMLResponse", asked.relay_state), allow_redirects=False
    )
    browser.get(answer.headers["Location"])
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


def _asked(browser: Browser, url: str) -> wayf_hub.ReceivedAuthnRequest:
    """Follow our own redirects up to the hub's address, which is read and not opened."""
    while True:
        answer = browser.session.get(url, allow_redirects=False)
        url = answer.headers["Location"]
        if "SAMLRequest=" in url:
            return wayf_hub.read(urlsplit(url).query)


def mailed(demo: Running) -> int:
    """Count the mails that hold a PIN."""
    return sum(bool(re.search(r"(?:pinkode er|PIN is): \d{4}", mail.text)) for mail in demo.mailbox.mails())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--call-ms", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--store", default="sqlite:state/broker.db")
    parser.add_argument("--port-base", type=int, default=18180)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        setting = write(Path(folder) / "demo", Ports(arguments.port_base), datetime.now(UTC), store=arguments.store)
        text = setting.config.read_text().replace("workers = 2", f"workers = {arguments.workers}")
        setting.config.write_text(re.sub(r"(?m)^methods = .*$", 'methods = ["wayf"]', text))
        with running(setting) as demo:
            measure(demo, arguments)


def measure(demo: Running, arguments: argparse.Namespace) -> None:
    """Let everybody come at once, and print."""
    key = signature.SigningKey.of(demo.setting.hub.key.encode(), demo.setting.hub.certificate.encode())
    peer, figures = demo.peer(), Figures()
    before = len(demo.patrons.access.lines())
    demo.patrons.faults.slow = arguments.call_ms / 1000
    threads = [
        threading.Thread(target=log_in, args=(demo, peer, key, person(number), figures))
        for number in range(arguments.people)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while mailed(demo) < arguments.people and time.perf_counter() - began < 2 * _GIVES_UP:
        time.sleep(0.2)
    mails = time.perf_counter() - began
    calls = (len(demo.patrons.access.lines()) - before) / arguments.people
    answers = f"p50 {part(figures.answers, 0.5):.2f} s  p95 {part(figures.answers, 0.95):.2f} s"
    through = f"p50 {part(figures.through, 0.5):.1f} s, the last {max(figures.through, default=0):.1f} s"
    print(f"answers    {answers}  looks again {figures.looks}")
    print(f"through    {len(figures.through)} of {arguments.people}, {through}")
    print(f"PIN mails  {mailed(demo)} of {arguments.people} within {mails:.1f} s;  library calls {calls:.1f} a person")
    for lost in figures.lost:
        print(f"lost       {lost}")


if __name__ == "__main__":
    main()
