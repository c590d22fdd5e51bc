"""What the ports know of the person who has just logged in: links, receipts on file, and the borrower."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from broker.cases import Cases
from broker.core.attributes import Attributes, Reading
from broker.core.borrower import Borrower, Enrolment, State, Wish, amiss
from broker.core.errors import AttributesRefused, LibraryRefused, LibraryUnavailable
from broker.core.policy import Decision, Effect
from broker.core.ports import Store
from broker.core.pseudonyms import Pseudonyms
from broker.core.transaction import Account, Authentication, Person, Transaction
from broker.core.wishes import wish
from broker.enrolments import Enrolments
from broker.links import Asserted, Links
from broker.receipts import Receipts
from broker.rules import Rules

# The upstream's own names for a person, steadiest first; a transient NameID names nobody.
_NAMES: Final = ("cprUuid", "eduPersonPrincipalName", "subject-id", "pairwise-id")
_KINDS: Final = {"eduPersonPrincipalName": "eppn"}
# What self-service enrolment needs; who has a borrower already gets on without it.
_UNMET: Final = frozenset(
    {"cpr_required", "replacement_number", "constructed_number", "too_young", "assurance_too_low"}
)


@dataclass(frozen=True, slots=True)
class Learning:
    """Asks the ports; ``naming`` holds the key of persistent NameIDs, which is never rotated."""

    store: Store
    pseudonyms: Pseudonyms
    naming: Pseudonyms
    rules: Rules
    links: Links
    enrolments: Enrolments

    def learn(self, transaction: Transaction, now: datetime) -> Transaction:
        """Add person, receipts on file and account to a transaction that an authentication has just joined.

        A login that the policies deny asks nothing and leaves nothing behind. ``LibraryUnavailable`` only where a
        link and a CPR disagree and the library cannot say who is right.
        """
        if transaction.authentication is None:
            return transaction
        try:
            reading = self.rules.reading(transaction.authentication, now)
        except AttributesRefused:
            return transaction
        decision = self.rules.decide_on(transaction, reading, now)
        if decision.effect is not Effect.PERMIT and decision.reasons[0].code not in _UNMET:
            return transaction
        person = self._person(transaction.authentication, reading, decision)
        known = replace(transaction, person=person)
        if decision.effect is not Effect.PERMIT:
            # What self-service lacks is no matter to whom has a borrower already.
            decision = self.rules.decide_on(known, reading, now)
        if decision.effect is not Effect.PERMIT:
            return known
        latest = Receipts(self.store).latest(self.receipts_of(known), now)
        return replace(
            known, receipts=(latest,) if latest else (), account=self._account(known, reading, decision, now)
        )

    def receipts_of(self, transaction: Transaction) -> str:
        """Give the pseudonym of person and service that receipts are kept under."""
        person = transaction.person.id if transaction.person else ""
        return self.pseudonyms.of("receipts", person, transaction.request.service)

    def enrol(
        self, transaction: Transaction, decision: Decision, now: datetime, *, language: str, patience: float
    ) -> Account:
        """Write the wish, wait ``patience`` seconds for it, and say how it stands; a silent library is no error."""
        person, authentication = transaction.person, transaction.authentication
        if person is None or authentication is None:
            return Account(None, "none")
        reading = self.rules.reading(authentication, now)
        wanted = _wish(decision, reading, language, now)
        if wanted is None or wanted.cpr is None:
            return Account(person.number, "done" if person.number else "case", reason="cpr_required")
        try:
            if self.enrolments.mode == "frozen":
                return self._frozen(wanted.cpr)
            if self._mailless(wanted):
                return Account(None, "mail_required")
            enrolment = self.enrolments.want(wanted, person.number)
        except (LibraryUnavailable, LibraryRefused):
            # Nothing was stored, so nothing is promised (frozen, or no address and nobody to ask whether it is needed).
            return Account(None, "closed", reason="library_unavailable")
        if enrolment.state is State.WANTED:
            key = self.enrolments.person_key(wanted.cpr)
            enrolment = self.enrolments.wait(key, patience) or enrolment
        if enrolment.state is State.DONE:
            self.links.remember(self.links.of_cpr(wanted.cpr), enrolment.number)
        return _account(enrolment)

    def name_id(self, transaction: Transaction, *, persistent: bool) -> str:
        """Give the NameID for the service: the same for this person and this service for ever, or random."""
        if not persistent or transaction.person is None:
            return f"_{secrets.token_hex(20)}"
        entity_id = self.rules.service(transaction.request.service).entity_id
        return self.naming.of("name-id", transaction.person.id, entity_id).partition(".")[2]

    def _person(self, authentication: Authentication, reading: Reading, decision: Decision) -> Person:
        number = _real(reading, decision)
        name = self._name(authentication, reading.attributes)
        if name is None and number is None:
            return Person(secrets.token_hex(16))
        cpr = self.links.of_cpr(number) if number else None
        asserted = self._asserted(name, reading)
        person = self.links.person(name, cpr, lambda borrower: self._carries(borrower, number), asserted)
        if person.case and name:
            self.enrolments.dispute(name, cpr or (asserted.number if asserted else name), person.number)
        return person

    def _asserted(self, name: str | None, reading: Reading) -> Asserted | None:
        """Give the number that was asserted, too weak to find a borrower or not, as what may speak against a link."""
        number = reading.attributes.one("cpr")
        return self.links.asserted(name, number, real=reading.cpr == "real") if name and number else None

    def _name(self, authentication: Authentication, attributes: Attributes) -> str | None:
        for name in _NAMES:
            value = attributes.one(name)
            if value:
                # An upstream's name is good within its institution only: two could assert the same.
                kind = _KINDS.get(name, name)
                return self.links.of_name(f"{kind} {authentication.institution}", value)
        return None

    def _carries(self, borrower: str, cpr: str | None) -> bool:
        if cpr is None:
            return False
        return any(each.number == borrower and not each.is_anothers(cpr) for each in self.enrolments.look(cpr))

    def _account(self, transaction: Transaction, reading: Reading, decision: Decision, now: datetime) -> Account | None:
        release, person = decision.release, transaction.person
        if release is None or person is None or release.borrower == "none" or person.case:
            return None
        wanted = _wish(decision, reading, "da", now)
        try:
            if release.borrower == "need":
                name = (
                    self._name(transaction.authentication, reading.attributes) if transaction.authentication else None
                )
                return self._needed(person, _real(reading, decision), name)
            if wanted is None or wanted.cpr is None:
                return Account(person.number, "done" if person.number else "none")
            standing = self.enrolments.known(wanted, person.number)
            if standing:
                self.links.remember(self.links.of_cpr(wanted.cpr), standing.number)
                return _account(standing)
            return Account(None, "mail_required" if self._mailless(wanted) else "none")
        except (LibraryUnavailable, LibraryRefused):
            return Account(None, "unavailable")

    def _needed(self, person: Person, cpr: str | None, name: str | None = None) -> Account:
        """Find the borrower that must be there: where a CPR came by the CPR, for the desk may have corrected it."""
        if cpr is None:
            owner = self.links.cpr(name) if name else None
            reason = Cases(self.enrolments.tools.ledger, self.links).reason(owner) if owner else None
            return _case(reason) if reason else _known(person.number)
        standing = self.enrolments.standing(cpr)
        if standing and standing.state is State.CASE:
            return _case(standing.reason)
        if person.number and person.number == self.enrolments.settled(cpr):
            return _known(person.number)
        try:
            found = self.enrolments.look(cpr)
        except LibraryUnavailable:
            if person.number is None:
                raise
            return _known(person.number)
        return self._agreed(found, cpr, person.number, standing)

    def _agreed(self, found: tuple[Borrower, ...], cpr: str, linked: str | None, standing: Enrolment | None) -> Account:
        reason = amiss(found, cpr, linked)
        kept = self.enrolments.read(linked) if linked and reason else None
        if kept is None or reason is None:
            # No link, one that agrees, or one to a borrower that is gone and names nobody.
            return _known(found[0].number if found and not amiss(found, cpr, None) else None)
        if not found and standing and kept.mark == standing.id and not kept.is_anothers(cpr):
            # We made it for this very CPR, and the desk has given it another number since.
            return _known(linked)
        owner = self.links.of_cpr(cpr)
        Cases(self.enrolments.tools.ledger, self.links).dispute(owner, owner, reason)
        return _case(reason)

    def _frozen(self, cpr: str) -> Account:
        """Serve a borrower that is there as it is; nobody new, and nothing changed."""
        found = self._needed(Person(""), cpr)
        return replace(found, state="done") if found.number else Account(None, "closed")

    def _mailless(self, wanted: Wish) -> bool:
        """Say whether a borrower would have to be made without a mail address, which none may be (wizard.md R22)."""
        mailed = any(each.name == "email" for each in wanted.fields)
        return not mailed and wanted.cpr is not None and not self.enrolments.look(wanted.cpr)


def _case(reason: str | None) -> Account:
    return Account(None, "case", reason=reason)


def _known(number: str | None) -> Account:
    return Account(number, "known" if number else "none")


def _real(reading: Reading, decision: Decision) -> str | None:
    """Give the CPR where it may find a borrower: a real number, of a person known in person (design 5)."""
    return reading.attributes.one("cpr") if reading.cpr == "real" and decision.may_find_by_cpr else None


def _wish(decision: Decision, reading: Reading, language: str, now: datetime) -> Wish | None:
    # Whatever a policy file forgets to require: only a real number enrols by itself (invariant 5).
    find = decision.may_find_by_cpr and reading.cpr == "real"
    return wish(decision, reading.attributes, find_by_cpr=find, language=language, today=now.date())


def _account(enrolment: Enrolment) -> Account:
    outcome = enrolment.outcome.value if enrolment.outcome else None
    return Account(enrolment.number, enrolment.state.value, outcome, enrolment.reason)
