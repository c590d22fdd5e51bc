"""The report as rows of CSV (RFC 4180): each attribute that leaves, each field that is written."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Final

from broker.adapters.translations.catalogue import translate
from broker.adapters.web.report.report_terms import ReleaseTerms
from broker.core.entities import Service
from broker.core.marked_text import mark as _
from broker.core.policy.model import ReleasedAttribute
from broker.core.report.disclosures import ServiceDisclosure, WrittenBorrower
from broker.core.report.missing_answers import LIBRARY_SYSTEM
from broker.core.report.policy_report import PolicyReport

# A spreadsheet takes what begins so for a formula (CWE-1236).
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS: Final[Mapping[str, str]] = {
    "service": _("service"),
    "service_name": _("name of the service"),
    "affiliation": _("affiliation"),
    "people": _("of whom"),
    "attribute": _("information"),
    "attribute_name": _("name of the information"),
    "values": _("values"),
    "why": _("why"),
    "purpose": _("purpose"),
    "legal_basis": _("legal basis"),
    "told": _("asked or informed"),
    "receiver": _("responsible"),
    "contact": _("contact"),
    "use": _("what the receiver does with it"),
    "masked": _("masked"),
    "optional": _("only where ticked"),
    "encrypted": _("encrypted"),
    "name_id": _("NameID of the person"),
    "ways": _("ways to log in"),
    "proofs": _("mailboxes shown"),
    "account": _("library account"),
    "line": _("rule"),
}
_YES: Final = _("yes")
_NO: Final = _("no")
_LIBRARY: Final = _("the library system")

Row = Mapping[str, str]


def as_csv(report: PolicyReport, language: str) -> bytes:
    """Return the rows in one language, with a line of what the columns are called; UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([translate(each, language) for each in _COLUMNS.values()])
    for row in _rows(report, language):
        writer.writerow([_cell(row.get(name, "")) for name in _COLUMNS])
    return text.getvalue().encode("utf-8")


def _cell(value: str) -> str:
    return f"'{value}" if value.startswith(_FORMULAS) else value


def _rows(report: PolicyReport, language: str) -> Iterator[Row]:
    for service in report.services:
        for given in report.leaves.to(service.name):
            shared = {
                **_describe_service(report, service, language),
                **_describe_release(report, given, language),
            }
            for listed in given.attributes:
                yield {**shared, **_describe_attribute(report, listed, language)}
            if not given.attributes:
                yield shared
    for written in report.leaves.borrowers:
        yield from _list_written(report, written, language)


def _describe_service(report: PolicyReport, service: Service, language: str) -> Row:
    controller = service.controller
    return {
        "service": service.name,
        "service_name": service.label[language],
        "receiver": controller.name[language] if controller else "",
        "contact": controller.contact if controller else "",
        "use": _use(report, service.name, language),
        "encrypted": _yes(language, said=service.encrypts),
    }


def _describe_release(report: PolicyReport, given: ServiceDisclosure, language: str) -> Row:
    terms = ReleaseTerms(language)
    ways = (report.upstream_label(name)[language] for name in given.upstreams)
    return {
        "affiliation": given.affiliation,
        "people": given.policy.label[language],
        "purpose": given.release.purpose[language],
        "legal_basis": terms.basis(given),
        "told": terms.describe_notice(given),
        "name_id": terms.name_id(given),
        "ways": ", ".join(ways),
        "proofs": terms.mailboxes(given, report.day),
        "account": terms.account(given),
        "line": str(given.release.place),
    }


def _describe_attribute(report: PolicyReport, listed: ReleasedAttribute, language: str) -> Row:
    return {
        "attribute": listed.name,
        "attribute_name": report.attribute_label(listed.name)[language],
        "values": ", ".join(listed.states or listed.values),
        "why": listed.why[language],
        "masked": _yes(language, said=listed.name == "cpr"),
        "optional": _yes(language, said=listed.optional),
        "line": str(listed.place),
    }


def _list_written(report: PolicyReport, written: WrittenBorrower, language: str) -> Iterator[Row]:
    ways = (report.upstream_label(name)[language] for name in written.upstreams)
    shared = {
        "service_name": translate(_LIBRARY, language),
        "affiliation": written.policy.affiliation,
        "people": written.policy.label[language],
        "use": _use(report, LIBRARY_SYSTEM, language),
        "ways": ", ".join(ways),
        "account": written.rule.category,
        "line": str(written.rule.place),
    }
    yield {**shared, "attribute": "cpr", "attribute_name": report.attribute_label("cpr")[language]}
    for each in written.fields:
        yield {**shared, "attribute": each.name, "line": str(each.place)}


def _use(report: PolicyReport, receiver: str, language: str) -> str:
    said = report.answers.receivers.get(receiver)
    return said[language] if said else ""


def _yes(language: str, *, said: bool) -> str:
    return translate(_YES if said else _NO, language)
