"""The invented person of the suite, and what no error may hold of it."""

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
QUOTED: Final = " ".join(PERSONAL)  # what a refusing system is made to say


def soon(seconds: float = 20) -> datetime:
    """Return a deadline, by default one that no test comes near."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def make_request(cpr: str | None = CPR, category: str = "STUDENT") -> WantedBorrower:
    """Return the request for the person."""
    fields = (
        WantedField("surname", "Prøvesen", "always"),
        WantedField("firstname", "Åse", "always"),
        WantedField("email", "aase@post.example", "create"),
    )
    return WantedBorrower(cpr, "student", category, (), UNTIL, fields, pin_to=None)


def make_request_with_birth_date(birth_date: date) -> WantedBorrower:
    """Return the request for the person with a birth date in it."""
    plain = make_request()
    born = WantedField("date_of_birth", birth_date.isoformat(), "create")
    return replace(plain, fields=(*plain.fields, born))


def make_borrower(stage: Stage, cpr: str | None = CPR) -> Borrower:
    """Make the borrower and give it."""
    borrower = stage.library.create(make_request(cpr), MARK, soon())
    assert borrower is not None
    return borrower


def numbers(stage: Stage, text: str) -> set[str]:
    """Return the numbers of the borrowers that a typed text may mean."""
    return {each.number for each in stage.library.find_typed(text, soon())}
