"""Walks every persona through the running demo over HTTP, and reports the outcomes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from broker.demo.check import register_check
from broker.demo.check.http_browser import Browser
from broker.demo.check.machine_check import at_machine
from broker.demo.check.persona_walk import texts, walk
from broker.demo.circulation.library_desk import Account
from broker.demo.people.persona import Persona
from broker.demo.people.register_people import people_with
from broker.demo.register.simulated_datafordeler import SimulatedDatafordeler
from broker.demo.run.running_demo import Running

__all__ = ["PersonaReport", "as_json", "check", "texts", "walk"]

_CPR: Final = "schacPersonalUniqueID"
Accounts = Mapping[str, Account]


@dataclass(frozen=True, slots=True)
class PersonaReport:
    """The outcome of a persona, as ``demo --check --json`` prints it."""

    persona: str
    affiliation: str | None
    decision: str
    released: tuple[str, ...]
    borrower: str
    account: Mapping[str, str] | None = None  # number and category of the borrower they end with
    # What the lending machine says to their number and PIN; "" for who has no PIN.
    machine: str = ""
    register: str | None = None  # the address of who was looked up: see register_check
    ok: bool = field(default=False, kw_only=True)


def check(running: Running, people: Sequence[Persona] | None = None) -> Sequence[PersonaReport]:
    """Walk every persona in a browser of its own; without ``people`` all that the demo has."""
    everybody = people_with(register=running.setting.has_register) if people is None else people
    if running.register is None:
        return tuple(_report(running, person) for person in everybody)
    return _with_look_ups(running, running.register, everybody)


def as_json(reports: Sequence[PersonaReport]) -> dict[str, object]:
    """Return the report in the form that programs rely on (docs/reference/design.md#4)."""
    logins = []
    for report in reports:
        login = asdict(report)
        del login["ok"]
        if report.register is None:
            del login["register"]
        logins.append(login)
    return {"logins": logins}


@dataclass(frozen=True, slots=True)
class _Walked:
    """A persona at the end of the walk: the last page, and the borrowers before and after."""

    running: Running
    person: Persona
    browser: Browser
    mails_before: int
    before: Accounts
    after: Accounts

    @property
    def change(self) -> str:
        """Return the change of the borrowers, in one word."""
        if set(self.after) - set(self.before):
            return "created"
        categories = set()
        for number, row in self.before.items():
            category = self.after[number].category
            if row.category != category:
                categories.add(category)
        if not categories:
            return "unchanged"
        return "lowered" if "PRIVATE" in categories else "upgraded"

    @property
    def number(self) -> str | None:
        """Return the number of the borrower with the persona's CPR number, wherever it is kept."""
        asserted = "".join(self.person.attributes.get(_CPR, ()))
        cpr = asserted.rpartition(":")[2]
        for number, row in self.after.items():
            if cpr and cpr in {value.replace("-", "") for value in row.numbers}:
                return number
        return None

    def refused(self, why: str, *, ok: bool) -> PersonaReport:
        """Report on a persona who reached no service."""
        return PersonaReport(self.person.name, None, why, (), self.change, ok=ok)

    def landed(self, affiliation: str | None, own: str | None) -> PersonaReport:
        """Report on a persona who reached the service, or the end of the sign-up."""
        row = self.after.get(own or "")
        account = None
        right = self.person.expect == ""
        if row:
            account = {"number": row.number, "category": row.category}
            right = row.category == self.person.expect and self._is_kept(row)
        released = texts(self.browser, "//table[@id='assertion']//td[1]/text()")
        machine = self._at_machine(is_known=bool(row))
        return PersonaReport(
            self.person.name,
            affiliation,
            "permit",
            released,
            self.change,
            account,
            machine,
            ok=right and machine in {"", "valid"},
        )

    def _at_machine(self, *, is_known: bool) -> str:
        if not is_known:
            return ""
        return at_machine(
            self.running.machine,
            self.running.mailbox,
            self.person,
            made=self.change == "created",
            mails_before=self.mails_before,
        )

    def _is_kept(self, row: Account) -> bool:
        """Return whether a borrower that staff had registered kept number and mail address."""
        if not self.person.registered:
            return True
        mail = self.person.registered[0].get("email", row.email)
        return row.number in self.before and row.email == mail


def _report(running: Running, person: Persona) -> PersonaReport:
    before = _borrowers(running)
    mails = len(running.mailbox.mails())
    logged = len(_events(running))
    browser = Browser()
    try:
        walk(browser, running.setting.ports.origin("library"), person, demo=running)
    except AssertionError as error:
        walked = _Walked(running, person, browser, mails, before, _borrowers(running))
        return walked.refused(f"unfinished: {error}", ok=False)
    walked = _Walked(running, person, browser, mails, before, _borrowers(running))
    step, reason = browser.mark()
    if step == "done":
        affiliation = _first(browser, "//@data-affiliation")
        return walked.landed(affiliation, walked.number)
    if _first(browser, "//strong[@id='status']/text()") != "Success":
        expected = (step, reason) == ("refuse", person.expect)
        return walked.refused(reason or f"unfinished: {step}", ok=expected)
    affiliation = _issued_affiliation(_events(running)[logged:])
    return walked.landed(affiliation, _first(browser, "//td[@id='borrower']/text()"))


def _with_look_ups(
    running: Running, register: SimulatedDatafordeler, people: Sequence[Persona]
) -> Sequence[PersonaReport]:
    """Walk the people of a demo with a register, and wait for what it says of them.

    Whoever must come after another comes after the other's look-up too.
    """
    reports: list[PersonaReport] = []
    asked: dict[str, str] = {}
    for person in people:
        if person.after:
            register_check.wait_for_look_ups(running, register, asked.values())
        report = _report(running, person)
        reports.append(report)
        if report.account and person.service == "my-loans" and person.cpr in register.rows:
            asked[person.name] = person.cpr or ""
    register_check.wait_for_look_ups(running, register, asked.values())
    borrowers = _borrowers(running)
    for place, report in enumerate(reports):
        if report.account and report.persona in asked:
            row = register.rows[asked[report.persona]]
            borrower = borrowers[report.account["number"]]
            found = register_check.find_address(row, borrower)
            ok = report.ok and found == register_check.expected_address(report.persona)
            reports[place] = replace(report, register=found, ok=ok)
    return tuple(reports)


def _issued_affiliation(events: list[dict[str, str]]) -> str | None:
    for event in events:
        if event.get("event") == "issued":
            return event.get("affiliation")
    return None


def _first(browser: Browser, path: str) -> str | None:
    return next(iter(texts(browser, path)), None)


def _borrowers(running: Running) -> Accounts:
    return {row.number: row for row in running.library.desk.accounts()}


def _events(running: Running) -> list[dict[str, str]]:
    """Return the events that the broker has logged so far."""
    lines = (running.setting.folder / "broker.log").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
