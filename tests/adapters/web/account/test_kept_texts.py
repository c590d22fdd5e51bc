"""Every kind of record that is found of a person has words that people read."""

from broker.adapters.web.account.kept_texts import KEPT_TEXTS
from broker.app import person_operations, person_report
from broker.app.assembly import Parts
from broker.app.person_operations import NamedPerson
from tests.plugins.lived import ASTA


def test_every_kind_that_is_found_has_words(lived_parts: Parts) -> None:
    """A kind that is added is not left out of the page that shows everything."""
    desk = person_operations.desk(lived_parts)
    report = person_report.report(desk, desk.found(NamedPerson(ASTA.cpr)))
    assert {each["kind"] for each in report["kept"]} == set(KEPT_TEXTS)
