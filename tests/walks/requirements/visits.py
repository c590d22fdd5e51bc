"""Steps of people at the broker, and ways to look at pages, assertions, the library system and mails."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote, urlsplit

from flask import Flask, request, request_finished
from flask.testing import FlaskClient
from lxml import etree, html
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from broker.adapters.observability import application_log
from broker.adapters.saml.xml_security import encryption
from broker.demo.koha.loans import Circulation
from broker.demo.library import services
from broker.demo.people.persona import Persona
from broker.demo.run.demo_folder import SERVICES
from broker.demo.run.mail_server import ReceivedMail
from tests.plugins.deployment import Deployment, Person, find_text, form, mark
from tests.plugins.pin_pages import pin_page

URN = "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:"
CPR = "schacPersonalUniqueID"
LANGUAGES = ("en", "da")
_STEPS = 8


def visitor(deployment: Deployment, language: str = "en") -> Person:
    """Return a browser that has chosen a language."""
    person = deployment.person()
    person.get(f"/sign-up?lang={language}")
    return person


def words(page: TestResponse) -> str:
    """Return the visible text of a page, on one line."""
    return texts(page, "//main")[0]


def texts(page: TestResponse, path: str) -> list[str]:
    """Return the matches of an XPath on a page, each as text on one line."""
    hits = html.fromstring(page.get_data()).xpath(path)
    assert isinstance(hits, list)
    read = (str(each) if isinstance(each, str) else "".join(map(str, _element(each).itertext())) for each in hits)
    return [re.sub(r"\s+", " ", each).strip() for each in read]


def _element(hit: object) -> etree._Element:
    assert isinstance(hit, etree._Element)
    return hit


def links(page: TestResponse) -> list[str]:
    """Return the addresses of a page's links."""
    return texts(page, "//main//a/@href")


def answer_sign_up(person: Person, *answers: str) -> TestResponse:
    """Answer the sign-up pages, each with its own form, and return the last page."""
    page = person.get("/sign-up")
    for answer in answers:
        page = person.get(f"{form(page)[0]}?answer={answer}")
        assert page.status_code == 200
    return page


def action(page: TestResponse, name: str) -> str:
    """Return the address of a button on a sign-up page."""
    return find_text(page, f"//main//a[@data-action='{name}']/@href")


def log_in(person: Person, who: Persona, service: str = "my-loans", way: str | None = None) -> TestResponse:
    """Come from a service, log in, and return the next page."""
    return person.return_from_hub(person.choose(person.ask(service), way or who.upstream), who)


def sign_up(person: Person, who: Persona, affiliation: str, way: str | None = None) -> TestResponse:
    """Follow the last link of the sign-up pages, log in, and return the next page."""
    away = person.get(f"/sign-up/begin?affiliation={affiliation}&upstream={way or who.upstream}")
    assert away.status_code == 302, mark(away)
    return person.return_from_hub(away.location, who)


def log_in_with_pin(person: Person, identifier: str, pin: str, service: str = "my-loans") -> TestResponse:
    """Come from a service, type a number and its PIN without a mailed code, and return the next page."""
    object.__setattr__(person.deployment.parts.library_logins, "mail_code", "never")
    return person.press(pin_page(person, service), identifier=identifier, pin=pin)


def proof(person: Person, page: TestResponse, do: str, **fields: str) -> TestResponse:
    """Submit the page that proves a mailbox."""
    return person.press(page, do=do, **fields)


def prove_mailbox(person: Person, page: TestResponse, address: str) -> TestResponse:
    """Prove a mailbox by the code that is mailed to it."""
    assert mark(page)[0] == "proof", mark(page)
    page = proof(person, page, "mail", address=address)
    return proof(person, page, "code", code=code_to(person.deployment, address))


def finish_login(person: Person, page: TestResponse, upgrade: str = "yes") -> TestResponse:
    """Agree to every page up to the end: done, refused, or back to the service."""
    for _ in range(_STEPS):
        step = mark(page)[0]
        if step == "ask":
            sent = person.agree(page)
            page = person.follow(sent)
        elif step == "upgrade":
            page = person.press(page, answer=upgrade)
        elif step == "changed":
            page = person.press(page)
        elif step == "address":
            page = person.press(page, answer="yes")
        elif step in {"authenticate", "enrol"}:
            page = person.get(find_text(page, "//main//a[contains(@class, 'button')]/@href"))
        else:
            return page
    raise AssertionError(mark(page))


def receive_landing(person: Person, page: TestResponse) -> services.Landing:
    """Agree to every page and return the data that the service receives."""
    return person.deployment.landing(finish_login(person, page))


def cpr(who: Persona) -> str:
    """Return a persona's CPR number, "" for none."""
    return who.attributes.get(CPR, (URN,))[0].removeprefix(URN)


def spellings_of_number(number: str) -> tuple[str, ...]:
    """Return the spellings of a CPR number."""
    return number, f"{number[:6]}-{number[6:]}", f"{number[:6]} {number[6:]}"


def borrowers(deployment: Deployment, who: Persona) -> list[dict[str, Any]]:
    """Return all borrowers with a persona's CPR number."""
    wanted = set(spellings_of_number(cpr(who)))
    kept = [
        (row, {row["userid"], row["cardnumber"], *(each["value"] for each in row["extended_attributes"])})
        for row in deployment.koha.patrons.rows()
    ]
    return [row for row, values in kept if values & wanted]


def borrower(deployment: Deployment, who: Persona) -> dict[str, Any]:
    """Return a persona's only borrower."""
    [row] = borrowers(deployment, who)
    return row


def calls(deployment: Deployment, start: str) -> list[str]:
    """Return the library system's calls that begin with ``start``."""
    return [line for line in deployment.koha.access if line.startswith(start)]


def count_creates(deployment: Deployment) -> int:
    """Return how many borrowers the library system was asked to create."""
    return len(calls(deployment, "POST /api/v1/patrons "))


def mail_to(deployment: Deployment, address: str, pattern: str = "") -> ReceivedMail:
    """Wait for a mail to ``address`` that matches ``pattern``, and return the newest."""

    def fits(mail: ReceivedMail) -> bool:
        return mail.recipients == (address,) and re.search(pattern, mail.text) is not None

    deployment.wait_until(lambda: any(map(fits, deployment.mailbox.mails())), f"a mail came to {address}")
    return next(filter(fits, deployment.mailbox.mails()))


def code_to(deployment: Deployment, address: str) -> str:
    """Return the code that was mailed to ``address``."""
    found_ = re.search(r"(?:code is|Koden er): *([0-9]{4} [0-9]{4})", mail_to(deployment, address).text)
    assert found_
    return found_[1]


def link_to(deployment: Deployment, address: str) -> str:
    """Return the PIN link of the newest mail to ``address`` with a link."""
    pattern = r"http\S+/pin\?link=\S+"
    found_ = re.search(pattern, mail_to(deployment, address, pattern).text)
    assert found_
    return found_[0]


def choose_pin(person: Person, address: str, pin: str) -> TestResponse:
    """Open the PIN link that was mailed to ``address``, choose a PIN, and return the next page."""
    return person.press(person.get(link_to(person.deployment, address)), do="choose", pin=pin, again=pin)


def open_library(deployment: Deployment) -> tuple[FlaskClient, Circulation]:
    """Return a browser at the library's pages, and the library's desk."""
    sites = {name: deployment.site(name) for name in SERVICES}
    keys = encryption.DecryptionKeys.load([deployment.setting.library.key.encode()])
    site: Flask = services.create_app(
        sites,
        lambda: deployment.peer,
        keys,
        deployment.koha.desk,
        "https://broker.example",
        machine=deployment.machine,
        signing=deployment.setting.library.signing,
    )
    return site.test_client(), deployment.koha.desk


def open_library_page(client: FlaskClient, address: str) -> TestResponse:
    """Open a page of the library by an address that the broker links to."""
    parts = urlsplit(address)
    return client.get(f"{parts.path}?{parts.query}")


@dataclass(slots=True)
class Seen:
    """The URLs, pages and log lines of the broker during a step."""

    urls: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    told: list[Mapping[str, Any]] = field(default_factory=list)
    acts: int = 0  # answers that are more than a page that somebody looked at

    def note(self, _app: Flask, response: Response, **_more: object) -> None:
        """Keep one answer of the broker's."""
        self.urls += [unquote(request.url), unquote(response.headers.get("Location", ""))]
        self.pages.append("" if response.direct_passthrough else response.get_data(as_text=True))
        self.acts += request.method == "POST" or response.status_code != 200


@contextmanager
def capture_log() -> Iterator[list[Mapping[str, Any]]]:
    """Record the log lines of the block as they are before they are masked."""
    lines: list[Mapping[str, Any]] = []
    unmasked = patch.object(application_log, "mask", lambda text: text)
    with unmasked, redirect_stdout(io.StringIO()) as written:
        yield lines
    lines += map(json.loads, written.getvalue().splitlines())


@contextmanager
def watch_broker(deployment: Deployment) -> Iterator[Seen]:
    """Record the broker's URLs, pages and log lines while the block runs."""
    seen = Seen()
    with capture_log() as told, request_finished.connected_to(seen.note, deployment.app):
        yield seen
    seen.told = told
