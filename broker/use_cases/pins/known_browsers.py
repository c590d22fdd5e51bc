"""Known browsers, in which number and PIN are enough for a login, without a mailed code."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.core.identity.person_id import compute_person_id_of_borrower
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import PersonRecord, RememberedBrowser
from broker.core.retention import KNOWN_BROWSER
from broker.use_cases.storage.person_records import PersonRecords


@dataclass(frozen=True, slots=True, repr=False)
class BrowserToken:
    """The content of the cookie: the person id whose record knows the browser, and a secret."""

    person_id: str
    secret: str


@dataclass(frozen=True, slots=True, repr=False)
class KnownBrowser:
    """A browser whose cookie the record of a borrower knows."""

    token: BrowserToken
    borrower_number: str


@dataclass(frozen=True, slots=True)
class KnownBrowsers:
    """The known browsers in the person records."""

    persons: PersonRecords
    hmacs: LookupHmacs
    now: Callable[[], datetime]

    def remember(self, borrower_number: str) -> BrowserToken:
        """Make a browser known for 90 days, with a new secret."""
        now = self.now()
        secret = secrets.token_hex(32)
        person_id = compute_person_id_of_borrower(self.hmacs, borrower_number)
        known = RememberedBrowser(
            borrower_number, self._secret_hash(person_id, secret), KNOWN_BROWSER.until(now)
        )
        self.persons.change(person_id, lambda record: record.remember_browser(known, now), now)
        return BrowserToken(person_id, secret)

    def find(self, brought: Sequence[BrowserToken]) -> tuple[KnownBrowser, ...]:
        """Return the known browsers among the cookies of a request."""
        found = []
        now = self.now()
        for token in brought:
            record = self.persons.read(token.person_id, now)
            secret_hash = self._secret_hash(token.person_id, token.secret)
            known = record.value.find_browser(secret_hash, now) if record else None
            if known:
                found.append(KnownBrowser(token, known.borrower_number))
        return tuple(found)

    def note_pin(self, known: KnownBrowser, *, is_right: bool) -> None:
        """Count a wrong PIN, of which the tenth makes the browser unknown; a right one resets."""
        person_id = known.token.person_id
        secret_hash = self._secret_hash(person_id, known.token.secret)
        self.persons.change(
            person_id, lambda record: record.note_pin(secret_hash, is_right=is_right), self.now()
        )

    def end_all(self, borrower_number: str) -> None:
        """Make every browser of a borrower unknown, because the PIN has changed."""
        now = self.now()
        person_id = compute_person_id_of_borrower(self.hmacs, borrower_number)
        if self.persons.read(person_id, now) is not None:
            self.persons.change(person_id, PersonRecord.end_browsers, now)

    def _secret_hash(self, person_id: str, secret: str) -> str:
        return self.hmacs.compute("known browser", person_id, secret)
