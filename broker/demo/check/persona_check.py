"""Drives every persona through the running demo over HTTP and reports what became of each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from broker.demo.check.http_browser import Browser
from broker.demo.check.persona_walk import texts, walk
from broker.demo.people.persona import Persona
from broker.demo.people.personas import PERSONAS
from broker.demo.run.running_demo import Running

__all__ = ["PersonaReport", "as_json", "check", "texts", "walk"]

PersonaReports = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class PersonaReport:
    """One persona's outcome, as ``demo --check --json`` prints it."""

    persona: str
    affiliation: str | None
    decision: str
    released: tuple[str, ...]
    borrower: str
    account: Mapping[str, str] | None = None  # number and category of the borrower they end with
    ok: bool = field(default=False, kw_only=True)


def check(running: Running, people: Sequence[Persona] = PERSONAS) -> Sequence[PersonaReport]:
    """Walk every persona, each in a browser of its own."""
    return tuple(_report(running, person) for person in people)


def as_json(reports: Sequence[PersonaReport]) -> dict[str, object]:
    """Give the report in the form that programs rely on (design section 4)."""
    logins = [
        {name: value for name, value in asdict(each).items() if name != "ok"} for each in reports
    ]
    return {"logins": logins}


@dataclass(frozen=True, slots=True)
class _Walked:
    """A persona who has come to an end: the last page, and the borrowers before and after."""

    person: Persona
    browser: Browser
    before: PersonaReports
    after: PersonaReports

    @property
    def change(self) -> str:
        """Say what became of the borrowers."""
        made = set(self.after) - set(self.before)
        changed = [
            self.after[each]["category_id"]
            for each, row in self.before.items()
            if row["category_id"] != self.after[each]["category_id"]
        ]
        if made or not changed:
            return "created" if made else "unchanged"
        return "lowered" if "PRIVATE" in changed else "upgraded"

    def refused(self, why: str, *, ok: bool) -> PersonaReport:
        """Report on somebody who has come to no service."""
        return PersonaReport(self.person.name, None, why, (), self.change, ok=ok)

    def landed(self, affiliation: str | None, own: str | None) -> PersonaReport:
        """Report on somebody who has come to the service, or to the end of the sign-up, with this borrower number."""
        row = self.after.get(own or "")
        account = (
            {"number": str(row["patron_id"]), "category": str(row["category_id"])} if row else None
        )
        right = (account or {"category": ""})["category"] == self.person.expect
        if self.person.desk and row:
            mail = self.person.desk[0].get(
                "email"
            )  # of who is registered, neither number nor mail address changes
            right = right and own in self.before and row["email"] == (mail or row["email"])
        released = texts(self.browser, "//table[@id='assertion']//td[1]/text()")
        return PersonaReport(
            self.person.name, affiliation, "permit", released, self.change, account, ok=right
        )


def _report(running: Running, person: Persona) -> PersonaReport:
    before, told = _borrowers(running), len(_events(running))
    browser = Browser()
    try:
        walk(browser, running.setting.ports.origin("library"), person, demo=running)
    except AssertionError as circles:
        return _Walked(person, browser, before, _borrowers(running)).refused(
            f"unfinished: {circles}", ok=False
        )
    walked = _Walked(person, browser, before, _borrowers(running))
    step, reason = browser.mark()
    if step == "done":
        return walked.landed(
            _first(browser, "//@data-affiliation"), _first(browser, "//@data-number")
        )
    if _first(browser, "//strong[@id='status']/text()") != "Success":
        return walked.refused(
            reason or f"unfinished: {step}", ok=(step, reason) == ("refuse", person.expect)
        )
    issued = next((each for each in _events(running)[told:] if each.get("event") == "issued"), {})
    return walked.landed(issued.get("affiliation"), _first(browser, "//td[@id='borrower']/text()"))


def _first(browser: Browser, path: str) -> str | None:
    return next(iter(texts(browser, path)), None)


def _borrowers(running: Running) -> PersonaReports:
    return {str(row["patron_id"]): row for row in running.patrons.patrons.rows()}


def _events(running: Running) -> list[dict[str, str]]:
    """Give what the broker has logged so far."""
    lines = (running.setting.folder / "broker.log").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
