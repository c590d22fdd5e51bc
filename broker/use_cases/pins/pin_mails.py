"""PIN mails: a link behind which a borrower chooses a PIN."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.errors import LibraryUnavailable, PinNoAddress
from broker.core.mail.mail_contents import ConnectedAccountMail, PinLinkMail, WelcomeMail
from broker.core.ports import LibrarySystem, Write
from broker.use_cases.pins.mailed_codes import LINK_LASTS, WELCOME_LINK_LASTS, MailedCodes
from broker.use_cases.storage.mail_outbox import MailOutbox

_CALL: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class PinMails:
    """Queues PIN mails and notices to borrowers."""

    library: LibrarySystem
    codes: MailedCodes
    outbox: MailOutbox
    pin_categories: Callable[[], frozenset[str]]
    now: Callable[[], datetime]
    live: bool = True

    def request(self, typed: str, language: str, asked_at: str) -> None:
        """Mail a link to the borrower whose number was typed, unless three links are valid.

        No mail is sent if the number belongs to nobody or to several borrowers, or if the library
        system has no address. The page before it says the same in every case.
        """
        if not self.live:
            return
        found = self.library.find_typed(typed, self.now() + _CALL)
        if len(found) == 1:
            self._mail(found[0], language, asked_at, always=False)

    def request_by_staff(self, borrower_number: str, language: str, asked_at: str) -> None:
        """Mail a link, whatever was mailed before.

        Raises LibraryUnavailable, and PinNoAddress if the borrower has no mail address or gets no
        PIN here.
        """
        if not self.live:
            raise LibraryUnavailable("library.mode is not live: no PIN is set")
        borrower = self.library.read(borrower_number, self.now() + _CALL)
        if borrower is None or not self._mail(borrower, language, asked_at, always=True):
            raise PinNoAddress("no borrower, no mail address, or no PIN for the category")

    def draft_welcome_mail(
        self, borrower_number: str, address: str, language: str
    ) -> tuple[Write, ...]:
        """Return the writes that queue the welcome mail of a new borrower with its link.

        Pass them to ``Store.put_many`` with the write that ends the enrolment, then call
        ``outbox.wake_worker``.
        """
        token, link = self.codes.draft_link(borrower_number, WELCOME_LINK_LASTS)
        content = WelcomeMail(self._url(token, language))
        mail = self.outbox.draft_mail(address, content, language, about=borrower_number)
        return link, mail

    def draft_match_notice(
        self, borrower_number: str, address: str, language: str
    ) -> tuple[Write, ...]:
        """Return the writes that queue the notice of a first match."""
        notice = ConnectedAccountMail()
        return (self.outbox.draft_mail(address, notice, language, about=borrower_number),)

    def _mail(self, borrower: Borrower, language: str, asked_at: str, *, always: bool) -> bool:
        if borrower.email is None or borrower.category not in self.pin_categories():
            return False
        token = self.codes.make_link(borrower.number, lasts=LINK_LASTS, always=always)
        if token is None:
            return False
        content = PinLinkMail(link=self._url(token, language), asked_at=asked_at)
        self.outbox.queue_mail(
            borrower.email, content, language, about=borrower.number, lasts=LINK_LASTS
        )
        return True

    def _url(self, token: str, language: str) -> str:
        return f"{self.outbox.texts.pin_url}?link={token}&lang={language}"
