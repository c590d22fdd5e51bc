"""The sentences for staff: one for every reason, the same on pages, in the shell and in the document."""

import pytest

from broker.adapters.web.pages.reason_texts import REASONS as PAGE_TEXTS
from broker.core.borrowers.register_look_up import ADDRESS_REFUSED
from broker.core.borrowers.registered_person import DEAD, NOT_ACTIVE, NUMBER_CHANGED
from broker.core.staff.staff_sentences import ADVICE_BY_REASON, CASES, REGISTER_NOTES
from tests.plugins.staff_table import read_table, table


def sends_to_library(reason: str) -> bool:
    """Return whether a page says in words that the person contacts the library."""
    advice = " ".join(str(line) for line in PAGE_TEXTS[reason].advice)
    return any(word in advice for word in ("Contact the library", "sk the library", "come to the library"))


@pytest.mark.parametrize("reason", sorted(reason for reason in PAGE_TEXTS if sends_to_library(reason)))
def test_a_page_that_sends_a_person_to_the_library_tells_staff_what_to_do(reason: str) -> None:
    """Its help code leads staff to a case, or to this sentence."""
    assert ADVICE_BY_REASON.get(reason), (
        f"a page of reason {reason} says to contact the library, and staff are told nothing"
    )


def test_every_sentence_belongs_to_a_reason_of_a_page() -> None:
    """No sentence remains for a reason that was removed."""
    assert set(ADVICE_BY_REASON) - set(PAGE_TEXTS) - set(CASES) <= LISTED_ONLY


def test_every_note_of_the_register_has_a_sentence() -> None:
    """Staff read why the register gave no address."""
    assert set(REGISTER_NOTES) == {DEAD, NUMBER_CHANGED, NOT_ACTIVE, ADDRESS_REFUSED}


def test_the_document_has_the_same_sentences() -> None:
    """Write it by ``python -m tests.plugins.staff_table``."""
    assert read_table() == table()


# Of enrolments and their cases, which no page of a login shows under this code.
LISTED_ONLY = {"library_setup"}
