"""One question about a person's borrower: there is one, none, a case, or nobody can say.

What the library system answered is believed for ``library.trust_for``, and asked again after it.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar

from broker.core.borrowers.borrower import Borrower, numbers
from broker.core.borrowers.change_plan import Change, Nothing, find_case_reason, near, offered, plan
from broker.core.borrowers.enrolment import Enrolment, EnrolmentOutcome, EnrolmentState
from broker.core.borrowers.matching import PersonFacts
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.entities import Names
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.identity.person_id import compute_person_id_of_cpr
from broker.core.ports import Key
from broker.use_cases.borrowers.borrower_lookup import made_by_enrolment, temporary
from broker.use_cases.borrowers.enrolment_ports import EnrolmentPorts, Mode
from broker.use_cases.borrowers.enrolment_records import StoredEnrolment
from broker.use_cases.waiting_slots import WaitingSlots, waiting_slot

T = TypeVar("T")

_LOOK: Final = timedelta(seconds=3)
# What a look finds is not written over these: somebody is at them.
_UNFINISHED: Final = frozenset({EnrolmentState.WANTED, EnrolmentState.CASE})


class Who(StrEnum):
    """The answer to the question whose borrower there is."""

    ONE = "one"
    NONE = "none"
    CASE = "case"  # more than one, or one that may be a stranger's
    UNKNOWN = "unknown"  # the library system does not answer, and nothing is remembered


@dataclass(frozen=True, slots=True)
class KnownBorrower:
    """What is known of a person's borrower.

    Of one: its ``number``; the finished ``enrolment`` where it is as wished; or ``upgrade_from``,
    its category where the person is asked about another one first
    (docs/reference/requirements.md#r40). Of a case its ``reason``, and the numbers of the
    ``borrowers`` that were found.
    """

    who: Who
    number: str | None = None
    enrolment: Enrolment | None = None
    upgrade_from: str | None = None
    reason: str | None = None
    borrowers: Names = ()


class RememberedBorrower(NamedTuple):
    """What the store has of a person's enrolment, under ``key``; ``entry`` None: nothing."""

    key: Key
    entry: StoredEnrolment | None


@dataclass(frozen=True, slots=True)
class BorrowerQuestion:
    """Asks the library system, and remembers what it answers in the person's enrolment.

    ``waiting_slots`` None sets no bound on how many requests wait: without a free slot the library
    system counts as silent at once, for a slow one must not hold every thread.
    """

    ports: EnrolmentPorts
    mode: Mode
    waiting_slots: WaitingSlots | None = None

    def who(
        self,
        cpr: str,
        person: PersonFacts,
        wish: Wish | None = None,
        *,
        to_be: bool = False,
        remembered: RememberedBorrower | None = None,
    ) -> KnownBorrower:
        """Return the borrower of a CPR number, if it is the one of ``person``.

        ``wish`` is what the login makes of it: with ``to_be`` the borrower has to be so. Within
        ``trust_for`` of the last look the library system is not asked, unless the borrower has to
        be otherwise than remembered. Where it does not answer, what is remembered is believed.
        ``remembered`` is what the caller has read of this person's enrolment.
        """
        key, entry = remembered or self._read(cpr)
        believed = self._believed(entry, person, wish, to_be=to_be)
        if believed and self.is_trusted(believed):
            return _one(believed)
        before = entry.enrolment if entry else None
        try:
            found = self.in_slot(lambda by: self._found(cpr, before, by))
            if wish and to_be:
                return self._against_wish(key, entry, found, wish)
        except (LibraryUnavailable, LibraryRefused):
            return _one(believed) if believed else KnownBorrower(Who.UNKNOWN)
        return self._answer(key, entry, found, cpr=cpr, person=person, wish=wish)

    def is_answered(self, remembered: RememberedBorrower, wish: Wish, *, to_be: bool) -> bool:
        """Return whether ``who`` answers by what is remembered, the library system not asked."""
        believed = self._believed(remembered.entry, wish.person, wish, to_be=to_be)
        return believed is not None and self.is_trusted(believed)

    def carries(self, borrower: Borrower, owner: str) -> bool:
        """Return whether the library system has this borrower under the CPR number of ``owner``."""
        cpr = borrower.cpr
        if cpr is None or borrower.is_anothers(cpr):
            return False
        return compute_person_id_of_cpr(self.ports.hmacs, cpr) == owner

    def is_as_wished(self, before: Enrolment, wish: Wish) -> bool:
        """Return whether the remembered borrower is as ``wish`` has it."""
        if before.number is None or before.carried != self.ports.carried(wish):
            return False
        if wish.moves(before.category or ""):
            return False
        if wish.temporary not in {None, before.number}:
            return False
        if before.expires is None or before.category != wish.category:
            return True
        return not near(before.expires, wish.expires, self.ports.now().date())

    def is_trusted(self, before: Enrolment) -> bool:
        """Return whether the library system was asked so lately that it is not asked again."""
        if before.settled is None:
            return False
        return self.ports.now() - before.settled < self.ports.trust_for

    def in_slot(self, ask: Callable[[datetime], T]) -> T:
        """Return what ``ask`` hears from the library system within 3 s.

        LibraryUnavailable, LibraryRefused.
        """
        with waiting_slot(self.waiting_slots):
            return ask(self.ports.now() + _LOOK)

    def _read(self, cpr: str) -> RememberedBorrower:
        key = person_key(compute_person_id_of_cpr(self.ports.hmacs, cpr))
        return RememberedBorrower(key, self.ports.records.read(key))

    def _believed(
        self, entry: StoredEnrolment | None, person: PersonFacts, wish: Wish | None, *, to_be: bool
    ) -> Enrolment | None:
        """Return the enrolment that is remembered, if the borrower is as it has to be.

        A login with another name or birth date than the borrower was compared with asks again.
        """
        believed = self._remembered(entry)
        if believed and believed.agreed_facts != self.ports.hash_facts(person):
            return None
        if believed is None or not to_be:
            return believed
        return believed if wish and self.is_as_wished(believed, wish) else None

    def _found(self, cpr: str, before: Enrolment | None, by: datetime) -> tuple[Borrower, ...]:
        library = self.ports.library
        return library.find(cpr, by) or made_by_enrolment(library, before, by)

    @staticmethod
    def _remembered(entry: StoredEnrolment | None) -> Enrolment | None:
        """Return the finished enrolment of a borrower that was found or made, or None.

        One whose borrower the library system no longer had is not believed, not even while that is
        silent.
        """
        if entry is None or entry.enrolment.state is not EnrolmentState.DONE:
            return None
        enrolment = entry.enrolment
        # Without a time the borrower was gone at the last look.
        return enrolment if enrolment.number and enrolment.settled else None

    def _against_wish(
        self, key: Key, entry: StoredEnrolment | None, found: tuple[Borrower, ...], wish: Wish
    ) -> KnownBorrower:
        """Return the borrower as the wish would have to change it."""
        adopted = self.in_slot(lambda by: temporary(self.ports.library, found, wish, by))
        answer = self._answer(key, entry, found, cpr=wish.cpr or "", person=wish.person, wish=wish)
        planned = plan(found, wish, self.ports.now().date(), adopted)
        if isinstance(planned, Nothing) or _is_unfinished(entry):
            return answer
        if not isinstance(planned, Change):
            return replace(answer, number=None, enrolment=None)
        upgrade_from = offered(planned, found, wish)
        return replace(answer, number=planned.number, upgrade_from=upgrade_from)

    def _answer(
        self,
        key: Key,
        entry: StoredEnrolment | None,
        found: tuple[Borrower, ...],
        *,
        cpr: str,
        person: PersonFacts,
        wish: Wish | None,
    ) -> KnownBorrower:
        reason = find_case_reason(found, person, cpr)
        if found and reason is None:
            return self._noted(key, entry, found[0], wish, self.ports.hash_facts(person))
        if entry and self._remembered(entry):
            # Deleted, merged or another's by now: nobody is given it within ``trust_for`` either.
            self._write(entry, replace(entry.enrolment, settled=None, carried=None))
        if reason:
            return KnownBorrower(Who.CASE, reason=reason, borrowers=numbers(found))
        return KnownBorrower(Who.NONE)

    def _noted(
        self,
        key: Key,
        entry: StoredEnrolment | None,
        borrower: Borrower,
        wish: Wish | None,
        agreed_facts: str | None = None,
    ) -> KnownBorrower:
        """Write down how the borrower was found; not over a wish that waits, or a case."""
        number_alone = KnownBorrower(Who.ONE, borrower.number)
        if _is_unfinished(entry):
            return number_alone
        new = StoredEnrolment(key, new_enrolment(key, self.ports.now()), None, None)
        stored = entry or new
        found = self._as_found(borrower, stored.enrolment, wish)
        if agreed_facts:
            found = replace(found, agreed_facts=agreed_facts)
        if not self._write(stored, found):
            return number_alone
        return _one(found)

    def _write(self, entry: StoredEnrolment, enrolment: Enrolment) -> bool:
        """Write in live mode; False where another wrote meanwhile."""
        if self.mode != "live":
            return True
        return self.ports.records.write(entry, enrolment, entry.due) is not None

    def _as_found(self, borrower: Borrower, before: Enrolment, wish: Wish | None) -> Enrolment:
        """Return the enrolment of a borrower as it was found; a PIN that is owed stays owed.

        What a wish was carried out as counts only where the borrower is so.
        """
        owed = before.pin_owed and before.number == borrower.number
        kept = owed or before.pin_given_up  # what a retry needs
        finished = before.state is EnrolmentState.DONE
        carried = None
        if wish and isinstance(plan((borrower,), wish, self.ports.now().date()), Nothing):
            carried = self.ports.carried(wish)
        return replace(
            before,
            state=EnrolmentState.DONE,
            wish=before.wish if kept else None,
            pin_owed=owed,
            number=borrower.number,
            category=borrower.category,
            expires=borrower.expires,
            outcome=EnrolmentOutcome.UNCHANGED,
            reason=before.reason if finished else None,
            cause=before.cause if finished else None,
            carried=carried,
            settled=self.ports.now(),
        )


def person_key(owner: str) -> Key:
    """Return the key of a person's enrolment; ``owner`` is the pseudonym of the CPR number."""
    return Key("enrolment", owner)


def new_enrolment(key: Key, now: datetime, wish: Wish | None = None) -> Enrolment:
    """Return an enrolment that is wanted from now on, under a random id of its own."""
    return Enrolment(
        id=secrets.token_hex(16),
        state=EnrolmentState.WANTED,
        wanted_at=now,
        wish=wish,
        person=key.group,
    )


def _is_unfinished(entry: StoredEnrolment | None) -> bool:
    return entry is not None and entry.enrolment.state in _UNFINISHED


def _one(enrolment: Enrolment) -> KnownBorrower:
    as_it_is = enrolment if enrolment.carried else None
    return KnownBorrower(Who.ONE, enrolment.number, as_it_is)
