"""The invented person of the suite, and the personal values that no error may contain."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField
from tests.conformance.library_suite.stage import Stage

CPR: Final = "0101800000"
SPELLINGS: Final = (CPR, "010180-0000", "010180 0000")
OTHER_CPR: Final = "0202810000"
MARK, OTHER_MARK = "a" * 32, "b" * 32
PIN, NEXT_PIN = "4071", "5182"
UNTIL: Final = date(2028, 8, 31)
PERSONAL: Final = (*SPELLINGS, "Prøvesen", "Åse", "aase@post.example", PIN, NEXT_PIN)
QUOTED: Final = " ".join(PERSONAL)  # the text of a simulated refusal


def soon(seconds: float = 20) -> datetime:
    """Return a deadline; no test reaches the default."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def make_request(cpr: str | None = CPR, category: str = "STUDENT") -> WantedBorrower:
    """Return the wanted borrower of the person."""
    fields = (
        WantedField("surname", "Prøvesen", "always"),
        WantedField("firstname", "Åse", "always"),
        WantedField("email", "aase@post.example", "create"),
    )
    return WantedBorrower(cpr, category, (), UNTIL, fields, pin_to=None)


def make_request_with_birth_date(birth_date: date) -> WantedBorrower:
    """Return the wanted borrower of the person with a birth date."""
    plain = make_request()
    born = WantedField("date_of_birth", birth_date.isoformat(), "create")
    return replace(plain, fields=(*plain.fields, born))


def make_borrower(stage: Stage, cpr: str | None = CPR) -> Borrower:
    """Create the borrower and return it."""
    borrower = stage.library.create(make_request(cpr), MARK, soon())
    assert borrower is not None
    return borrower


def numbers(stage: Stage, text: str) -> set[str]:
    """Return the numbers of the borrowers that match a typed text."""
    return {each.number for each in stage.library.find_typed(text, soon())}
