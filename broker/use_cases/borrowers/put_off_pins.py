"""The first PINs whose mail was put off: mailed when it is time, beside the wishes for accounts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.errors import MailPutOff, MailUnavailable, StoreUnavailable
from broker.core.ports import Key, RecordUnreadable
from broker.use_cases.borrowers.enrolment_attempt import EnrolmentAttempt
from broker.use_cases.borrowers.enrolment_ports import EnrolmentPorts
from broker.use_cases.borrowers.known_borrower import person_key
from broker.use_cases.records import Lease
from broker.use_cases.waiting_slots import WakeSignal

# Whoever is not remembered is tried when their pause ends.
_MOST_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class PutOffPins:
    """The persons whose PIN was put off, the earliest first, and the step that mails the next.

    No record but the enrolment: that has a pause of its own, which holds where this process dies.
    ``is_silent`` says whether the mail server leaves mails without an answer.
    """

    ports: EnrolmentPorts
    is_silent: Callable[[], bool]
    wake: WakeSignal
    _owed: dict[Key, None] = field(default_factory=dict, init=False)
    # Who comes after those: tried in vain while the server was silent, or another is at them.
    _after: dict[Key, None] = field(default_factory=dict, init=False)

    def recall(self) -> None:
        """Remember what was put off before this process began."""
        stored = (entry.enrolment for entry in self.ports.records.readable())
        for enrolment in sorted(filter(_is_put_off, stored), key=_wanted_at):
            self.note(enrolment)

    def note(self, enrolment: Enrolment) -> None:
        """Remember an enrolment whose PIN was put off."""
        if not _is_put_off(enrolment):
            return
        key = person_key(enrolment.person)
        if key not in self._after and self._remembered < _MOST_REMEMBERED:
            self._owed[key] = None
            self.wake.set()

    def step(self) -> bool:
        """Mail the PIN that was put off first; False where none was, or others are at them all.

        What another is at stays remembered: they may have died, and its pause may be of hours.
        """
        for _ in range(self._remembered):
            key = self._next()
            if key is None:
                return False
            with self._kept(key):
                lease = self.ports.records.lease(key)
                if lease is not None:
                    self._mail(key, lease)
                    return True
            # Nobody is woken for it: the lease may have most of a minute to go.
            self._after[key] = None
        return False

    @contextmanager
    def _kept(self, key: Key) -> Iterator[None]:
        """Remember a key where the store does not answer; a record that does not read is not."""
        try:
            yield
        except RecordUnreadable:
            raise
        except StoreUnavailable:
            self._after[key] = None
            raise

    @property
    def _remembered(self) -> int:
        return len(self._owed) + len(self._after)

    def _mail(self, key: Key, lease: Lease) -> None:
        enrolment = self._carried_out(key, lease)
        if enrolment and self._is_to_be_kept(enrolment):
            self._after[key] = None

    def _is_to_be_kept(self, enrolment: Enrolment) -> bool:
        if _is_put_off(enrolment):
            # The lease ended under it, so that nothing was written: a name server may hang for so
            # long.
            return True
        # Whoever was the trial keeps no longer pause than the others.
        return _has_tried(enrolment) and self.is_silent()

    def _next(self) -> Key | None:
        """Return whose PIN is next: the one put off first, or a trial, the one put off last.

        A relay may hang for one domain alone, whose people would all be tried before anybody else.
        """
        if self.is_silent():
            return _taken(self._owed, reversed) or _taken(self._after, iter)
        return _taken(self._owed, iter) or _taken(self._after, iter)

    def _carried_out(self, key: Key, lease: Lease) -> Enrolment | None:
        entry = self.ports.records.read(key)
        if entry is None or not _owes_pin(entry.enrolment):
            lease.end(self.ports.now())
            return None
        return EnrolmentAttempt(entry, lease, self.ports).run()


def _taken(keys: dict[Key, None], order: Callable[[dict[Key, None]], Iterator[Key]]) -> Key | None:
    """Take the first key in an order; several threads may at once."""
    while keys:
        with suppress(StopIteration, KeyError, RuntimeError):
            key = next(order(keys))
            del keys[key]
            return key
    return None


def _is_put_off(enrolment: Enrolment) -> bool:
    return enrolment.reason == MailPutOff.reason and _owes_pin(enrolment)


def _wanted_at(enrolment: Enrolment) -> datetime:
    return enrolment.wanted_at


def _has_tried(enrolment: Enrolment) -> bool:
    """Return whether a mail failed: where the library system did, the pause is for its sake."""
    return _owes_pin(enrolment) and enrolment.reason == MailUnavailable.reason


def _owes_pin(enrolment: Enrolment) -> bool:
    """Return whether a PIN alone is owed; where more is wanted, the worker of wishes does both."""
    return enrolment.state is EnrolmentState.DONE and enrolment.pin_owed
