"""Proof of a mailbox: a code and a link mailed to it, good once, in the login that asked."""

import hmac
import secrets
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

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
from broker.core.input_normalization import without_spaces
from broker.core.letters import MailboxCodeLetter
from broker.core.login.transaction import Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, LetterWording, Mail, Store
from broker.core.retention.table import LIMIT, PROOF, PROOF_OWNER
from broker.use_cases.proof_ownership import claim_ownership, keep_proof, mailbox_place
from broker.use_cases.records import Records
from broker.use_cases.transactions import Held, Transactions

TRIES: Final = 5  # of one code
# Of all codes of one person: 15 in 10^6 is the chance of a day's guessing.
WRONG_A_DAY: Final = 15
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_SENDING: Final = timedelta(seconds=15)
_DIGITS: Final = frozenset("0123456789")
_CODE_LENGTH: Final = 6
_TRIED_A_DAY: Final = 30


class _Quota(NamedTuple):
    """At most ``most`` mails ``over`` a time, counted under ``label``."""

    label: str
    most: int
    over: timedelta


_PER_PERSON: Final = (_Quota("proof mails of", 5, _HOUR), _Quota("proof mails of", 15, _DAY))
_PER_MAILBOX: Final = (_Quota("proof mails to", 3, _HOUR), _Quota("proof mails to", 10, _DAY))


class DisputeList(Protocol):
    """The persons that a program cannot tell apart, as staff see them."""

    def taken(self, owner: str, address: str) -> str:
        """List that ``owner`` reads the mail of an address that proves another; both pseudonyms.

        Returns the id of the case.
        """
        ...


@dataclass(frozen=True, slots=True)
class MailboxProof:
    """The proofs over store and mail.

    ``owner`` is a person's pseudonym, ``held`` the transaction of that person's browser. Every
    change of a transaction is of the person: where another authentication has joined it meanwhile,
    nothing changes and BrowserUnmatched is raised (docs/reference/design.md#4a-3).
    """

    store: Store
    hmacs: LookupHmacs
    mail: Mail
    letters: LetterWording
    cases: DisputeList

    def remembered(self, owner: str, now: datetime) -> tuple[Proved, ...]:
        """Return what the person has proved before and still holds, by name."""
        records = Records(self.store, Proved).list("proof", owner, now)
        proofs = [record.value for record in records]
        return tuple(sorted(proofs, key=_name))

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
        """Mail a new code and link to ``address`` (of ``mail_addresses.typed``).

        What an older mail holds is void from now on. ``url`` makes an address of a link's secret.
        TooMany where person or address has had enough mails; MailUnavailable, with no mailing under
        way and none counted, where the mail server did not take it; AddressRefused, counted, where
        it knows no such address.
        """
        reserved = self._reserved(owner, address, now)
        # Nothing outlives its login: the letter promises no more than is true.
        until = min(now + lasts, held.transaction.until)
        mailing = _new_mailing(proof_name, address, now, until)
        # Written before it is sent: a code that somebody reads is one that somebody can use.
        held = self._change(held, lambda each: replace(each, mailing=mailing), now)
        content = _letter(mailing, url(mailing.link), asker)
        try:
            with closing(self.mail.address(address, now + _SENDING)) as letter:
                letter.send(*self.letters.worded(content, language))
        except RecipientRefused:
            # Stays counted: whose addresses the mail server knows is not for anybody to ask it
            # through us.
            self._change(held, lambda each: _without_mailing(each, mailing), now)
            raise AddressRefused("address_unreachable") from None
        except MailUnavailable:
            self._change(held, lambda each: _without_mailing(each, mailing), now)
            self._give_back(reserved, now)
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
    ) -> Held:
        """Prove by the code as a person types it.

        ``domains`` are those that count today (none: any). CodeRefused with its cause; TooMany
        after a day of wrong codes; AddressRefused where the address's domain counts no more;
        AddressTaken, with the mailing used up, where the address proves another person.
        """
        digits = without_spaces(code).replace("-", "")
        if len(digits) != _CODE_LENGTH or not _DIGITS.issuperset(digits):
            raise CodeRefused("code_malformed")
        mailing = self._tried(held.transaction, _code, digits, owner, now)
        return self._proved(
            held, mailing, owner, now, domains=domains, remembered_for=remembered_for
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
    ) -> Held:
        """Prove by the button of the mailed link, as ``try_code`` does by the code."""
        mailing = self._tried(held.transaction, _link, link, owner, now)
        return self._proved(
            held, mailing, owner, now, domains=domains, remembered_for=remembered_for
        )

    def counters(self, owner: str, addresses: Sequence[str]) -> tuple[Key, ...]:
        """Return the keys of all that is counted of a person and of the addresses proved."""
        quotas = [(quota, owner) for quota in _PER_PERSON]
        quotas += [(quota, one_mailbox(each)) for quota in _PER_MAILBOX for each in addresses]
        keys = [self._counter(quota.label, whose, str(quota.over)) for quota, whose in quotas]
        guesses = self._counter("proof guesses", owner, "")
        return (*keys, guesses, self._counter("proof mails of", owner, "tried"))

    def opened(self, held: Held, link: str, now: datetime) -> Mailing | None:
        """Return the mailing whose link was opened, or None.

        Nothing is used up by it: mail scanners open links.
        """
        mailing = held.transaction.mailing
        if mailing is None or not _same(mailing.link, link):
            return None
        if mailing.until <= now:
            return None
        return mailing

    def without(self, held: Held, now: datetime) -> Held:
        """Let the person go on without the proof."""
        return self._change(held, lambda each: replace(each, unproved=True, mailing=None), now)

    def _reserved(self, owner: str, address: str, now: datetime) -> list[tuple[Key, datetime]]:
        """Count one mail before it is sent, and return its counters with their ends.

        So that requests side by side do not each see room for one more.
        """
        # Not given back where the mail server refuses: whose addresses it knows is not for us to be
        # asked all day.
        tried = self._counter("proof mails of", owner, "tried")
        self._counted(tried, _TRIED_A_DAY, _DAY, now)
        quotas = [(quota, owner) for quota in _PER_PERSON]
        quotas += [(quota, one_mailbox(address)) for quota in _PER_MAILBOX]
        reserved: list[tuple[Key, datetime]] = []
        for quota, counted in quotas:
            key = self._counter(quota.label, counted, str(quota.over))
            try:
                self._counted(key, quota.most, quota.over, now)
            except TooMany:
                self._give_back(reserved, now)
                raise
            reserved.append((key, now + quota.over))
        return reserved

    def _give_back(self, reserved: Sequence[tuple[Key, datetime]], now: datetime) -> None:
        for key, ends in reserved:
            self.store.count(key, -1, ends, now)

    def _tried(
        self,
        transaction: Transaction,
        secret_of: Callable[[Mailing], str],
        given: str,
        owner: str,
        now: datetime,
    ) -> Mailing:
        """Return the mailing whose code or link, its ``secret_of``, was given.

        CodeRefused where it is wrong or there is none.
        """
        mailing = transaction.mailing
        if mailing is None:
            raise CodeRefused("code_none")
        if mailing.until <= now:
            raise CodeRefused("code_expired")
        # Counted before it is compared: guesses in parallel, by however many workers, are five in
        # all.
        tries = self._counter("proof tries", mailing.link, "")
        if self.store.count(tries, 1, LIMIT.ends(mailing.until + _HOUR), now) > TRIES:
            raise CodeRefused("code_used_up")
        wrong = self._counter("proof guesses", owner, "")
        self._counted(wrong, WRONG_A_DAY, _DAY, now)
        if not _same(secret_of(mailing), given):
            raise CodeRefused("code_wrong")
        self.store.count(wrong, -1, LIMIT.ends(now + _DAY), now)
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
    ) -> Held:
        typed(mailing.address, domains)
        until = PROOF.ends(now + remembered_for)
        proved = Proved(mailing.name, mailing.address, now, until)
        if proved.name != MAIL_PROOF:
            case = self._case(proved, owner, now)
            if case:
                self._change(held, lambda each: _used_up(each, mailing), now)
                raise AddressTaken("the address proves another person", case)

        def added(each: Transaction) -> Transaction:
            before = _unless_used(each, mailing).proofs
            others = tuple(proof for proof in before if proof.name != proved.name)
            return replace(each.relearning(), proofs=(*others, proved), mailing=None)

        # Code and link go in the same put that adds the proof, so they are good once. It is
        # remembered only after: a race that is lost leaves no proof, and the claim before it shows
        # no more than the right code did.
        done = self._change(held, added, now)
        keep_proof(self.store, proved, owner, now)
        return done

    def _case(self, proved: Proved, owner: str, now: datetime) -> str | None:
        """Return None where the address is the person's own from now on.

        A second person's is a case for staff, whose id is returned.
        """
        place = mailbox_place(self.hmacs, proved)
        claim = ProofOwner(owner, proved.name)
        if claim_ownership(self.store, place, claim, PROOF_OWNER.ends(proved.until), now):
            return None
        return self.cases.taken(owner, place.group)

    def _change(
        self, held: Held, change: Callable[[Transaction], Transaction], now: datetime
    ) -> Held:
        return Transactions(self.store).change(held, change, now)

    def _counter(self, label: str, whose: str, over: str) -> Key:
        return Key("counter", self.hmacs.of(label, whose), over)

    def _counted(self, key: Key, most: int, over: timedelta, now: datetime) -> None:
        ends = LIMIT.ends(now + over)
        if self.store.count(key, 1, ends, now) > most:
            self.store.count(key, -1, ends, now)
            raise TooMany("mails or codes of one proof")


def _unless_used(transaction: Transaction, mailing: Mailing) -> Transaction:
    """Return the transaction; CodeRefused if another request has used or replaced the mailing."""
    if transaction.mailing != mailing:
        raise CodeRefused("code_none")
    return transaction


def _used_up(transaction: Transaction, mailing: Mailing) -> Transaction:
    return replace(_unless_used(transaction, mailing), mailing=None)


def _without_mailing(transaction: Transaction, mailing: Mailing) -> Transaction:
    """Return the transaction without this mailing; a newer one stays under way."""
    if transaction.mailing != mailing:
        return transaction
    return replace(transaction, mailing=None)


def _new_mailing(name: str, address: str, now: datetime, until: datetime) -> Mailing:
    code = secrets.randbelow(10**_CODE_LENGTH)
    return Mailing(
        name=name,
        address=address,
        code=f"{code:0{_CODE_LENGTH}}",
        link=secrets.token_hex(16),
        sent=now,
        until=until,
    )


def _letter(mailing: Mailing, link: str, asker: str) -> MailboxCodeLetter:
    minutes = (mailing.until - mailing.sent).total_seconds() // 60
    return MailboxCodeLetter(
        code=mailing.code, link=link, asker=asker, minutes=max(1, int(minutes))
    )


def _name(proof: Proved) -> str:
    return proof.name


def _code(mailing: Mailing) -> str:
    return mailing.code


def _link(mailing: Mailing) -> str:
    return mailing.link


def _same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(), given.encode(errors="replace"))
