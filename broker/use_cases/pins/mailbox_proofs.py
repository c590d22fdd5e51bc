"""Proof of a mailbox: a code is mailed to the address and typed in the login that asked for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from broker.core.errors import AddressTaken, BrowserUnmatched, CodeRefused
from broker.core.identity.mail_addresses import check_typed_address
from broker.core.identity.mailbox_proofs import MAIL_PROOF, MailboxProof, MailedAddress
from broker.core.login.steps import ProveMailbox
from broker.core.login.transaction import Transaction
from broker.core.mail.mail_contents import MailboxCodeMail
from broker.core.mail.mailed_codes import CODE_LASTS, CodeOwner, spell_code
from broker.core.retention import PROOF
from broker.use_cases.pins.mailed_codes import MailedCodes
from broker.use_cases.storage.mail_outbox import MailOutbox
from broker.use_cases.storage.person_records import PersonRecords
from broker.use_cases.transactions.transactions import LoginContext, Transactions


@dataclass(frozen=True, slots=True)
class MailboxProofs:
    """Proves mailboxes with mailed codes, and stores the proofs in person records.

    ``owner`` is a person id, and ``context`` the transaction of that person's browser. If another
    authentication has joined the transaction meanwhile, nothing changes and BrowserUnmatched is
    raised (docs/reference/design.md#4a-3).
    """

    persons: PersonRecords
    codes: MailedCodes
    outbox: MailOutbox

    def mail_code(
        self,
        context: LoginContext,
        owner: str,
        step: ProveMailbox,
        address: str,
        *,
        claimant: str,
        language: str,
        now: datetime,
    ) -> LoginContext:
        """Queue a mail with a new code to ``address``, which ``check_typed_address`` returned.

        Raises TooMany if the person or the mailbox has had three codes within a day.
        """
        self.codes.count_mail(person_id=owner, address=address)
        mailing = MailedAddress(step.name, address, now + CODE_LASTS)
        context = self._change(context, lambda each: replace(each, mailing=mailing), now)
        code = self.codes.make_code(_find_code_owner(context, owner), f"{step.name} {address}")
        content = MailboxCodeMail(code=spell_code(code), claimant=claimant)
        draft = self.outbox.draft_mail(address, content, language, about=owner, lasts=CODE_LASTS)
        self.outbox.queue_mail(draft)
        return context

    def try_code(
        self,
        context: LoginContext,
        owner: str,
        step: ProveMailbox,
        code: str,
        *,
        remembered_for: timedelta,
        now: datetime,
    ) -> LoginContext:
        """Prove the mailbox by a typed code.

        The step says which domains count now; if it names none, every domain counts. Raises
        CodeRefused with its cause, AddressRefused if the domain no longer counts, and AddressTaken
        if the address proves another person.
        """
        subject = self.codes.try_code(_find_code_owner(context, owner), code)
        name, _, address = subject.partition(" ")
        if name != step.name:
            raise CodeRefused("code_wrong")
        check_typed_address(address, step.domains)
        proved = MailboxProof(name, address, now, PROOF.ends(now + remembered_for))
        if name != MAIL_PROOF and not self.persons.claim_mailbox(owner, proved, now):
            raise AddressTaken("the address proves another person")

        def add_proof_to(each: Transaction) -> Transaction:
            others = tuple(proof for proof in each.proofs if proof.name != name)
            return replace(each.clear_look_up(), proofs=(*others, proved), mailing=None)

        done = self._change(context, add_proof_to, now)
        self.persons.change(owner, lambda each: each.mark_seen(now).add_proof(proved), now)
        return done

    def skip(self, context: LoginContext, now: datetime) -> LoginContext:
        """Let the person continue without the proof."""
        return self._change(context, lambda each: replace(each, unproved=True, mailing=None), now)

    def _change(
        self, context: LoginContext, change: Callable[[Transaction], Transaction], now: datetime
    ) -> LoginContext:
        return Transactions(self.persons.store).change(context, change, now)


def _find_code_owner(context: LoginContext, person_id: str) -> CodeOwner:
    """Return the browser of the transaction and the person, to whom the code belongs."""
    if context.transaction.browser is None:
        raise BrowserUnmatched("a login that no browser has come for")
    return CodeOwner("mailbox", context.transaction.browser, person_id)
