"""Login with the library account: number and PIN, and a mailed code in an unknown browser."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from broker.core.borrowers.borrower import Borrower
from broker.core.errors import CodeRefused, LibraryError, TooMany
from broker.core.mail.mail_contents import LoginCodeMail
from broker.core.mail.mailed_codes import CODE_LASTS, CodeOwner, spell_code
from broker.core.ports import LibrarySystem
from broker.use_cases.library_system.guarded_library import WaitingSlot
from broker.use_cases.pins.known_browsers import BrowserToken, KnownBrowsers
from broker.use_cases.pins.mailed_codes import MailedCodes
from broker.use_cases.storage.mail_outbox import MailOutbox

MailCode = Literal["unknown_browsers", "always", "never"]

_CALL_TIMEOUT: Final = timedelta(seconds=8)
_PIN: Final = re.compile(r"[\x20-\x7e]{1,64}")  # staff may set PINs that are longer than ours


@dataclass(frozen=True, slots=True, repr=False)
class LoginAttempt:
    """A number and PIN as typed in a browser, with the time and place for the mail.

    ``code`` is the code that ``make_decoy`` returned. Only if number and PIN are right, it becomes
    valid and is mailed.
    """

    typed: str
    pin: str
    browser: str
    code: str
    language: str
    asked_at: str
    asked_from: str


@dataclass(frozen=True, slots=True)
class LibraryLogins:
    """Checks number and PIN with the library system."""

    library: LibrarySystem
    codes: MailedCodes
    browsers: KnownBrowsers
    outbox: MailOutbox
    now: Callable[[], datetime]
    mail_code: MailCode = "unknown_browsers"
    waiting_slot: WaitingSlot = nullcontext

    def find_known(self, brought: Sequence[BrowserToken]) -> Mapping[str, BrowserToken]:
        """Return the known tokens by borrower number.

        Return none with ``mail_code`` "always" or "never": then the browser makes no difference.
        """
        return self.browsers.find(brought) if self.mail_code == "unknown_browsers" else {}

    def log_in_at_once(
        self, known: Mapping[str, BrowserToken], typed: str, pin: str
    ) -> Borrower | str | None:
        """Check a PIN in a known browser, or in any browser if no code is mailed at all ("never").

        Return the borrower, or a reason code, or None if a code must be mailed first. Raises
        LibraryUnavailable.
        """
        with self.waiting_slot():
            borrower = self._find(typed)
            token = known.get(borrower.number) if borrower else None
            if token is None and self.mail_code != "never":
                return None
            is_right = self._is_right(borrower, pin)
        if token:
            self.browsers.note_pin(token, is_right=is_right)
        return borrower if borrower and is_right else "pin_wrong"

    def make_decoy(self, browser: str) -> str:
        """Store a decoy, a code that is never mailed, before the page is answered.

        Return its digits. With it, a wrong code gets the same answer before and after the
        background check ends.
        """
        return self.codes.make_code(CodeOwner("library_account", browser))

    def check_and_mail(self, attempt: LoginAttempt) -> None:
        """Check number and PIN after the page was answered, and mail a code if they are right.

        Otherwise the decoy stays, and typed codes use up its tries like those of a mailed code.
        """
        with suppress(LibraryError, TooMany):
            borrower = self._find(attempt.typed)
            is_right = self._is_right(borrower, attempt.pin)
            if borrower and borrower.email and is_right:
                self._mail_code(borrower, borrower.email, attempt)

    def try_code(self, typed_code: str, browser: str) -> Borrower:
        """Return the borrower of a typed code; raises CodeRefused or LibraryUnavailable."""
        number = self.codes.try_code(CodeOwner("library_account", browser), typed_code)
        borrower = self.library.read(number, self.now() + _CALL_TIMEOUT)
        if borrower is None:
            raise CodeRefused("code_wrong")
        return borrower

    def _mail_code(self, borrower: Borrower, address: str, attempt: LoginAttempt) -> None:
        self.codes.count_mail(borrower_number=borrower.number, address=address)
        owner = CodeOwner("library_account", attempt.browser)
        self.codes.set_subject(owner, attempt.code, borrower.number)
        content = LoginCodeMail(spell_code(attempt.code), attempt.asked_at, attempt.asked_from)
        draft = self.outbox.draft_mail(
            address, content, attempt.language, about=borrower.number, lasts=CODE_LASTS
        )
        self.outbox.queue_mail(draft)

    def _find(self, typed: str) -> Borrower | None:
        found = self.library.find_typed(typed, self.now() + _CALL_TIMEOUT)
        return found[0] if len(found) == 1 else None

    def _is_right(self, borrower: Borrower | None, pin: str) -> bool:
        if borrower is None or not _PIN.fullmatch(pin):
            return False
        return self.library.check_pin(borrower, pin, self.now() + _CALL_TIMEOUT)
