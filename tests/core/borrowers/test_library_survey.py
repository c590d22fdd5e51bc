"""The counts of a survey among the borrowers of an existing library."""

from datetime import date

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.library_survey import LibrarySurvey

NAMES = {"surname": "Jensen", "firstname": "Anne"}
SOUND = Borrower(
    "1", "STUDENT", cpr="0101800000", born=date(1980, 1, 1), email="a@post.example", fields=NAMES, card="C-1"
)


def counts(*borrowers: Borrower) -> dict[str, object]:
    """Give the counts that are not nought."""
    survey = LibrarySurvey(frozenset({"STUDENT"}))
    survey.add_all(iter(borrowers))
    return {name: count for name, count in survey.as_mapping().items() if count}


def test_a_sound_borrower_counts_as_nothing_else() -> None:
    """It gets in at its first login."""
    assert counts(SOUND) == {"borrowers": 1}


def test_every_kind_is_counted() -> None:
    """One borrower may be of several kinds."""
    bare = Borrower("2", "OLD")
    assert counts(bare) == {"borrowers": 1, "without_cpr": 1, "without_email": 1, "unnamed_categories": {"OLD": 1}}
    contradicting = Borrower(
        "3", "STUDENT", cpr="0101800000", born=date(1990, 1, 1), email="a@b", card="C", fields=NAMES
    )
    assert counts(contradicting) == {"borrowers": 1, "contradicting_birth_date": 1}


def test_every_further_borrower_of_a_number_is_doubled() -> None:
    """Neighbouring numbers of the same day, and the same serial of the next day, are others."""
    others = [Borrower(cpr, "STUDENT", cpr=cpr) for cpr in ("0101800001", "0201800000", "0102800000", "0101810000")]
    assert counts(SOUND, SOUND, SOUND, *others)["doubled_cpr"] == 2
