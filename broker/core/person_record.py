"""The one record of a person: all that outlasts a login of theirs."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from broker.core.borrowers.register_look_up import RegisterLookUp

_SEEN_EVERY: Final = timedelta(days=1)


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
    register_look_up: RegisterLookUp | None = None
    register_asked_at: datetime | None = None
    register_note: str | None = None

    @property
    def due(self) -> datetime | None:
        """Return when the background worker has to look at this person; None for never."""
        return self.register_look_up.due_at if self.register_look_up else None

    @property
    def has_open_case(self) -> bool:
        """Return whether staff must decide something about this person."""
        return False

    def mark_seen(self, now: datetime) -> "PersonRecord":
        """Return the record of a person who has just logged in, unchanged within a day."""
        if now - self.last_seen < _SEEN_EVERY:
            return self
        return replace(self, last_seen=now)

    def confirm_borrower(self, number: str, now: datetime) -> "PersonRecord":
        """Return the record after the library system has confirmed the borrower ``number``."""
        return replace(self, borrower_number=number, borrower_confirmed_at=now)

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
