"""Proof of a mailbox: a code and a link mailed to it, taken back once, by the login that asked, from five tries."""

import hmac
import secrets
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from broker.core.errors import (
    AddressRefused,
    AddressTaken,
    CodeRefused,
    MailUnavailable,
    RecipientRefused,
    TooMany,
)
from broker.core.identity.mail_addresses import one_mailbox, typed
from broker.core.identity.mailbox_proofs import MAIL_PROOF, Mailing, ProofOwner, Proved
from broker.core.letters import Letters
from broker.core.login.transaction import Transaction
from broker.core.ports import Key, Mail, Store
from broker.core.pseudonyms import Pseudonyms
from broker.core.serialization import load
from broker.core.typed_codes import without_spaces
from broker.flows.leases import claim_ownership, drop_replaced_proofs, keep_proof
from broker.flows.transactions import Held, Transactions

TRIES: Final = 5  # of one code
WRONG_A_DAY: Final = 15  # of all codes of one person: 15 in 10^6 is the chance of a day's guessing
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_SENDING: Final = timedelta(seconds=15)
_DIGITS: Final = frozenset("0123456789")
_CODE_LENGTH: Final = 6
_TURNS: Final = 8


class DisputeList(Protocol):
    """What staff see of persons that a program cannot tell apart."""

    def taken(self, owner: str, address: str) -> None:
        """List that ``owner`` reads the mail of an address that proves another (both pseudonyms)."""
        ...


@dataclass(frozen=True, slots=True)
class MailboxProof:
    """The proofs over store and mail. ``owner`` is a person's pseudonym, ``held`` what that person's browser holds.

    Every change of a transaction is of the person: where another authentication has joined it
    meanwhile, nothing changes and BrowserUnmatched is raised (design 4a.3).
    """

    store: Store
    pseudonyms: Pseudonyms
    mail: Mail
    letters: Letters
    cases: DisputeList

    def remembered(self, owner: str, now: datetime) -> tuple[Proved, ...]:
        """Give what the person has proved before and still holds."""
        kept = (load(Proved, each.value) for _, each in self.store.list("proof", owner, now))
        return tuple(sorted(kept, key=lambda each: each.name))

    def mail_to(
        self,
        held: Held,
        owner: str,
        proof_name: str,
        address: str,
        *,
        asker: str,
        language: str,
        url: Callable[[str], str],
        lasts: timedelta,
        now: datetime,
    ) -> Held:
        """Mail a new code and link to ``address`` (``mailboxes.typed``); what an older mail holds is void from now on.

        ``url`` makes an address of a link's secret. TooMany where person or address has had enough
        mails; MailUnavailable, with no mailing under way and none counted, where the mail server
        did not take it; AddressRefused, counted, where it knows no such address.
        """
        reserved = self._reserved(owner, address, now)
        code, link = f"{secrets.randbelow(10**_CODE_LENGTH):0{_CODE_LENGTH}}", secrets.token_hex(16)
        # Nothing outlives its login: the letter says no more than is true.
        until = min(now + lasts, held.transaction.until)
        mailing = Mailing(proof_name, address, code, link, now, until)
        # Written before it is sent: a code that somebody reads is one that somebody can use.
        held = self._change(held, lambda each: replace(each, mailing=mailing), now)
        minutes = max(1, int((until - now).total_seconds() // 60))
        letter = self.letters.proof(
            language,
            code=code,
            link=url(link),
            asker=asker,
            minutes=minutes,
        )
        try:
            with closing(self.mail.address(address, now + _SENDING)) as conversation:
                conversation.send(*letter)
        except MailUnavailable as error:
            self._change(
                held,
                lambda each: replace(each, mailing=None) if each.mailing == mailing else each,
                now,
            )
            if isinstance(error, RecipientRefused):
                # Stays counted: whose addresses the mail server knows is not for anybody to ask it
                # through us.
                raise AddressRefused("address_unreachable") from None
            for key, ends in reserved:
                self.store.count(key, -1, ends, now)
            raise
        return held

    def try_code(
        self,
        held: Held,
        code: str,
        owner: str,
        now: datetime,
        *,
        domains: tuple[str, ...],
        remembered_for: timedelta,
        mine: Collection[str] = (),
    ) -> Held:
        """Prove by the code as a person types it; ``domains`` are those that count today (none: any).

        CodeRefused with its cause; TooMany after a day of wrong codes; AddressRefused where the
        address's domain counts no more; AddressTaken, with the mailing used up, where the address
        proves another person. ``mine`` are other pseudonyms of the same person, from which a proof
        moves to ``owner``.
        """
        digits = without_spaces(code).replace("-", "")
        if len(digits) != _CODE_LENGTH or not _DIGITS.issuperset(digits):
            raise CodeRefused("code_malformed")
        mailing = self._tried(held.transaction, "code", digits, owner, now)
        return self._proved(
            held,
            mailing,
            owner,
            now,
            domains=domains,
            remembered_for=remembered_for,
            mine=mine,
        )

    def press(
        self,
        held: Held,
        link: str,
        owner: str,
        now: datetime,
        *,
        domains: tuple[str, ...],
        remembered_for: timedelta,
        mine: Collection[str] = (),
    ) -> Held:
        """Prove by the button of the mailed link, as ``try_code`` does by the code."""
        mailing = self._tried(held.transaction, "link", link, owner, now)
        return self._proved(
            held,
            mailing,
            owner,
            now,
            domains=domains,
            remembered_for=remembered_for,
            mine=mine,
        )

    def opened(self, held: Held, link: str, now: datetime) -> Mailing | None:
        """Give the mailing whose link was opened, or None: mail scanners open links, so nothing is used up by it."""
        mailing = held.transaction.mailing
        same = mailing is not None and _same(mailing.link, link)
        return mailing if mailing and same and now < mailing.until else None

    def without(self, held: Held, now: datetime) -> Held:
        """Let the person go on without the proof."""
        return self._change(held, lambda each: replace(each, unproved=True, mailing=None), now)

    def _reserved(
        self,
        owner: str,
        address: str,
        now: datetime,
    ) -> list[tuple[Key, datetime]]:
        """Count one mail before it is sent, so that requests side by side do not each see room for one more."""
        person, mailbox = ("proof mails of", owner), ("proof mails to", one_mailbox(address))
        # Not given back where the mail server refuses: whose addresses it knows is not for us to be
        # asked all day.
        self._counted(self._counter(*person, "tried"), 30, _DAY, now)
        reserved: list[tuple[Key, datetime]] = []
        for whose, most, over in (
            (person, 5, _HOUR),
            (person, 15, _DAY),
            (mailbox, 3, _HOUR),
            (mailbox, 10, _DAY),
        ):
            key = self._counter(*whose, str(over))
            try:
                self._counted(key, most, over, now)
            except TooMany:
                for each, ends in reserved:
                    self.store.count(each, -1, ends, now)
                raise
            reserved.append((key, now + over))
        return reserved

    def _tried(
        self,
        transaction: Transaction,
        kind: str,
        given: str,
        owner: str,
        now: datetime,
    ) -> Mailing:
        """Give the mailing whose code or link (``kind``) was given; CodeRefused where it is wrong or there is none."""
        mailing = transaction.mailing
        if mailing is None:
            raise CodeRefused("code_none")
        if mailing.until <= now:
            raise CodeRefused("code_expired")
        # Counted before it is compared: guesses in parallel, by however many workers, are five in
        # all.
        tries = self._counter("proof tries", mailing.link, "")
        if self.store.count(tries, 1, mailing.until + _HOUR, now) > TRIES:
            raise CodeRefused("code_used_up")
        wrong = self._counter("proof guesses", owner, "")
        self._counted(wrong, WRONG_A_DAY, _DAY, now)
        if not _same(mailing.code if kind == "code" else mailing.link, given):
            raise CodeRefused("code_wrong")
        self.store.count(wrong, -1, now + _DAY, now)
        return mailing

    def _proved(
        self,
        held: Held,
        mailing: Mailing,
        owner: str,
        now: datetime,
        *,
        domains: tuple[str, ...],
        remembered_for: timedelta,
        mine: Collection[str],
    ) -> Held:
        typed(mailing.address, domains)
        proved = Proved(mailing.name, mailing.address, now, now + remembered_for)
        if proved.name != MAIL_PROOF and not self._claimed(proved, owner, mine, now):
            self._change(held, lambda each: replace(_unless_used(each, mailing), mailing=None), now)
            raise AddressTaken("the address proves another person")

        def told(each: Transaction) -> Transaction:
            others = tuple(
                proof for proof in _unless_used(each, mailing).proofs if proof.name != proved.name
            )
            return replace(each.relearning(), proofs=(*others, proved), mailing=None)

        # Code and link go in the same put that adds the proof, so they are good once. It is
        # remembered only after: a race that is lost leaves no proof, and the claim before it says
        # no more than the right code did.
        done = self._change(held, told, now)
        keep_proof(self.store, proved, owner, now)
        return done

    def _claimed(
        self,
        proved: Proved,
        owner: str,
        mine: Collection[str],
        now: datetime,
    ) -> bool:
        """Say whether the address is the person's own from now on; a second person's is a case for the staff."""
        mark = self.pseudonyms.of("proof address", proved.name, one_mailbox(proved.address))
        if not claim_ownership(
            self.store,
            Key("proof", mark),
            ProofOwner(owner, proved.name),
            proved.until,
            now,
            mine=mine,
        ):
            self.cases.taken(owner, mark)
            return False
        drop_replaced_proofs(self.store, proved, mine, now)
        return True

    def _change(
        self,
        held: Held,
        change: Callable[[Transaction], Transaction],
        now: datetime,
    ) -> Held:
        return Transactions(self.store).change(held, change, now)

    def _counter(self, label: str, whose: str, over: str) -> Key:
        return Key("counter", self.pseudonyms.of(label, whose), over)

    def _counted(self, key: Key, most: int, over: timedelta, now: datetime) -> None:
        if self.store.count(key, 1, now + over, now) > most:
            self.store.count(key, -1, now + over, now)
            raise TooMany("mails or codes of one proof")


def _unless_used(transaction: Transaction, mailing: Mailing) -> Transaction:
    """Give the transaction; CodeRefused where another request has used up or replaced the mailing meanwhile."""
    if transaction.mailing != mailing:
        raise CodeRefused("code_none")
    return transaction


def _same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(), given.encode(errors="replace"))
