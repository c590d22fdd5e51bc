"""A login in progress: the facts that came from outside, and the methods that add them."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from broker.core.borrowers.enrolment import Claim, EnrolmentOutcome
from broker.core.borrowers.matching import AddressAnswer, AddressQuestion
from broker.core.consent.consent import Receipt
from broker.core.entities import PERSISTENT
from broker.core.errors import BrowserUnmatched, Status, TooMany
from broker.core.identity.canonical_attributes import WireAttribute
from broker.core.identity.mailbox_proofs import MAIL_PROOF, MailboxProof, MailedAddress
from broker.core.logout.sessions import NameID
from broker.core.retention import TRANSACTION, TRANSACTION_DONE, TRANSACTION_IDLE_SHARED

LIFETIME: Final = TRANSACTION.span
# Octets of a request's texts without its RelayState. With them, a new transaction has about 2 kB.
MOST_OCTETS: Final = 1200
ARRIVAL_USABLE_FOR: Final = timedelta(seconds=60)
_QUOTES: Final = 3  # octets for the quotation marks around a text and the comma after it
# How far clocks may differ, everywhere (docs/reference/design.md#invariant-9).
SKEW: Final = timedelta(seconds=180)
# AuthnRequests in one transaction. Back and a retry send another request; a loop must end.
_MOST_OUTSTANDING: Final = 20


class LoginPurpose(StrEnum):
    """The purpose of a transaction. Only a LOGIN comes from a service and ends in an assertion."""

    LOGIN = "login"
    SIGN_UP = "sign_up"
    PIN = "pin"  # a new PIN, after a login
    PIN_BY_MAIL = "pin_by_mail"  # a new PIN, without a login
    CHOICES = "choices"  # to withdraw consents, and to see and delete what is stored about oneself
    STAFF = "staff"  # to open the staff view; no policy decides about it


# A PIN may be guessed, so a login for these purposes must not use one.
PURPOSES_WITHOUT_PIN_LOGIN: Final = frozenset({LoginPurpose.SIGN_UP, LoginPurpose.PIN})


@dataclass(frozen=True, slots=True, repr=False)
class SubjectHint:
    """The person whom a service expects. It fills in a field of the upstream's page, no more."""

    name: str
    format: str


@dataclass(frozen=True, slots=True)
class AuthnRequest:
    """The request of a service, after its message was verified. ``acs`` is from its metadata.

    A login that no service asked for has a request too, without ``id``, ``entity_id`` and
    ``acs``. Its ``service`` is the one whose policy counts.
    """

    id: str
    service: str
    entity_id: str
    acs: str
    relay_state: str | None = None
    force_authn: bool = False
    is_passive: bool = False
    name_id_format: str | None = None
    authn_contexts: tuple[str, ...] = ()
    comparison: str = "exact"
    idp_list: tuple[str, ...] = ()
    requester_ids: tuple[str, ...] = ()
    proxy_count: int | None = None
    subject_hint: SubjectHint | None = None

    @property
    def octets(self) -> int:
        """Return the octets of its texts without the RelayState, which has its own limit."""
        single = (self.id, self.service, self.entity_id, self.acs, self.name_id_format or "")
        texts = (*single, *self.authn_contexts, *self.idp_list, *self.requester_ids)
        return len("".join(texts).encode()) + _QUOTES * len(texts)


@dataclass(frozen=True, slots=True)
class Outstanding:
    """Our AuthnRequest, which this upstream may still answer once, at its own ACS."""

    id: str
    upstream: str
    sent: datetime


@dataclass(frozen=True, slots=True, repr=False)
class Authentication:
    """The verified content of an upstream's assertion.

    In a login, only the code that has verified an assertion or a PIN makes one. ``withheld`` lists
    the attributes that were left out, as (name, reason code).
    """

    upstream: str
    issuer: str
    institution: str
    authorities: tuple[str, ...]
    attributes: tuple[WireAttribute, ...]
    authn_instant: datetime
    authn_context: str | None
    received: datetime
    assertion_until: datetime
    name_id: str | None = None
    name_id_format: str = PERSISTENT  # "" where the NameID has none
    name_qualifier: str | None = None
    sp_name_qualifier: str | None = None
    sp_provided_id: str | None = None
    session_index: str | None = None
    session_until: datetime | None = None
    withheld: tuple[tuple[str, str], ...] = ()
    # for a login with the library account: the person id of the CPR number in the borrower's record
    cpr_person_id: str | None = None

    @property
    def persistent_name_id(self) -> str | None:
        """Return the NameID if it is the same at each login, else None."""
        return self.name_id if self.name_id_format == PERSISTENT else None

    @property
    def chain(self) -> tuple[str, ...]:
        """Return the authorities that our assertion names, the upstream last."""
        return tuple(name for name in dict.fromkeys((*self.authorities, self.issuer)) if name)

    @property
    def subject(self) -> NameID | None:
        """Return the NameID as it was received, for a logout."""
        if not self.name_id:
            return None
        return NameID(
            value=self.name_id,
            format=self.name_id_format or None,
            name_qualifier=self.name_qualifier,
            sp_name_qualifier=self.sp_name_qualifier,
            sp_provided_id=self.sp_provided_id,
        )


@dataclass(frozen=True, slots=True)
class UpstreamRefusal:
    """The upstream answered our request with an error status."""

    upstream: str
    status: Status


@dataclass(frozen=True, slots=True)
class Arrival:
    """An upstream's answer between ACS and browser; ``answer`` is None after its use.

    Source: docs/reference/design.md#4a-2.
    """

    transaction: str
    request: str
    at: datetime
    answer: Authentication | UpstreamRefusal | None

    def find_answer_for(
        self, transaction: "Transaction", now: datetime
    ) -> Authentication | UpstreamRefusal | None:
        """Return the answer that this arrival brings to ``transaction``.

        None if it belongs to another transaction, was used, is older than 60 seconds, or answers a
        request that is not outstanding.
        """
        if now > self.at + ARRIVAL_USABLE_FOR or self.transaction != transaction.id:
            return None
        if transaction.find_request(self.request) is None:
            return None
        return self.answer


@dataclass(frozen=True, slots=True)
class Person:
    """The person of a login: their id, and the number of their borrower, if it is known.

    Every NameID is computed from the id.
    """

    id: str
    number: str | None = None


class AccountState(StrEnum):
    """The state of the person's borrower account, as far as this login knows it.

    The state of an enrolment is one of them, under the same name.
    """

    KNOWN = "known"  # the person has a borrower, and this login changes nothing in it
    NONE = "none"  # no borrower yet, or one that this login would change
    WANTED = "wanted"  # the enrolment is accepted and not carried out yet
    DONE = "done"
    CASE = "case"  # staff must decide
    UNAVAILABLE = "unavailable"  # the library system did not answer
    MAIL_REQUIRED = "mail_required"  # no borrower is made without a mail address
    CLOSED = "closed"  # no enrolments now: the library system is frozen or does not answer


@dataclass(frozen=True, slots=True)
class Account:
    """The borrower as it is known now: the number (None: none yet) and the state."""

    number: str | None
    state: AccountState
    outcome: EnrolmentOutcome | None = None
    reason: str | None = None
    # the present category, if this login would change it and the person may refuse
    upgrade_from: str | None = None
    category: str | None = None  # the borrower's category, if an enrolment recorded it
    pin_mailed: bool = False  # whether a PIN is mailed, or will be
    # whether the person may claim an existing borrower instead
    can_claim: bool = False
    # asked when a borrower matches for the first time, before anything else
    address_question: AddressQuestion | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """The record of an issued assertion, and the ids that a repeated submit sends again.

    ``content`` is the digest of the content. Another content is never sent under these ids.
    """

    response: str
    assertion: str
    at: datetime
    name_id: str
    content: str


@dataclass(frozen=True, slots=True)
class Transaction:
    """Everything stored about one login. Everything else is computed again in each request."""

    id: str
    reference: str  # eight speakable characters for the service desk
    begun: datetime
    until: datetime
    request: AuthnRequest
    purpose: LoginPurpose = LoginPurpose.LOGIN
    # on a shared computer, or begun on one: nothing is remembered
    shared: bool = False
    back: str | None = None  # the service to continue to after a login for one of our own pages
    browser: str | None = None  # pseudonym of the browser cookie
    intent: str | None = None
    upstream: str | None = None
    outstanding: tuple[Outstanding, ...] = ()
    sent: int = 0
    arrival: str | None = None  # keyed hash of the arrival token, which is in the login cookie
    authentication: Authentication | None = None
    failure: UpstreamRefusal | None = None
    authenticated: datetime | None = None
    person: Person | None = None
    receipts: tuple[Receipt, ...] = ()  # stored answers, when the person arrived
    receipt: Receipt | None = None
    account: Account | None = None
    proofs: tuple[MailboxProof, ...] = ()
    mailing: MailedAddress | None = None
    unproved: bool = False  # the person continues without the proof that their intent needs
    upgrade: bool | None = None  # the person's answer to the offer of another category
    address_answer: AddressAnswer | None = None  # the answer to ``Account.address_question``
    claim: Claim | None = None  # the borrower that the person has shown to be their own
    told: bool = False  # a page has said that the category or the address was changed
    issued: Issued | None = None
    number_shown: bool = False  # a page has shown the whole CPR number, which is allowed once

    @property
    def is_forced(self) -> bool:
        """Return whether the person must log in afresh (ForceAuthn)."""
        return self.request.force_authn or self.shared

    @property
    def service_before(self) -> str | None:
        """Return the name of the service that the person came from, or None."""
        return self.request.service if self.purpose is LoginPurpose.LOGIN else self.back

    @property
    def upstream_request(self) -> AuthnRequest:
        """Return the request for an upstream, with ForceAuthn if this login needs it."""
        if self.is_forced == self.request.force_authn:
            return self.request
        return replace(self.request, force_authn=self.is_forced)

    @property
    def borrower_number(self) -> str | None:
        """Return the library system's number of the borrower that this login leads to, or None."""
        if self.account and self.account.number:
            return self.account.number
        return self.person.number if self.person else None

    @property
    def names(self) -> dict[str, str | None]:
        """Return the names of this login for the audit log, by the fields of ``AuditEvent``.

        They are codes, references and random ids, and no personal value.
        """
        return {
            "reference": self.reference,
            "service": self.request.service,
            "upstream": self.upstream,
            "institution": self.authentication.institution if self.authentication else None,
            "person": self.person_id,
        }

    @property
    def person_id(self) -> str | None:
        """Return the id of the person who has logged in, or None."""
        return self.person.id if self.person else None

    def bind(self, browser: str, *, shared: bool = False) -> "Transaction":
        """Bind to one browser for good; raises BrowserUnmatched if it is bound to another.

        ``shared`` says whether the browser is on a shared computer, even if the transaction began
        elsewhere. There, the next user could continue the login that the last one left open. So
        answers to requests that were sent without ForceAuthn are no longer accepted.

        Source: docs/reference/design.md#4a-1.
        """
        if self.browser not in {None, browser}:
            raise BrowserUnmatched("bound to another browser")
        asked = self.outstanding if self.is_forced or not shared else ()
        until = self.until if self.browser else TRANSACTION.until(self.begun)
        return replace(
            self, browser=browser, shared=self.shared or shared, outstanding=asked, until=until
        )

    def mark_attended(self, now: datetime) -> "Transaction":
        """Record a request of the person. On a shared computer the transaction ends when idle."""
        if not self.shared or self.authentication is None or self.issued:
            return self
        until = min(TRANSACTION.until(self.begun), TRANSACTION_IDLE_SHARED.until(now))
        return replace(self, until=until)

    def mark_finished(self, now: datetime) -> "Transaction":
        """Record that the login is finished. On a shared computer it ends some seconds later."""
        if not self.shared:
            return self
        return replace(self, until=min(self.until, TRANSACTION_DONE.until(now)))

    def record_issued(self, issued: Issued) -> "Transaction":
        """Add that the assertion is sent."""
        return replace(self, issued=issued).mark_finished(issued.at)

    def add_request(self, outstanding: Outstanding) -> "Transaction":
        """Record an AuthnRequest that is about to be sent; raises TooMany after twenty."""
        if self.sent >= _MOST_OUTSTANDING:
            raise TooMany("AuthnRequests in one transaction")
        sent = (*self.outstanding, outstanding)
        return replace(self, outstanding=sent, sent=self.sent + 1)

    def find_request(self, request: str) -> Outstanding | None:
        """Return our request that an InResponseTo names, if it can still be answered."""
        return next((sent for sent in self.outstanding if sent.id == request), None)

    def drop_request(self, request: str) -> "Transaction":
        """Remove ``request`` from those that may be answered."""
        return replace(self, outstanding=self._drop_outstanding(request))

    def _drop_outstanding(self, request: str) -> tuple[Outstanding, ...]:
        return tuple(sent for sent in self.outstanding if sent.id != request)

    def add_answer(
        self, answer: Authentication | UpstreamRefusal, request: str, arrival: str, now: datetime
    ) -> "Transaction":
        """Add the answer to ``request`` and discard everything that followed from an older answer.

        Source: docs/reference/design.md#4a-3.
        """
        refusal = answer if isinstance(answer, UpstreamRefusal) else None
        authentication = None if isinstance(answer, UpstreamRefusal) else answer
        return replace(
            self.clear_look_up(),
            outstanding=self._drop_outstanding(request),
            arrival=arrival,
            authenticated=now,
            upstream=answer.upstream,
            authentication=authentication,
            failure=refusal,
            proofs=(),
            mailing=None,
            unproved=False,
            upgrade=None,
            address_answer=None,
            claim=None,
            issued=None,
            number_shown=False,
        ).mark_attended(now)

    def add_claim(self, claim: Claim) -> "Transaction":
        """Add that the person has shown a borrower to be theirs; the enrolment is retried."""
        account = Account(None, AccountState.NONE)
        return replace(self, claim=claim, account=account)

    def find_new_address(self) -> str | None:
        """Return the address that the person has proved in this login, or None."""
        for proof in self.proofs:
            if proof.name == MAIL_PROOF and self.authenticated and proof.at >= self.authenticated:
                return proof.address
        return None

    @property
    def has_new_address(self) -> bool:
        """Return whether this login has replaced the address in the borrower."""
        answer, account = self.address_answer, self.account
        if answer is None or answer.is_own or account is None:
            return False
        return account.number is not None and account.address_question is None

    def answer_address(self, answer: AddressAnswer) -> "Transaction":
        """Add the answer to the question whether a borrower's address is the person's own.

        After a yes the person is looked up again.
        """
        if not answer.is_own:
            return replace(self, address_answer=answer)
        return replace(self, address_answer=answer, person=None, receipts=(), account=None)

    def clear_look_up(self) -> "Transaction":
        """Remove what was looked up about the person, so that it is looked up again."""
        return replace(self, person=None, receipts=(), receipt=None, account=None, told=False)
