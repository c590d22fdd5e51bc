"""A new PIN for a borrower: behind a letter without a login, or chosen or mailed after a login."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal, assert_never

from broker.core.audit_events import NO_TRAIL
from broker.core.borrowers.account_codes import in_halves
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.pins import identifier_of, leaves_doubt, unfit
from broker.core.entities import Names
from broker.core.errors import (
    BrokerError,
    LibraryRefused,
    LibraryUnavailable,
    MailUnavailable,
    PinUnderWay,
    PinUnsettled,
    PinUnusable,
    TooMany,
)
from broker.core.identity.mail_addresses import masked
from broker.core.letters import (
    AccountCodeLetter,
    ChangedPinLetter,
    DoubtfulPinLetter,
    RenewedPinLetter,
)
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, LetterWording, LibrarySystem, Mail, Store, Trail
from broker.core.retention.table import PIN_MAIL
from broker.use_cases.backoff import retry_delay
from broker.use_cases.borrowers.pin_setting import PinSetting
from broker.use_cases.proofs.owed_pin_mails import OwedPinMail
from broker.use_cases.proofs.pin_check import BEHIND_LETTER
from broker.use_cases.proofs.pin_letters import (
    LETTER_LASTS,
    PinLetter,
    PinLetters,
    identifier_pseudonym,
)
from broker.use_cases.proofs.rate_limits import Limit, Limits, RefusedNames
from broker.use_cases.records import Record, Records
from broker.use_cases.waiting_slots import WaitingSlots, WakeSignal, waiting_slot

# These spare the library system and the mailboxes. Who asks beyond the first is written to an hour
# later; a letter of the day before is as good.
PER_IDENTIFIER: Final = Limit("pin-asked", 3, timedelta(hours=1))
PER_NETWORK: Final = Limit("pin-asked-network", 100, timedelta(hours=1))
MAILINGS: Final = Limit("pin-letter-mailings", 3, LETTER_LASTS)
NEW_PINS: Final = Limit("pin-letter-new-pins", 3, LETTER_LASTS)
CHANGES: Final = Limit("pin-changes", 10, timedelta(hours=1))
# Looking up; and RCPT, PIN and DATA together.
_CALLS: Final = timedelta(seconds=45)
# A request that sets a PIN has ended by then, or died.
_AFTER_REQUEST: Final = timedelta(seconds=60)
_GIVE_UP_AFTER: Final = timedelta(days=1)
_UNAVAILABLE: Final = (LibraryUnavailable, MailUnavailable)


@dataclass(frozen=True, slots=True)
class Asking:
    """When and from where a letter is asked for, worded in its ``language``."""

    language: str
    at: str = ""
    origin: str = ""


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
    refused: RefusedNames = field(default_factory=RefusedNames)

    def ask(self, identifier: str, network: str, worded: Callable[[], Asking]) -> None:
        """Queue the letter for whoever has ``identifier`` (of ``pins.identifier_of``).

        Nothing is looked up. TooMany, with nothing worded, for a network that asks too often. The
        letter that is asked for a fourth time within an hour is written an hour later, and nobody
        is told.
        """
        Limits(self.store, self.hmacs, self.now, self.refused).take((PER_NETWORK, network))
        now = self.now()
        due = now
        pseudonym = identifier_pseudonym(self.hmacs, identifier)
        try:
            self._limits.take((PER_IDENTIFIER, pseudonym))
        except TooMany:
            due = now + PER_IDENTIFIER.within
        asking = worded()
        owed = OwedPinMail("link", identifier, asking.language, now)
        owed = replace(owed, asked_at=asking.at, asked_from=asking.origin)
        self._queue(Key("pin", self.hmacs.of("pin-asked", pseudonym)), owed, due)

    def ask_at_desk(self, number: str, asking: Asking) -> None:
        """Queue the letter of a borrower whom staff help; TooMany after three an hour.

        It goes to the address that the library system has of them, as often as any letter does, and
        opens where one of their own numbers is typed.
        """
        name = self.hmacs.of("pin-asked-at-desk", number)
        self._limits.take((PER_IDENTIFIER, name))
        now = self.now()
        owed = OwedPinMail("desk", number, asking.language, now)
        owed = replace(owed, asked_at=asking.at, asked_from=asking.origin)
        self._queue(Key("pin", name), owed, now)

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

    def renew(self, letter: PinLetter, language: str) -> str:
        """Make and mail a new PIN for whoever has opened the borrower's letter.

        Returns the address, masked. TooMany after three for one letter, doubts included. After any
        other error the letter is as good as before; until the mail server has accepted the
        recipient the old PIN works.
        """
        behind = (NEW_PINS, letter.code)
        with self._counted(behind, BrokerError), waiting_slot(self.waiting_slots):
            address = self._make(letter.number, language)
            if address is None:
                raise LibraryRefused("a borrower whose mail address is gone")
        # What was tried before says nothing of the PIN that was mailed just now.
        self._limits.forget(BEHIND_LETTER, letter.code)
        return address

    def make(self, number: str, language: str) -> str | None:
        """Make a PIN for a borrower who is logged in, mail it, and return the address, masked.

        TooMany after ten an hour. None, with nothing changed, for a borrower without a mail
        address.
        """
        logged_in = (CHANGES, number)
        with self._counted(logged_in, *_UNAVAILABLE), waiting_slot(self.waiting_slots):
            return self._make(number, language)

    def choose(
        self, number: str, pin: str, language: str
    ) -> Literal["pin_not_four", "pin_trivial"] | None:
        """Set the PIN that a borrower who is logged in chose, and owe a notice of it.

        Returns the reason where the PIN will not do, else None. TooMany after ten an hour, those
        that will not do included. PinUnderWay, PinRefused, PinNotSet: the PIN is as it was. After
        another PinUnusable nobody knows, and a letter says so; after PinUnsettled it is set as soon
        as can be, and the notice says so.
        """
        fault = unfit(pin, ())
        if fault:
            return fault
        # Counted before the library is asked: one login must not have it read the same record all
        # day.
        logged_in = (CHANGES, number)
        with self._counted(logged_in, *_UNAVAILABLE), waiting_slot(self.waiting_slots):
            borrower = self._borrower(number)
            fault = unfit(pin, borrower.suggested_pins())
            if fault:
                return fault
            choice = secrets.token_hex(16)
            key = Key("pin", self.hmacs.of("pin-notice", choice))
            notice = OwedPinMail("notice", number, language, self.now(), choice=choice)
            with self._owed_beforehand(key, notice) as queued:
                self._pins.choose(number, pin, choice)
        self._tell(queued)
        return None

    def _tell(self, notice: Record[OwedPinMail] | None) -> None:
        """Let the caller tell a choice, and have its notice mailed.

        PinUnsettled where the notice alone tells it: the request took too long, or the same PIN was
        chosen once more meanwhile.
        """
        if notice is not None:
            settled = replace(notice.value, settled=True)
            # Not due yet: a worker that mailed it now would have told the choice before this does.
            queued = self._owed.replace(notice, settled, self.now(), due=notice.due)
            # Last of all: another PIN, mailed before this is told, would be the one that works.
            if queued is not None and self._pins.told(settled.whom, settled.choice):
                self._owed.replace(queued, settled, self.now(), due=self.now())
                self._wake()
                return
        raise PinUnsettled("the choice is told by its notice")

    @contextmanager
    def _counted(self, place: tuple[Limit, str], *uncounted: type[BrokerError]) -> Iterator[None]:
        """Take a place; one of the errors ``uncounted`` gives it back, unless it leaves a doubt."""
        taken = self._limits.take(place)
        try:
            yield
        except uncounted as error:
            # Each doubt has a letter: uncounted, an account that is locked would mail without end.
            if not leaves_doubt(error):
                self._limits.give_back(taken)
            raise

    @property
    def _limits(self) -> Limits:
        return Limits(self.store, self.hmacs, self.now)

    @property
    def _owed(self) -> Records[OwedPinMail]:
        return Records(self.store, OwedPinMail)

    def _queue(self, key: Key, owed: OwedPinMail, due: datetime) -> Record[OwedPinMail] | None:
        """Queue a letter; None where one is queued already, which leads to the same letter."""
        until = PIN_MAIL.until(owed.asked)
        queued = self._owed.add(key, owed, until, owed.asked, due=due)
        self._wake()
        return queued

    def _wake(self) -> None:
        if self.wake is not None:
            self.wake.set()

    def _write(self, owed: OwedPinMail) -> None:
        borrower = self._recipient(owed)
        if borrower is None:
            return
        if owed.what == "notice":
            self._mail_notice(borrower, owed)
            return
        if borrower.email is None:
            return
        match owed.what:
            case "link":
                self._mail_letter(borrower.number, borrower.email, owed, (owed.whom,))
            case "desk":
                self._mail_letter(borrower.number, borrower.email, owed, _typable(borrower))
            case "pin":
                self._mail_pin(borrower, borrower.email, owed.language)
            case "doubt":
                self._mail_plain(borrower.email, DoubtfulPinLetter(), owed.language)
            case _:
                assert_never(owed.what)

    def _mail_notice(self, borrower: Borrower, owed: OwedPinMail) -> None:
        """Mail that the PIN was changed, once it is: the answer may have been lost."""
        if not owed.settled and not self._is_settled(owed):
            return
        if borrower.email is not None:
            self._mail_plain(borrower.email, ChangedPinLetter(), owed.language)
        self._pins.told(owed.whom, owed.choice)

    def _is_settled(self, owed: OwedPinMail) -> bool:
        try:
            return self._pins.settle_choice(owed.whom, owed.choice)
        except PinUnusable:
            self._owe_doubt(owed)
            return False

    def _mail_plain(
        self, address: str, content: ChangedPinLetter | DoubtfulPinLetter, language: str
    ) -> None:
        with closing(self.mail.address(address, self._by())) as letter:
            letter.send(*self.letters.worded(content, language))

    def _owe_doubt(self, owed: OwedPinMail) -> None:
        """Owe the letter that tells a doubt, before another PIN may be set."""
        now = self.now()
        doubt = OwedPinMail("doubt", owed.whom, owed.language, now)
        self._queue(Key("pin", self.hmacs.of("pin-doubt", owed.whom)), doubt, now)
        self._pins.give_up(owed.whom)

    def _recipient(self, owed: OwedPinMail) -> Borrower | None:
        """Return the borrower to write to; None where a typed number is nobody's or several's."""
        if owed.what != "link":
            return self.library.read(owed.whom, self._by())
        found = self.library.typed(owed.whom, self._by())
        return found[0] if len(found) == 1 else None

    def _mail_letter(self, number: str, address: str, owed: OwedPinMail, typable: Names) -> None:
        """Mail the borrower's letter of today, unless it has been mailed three times.

        It opens where one of ``typable`` is typed.
        """
        letters = PinLetters(self.store, self.hmacs, self.now)
        current = letters.current(number, *typable)
        limits = self._limits
        try:
            taken = limits.take((MAILINGS, current.code))
        except TooMany:
            return
        content = AccountCodeLetter(
            code=in_halves(current.code),
            link=f"{self.letters.pin_url}?code={current.code}&lang={owed.language}",
            asked_at=owed.asked_at,
            asked_from=owed.asked_from,
        )
        try:
            with closing(self.mail.address(address, self._by())) as letter:
                letter.send(*self.letters.worded(content, owed.language))
        except MailUnavailable:
            limits.give_back(taken)
            raise

    def _later(self, record: Record[OwedPinMail]) -> None:
        owed = record.value
        now = self.now()
        if now - owed.asked >= _GIVE_UP_AFTER:
            self.store.drop(record.key)
            return
        later = replace(owed, attempts=owed.attempts + 1)
        due = now + retry_delay(owed.attempts)
        self._owed.replace(record, later, now, due=due)

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

        It is owed no more where the PIN is as it was, nor where another tells that nobody knows.
        """
        queued = self._queue(key, owed, owed.asked + _AFTER_REQUEST)
        try:
            yield queued
        except (PinUnderWay, PinUnusable) as error:
            if leaves_doubt(error):
                self._owe_doubt(owed)
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


def _typable(borrower: Borrower) -> Names:
    """Return the numbers that the borrower may type to open a letter: CPR number and card."""
    held = (borrower.cpr, borrower.card)
    return tuple(filter(None, (identifier_of(each) for each in held if each)))
