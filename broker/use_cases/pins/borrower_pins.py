"""The PINs of borrowers: chosen here, set once and verified, and neither stored nor mailed.

A PIN mail has a link behind which the borrower chooses a PIN.
"""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.library_setup import LibraryCapability
from broker.core.borrowers.pins import find_pin_fault, list_suggested_pins
from broker.core.errors import (
    CallNotMade,
    LibraryError,
    LibraryRefused,
    LibraryUnavailable,
    LinkGone,
    PinUnderWay,
    StoreUnavailable,
)
from broker.core.mail.mail_contents import (
    ChangedPinMail,
    ConnectedAccountMail,
    PinLinkMail,
    WelcomeMail,
)
from broker.core.ports import Key, LibrarySystem, Write
from broker.use_cases.library_system.guarded_library import LATE, BorrowerLeases, WaitingSlot
from broker.use_cases.pins.known_browsers import KnownBrowsers
from broker.use_cases.pins.mailed_codes import LINK_LASTS, MailedCodes
from broker.use_cases.storage.mail_outbox import MailOutbox

_CALL_TIMEOUT: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class PinChoice:
    """The result of a choice.

    ``set``: the new PIN was verified. ``refused``: the PIN is unchanged, and ``reason`` says why.
    ``unknown``: the new PIN may or may not work, and another one can be chosen at ``again_at``.
    """

    result: Literal["set", "refused", "unknown"]
    reason: str = ""
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BorrowerPins:
    """Sets PINs in the library system, and queues PIN mails and notices to borrowers.

    ``pin_categories`` returns the borrower categories that may get a PIN here. Accounts of staff
    are in none of them. ``waiting_slot`` limits how many requests of this process wait for the
    library system at once.
    """

    library: LibrarySystem
    leases: BorrowerLeases
    codes: MailedCodes
    browsers: KnownBrowsers
    outbox: MailOutbox
    pin_categories: Callable[[], frozenset[str]]
    now: Callable[[], datetime]
    live: bool = True  # False: library.mode is not live
    waiting_slot: WaitingSlot = nullcontext

    def choose(
        self, borrower_number: str, pin: str, language: str, *, link_token: str | None = None
    ) -> PinChoice:
        """Set the PIN that a borrower chose, and verify it.

        With ``link_token`` the person came by a PIN mail. The link must still be valid under the
        lease, otherwise LinkGone is raised. Raises PinUnderWay while another change of the borrower
        may still be carried out, and LibraryUnavailable if the library system was not asked to set
        the PIN.
        """
        fault = find_pin_fault(pin, ())
        if fault:
            return PinChoice("refused", fault)
        if not self.live:
            raise LibraryUnavailable("library.mode is not live: no PIN is set")
        with self.waiting_slot():
            borrower = self.library.read(borrower_number, self.now() + _CALL_TIMEOUT)
            if borrower is None:
                raise LinkGone("the borrower is gone")
            if not self.can_choose(borrower):
                return PinChoice("refused", "pin_not_here")
            fault = find_pin_fault(pin, list_suggested_pins(borrower))
            if fault:
                return PinChoice("refused", fault)
            return self._choose_under_lease(borrower, pin, language, link_token)

    def can_choose(self, borrower: Borrower) -> bool:
        """Return whether a borrower of this category gets a PIN here."""
        return borrower.category in self.pin_categories()

    def end_mailed_access(self, borrower_number: str) -> None:
        """End the PIN links, login codes and known browsers of a borrower."""
        self.codes.end_codes(borrower_number)
        self.browsers.end_all(borrower_number)

    def mail_link_to_typed_number(self, typed: str, language: str, asked_at: str) -> None:
        """Mail a link to the borrower whose number was typed, unless three links are valid.

        No mail is sent if the number belongs to nobody or to several borrowers, or if the library
        system has no address. The person sees the same page in every case, so it does not reveal
        who has an account.
        """
        if not self.live:
            return
        found = self.library.find_typed(typed, self.now() + _CALL_TIMEOUT)
        if len(found) == 1:
            self._mail(found[0], language, asked_at, ignore_limit=False)

    def mail_link_for_staff(self, borrower_number: str, language: str, asked_at: str) -> bool:
        """Mail a link, whatever was mailed before; raises LibraryUnavailable.

        Return False if there is no such borrower, or it has no mail address or gets no PIN here.
        """
        if not self.live:
            return False
        borrower = self.library.read(borrower_number, self.now() + _CALL_TIMEOUT)
        return borrower is not None and self._mail(borrower, language, asked_at, ignore_limit=True)

    def draft_welcome_mail(
        self, borrower_number: str, address: str, language: str
    ) -> tuple[Write, ...]:
        """Return the writes that queue the welcome mail of a new borrower with its link.

        Pass them to ``Store.put_many`` with the write that ends the enrolment, then call
        ``outbox.wake_worker``.
        """
        token, link = self.codes.draft_link(borrower_number)
        content = WelcomeMail(self._url(token, language))
        mail = self.outbox.draft_mail(address, content, language, about=borrower_number)
        return link, mail

    def draft_match_notice(
        self, borrower_number: str, address: str, language: str
    ) -> tuple[Write, ...]:
        """Return the writes that queue the notice of a first match."""
        notice = ConnectedAccountMail()
        return (self.outbox.draft_mail(address, notice, language, about=borrower_number),)

    def _choose_under_lease(
        self, borrower: Borrower, pin: str, language: str, link_token: str | None
    ) -> PinChoice:
        again_at = self.now() + LATE
        lease = self.leases.hold(borrower.number, again_at)
        if lease is None:
            raise PinUnderWay("another change of the borrower may still be carried out")
        notice: Key | None = None
        try:
            if link_token is not None:
                self.codes.require_link(link_token)
            notice = self._queue_notice(borrower, language, again_at)
            self.library.set_pin(borrower.number, pin, self.now() + _CALL_TIMEOUT)
        except (LinkGone, LibraryRefused, CallNotMade, StoreUnavailable) as error:
            # The call was not sent, or the library system refused: the PIN is unchanged.
            self._settle(notice, self.outbox.cancel_mail)
            lease.end(self.now())
            if isinstance(error, LibraryRefused):
                return PinChoice("refused", "pin_refused")
            raise
        except LibraryUnavailable:
            # The call may still be carried out: the lease stays, and the notice is mailed.
            self._settle(notice, self.outbox.release_mail)
            return _unknown(again_at)
        if not self._is_verified(borrower, pin):
            self._settle(notice, self.outbox.release_mail)
            return _unknown(again_at)
        self.end_mailed_access(borrower.number)
        self._settle(notice, self.outbox.release_mail)
        lease.end(self.now())
        return PinChoice("set")

    def _is_verified(self, borrower: Borrower, pin: str) -> bool:
        """Return whether the new PIN works.

        True if the library system cannot check PINs at all, because its answer to the change counts
        then. False if the check fails or gets no answer.
        """
        if LibraryCapability.PIN_CHECKED not in self.library.capabilities:
            return True
        try:
            return self.library.check_pin(borrower, pin, self.now() + _CALL_TIMEOUT)
        except LibraryError:
            return False

    def _queue_notice(self, borrower: Borrower, language: str, due: datetime) -> Key | None:
        if borrower.email is None:
            return None
        draft = self.outbox.draft_mail(
            borrower.email, ChangedPinMail(), language, about=borrower.number, due=due
        )
        return self.outbox.queue_mail(draft)

    def _settle(self, notice: Key | None, settle: Callable[[Key], None]) -> None:
        """Release or cancel the notice with ``settle``, if there is a notice.

        If the store does not answer, the notice is mailed when it is due.
        """
        if notice is not None:
            with suppress(StoreUnavailable):
                settle(notice)

    def _mail(
        self, borrower: Borrower, language: str, asked_at: str, *, ignore_limit: bool
    ) -> bool:
        if borrower.email is None or not self.can_choose(borrower):
            return False
        token = self.codes.make_link(borrower.number, ignore_limit=ignore_limit)
        if token is None:
            return False
        content = PinLinkMail(link=self._url(token, language), asked_at=asked_at)
        draft = self.outbox.draft_mail(
            borrower.email, content, language, about=borrower.number, lasts=LINK_LASTS
        )
        self.outbox.queue_mail(draft)
        return True

    def _url(self, token: str, language: str) -> str:
        return f"{self.outbox.texts.pin_url}?link={token}&lang={language}"


def _unknown(lease_ends: datetime) -> PinChoice:
    """Return the result with the full minute after which the lease has certainly ended."""
    next_minute = lease_ends.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return PinChoice("unknown", again_at=next_minute)
