"""Sets the PIN of a borrower, has the library system prove it, and only then has it mailed or told.

One PIN record for each borrower, written before the first call; each call is noted before it is
sent, and ended by the library system's own answer only (docs/reference/design.md#pin-order).
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple

from broker.core.audit_events import NO_TRAIL, AuditEvent, AuditEventKind
from broker.core.borrowers.library_capabilities import LibraryCapability
from broker.core.borrowers.pin_record import PinCall, PinRecord, record_to_set
from broker.core.borrowers.pins import PinAnswer, new_pin
from broker.core.errors import (
    PIN_AS_BEFORE,
    CallNotMade,
    LibraryRefused,
    LibraryUnavailable,
    MailUnavailable,
    PinDoubtful,
    PinExpired,
    PinLocked,
    PinNotSet,
    PinRefused,
    PinUnderWay,
    PinUnproved,
    PinUnsettled,
    PinUnusable,
)
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, LibrarySystem, Store, Trail
from broker.use_cases.borrowers.enrolment_records import CALL
from broker.use_cases.records import Content, Record, Records

_ERASED: Final = "erased"
_UNUSABLE: Final[Mapping[PinAnswer, type[PinUnusable]]] = {
    PinAnswer.WRONG: PinNotSet,
    PinAnswer.EXPIRED: PinExpired,
    PinAnswer.LOCKED: PinLocked,
    PinAnswer.NO_CARD_NUMBER: PinUnproved,
    PinAnswer.UNKNOWN: PinUnproved,
}


class Noted(NamedTuple):
    """A call that is about to be sent, with the record of its PIN.

    ``is_repeat`` says that a call before it may have set the PIN.
    """

    record: PinRecord
    call: PinCall
    is_repeat: bool = False


def _left(record: PinRecord, now: datetime) -> Content[PinRecord]:
    """Return what is kept of a record: of one that no longer holds nothing."""
    if record.holds(now):
        return Content(record, record.until)
    return Content(PinRecord(_ERASED, now, done=True), now)


def _need_not_hold(_deadline: datetime) -> None:
    """Hold no lease: where a person waits for the answer there is none."""


@dataclass(frozen=True, slots=True)
class PinSetting:
    """The PINs of borrowers over store and library system; whatever failed is on the trail."""

    store: Store
    hmacs: LookupHmacs
    library: LibrarySystem
    now: Callable[[], datetime]
    trail: Trail = NO_TRAIL

    def mail(
        self,
        number: str,
        avoid: Callable[[str], bool],
        send: Callable[[str], None],
        letter_ends: datetime,
        *,
        card: str | None = None,
        hold: Callable[[datetime], None] = _need_not_hold,
    ) -> None:
        """Set the PIN that is to be mailed to a borrower, and have ``send`` mail it.

        The mail server has accepted the recipient in a conversation that ends at ``letter_ends``.
        A new PIN is drawn that ``avoid`` does not name, unless one is under way; ``card`` is the
        borrower's card number, if it was just read; ``hold`` is called with the deadline before
        each call. PinUnderWay while a choice has no end; PinUnusable where
        the PIN would not work, LibraryUnavailable, MailUnavailable: then no PIN is mailed that does
        not work, and a later mail holds the same one. After PinRefused and PinNotSet the PIN is as
        it was; any other doubt is to be told, and ``give_up`` called.
        """
        hold(self._by())
        noted = self._noted(number, PinRecord(new_pin(avoid), self.now(), untried=True))
        pin, call = noted.record.pin, noted.call
        refused = self._refusal(number, noted)
        try:
            self._prove_in_force(number, pin, refused, hold, card)
            hold(letter_ends)
            send(pin)
        except PinUnusable as error:
            raise self._unmailed(number, call, error) from error
        except (LibraryUnavailable, MailUnavailable):
            self._end(number, call, done=False)
            raise
        self._end(number, call, done=True)

    def give_up(self, number: str) -> None:
        """Note that the person is told of a doubt: another PIN may be set."""
        now = self.now()

        def change(record: Record[PinRecord] | None) -> Content[PinRecord] | None:
            return _left(replace(record.value, done=True), now) if record else None

        self._records.amend(self._key(number), change, now)

    def choose(self, number: str, pin: str, notice: str = "") -> None:
        """Set the PIN that a borrower chose, which works once this returns.

        No other PIN is set until ``told`` is called with the same ``notice``. PinUnderWay while
        another PIN has no end; PinUnusable where it will not work, with the doubts of ``mail``.
        PinUnsettled where nobody knows: ``settle_choice`` carries it out.
        """
        try:
            self._choose(number, pin, notice)
        except PIN_AS_BEFORE as error:
            # An earlier call of the same choice may still come, and then the PIN works.
            if self._is_owed(number, notice):
                raise PinUnsettled(str(error)) from error
            raise
        except (PinUnderWay, PinUnusable):
            raise
        except LibraryUnavailable as error:
            raise PinUnsettled(str(error)) from error

    def _choose(self, number: str, pin: str, notice: str) -> None:
        offered = PinRecord(pin, self.now(), chosen=True, notice=notice, untried=True)
        noted = self._noted(number, offered)
        call = noted.call
        refused = self._refusal(number, noted)
        try:
            self._prove_in_force(number, noted.record.pin, refused, _need_not_hold)
        except PIN_AS_BEFORE:
            self._end(number, call, done=True)
            raise
        except PinUnusable as error:
            # Owed until the doubt is: a process may die before it writes that down.
            raise self._unmailed(number, call, error) from error
        except LibraryUnavailable:
            self._end(number, call, done=False)
            raise
        self._end(number, call, done=False)

    def settle_choice(self, number: str, notice: str = "") -> bool:
        """Carry out a choice whose answer was lost, or of which nobody was told.

        False where its PIN will not work, and where no choice is on record that this ``notice``
        tells: it was never begun, or a later notice tells it. PinUnsettled where it is still not
        known, PinUnusable for a doubt as in ``mail``.
        """
        record = self._records.get(self._key(number), self.now())
        if record is None or not record.value.is_owed(notice):
            return False
        try:
            self.choose(number, record.value.pin, notice)
        except PIN_AS_BEFORE:
            return False
        return True

    def told(self, number: str, notice: str) -> bool:
        """Note that the person is told of their choice: from now on another PIN may be set.

        False where it is no longer this ``notice`` that tells it.
        """
        now = self.now()

        def change(record: Record[PinRecord] | None) -> Content[PinRecord] | None:
            if record is None or not record.value.is_owed(notice):
                return None
            return _left(replace(record.value, done=True), now)

        return self._records.amend(self._key(number), change, now).written

    def _is_owed(self, number: str, notice: str) -> bool:
        record = self._records.get(self._key(number), self.now())
        return record is not None and record.value.is_owed(notice)

    def _noted(self, number: str, offered: PinRecord) -> Noted:
        """Write down a call that is about to be sent, and the PIN that it sets."""
        now = self.now()
        call = PinCall(secrets.token_hex(8), self._by())
        noted = Noted(offered, call)

        def change(record: Record[PinRecord] | None) -> Content[PinRecord]:
            nonlocal noted
            to_set = record_to_set(record.value if record else None, offered, now)
            noted = Noted(to_set.noted(call), call, is_repeat=to_set.may_be_set)
            return Content(noted.record, noted.record.until)

        self._records.amend(self._key(number), change, now)
        return noted

    def _set(self, number: str, pin: str, call: PinCall) -> None:
        try:
            self.library.set_pin(number, pin, call.by)
        except LibraryRefused as error:
            raise self._unusable(number, PinRefused(str(error), error.setting)) from error

    def _refusal(self, number: str, noted: Noted) -> PinRefused | None:
        """Set the PIN; return a refusal that says nothing: another call may have set it."""
        try:
            self._set(number, noted.record.pin, noted.call)
        except CallNotMade:
            self._withdraw(number, noted.call)
            raise
        except PinRefused as error:
            if noted.is_repeat or self._others(number, noted.call):
                return error
            self._end(number, noted.call, done=True)
            raise
        return None

    def _prove_in_force(
        self,
        number: str,
        pin: str,
        refused: PinRefused | None,
        hold: Callable[[datetime], None],
        card: str | None = None,
    ) -> None:
        """Prove the PIN; raise ``refused`` where no earlier call set it, PinDoubtful for doubt."""
        if refused is None:
            self._prove(number, pin, hold, card)
            return
        if LibraryCapability.PIN_CHECKED not in self.library.capabilities:
            raise PinDoubtful(str(refused), refused.setting)
        try:
            self._prove(number, pin, hold, card)
        except PinNotSet as error:
            raise refused from error
        except PinUnusable as error:
            # Locked, expired, no card: only "wrong" says that the PIN of before is still there.
            raise PinDoubtful(str(refused), refused.setting) from error

    def _unmailed(self, number: str, call: PinCall, error: PinUnusable) -> LibraryUnavailable:
        """End a call whose PIN would not work; return what that comes to.

        While another call may come the PIN is not as it was: it is owed still.
        """
        if any(self.now() < other.until for other in self._others(number, call)):
            self._end(number, call, done=False)
            return LibraryUnavailable(f"{error}; an earlier call may still come", error.setting)
        self._end(number, call, done=isinstance(error, PinRefused))
        return error

    def _others(self, number: str, call: PinCall) -> tuple[PinCall, ...]:
        record = self._records.get(self._key(number), self.now())
        if record is None:
            return ()
        return tuple(other for other in record.value.calls if other.token != call.token)

    def _prove(
        self, number: str, pin: str, hold: Callable[[datetime], None], card: str | None = None
    ) -> None:
        """Ask the library system for the PIN: that it took one proves nothing.

        One that cannot be asked leaves the PIN set, not proved: that is on the trail.
        """
        if LibraryCapability.PIN_CHECKED not in self.library.capabilities:
            untried = AuditEventKind.PIN_UNTRIED
            self.trail.add(AuditEvent(untried, self.now(), borrower=number))
            return
        deadline = self._by()
        hold(deadline)
        try:
            answer = self.library.check_pin(number, pin, deadline, card)
        except LibraryRefused as error:
            raise self._unusable(number, PinUnproved(str(error), error.setting)) from error
        if answer is not PinAnswer.RIGHT:
            raise self._unusable(number, _UNUSABLE[answer](f"asked back: {answer}"))

    def _end(self, number: str, call: PinCall, *, done: bool) -> None:
        now = self.now()

        def change(record: Record[PinRecord] | None) -> Content[PinRecord] | None:
            if record is None:
                return None
            return _left(record.value.ended(call.token, now, done=done), now)

        self._records.amend(self._key(number), change, now)

    def _withdraw(self, number: str, call: PinCall) -> None:
        """Note that a call was never sent: it leaves no doubt, and nobody waits for it."""
        now = self.now()

        def change(record: Record[PinRecord] | None) -> Content[PinRecord] | None:
            return _left(record.value.not_made(call.token), now) if record else None

        self._records.amend(self._key(number), change, now)

    def _unusable(self, number: str, error: PinUnusable) -> PinUnusable:
        kind = AuditEventKind.PIN_UNUSABLE
        self.trail.add(AuditEvent(kind, self.now(), borrower=number, reason=error.reason))
        return error

    def _by(self) -> datetime:
        return self.now() + CALL

    def _key(self, number: str) -> Key:
        return Key("pin", self.hmacs.of("pin-record", number), "record")

    @property
    def _records(self) -> Records[PinRecord]:
        return Records(self.store, PinRecord, durable=True)
