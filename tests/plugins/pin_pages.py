"""Steps on the PIN pages: enter number, PIN and code, and follow the link."""

import re

from werkzeug.test import TestResponse

from broker.core.help_codes import StatelessReferences
from broker.demo.people.personas import persona
from tests.plugins.deployment import Deployment, Person, find_text, form

CPR, PIN = "1111024568", "4071"  # Karla, whom the desk registered with a hyphen
USER_NAME = "karla.dam"

_HELP_CODE = re.compile(r'(?<=<span class="code">)[A-Z0-9]+')
_END_OF_CODE = re.compile(r"(?<=<time datetime=)[^<]*")


def comparable_page(deployment: Deployment, page: TestResponse) -> tuple[int, str, tuple[str, ...]]:
    """Return status, text and header names of a page to compare it with another page of the same deployment.

    Form tokens and random identifiers are removed, as is the time until which a mailed code works. A help code holds
    minute, step and reason: it is replaced with its step and reason.
    """
    references = StatelessReferences(deployment.parts.keys.index)

    def read_help_code(found: re.Match[str]) -> str:
        facts = references.read(found[0], deployment.clock.now())
        assert facts
        return f"{facts.step} {facts.reason}"

    text = re.sub(r"\d+~[^\"]*|[0-9a-f]{32}", "", page.get_data(as_text=True))
    text = _END_OF_CODE.sub("", _HELP_CODE.sub(read_help_code, text))
    return page.status_code, text, tuple(sorted(page.headers.keys()))


def has_no_number(page: TestResponse, name: str = "asta") -> bool:
    """Return whether a page contains neither the persona's CPR number nor its last four digits outside random ids."""
    text = page.get_data(as_text=True)
    number = persona(name).attributes["schacPersonalUniqueID"][0][-10:]
    return number not in text and not re.search(rf"(?<![\w+/=]){number[-4:]}(?![\w+/=-])", text)


def karla(deployment: Deployment) -> str:
    """Give Karla a mail address and return her borrower number."""
    row = next(each for each in deployment.koha.patrons.rows() if each["userid"] == USER_NAME)
    needed = {name: row[name] for name in ("surname", "library_id", "category_id")}
    deployment.koha.patrons.change(row["patron_id"], {**needed, "email": "karla@post.example"})
    return str(row["patron_id"])


def pin_page(person: Person, service: str = "my-loans") -> TestResponse:
    """Begin a login at a service and choose the library account."""
    action, fields = form(person.ask(service))
    onward = person.post(action, {**fields, "upstream": "library"})
    return person.get(find_text(onward, "//main//a/@href"))


def send(person: Person, page: TestResponse, do: str = "", **fields: str) -> TestResponse:
    """Send the form of a page with its first button or the button ``do``."""
    action, hidden = form(page)
    return person.post(action, {**hidden, "do": do or find_text(page, "//main//form//button/@value"), **fields})


def code_in(deployment: Deployment) -> str:
    """Wait for a mail with a login code and return the newest code."""
    code = re.compile(r"(?:The code is|Koden er): ([0-9]{4} [0-9]{4})\n")

    def codes() -> list[str]:
        return [code.findall(mail.text)[0] for mail in deployment.mailbox.mails() if code.search(mail.text)]

    deployment.wait_until(codes, "a code was mailed")
    return codes()[0]


def link_in(deployment: Deployment, number: int = 1) -> str:
    """Wait for ``number`` mails and return the PIN link in the newest."""
    link = re.search(r"http\S+/pin\?link=\S+", deployment.wait_for_mails(number).text)
    assert link
    return link[0]


def log_in(person: Person, page: TestResponse, typed: str = CPR, pin: str = PIN, **more: str) -> TestResponse:
    """Log in with number, PIN and the mailed code; return the next page."""
    before = len(person.deployment.mailbox.mails())
    asked = send(person, page, "login", identifier=typed, pin=pin)
    assert asked.status_code == 303
    page = person.get(asked.location)
    person.deployment.wait_for_mails(before + 1)
    sent = send(person, page, "code", code=code_in(person.deployment), **more)
    return person.follow(sent)
