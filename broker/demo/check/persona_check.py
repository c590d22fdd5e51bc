"""Walks every persona through the running demo over HTTP, and reports the outcomes."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from broker.demo.check import register_check
from broker.demo.check.http_browser import Browser
from broker.demo.check.lending_machine_check import check_pin_at_machine
from broker.demo.check.persona_walk import texts, walk
from broker.demo.koha.loans import Account
from broker.demo.people.persona import Persona
from broker.demo.people.register_people import NOT_WRITTEN, people_with
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


def check(running: Running, people: Sequence[Persona] | None = None) -> Iterator[PersonaReport]:
    """Walk ``people``, or all personas of the demo, each in a new browser. Yield each outcome.

    With a register of persons, its look-up ends before the next persona begins.
    """
    everybody = people_with(register=running.setting.has_register) if people is None else people
    for person in everybody:
        report = _report(running, person)
        if report.account and person.service == "my-loans":
            yield _check_address(running, person, report, report.account["number"])
        else:
            yield report


def as_json(reports: Iterable[PersonaReport]) -> dict[str, object]:
    """Return the documented JSON form of the reports (docs/reference/design.md#4)."""
    logins = []
    for report in reports:
        login = asdict(report)
        del login["ok"]
        if report.register is None:
            del login["register"]
        logins.append(login)
    return {"logins": logins}


def _check_address(
    running: Running, person: Persona, report: PersonaReport, number: str
) -> PersonaReport:
    """Add to a report whether the borrower has the address of the register, if there is one."""
    register, cpr = running.register, person.cpr or ""
    if register is None or cpr not in register.rows:
        return report
    register_check.wait_for_look_up(running, register, cpr)
    found = register_check.find_address(register.rows[cpr], _borrowers(running)[number])
    expected = "none" if person.name in NOT_WRITTEN else "written"
    return replace(report, register=found, ok=report.ok and found == expected)


def _report(running: Running, person: Persona) -> PersonaReport:
    before = _borrowers(running)
    mails_before, logged = len(running.mailbox.mails()), len(_events(running))
    browser, fault = Browser(), ""
    try:
        walk(browser, running.setting.ports.origin("library"), person, demo=running)
    except AssertionError as error:
        fault = f"unfinished: {error}"
    after = _borrowers(running)
    change = _describe_change(before, after)
    step, reason = browser.mark()
    if step == "done":
        affiliation = _first(browser, "//@data-affiliation")
        number = _find_number(person, after)
    else:
        affiliation = _find_issued_affiliation(_events(running)[logged:])
        number = _first(browser, "//td[@id='borrower']/text()")
        if _first(browser, "//strong[@id='status']/text()") != "Success":
            fault = fault or reason or f"unfinished: {step}"
    if fault:
        expected = (step, fault) == ("refuse", person.expect)
        return PersonaReport(person.name, None, fault, (), change, ok=expected)
    released = texts(browser, "//table[@id='assertion']//td[1]/small/text()")
    report = PersonaReport(person.name, affiliation, "permit", released, change)
    row = after.get(number or "")
    if row is None:
        return replace(report, ok=person.expect == "")
    machine = check_pin_at_machine(
        running.machine,
        running.mailbox,
        person,
        is_new=change == "created",
        mails_before=mails_before,
    )
    right = row.category == person.expect and _is_kept(person, row, before)
    account = {"number": row.number, "category": row.category}
    return replace(report, account=account, machine=machine, ok=right and machine in {"", "valid"})


def _find_issued_affiliation(events: Sequence[Mapping[str, str]]) -> str | None:
    for event in events:
        if event.get("event") == "issued":
            return event.get("affiliation")
    return None


def _describe_change(before: Accounts, after: Accounts) -> str:
    """Return how a walk changed the borrowers, in one word."""
    if set(after) - set(before):
        return "created"
    categories = {
        after[number].category
        for number, row in before.items()
        if row.category != after[number].category
    }
    if not categories:
        return "unchanged"
    return "lowered" if "PRIVATE" in categories else "upgraded"


def _find_number(person: Persona, borrowers: Accounts) -> str | None:
    """Return the number of the borrower who has the persona's CPR number in any field."""
    for number, row in borrowers.items():
        if person.cpr and person.cpr in {value.replace("-", "") for value in row.numbers}:
            return number
    return None


def _is_kept(person: Persona, row: Account, before: Accounts) -> bool:
    """Return whether a borrower registered by staff kept its number and mail address."""
    if not person.registered:
        return True
    mail = person.registered[0].get("email", row.email)
    return row.number in before and row.email == mail


def _first(browser: Browser, path: str) -> str | None:
    return next(iter(texts(browser, path)), None)


def _borrowers(running: Running) -> Accounts:
    return {row.number: row for row in running.patrons.desk.accounts()}


def _events(running: Running) -> list[dict[str, str]]:
    """Return the events that the broker has logged so far."""
    lines = (running.setting.folder / "broker.log").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
