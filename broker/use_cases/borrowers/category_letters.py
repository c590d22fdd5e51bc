"""The letters that tell borrowers of another category, one for each change, or of an end near."""

from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.enrolment import Enrolment, EnrolmentOutcome
from broker.core.errors import LibraryRefused, LibraryUnavailable, MailUnavailable
from broker.core.letters import (
    CategoryLetter,
    CategoryLetterContent,
    ExpiryLetter,
    LoweredCategoryLetter,
)
from broker.core.ports import Key
from broker.core.retention.table import CATEGORY_LETTER
from broker.use_cases.backoff import retry_delay
from broker.use_cases.borrowers.enrolment_ports import EnrolmentPorts
from broker.use_cases.records import Record, Records

_CHANGE: Final = timedelta(seconds=15)  # the call that the letter tells of
_CALLS: Final = timedelta(seconds=45)  # a look, and from RCPT to DATA
_GIVE_UP_AFTER: Final = timedelta(days=2)
_LETTERS: Final[dict[EnrolmentOutcome, CategoryLetterContent]] = {
    EnrolmentOutcome.UPGRADED: CategoryLetter(),
    EnrolmentOutcome.LOWERED: LoweredCategoryLetter(),
}


@dataclass(frozen=True, slots=True)
class OwedCategoryLetter:
    """A letter to be written to the borrower ``number`` once it is of ``category``.

    With ``expires`` it is about that end, and is written while the borrower still ends then.
    ``owner`` is the pseudonym of the person that it is for: a number may be another's by then.
    """

    number: str
    category: str
    outcome: EnrolmentOutcome
    language: str
    since: datetime
    attempts: int = 0
    expires: date | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class CategoryLetters:
    """The letters over the ports of the enrolments; without a mail server there are none."""

    ports: EnrolmentPorts

    def owe(
        self, enrolment: Enrolment, change: Change, outcome: EnrolmentOutcome, language: str
    ) -> None:
        """Queue the letter about a change that ``enrolment`` is about to make.

        Nothing for an outcome that leaves the category as it was, nor while one of it waits: a
        change that fails today is made by another attempt, and is the same change.
        """
        if change.category is None or outcome not in _LETTERS or self.ports.mail is None:
            return
        now = self.ports.now()
        name = self.ports.hmacs.of("category letter", enrolment.id, change.number, change.category)
        owed = OwedCategoryLetter(
            change.number, change.category, outcome, language, now, owner=enrolment.person
        )
        due = now + _CHANGE
        self._owed.add(Key("letter", name), owed, CATEGORY_LETTER.until(now), now, due=due)

    def owe_before_expiry(self, enrolment: Enrolment, expires: date) -> None:
        """Queue the letter that a borrower ends soon whose PIN was never used here.

        Nothing without a mail server, nor twice for one end.
        """
        granted = enrolment.granted
        if granted is None or enrolment.number is None or self.ports.mail is None:
            return
        now = self.ports.now()
        name = self.ports.hmacs.of("expiry letter", enrolment.id, expires.isoformat())
        owed = OwedCategoryLetter(
            enrolment.number,
            granted.category,
            EnrolmentOutcome.UNCHANGED,
            granted.language,
            now,
            expires=expires,
            owner=enrolment.person,
        )
        self._owed.add(Key("letter", name), owed, CATEGORY_LETTER.until(now), now, due=now)

    def step(self) -> bool:
        """Write the letter that has been due longest; False where none is due."""
        now = self.ports.now()
        claimed = self._owed.claim("letter", now + _CALLS, now)
        if claimed is None:
            return False
        record = claimed.record
        try:
            with suppress(LibraryRefused):
                self._write(record.value)
            self.ports.records.store.drop(record.key)
        except (LibraryUnavailable, MailUnavailable):
            self._later(record)
        claimed.lease.end(self.ports.now())
        return True

    def _write(self, owed: OwedCategoryLetter) -> None:
        mail = self.ports.mail
        ends = self.ports.now() + _CALLS
        borrower = self.ports.library.read(owed.number, ends)
        if mail is None or borrower is None or borrower.email is None:
            return
        if self.ports.links.is_barred(borrower.cpr, borrower.number):
            return
        if not self._is_theirs(owed, borrower):
            return
        content = _content(owed, borrower)
        if content is None:
            return
        with closing(mail.address(borrower.email, ends)) as letter:
            letter.send(*self.ports.letters.worded(content, owed.language))

    def _is_theirs(self, owed: OwedCategoryLetter, borrower: Borrower) -> bool:
        """Return whether the borrower is still the person's whom the letter is for."""
        if owed.owner is None:
            return True
        if borrower.cpr is None:
            return owed.expires is None
        return self.ports.links.of_cpr(borrower.cpr) == owed.owner

    def _later(self, record: Record[OwedCategoryLetter]) -> None:
        owed = record.value
        now = self.ports.now()
        if now - owed.since >= _GIVE_UP_AFTER:
            self.ports.records.store.drop(record.key)
            return
        later = replace(owed, attempts=owed.attempts + 1)
        self._owed.replace(record, later, now, due=now + retry_delay(owed.attempts))

    @property
    def _owed(self) -> Records[OwedCategoryLetter]:
        return Records(self.ports.records.store, OwedCategoryLetter)


def _content(owed: OwedCategoryLetter, borrower: Borrower) -> CategoryLetterContent | None:
    """Return what the letter says; None where it would not be true any more."""
    if owed.expires is not None:
        return ExpiryLetter(owed.expires) if borrower.expires == owed.expires else None
    if borrower.category != owed.category:
        raise LibraryUnavailable("the change that the letter tells of is not made yet")
    return _LETTERS[owed.outcome]
