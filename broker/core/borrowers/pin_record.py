"""The PIN that a borrower is being given, and the calls that may still come to set it.

A call whose answer was lost may be carried out later, over whatever PIN was set meanwhile. So every
call that may still come sets the same PIN (docs/reference/design.md#pin-order).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.errors import PinUnderWay
from broker.core.retention.table import PIN_RECORD

# No library system carries out a call later than this after it was sent.
LATE: Final = timedelta(minutes=10)
# Later nobody waits for a PIN that was tried first then; a mail points to ``/pin``.
POINTER_AFTER: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class PinCall:
    """A call that sets the PIN, and the moment by which it has been sent or is not."""

    token: str
    by: datetime

    @property
    def until(self) -> datetime:
        """Return the moment from which it can no longer come."""
        return self.by + LATE


@dataclass(frozen=True, slots=True, repr=False)
class PinRecord:
    """One PIN, drawn or chosen once; ``calls`` are those without an end.

    A call ends by the library system's own answer, and where a mail follows it, with that mail.
    ``done`` says that the PIN is mailed, that the person was told of their choice, or that the
    library system refuses it. ``notice`` names the last notice that is owed of a choice.
    """

    pin: str
    began: datetime
    chosen: bool = False  # by the person: no mail holds it
    calls: tuple[PinCall, ...] = ()
    done: bool = False
    notice: str = ""
    untried: bool = False  # no call that is not among ``calls`` can have set it

    @property
    def until(self) -> datetime:
        """Return the moment from which it can no longer hold."""
        return PIN_RECORD.ends(
            max([self.began + POINTER_AFTER, *(call.until for call in self.calls)])
        )

    @property
    def may_be_set(self) -> bool:
        """Return whether a call may have set this PIN, or may still come to set it."""
        return bool(self.calls) or not self.untried

    def holds(self, now: datetime) -> bool:
        """Return whether no other PIN may be set: this one is still owed, or may still come."""
        if not self.done and now < self.began + POINTER_AFTER:
            return True
        return self.may_come(now)

    def may_come(self, now: datetime) -> bool:
        """Return whether the library system may still carry out a call."""
        return any(now < call.until for call in self.calls)

    def noted(self, call: PinCall) -> "PinRecord":
        """Return the record with a call that is about to be sent."""
        return replace(self, calls=(*self.calls, call))

    def not_made(self, token: str) -> "PinRecord":
        """Return the record without a call that was noted, and never sent."""
        return replace(self, calls=tuple(call for call in self.calls if call.token != token))

    def ended(self, token: str, now: datetime, *, done: bool) -> "PinRecord":
        """Return the record once a call has an end; a record without that call stays as it is.

        A choice is not done with while another call may come: it would work, and nobody be told.
        """
        left = self.not_made(token)
        if left == self:
            return self
        record = replace(left, untried=False)
        if self.chosen and record.may_come(now):
            return record
        return replace(record, done=self.done or done)

    def is_owed(self, notice: str) -> bool:
        """Return whether the person is still to be told of their choice, by this notice."""
        return self.chosen and not self.done and self.notice == notice


def record_to_set(before: PinRecord | None, offered: PinRecord, now: datetime) -> PinRecord:
    """Return the record whose PIN may be set now: that of ``before`` while it holds.

    PinUnderWay where the PIN of ``before`` has to come to its end first: a mail holds no PIN that
    the person chose, and what they choose is not set beside one that is mailed, or another choice.
    """
    if before is None or not before.holds(now):
        return offered
    if before.chosen != offered.chosen:
        raise PinUnderWay("a PIN that is mailed and one that is chosen wait for each other")
    if before.chosen and before.pin != offered.pin:
        raise PinUnderWay("another choice has no end yet")
    if before.chosen:
        return replace(before, notice=offered.notice, done=False)
    return before
