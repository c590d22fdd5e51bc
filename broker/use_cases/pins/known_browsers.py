"""Known browsers, in which number and PIN are enough for a login, without a mailed code."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.identity.person_id import compute_person_id_of_borrower
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import RememberedBrowser
from broker.core.retention import KNOWN_BROWSER
from broker.use_cases.storage.person_records import PersonRecords


@dataclass(frozen=True, slots=True, repr=False)
class BrowserToken:
    """The content of the cookie: the person id whose record knows the browser, and a secret."""

    person_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class KnownBrowsers:
    """The known browsers in the person records."""

    persons: PersonRecords
    hmacs: LookupHmacs
    now: Callable[[], datetime]

    def remember(self, borrower_number: str) -> BrowserToken:
        """Make a browser known for 90 days, with a new secret."""
        now = self.now()
        person_id = compute_person_id_of_borrower(self.hmacs, borrower_number)
        token = BrowserToken(person_id, secrets.token_hex(32))
        known = RememberedBrowser(
            borrower_number, self._secret_hash(token), KNOWN_BROWSER.until(now)
        )
        self.persons.change(person_id, lambda record: record.remember_browser(known, now), now)
        return token

    def find(self, brought: Sequence[BrowserToken]) -> Mapping[str, BrowserToken]:
        """Return the tokens that a person record knows, by the borrower number."""
        found = {}
        now = self.now()
        for token in brought:
            record = self.persons.read(token.person_id, now)
            known = record.value.find_browser(self._secret_hash(token), now) if record else None
            if known:
                found[known.borrower_number] = token
        return found

    def note_pin(self, token: BrowserToken, *, is_right: bool) -> None:
        """Count a wrong PIN, of which the tenth makes the browser unknown; a right one resets."""
        secret_hash = self._secret_hash(token)
        self.persons.change(
            token.person_id,
            lambda record: record.note_pin(secret_hash, is_right=is_right),
            self.now(),
        )

    def end_all(self, borrower_number: str) -> None:
        """Make every browser of a borrower unknown, because the PIN has changed."""
        person_id = compute_person_id_of_borrower(self.hmacs, borrower_number)
        self.persons.change(person_id, lambda record: replace(record, browsers=()), self.now())

    def _secret_hash(self, token: BrowserToken) -> str:
        return self.hmacs.compute("known browser", token.person_id, token.secret)
