"""A new PIN for a borrower: by two letters without a login, or chosen or mailed after a login."""

import secrets
import string
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from broker.core.audit_events import NO_TRAIL
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.pins import unfit
from broker.core.errors import (
    BrokerError,
    LibraryRefused,
    LibraryUnavailable,
    LinkGone,
    MailUnavailable,
    PinUnderWay,
    PinUnusable,
    TooMany,
)
from broker.core.identity.mail_addresses import masked
from broker.core.letters import ChangedPinLetter, PinLinkLetter, RenewedPinLetter
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, LetterWording, LibrarySystem, Mail, Store, Trail
from broker.flows.backoff import retry_delay
from broker.flows.borrowers.borrower_lookup import borrower_of_identifier
from broker.flows.borrowers.pin_setting import PinSetting
from broker.flows.proofs.rate_limits import Limit, Limits
from broker.flows.records import Record, Records
from broker.flows.waiting_slots import WaitingSlots, WakeSignal, waiting_slot

LINK_LASTS: Final = timedelta(minutes=30)
PER_IDENTIFIER: Final = Limit("pin-asked", 3, timedelta(hours=1))
PER_NETWORK: Final = Limit("pin-asked-network", 10, timedelta(hours=1))
MAILS_AN_HOUR: Final = Limit("pin-mails-hour", 1, timedelta(hours=1))
MAILS_A_DAY: Final = Limit("pin-mails-day", 3, timedelta(days=1))
CHANGES: Final = Limit("pin-changes", 10, timedelta(hours=1))
# Looking up; and RCPT, PIN and DATA together.
_CALLS: Final = timedelta(seconds=45)
# A request that sets a PIN has ended by then, or died.
_AFTER_REQUEST: Final = timedelta(seconds=60)
_GIVE_UP_AFTER: Final = timedelta(days=1)
# No digits: nothing in an address of ours ever reads as a personal number.
_LETTERS: Final = string.ascii_lowercase
_SECRET_LENGTH: Final = 40


@dataclass(frozen=True, slots=True, repr=False)
class OwedPinMail:
    """A letter to be written: the link that was asked for, a new PIN, or the notice of a change."""

    what: Literal["link", "pin", "notice"]
    whom: str  # a CPR or borrower number as ``pins.identifier_of`` reads it
    language: str
    asked: datetime
    attempts: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class PinLink:
    """The borrower and language of a mailed link; ``pressed`` once its button is."""

    number: str
    language: str
    pressed: bool = False


@dataclass(frozen=True, slots=True)
class PinRenewal:
    """PINs over store, library system and mail; no PIN is ever kept, and none is given back."""

    store: Store
    hmacs: LookupHmacs
    library: LibrarySystem
    mail: Mail
    letters: LetterWording
    now: Callable[[], datetime]
    wake: WakeSignal | None = None
    live: bool = True  # False: the library is only observed, or frozen
    waiting_slots: WaitingSlots | None = None
    trail: Trail = NO_TRAIL

    def ask(self, digits: str, network: str, language: str) -> None:
        """Queue the letter with the link for the holder of a number (of ``pins.identifier_of``).

        Nothing is looked up. TooMany for a network that asks too often. A number asked for too
        often is queued no more, and nobody is told.
        """
        limits = self._limits
        limits.take((PER_NETWORK, network))
        try:
            limits.take((PER_IDENTIFIER, digits))
        except TooMany:
            return
        key = Key("pin", self.hmacs.of("pin-asked", digits))
        owed = OwedPinMail("link", digits, language, self.now())
        self._queue(key, owed, owed.asked)

    def step(self) -> bool:
        """Write the letter that has been due longest; False where none is due."""
        if not self.live:
            return False
        now = self.now()
        claimed = self._owed.claim("pin", now + 2 * _CALLS, now)
        if claimed is None:
            return False
        record = claimed.record
        try:
            with suppress(LibraryRefused):
                self._write(record.value)
            self.store.drop(record.key)
        except (LibraryUnavailable, MailUnavailable):
            self._later(record)
        claimed.lease.end(self.now())
        return True

    def opened(self, secret: str) -> PinLink:
        """Return what a link stands for, and use nothing up: mail scanners open links.

        LinkGone where it leads nowhere. Its number is for nobody's eyes: whoever has the link is
        not yet known to be the borrower.
        """
        return self._link(secret).value

    def press(self, secret: str) -> str:
        """Make and mail the new PIN, once however many press together.

        Returns the address, masked. LinkGone for a link used or run out. After any other error the
        link works again; until the mail server has accepted the recipient the old PIN works.
        """
        record = self._link(secret)
        link = record.value
        once = replace(link, pressed=True)
        pressed = self._links.replace(record, once, self.now())
        if pressed is None:
            raise LinkGone("pressed by another at the same moment")
        try:
            with waiting_slot(self.waiting_slots):
                address = self._make(link.number, link.language)
            if address is None:
                raise LibraryRefused("a borrower whose mail address is gone")
        except BrokerError:
            self._links.replace(pressed, link, self.now())
            raise
        self.store.drop(record.key)
        return address

    def make(self, number: str, language: str) -> str | None:
        """Make a PIN for a borrower who is logged in, mail it, and return the address, masked.

        TooMany after ten an hour. None, with nothing changed, for a borrower without a mail
        address.
        """
        with self._counted(number), waiting_slot(self.waiting_slots):
            return self._make(number, language)

    def choose(
        self,
        number: str,
        pin: str,
        language: str,
    ) -> Literal["pin_not_four", "pin_trivial"] | None:
        """Set the PIN that a borrower who is logged in chose, and owe a notice of it.

        Returns the reason where the PIN will not do, else None. TooMany after ten an hour, those
        that will not do included. PinUnderWay, PinUnusable: the PIN is as it was. After
        PinUnsettled it is set as soon as can be, and the notice says so.
        """
        fault = unfit(pin, ())
        if fault:
            return fault
        # Counted before the library is asked: one login must not have it read the same record all
        # day.
        with self._counted(number), waiting_slot(self.waiting_slots):
            fault = unfit(pin, self._borrower(number).suggested_pins())
            if fault:
                return fault
            key = Key("pin", self.hmacs.of("pin-notice", secrets.token_hex(16)))
            notice = OwedPinMail("notice", number, language, self.now())
            with self._owed_beforehand(key, notice) as queued:
                self._pins.choose(number, pin)
        if queued:
            self._owed.replace(queued, notice, self.now(), due=self.now())
        self._wake()
        return None

    @contextmanager
    def _counted(self, number: str) -> Iterator[None]:
        taken = self._limits.take((CHANGES, number))
        try:
            yield
        except (LibraryUnavailable, MailUnavailable):
            self._limits.give_back(taken)
            raise

    @property
    def _limits(self) -> Limits:
        return Limits(self.store, self.hmacs, self.now)

    @property
    def _owed(self) -> Records[OwedPinMail]:
        return Records(self.store, OwedPinMail)

    @property
    def _links(self) -> Records[PinLink]:
        return Records(self.store, PinLink)

    def _queue(self, key: Key, owed: OwedPinMail, due: datetime) -> Record[OwedPinMail] | None:
        """Queue a letter; None where one is queued already, which leads to the same letter."""
        until = owed.asked + 2 * _GIVE_UP_AFTER
        queued = self._owed.add(key, owed, until, owed.asked, due=due)
        self._wake()
        return queued

    def _wake(self) -> None:
        if self.wake is not None:
            self.wake.set()

    def _write(self, owed: OwedPinMail) -> None:
        borrower = borrower_of_identifier(self.library, owed.whom, self._by())
        if borrower is None or borrower.email is None:
            return
        if owed.what == "pin":
            self._mail_pin(borrower, borrower.email, owed.language)
            return
        if owed.what == "notice":
            if not self._pins.settle_choice(borrower.number):
                return
            with closing(self.mail.address(borrower.email, self._by())) as letter:
                content = ChangedPinLetter()
                letter.send(*self.letters.worded(content, owed.language))
            return
        try:
            taken = self._limits.take(
                (MAILS_AN_HOUR, borrower.number), (MAILS_A_DAY, borrower.number)
            )
        except TooMany:
            return
        try:
            self._mail_link(borrower.number, borrower.email, owed.language)
        except MailUnavailable:
            self._limits.give_back(taken)
            raise

    def _mail_link(self, number: str, address: str, language: str) -> None:
        secret = _new_secret()
        url = f"{self.letters.pin_url}?link={secret}&lang={language}"
        minutes = int(LINK_LASTS.total_seconds() // 60)
        now = self.now()
        link = PinLink(number, language)
        with closing(self.mail.address(address, self._by())) as letter:
            self._links.add(self._key(secret), link, now + LINK_LASTS, now)
            content = PinLinkLetter(url, minutes)
            letter.send(*self.letters.worded(content, language))

    def _later(self, record: Record[OwedPinMail]) -> None:
        owed = record.value
        now = self.now()
        if now - owed.asked >= _GIVE_UP_AFTER:
            self.store.drop(record.key)
            return
        later = replace(owed, attempts=owed.attempts + 1)
        due = now + retry_delay(owed.attempts)
        self._owed.replace(record, later, now, due=due)

    def _link(self, secret: str) -> Record[PinLink]:
        record = self._links.get(self._key(secret), self.now())
        if record is None or record.value.pressed:
            raise LinkGone("used, run out, or never sent")
        return record

    def _key(self, secret: str) -> Key:
        return Key("pin", self.hmacs.of("pin-link", secret), "link")

    def _make(self, number: str, language: str) -> str | None:
        borrower = self._borrower(number)
        if borrower.email is None:
            return None
        self._mail_pin(borrower, borrower.email, language)
        return masked(borrower.email)

    def _mail_pin(self, borrower: Borrower, address: str, language: str) -> None:
        """Set the PIN once the mail server has accepted the recipient, and mail it at once."""
        ends = self._by()
        avoids = borrower.suggested_pins().__contains__
        key = Key("pin", self.hmacs.of("pin-owed", borrower.number))
        owed = OwedPinMail("pin", borrower.number, language, self.now())
        with closing(self.mail.address(address, ends)) as letter:

            def send(pin: str) -> None:
                letter.send(*self.letters.worded(RenewedPinLetter(pin), language))

            with self._owed_beforehand(key, owed):
                self._pins.mail(borrower.number, avoids, send, ends)
        self.store.drop(key)

    @contextmanager
    def _owed_beforehand(self, key: Key, owed: OwedPinMail) -> Iterator[Record[OwedPinMail] | None]:
        """Queue a letter before a PIN is set, for whatever dies or fails from then on.

        It is owed no more where the PIN is as it was.
        """
        queued = self._queue(key, owed, owed.asked + _AFTER_REQUEST)
        try:
            yield queued
        except (PinUnderWay, PinUnusable):
            self.store.drop(key)
            raise

    @property
    def _pins(self) -> PinSetting:
        return PinSetting(self.store, self.hmacs, self.library, self.now, self.trail)

    def _borrower(self, number: str) -> Borrower:
        if not self.live:
            raise LibraryUnavailable("library.mode is not live: no PIN is set")
        borrower = self.library.read(number, self._by())
        if borrower is None:
            raise LibraryRefused("no such borrower")
        return borrower

    def _by(self) -> datetime:
        return self.now() + _CALLS


def _new_secret() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LENGTH))
