"""The rows of the report: what the pages say, as a spreadsheet reads it, and no formula."""

import csv
import io
import re
from dataclasses import replace
from datetime import date

from broker.adapters.web.report.report_csv import as_csv
from broker.adapters.web.report.report_pages import files
from broker.core.entities import Text
from broker.core.policy.model import MailDomain
from broker.core.report.policy_report import PolicyReport
from tests.plugins.sample_report import SERVICES, build_sample_report


def rows(report: PolicyReport, language: str = "en") -> list[dict[str, str]]:
    """Read the rows as a program does."""
    return list(csv.DictReader(io.StringIO(as_csv(report, language).decode("utf-8"), newline="")))


def test_each_attribute_is_a_row() -> None:
    """Those that leave, and the fields of the library system below them."""
    found = {(row["service"], row["affiliation"], row["information"]) for row in rows(build_sample_report())}
    given = build_sample_report().leaves.given
    leaving = {(each.service, each.affiliation, listed.name) for each in given for listed in each.attributes}
    assert leaving <= found
    assert {service for service, _, _ in found - leaving} == {""}
    assert ("", "student", "surname") in found


def test_a_row_says_on_which_terms() -> None:
    """Why, basis, whether asked, receiver, how long, where, masked, encrypted, rule."""
    row = next(
        each
        for each in rows(build_sample_report(), "da")
        if each["oplysning"] == "cpr" and each["tjeneste"] == "my-loans"
    )
    assert row["ansvarlig"] == "Biblioteket"
    assert row["hvad modtageren gør med det"] == "et år"
    assert (row["skjult"], row["krypteret"]) == ("ja", "ja")
    assert "Samtykke" in row["retsgrundlag"]
    assert row["spurgt eller orienteret"].startswith("Brugeren bliver spurgt")
    assert re.fullmatch(r"hospital\.yaml:\d+", row["regel"])


def test_mailboxes_are_told_with_their_domains() -> None:
    """A domain that ends has its last day, until that day has passed; a mailbox without a rule has only its name."""
    report = build_sample_report()
    given = next(each for each in report.leaves.given if each.proofs)
    (rule,) = given.policy.proofs
    domains = (rule.domains[0], MailDomain("ps.rm.dk", date(2027, 12, 31)))
    policy = replace(given.policy, proofs=(replace(rule, domains=domains),))
    given = replace(given, policy=policy, proofs={rule.name, "mail"})
    ending = replace(report, leaves=replace(report.leaves, given=(given,)))
    for day, language, said in (
        (date(2027, 12, 31), "en", "kaldemail: auh.rm.dk, ps.rm.dk (up to and including 2027-12-31); mail"),
        (date(2027, 12, 31), "da", "kaldemail: auh.rm.dk, ps.rm.dk (til og med 2027-12-31); mail"),
        (date(2028, 1, 1), "da", "kaldemail: auh.rm.dk; mail"),
    ):
        on_day = replace(ending, day=day)
        column = {"en": "mailboxes shown", "da": "viste postkasser"}[language]
        assert {row[column] for row in rows(on_day, language) if row[next(iter(row))]} == {said}
        assert said in dict(files(on_day, (language,)))[f"report-{language}.html"]


def test_lines_end_as_the_standard_says() -> None:
    """CR LF after each, commas and quotes within quotes (RFC 4180)."""
    octets = as_csv(build_sample_report(), "da")
    assert octets.count(b"\r\n") == octets.count(b"\n")
    assert len({len(row) for row in csv.reader(io.StringIO(octets.decode(), newline=""))}) == 1


def test_no_cell_is_a_formula() -> None:
    """An apostrophe stands before a cell that would be a formula (CWE-1236)."""
    for first in ("=", "+", "-", "@", "\t", "\r"):
        label = Text(f'{first}HYPERLINK("x")', "x")
        services = (replace(SERVICES[0], label=label), *SERVICES[1:])
        named = [row["name of the service"] for row in rows(replace(build_sample_report(), services=services))]
        assert named[0] == f'\'{first}HYPERLINK("x")'
