"""Walks every persona through the running demo over HTTP, and reports the outcomes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from broker.demo.check import register_check
from broker.demo.check.http_browser import Browser
from broker.demo.check.lending_machine_check import check_pin_at_machine
from broker.demo.check.persona_walk import texts, walk
from broker.demo.circulation.library_desk import Account
from broker.demo.people.persona import Persona
from broker.demo.people.register_people import people_with
from broker.demo.register.simulated_datafordeler import SimulatedDatafordeler
from broker.demo.run.running_demo import Running

__all__ = ["PersonaReport", "as_json", "check", "texts", "walk"]

Accounts = Mapping[str, Account]


@dataclass(frozen=True, slots=True)
class PersonaReport:
    """The outcome of a persona, as ``demo --check --json`` prints it."""

    persona: str
    affiliation: str | None
    decision: str
    released: tuple[str, ...]
    borrower: str
    account: Mapping[str, str] | None = None  # number and category of the persona's borrower
    # The verdict of the lending machine on number and PIN; "" without a PIN.
    machine: str = ""
    register: str | None = None  # was the register's address written? See register_check
    ok: bool = field(default=False, kw_only=True)


def check(running: Running, people: Sequence[Persona] | None = None) -> Sequence[PersonaReport]:
    """Walk ``people``, or all personas of the demo, each in a new browser."""
    everybody = people_with(register=running.setting.has_register) if people is None else people
    if running.register is None:
        return tuple(_report(running, person) for person in everybody)
    return _check_with_register(running, running.register, everybody)


def as_json(reports: Sequence[PersonaReport]) -> dict[str, object]:
    """Return the documented JSON form of the reports (docs/reference/design.md#4)."""
    logins = []
    for report in reports:
        login = asdict(report)
        del login["ok"]
        if report.register is None:
            del login["register"]
        logins.append(login)
    return {"logins": logins}


@dataclass(frozen=True, slots=True)
class _FinishedWalk:
    """The end of a walk: the last page, and the borrowers before and after it."""

    running: Running
    person: Persona
    browser: Browser
    mails_before: int
    before: Accounts
    after: Accounts

    @property
    def change(self) -> str:
        """Return how the walk changed the borrowers, in one word."""
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
        """Return the number of the borrower who has the persona's CPR number in any field."""
        cpr = self.person.cpr
        for number, row in self.after.items():
            if cpr and cpr in {value.replace("-", "") for value in row.numbers}:
                return number
        return None

    def report_refusal(self, why: str, *, ok: bool) -> PersonaReport:
        """Report a persona who did not reach the service."""
        return PersonaReport(self.person.name, None, why, (), self.change, ok=ok)

    def report_landing(self, affiliation: str | None, number: str | None) -> PersonaReport:
        """Report a persona who reached the service or the last sign-up page."""
        row = self.after.get(number or "")
        account = None
        right = self.person.expect == ""
        if row:
            account = {"number": row.number, "category": row.category}
            right = row.category == self.person.expect and self._is_kept(row)
        released = texts(self.browser, "//table[@id='assertion']//td[1]/text()")
        machine = self._check_machine(is_known=bool(row))
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

    def _check_machine(self, *, is_known: bool) -> str:
        if not is_known:
            return ""
        return check_pin_at_machine(
            self.running.machine,
            self.running.mailbox,
            self.person,
            is_new=self.change == "created",
            mails_before=self.mails_before,
        )

    def _is_kept(self, row: Account) -> bool:
        """Return whether a borrower registered by staff kept its number and mail address."""
        if not self.person.registered:
            return True
        mail = self.person.registered[0].get("email", row.email)
        return row.number in self.before and row.email == mail


def _report(running: Running, person: Persona) -> PersonaReport:
    before = _borrowers(running)
    mails = len(running.mailbox.mails())
    logged = len(_events(running))
    browser, fault = Browser(), ""
    try:
        walk(browser, running.setting.ports.origin("library"), person, demo=running)
    except AssertionError as error:
        fault = f"unfinished: {error}"
    walked = _FinishedWalk(running, person, browser, mails, before, _borrowers(running))
    if fault:
        return walked.report_refusal(fault, ok=False)
    step, reason = browser.mark()
    if step == "done":
        affiliation = _first(browser, "//@data-affiliation")
        return walked.report_landing(affiliation, walked.number)
    if _first(browser, "//strong[@id='status']/text()") != "Success":
        expected = (step, reason) == ("refuse", person.expect)
        return walked.report_refusal(reason or f"unfinished: {step}", ok=expected)
    affiliation = _find_issued_affiliation(_events(running)[logged:])
    return walked.report_landing(affiliation, _first(browser, "//td[@id='borrower']/text()"))


def _check_with_register(
    running: Running, register: SimulatedDatafordeler, people: Sequence[Persona]
) -> Sequence[PersonaReport]:
    """Walk the people of a demo with a register, and check the addresses that it supplied.

    A persona with ``logs_in_after`` starts when the earlier personas have been looked up.
    """
    reports: list[PersonaReport] = []
    looked_up: dict[str, str] = {}
    for person in people:
        if person.logs_in_after:
            register_check.wait_for_look_ups(running, register, looked_up.values())
        report = _report(running, person)
        reports.append(report)
        if report.account and person.service == "my-loans" and person.cpr in register.rows:
            looked_up[person.name] = person.cpr or ""
    register_check.wait_for_look_ups(running, register, looked_up.values())
    borrowers = _borrowers(running)
    for place, report in enumerate(reports):
        if report.account and report.persona in looked_up:
            row = register.rows[looked_up[report.persona]]
            borrower = borrowers[report.account["number"]]
            found = register_check.find_address(row, borrower)
            ok = report.ok and found == register_check.find_expected_address(report.persona)
            reports[place] = replace(report, register=found, ok=ok)
    return tuple(reports)


def _find_issued_affiliation(events: list[dict[str, str]]) -> str | None:
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
