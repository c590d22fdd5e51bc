"""Drives every persona through the running demo over HTTP and reports what became of each."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from lxml import html

from broker.demo.browsing import Browser, Form
from broker.demo.personas import PERSONAS, Persona
from broker.demo.running import Running

# Redirects and forms of one login; a login that needs more goes in circles.
_MOST_PAGES: Final = 12
# Seconds that a person looks at the page that says that the account is on its way.
_PATIENCE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """One login's outcome, as ``demo --check --json`` prints it."""

    persona: str
    affiliation: str | None
    decision: str
    released: tuple[str, ...]
    borrower: str
    ok: bool


def walk(
    browser: Browser, origin: str, person: Persona, method: str, *, patient: bool = True, remember: bool = False
) -> None:
    """Log ``person`` in at My loans: choose the way, pick the persona, agree, land.

    Who is not ``patient`` stops at the page that says that the account is on its way.
    """
    browser.get(f"{origin}/my-loans")
    for _ in range(_MOST_PAGES):
        step, _reason = browser.mark()
        form = _next(browser, step)
        if form is None or (step == "enrol" and not patient):
            return
        names = {name for name, _ in form.buttons}
        if step == "choose":
            browser.submit(form, upstream=method)
        elif step == "ask":
            browser.submit(form, answer="yes", **({"remember": "yes"} if remember else {}))
        elif step in {"authenticate", "enrol"}:
            time.sleep(_PATIENCE if step == "enrol" else 0)
            browser.get(form.action)
        elif "persona" in names:
            browser.submit(form, persona=person.name)
        else:
            browser.submit(form)
    msg = f"{person.name} goes in circles"
    raise AssertionError(msg)


def texts(browser: Browser, path: str) -> tuple[str, ...]:
    """Give what an XPath finds on the page, as texts."""
    found = html.fromstring(browser.page.content).xpath(path) if browser.page else []
    return tuple(str(each) for each in found) if isinstance(found, list) else ()


def _next(browser: Browser, step: str | None) -> Form | None:
    """Give the form that goes on, or None where the login has ended: landed at the library, or refused."""
    if step == "refuse":
        return None
    if step in {"authenticate", "enrol"}:
        links = texts(browser, "//main//a[contains(@class, 'button')]/@href")
        return Form(links[0], "get", {}, ()) if links else None
    forms = browser.forms()
    return forms[0] if forms else None


def _report(running: Running, person: Persona) -> Report:
    method = "nemid" if "nemlogin" in person.institution else "wayf"
    before, told = _borrowers(running), len(_events(running))
    browser = Browser()
    walk(browser, running.setting.ports.origin("library"), person, method)
    step, reason = browser.mark()
    change = _change(before, _borrowers(running))
    if step == "refuse":
        return Report(person.name, None, reason or "", (), change, reason == person.expect)
    released = texts(browser, "//table[@id='assertion']//td[1]/text()")
    category = "".join(texts(browser, "//td[@id='category']/text()"))
    issued = next((each for each in _events(running)[told:] if each.get("event") == "issued"), {})
    return Report(person.name, issued.get("affiliation"), "permit", released, change, category == person.expect)


def _borrowers(running: Running) -> dict[int, dict[str, object]]:
    return {row["patron_id"]: row for row in running.patrons.patrons.rows()}


def _events(running: Running) -> list[dict[str, str]]:
    """Give what the broker has logged so far."""
    lines = (running.setting.folder / "broker.log").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def _change(before: dict[int, dict[str, object]], after: dict[int, dict[str, object]]) -> str:
    made = set(after) - set(before)
    changed = [number for number in before if before[number].get("category_id") != after[number].get("category_id")]
    if made:
        return "created"
    return "upgraded" if changed else "unchanged"


def check(running: Running) -> Sequence[Report]:
    """Walk every persona, each in a browser of its own."""
    return tuple(_report(running, person) for person in PERSONAS)


def as_json(reports: Sequence[Report]) -> dict[str, object]:
    """Give the report in the form that programs rely on (design section 4)."""
    logins = [{name: value for name, value in asdict(each).items() if name != "ok"} for each in reports]
    return {"logins": logins}
