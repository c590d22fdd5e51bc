"""The CPR numbers that cases of the register's hold back: each is barred while a case names it."""

from dataclasses import dataclass
from typing import Final

from broker.core.borrowers.owed_look_up import LookUpOutcome
from broker.core.ports import Key
from broker.use_cases.borrowers.enrolment_records import (
    REGISTER_CASE,
    EnrolmentRecords,
    StoredEnrolment,
)
from broker.use_cases.borrowers.known_borrower import person_key
from broker.use_cases.identity.person_links import PersonLinks

_CHANGED: Final = LookUpOutcome.NUMBER_CHANGED.value


@dataclass(frozen=True, slots=True)
class HeldBackNumbers:
    """Bars and lifts numbers, all as pseudonyms, beside others who list and decide cases.

    Whoever writes a case then bars, and then looks at the cases again: of two who meet one sees
    what the other wrote.
    """

    records: EnrolmentRecords
    links: PersonLinks

    def hold(self, number: str, key: Key) -> bool:
        """Let nobody in by a number that the case of ``key`` names, if one still names it.

        Returns whether one does.
        """
        while True:
            self.links.hold_back(number, _CHANGED)
            if self._is_named(number, key):
                return True
            # Staff have decided it meanwhile: nobody could lift the bar of no case.
            self.links.lift(number, _CHANGED)
            if not self._is_named(number, key):
                return False

    def lift(self, number: str, key: Key) -> bool:
        """Let the holder of a number in, unless another case than that of ``key`` names it.

        Returns whether they were held back until now.
        """
        if self._is_named_beside(number, key):
            return False
        is_lifted = self.links.lift(number, _CHANGED)
        if is_lifted and self._is_named_beside(number, key):
            self.hold(number, key)
        return is_lifted

    def settle(self, number: str) -> None:
        """Let the holder of a number in where no case names it: a login may have died meanwhile."""
        holder = self.links.holder_of(number)
        if holder and holder.barred == _CHANGED:
            self.lift(number, person_key(number))

    def named(self) -> frozenset[str]:
        """Return every number that a case names, of those that read."""
        cases = filter(_is_of_register, self.records.readable())
        return frozenset(number for case in cases for number in case.enrolment.held_back)

    def _is_named(self, number: str, key: Key) -> bool:
        case = self.records.enrolment(key)
        if case and number in case.held_back:
            return True
        return self._is_named_beside(number, key)

    def _is_named_beside(self, number: str, key: Key) -> bool:
        cases = filter(_is_of_register, self.records.all())
        return any(number in case.enrolment.held_back for case in cases if case.key != key)


def _is_of_register(entry: StoredEnrolment) -> bool:
    return entry.key.name == REGISTER_CASE
