"""The one record of a person: all that outlasts a login of theirs."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.borrowers.register_look_up import RegisterLookUp

_SEEN_EVERY: Final = timedelta(days=1)


MOST_WRONG_PINS: Final = 10
_MOST_BROWSERS: Final = 16


@dataclass(frozen=True, slots=True, repr=False)
class RememberedBrowser:
    """A browser in which number and PIN are enough, with the keyed hash of its cookie's secret."""

    borrower_number: str
    secret_hash: str
    expires_at: datetime
    wrong_pins: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class PersonRecord:
    """What is kept of one person, under their person id.

    ``borrower_number`` is the library system's own number of their borrower, and
    ``borrower_confirmed_at`` the time when the library system last confirmed it.
    ``register_note`` says to staff why the register of persons gave no address.
    """

    last_seen: datetime
    borrower_number: str | None = None
    borrower_confirmed_at: datetime | None = None
    # keyed hash of the name and birth date that agreed with the borrower
    borrower_facts_hash: str | None = None
    # keyed hash of the request that found the borrower as wanted
    borrower_wanted_hash: str | None = None
    borrower_category: str | None = None
    borrower_expires: date | None = None
    # keyed hash of a first match about which the person has been asked and has not answered
    match_hash: str | None = None
    enrolment: Enrolment | None = None
    browsers: tuple[RememberedBrowser, ...] = ()
    register_look_up: RegisterLookUp | None = None
    register_asked_at: datetime | None = None
    register_note: str | None = None

    @property
    def due(self) -> datetime | None:
        """Return when the background worker has to look at this person; None for never."""
        times = [self.enrolment_due, self.look_up_due]
        return min((time for time in times if time), default=None)

    @property
    def enrolment_due(self) -> datetime | None:
        """Return when the enrolment is tried next; None where none is pending."""
        if self.enrolment and self.enrolment.state is EnrolmentState.PENDING:
            return self.enrolment.next_attempt
        return None

    @property
    def look_up_due(self) -> datetime | None:
        """Return when the register of persons is asked next; None for never."""
        return self.register_look_up.due_at if self.register_look_up else None

    @property
    def has_open_case(self) -> bool:
        """Return whether staff must decide something about this person."""
        return self.enrolment is not None and self.enrolment.state is EnrolmentState.CASE

    @property
    def is_for_staff(self) -> bool:
        """Return whether the person has an open case, or an enrolment that fails."""
        return self.has_open_case or (self.enrolment is not None and self.enrolment.has_failed)

    def mark_seen(self, now: datetime) -> "PersonRecord":
        """Return the record of a person who has just logged in, unchanged within a day."""
        if now - self.last_seen < _SEEN_EVERY:
            return self
        return replace(self, last_seen=now)

    def confirm_borrower(
        self,
        borrower: Borrower,
        now: datetime,
        facts_hash: str | None = None,
        wanted_hash: str | None = None,
    ) -> "PersonRecord":
        """Return the record after the library system has confirmed ``borrower``.

        ``facts_hash`` is of the facts that agreed, ``wanted_hash`` of the request that it meets.
        """
        return replace(
            self,
            borrower_number=borrower.number,
            borrower_confirmed_at=now,
            borrower_facts_hash=facts_hash,
            borrower_wanted_hash=wanted_hash,
            borrower_category=borrower.category,
            borrower_expires=borrower.expires,
            match_hash=None,
        )

    def note_match(self, match_hash: str) -> "PersonRecord":
        """Return the record after a first match whose address the person has not confirmed.

        It names no borrower until then.
        """
        return replace(self.forget_borrower(), match_hash=match_hash)

    def with_enrolment(self, enrolment: Enrolment | None) -> "PersonRecord":
        """Return the record with another enrolment."""
        return replace(self, enrolment=enrolment)

    def forget_borrower(self) -> "PersonRecord":
        """Return the record after the library system no longer had this person's borrower."""
        return replace(
            self,
            borrower_number=None,
            borrower_confirmed_at=None,
            borrower_facts_hash=None,
            borrower_wanted_hash=None,
            borrower_category=None,
            borrower_expires=None,
        )

    def remember_browser(self, browser: RememberedBrowser, now: datetime) -> "PersonRecord":
        """Return the record with one more known browser; the oldest makes room."""
        live = tuple(each for each in self.browsers if now < each.expires_at)
        return replace(self, browsers=(*live, browser)[-_MOST_BROWSERS:])

    def find_browser(self, secret_hash: str, now: datetime) -> RememberedBrowser | None:
        """Return the known browser with this keyed hash, or None."""
        for browser in self.browsers:
            if browser.secret_hash == secret_hash and now < browser.expires_at:
                return browser
        return None

    def count_wrong_pin(self, secret_hash: str) -> "PersonRecord":
        """Return the record after a wrong PIN in a known browser; the tenth ends it."""
        counted = tuple(
            replace(each, wrong_pins=each.wrong_pins + 1)
            if each.secret_hash == secret_hash
            else each
            for each in self.browsers
        )
        kept = tuple(each for each in counted if each.wrong_pins < MOST_WRONG_PINS)
        return replace(self, browsers=kept)

    def clear_wrong_pins(self, secret_hash: str) -> "PersonRecord":
        """Return the record after a right PIN in a known browser."""
        cleared = tuple(
            replace(each, wrong_pins=0) if each.secret_hash == secret_hash else each
            for each in self.browsers
        )
        return replace(self, browsers=cleared)

    def end_browsers(self) -> "PersonRecord":
        """Return the record without known browsers."""
        return replace(self, browsers=())

    def request_look_up(self, look_up: RegisterLookUp) -> "PersonRecord":
        """Return the record with a look-up that is due, unless there is one already."""
        if self.register_look_up:
            return self
        return replace(self, register_look_up=look_up)

    def replace_look_up(self, look_up: RegisterLookUp) -> "PersonRecord":
        """Return the record with ``look_up`` in the place of the one before it."""
        return replace(self, register_look_up=look_up)

    def end_look_up(self, note: str | None, now: datetime) -> "PersonRecord":
        """Return the record after a look-up, without its CPR number."""
        return replace(self, register_look_up=None, register_asked_at=now, register_note=note)

    def __repr__(self) -> str:
        """Show no value: everything here is personal."""
        return "PersonRecord(...)"
