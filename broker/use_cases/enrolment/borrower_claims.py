"""Claims: a person shows that an older borrower without CPR number is theirs."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import CaseReason, Claim, Enrolment
from broker.core.borrowers.matching import PersonFacts, can_be_claimed, fold_address
from broker.core.errors import ClaimRefused, TooMany
from broker.core.mail.mail_contents import ClaimCodeMail
from broker.core.mail.mailed_codes import CODE_LASTS, CodeOwner, spell_code
from broker.use_cases.enrolment.find_borrower import BorrowerFinder
from broker.use_cases.pins.mailed_codes import MailedCodes
from broker.use_cases.storage.mail_outbox import MailOutbox

# More possible duplicates than these are not read for one page.
_MOST_READ: Final = 3


@dataclass(frozen=True, slots=True, repr=False)
class Claimant:
    """The person who claims: the facts of the login, and the browser to which a code belongs."""

    person_id: str
    facts: PersonFacts
    browser: str
    name: str
    language: str

    @property
    def code_owner(self) -> CodeOwner:
        """Return the owner of the codes that are mailed for a claim."""
        return CodeOwner("claim", self.browser, self.person_id)


@dataclass(frozen=True, slots=True)
class BorrowerClaims:
    """Checks claims. A claim that fails leaves only a count of tries behind.

    Every method that asks the library system may raise LibraryUnavailable.
    """

    finder: BorrowerFinder
    codes: MailedCodes
    outbox: MailOutbox

    def find_offered(self, claimant: Claimant) -> Borrower | None:
        """Return the possible duplicate to whose address a code can be mailed, or None."""
        enrolment = self._read_enrolment(claimant)
        if enrolment is None or enrolment.reason != CaseReason.POSSIBLE_DUPLICATE:
            return None
        for number in enrolment.borrowers[:_MOST_READ]:
            borrower = self._read(number)
            if borrower and borrower.email and self._can_claim(borrower, claimant):
                return borrower
        return None

    def mail_code(self, claimant: Claimant) -> None:
        """Mail a code to the possible duplicate that was found.

        Raises ClaimRefused if there is none now, and TooMany after three mails within a day.
        """
        borrower = self.find_offered(claimant)
        if borrower is None:
            raise ClaimRefused("no possible duplicate with an address")
        self._mail(borrower, claimant)

    def mail_code_for_card(self, claimant: Claimant, card_number: str) -> None:
        """Mail a code to the borrower with a card number, if it can be claimed.

        Otherwise a decoy takes the place of the code, so that the answer does not tell whether the
        card exists. Raises TooMany after five card numbers within a day.
        """
        borrower = self._find_card(claimant, card_number)
        with suppress(TooMany):
            if borrower and borrower.email and self._can_claim(borrower, claimant):
                self._mail(borrower, claimant)
                return
        self.codes.make_code(claimant.code_owner)

    def claim_by_card(self, claimant: Claimant, card_number: str) -> Claim:
        """Return the claim of the borrower with a card number, if the whole name agrees.

        A user name is not accepted, because others can guess it. Raises ClaimRefused, the same for
        every reason, and TooMany after five card numbers within a day.
        """
        borrower = self._find_card(claimant, card_number)
        is_card = borrower and (borrower.card or "").casefold() == card_number.casefold()
        if not (borrower and is_card and self._can_claim(borrower, claimant, is_by_card=True)):
            raise ClaimRefused("no borrower of this card number can be claimed")
        return Claim(borrower.number, is_by_card=True)

    def claim_by_code(self, claimant: Claimant, typed_code: str) -> Claim:
        """Return the claim of the borrower to whom a typed code was mailed.

        Raises CodeRefused with its cause, and ClaimRefused if the record has changed since the
        mail.
        """
        subject = self.codes.try_code(claimant.code_owner, typed_code)
        number, _, address = subject.partition(" ")
        borrower = self._read(number)
        if borrower is None or fold_address(borrower.email) != address:
            raise ClaimRefused("the borrower has another address by now")
        if not self._can_claim(borrower, claimant):
            raise ClaimRefused("the borrower can no longer be claimed")
        return Claim(number)

    def _can_claim(
        self, borrower: Borrower, claimant: Claimant, *, is_by_card: bool = False
    ) -> bool:
        enrolment = self._read_enrolment(claimant)
        if enrolment and borrower.number in enrolment.ruled_out:
            return False  # staff know that it is another person's
        return can_be_claimed(claimant.facts, borrower, is_by_card=is_by_card)

    def _mail(self, borrower: Borrower, claimant: Claimant) -> None:
        address = borrower.email or ""
        self.codes.count_mail(
            person_id=claimant.person_id, borrower_number=borrower.number, address=address
        )
        subject = f"{borrower.number} {fold_address(address)}"
        code = self.codes.make_code(claimant.code_owner, subject)
        letter = ClaimCodeMail(spell_code(code), claimant.name)
        draft = self.outbox.draft_mail(
            address, letter, claimant.language, about=borrower.number, lasts=CODE_LASTS
        )
        self.outbox.queue_mail(draft)

    def _find_card(self, claimant: Claimant, card_number: str) -> Borrower | None:
        self.codes.count_card(claimant.person_id)
        library = self.finder.ports.library
        found = self.finder.call(lambda deadline: library.find_typed(card_number, deadline))
        return found[0] if len(found) == 1 else None

    def _read(self, number: str) -> Borrower | None:
        library = self.finder.ports.library
        return self.finder.call(lambda deadline: library.read(number, deadline))

    def _read_enrolment(self, claimant: Claimant) -> Enrolment | None:
        ports = self.finder.ports
        record = ports.persons.read(claimant.person_id, ports.now())
        return record.value.enrolment if record else None
