"""One login under way: the facts the outside told us, each added once by a guarded transition."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from broker.core.consent.consent import Receipt
from broker.core.entities import PERSISTENT
from broker.core.errors import BrowserUnmatched, Status, TooMany
from broker.core.identity.attributes import WireAttribute
from broker.core.identity.mailbox_proofs import Mailing, Proved
from broker.core.logout.sessions import NameID

LIFETIME: Final = timedelta(minutes=30)
# Until a browser has come for it: anybody may write a request, and the store is not theirs to fill.
UNBOUND_FOR: Final = timedelta(minutes=5)
ARRIVAL_USABLE_FOR: Final = timedelta(seconds=60)
SKEW: Final = timedelta(seconds=180)  # the one constant (invariant 9)
# Back, retry and WAYF's silent limit each send another request; a loop must end.
_MOST_OUTSTANDING: Final = 20


class Errand(StrEnum):
    """What a person came for: only a login was asked for by a service, and only it ends in an assertion."""

    LOGIN = "login"
    SIGN_UP = "sign_up"
    PIN = "pin"  # a new PIN, after a login
    PIN_BY_MAIL = "pin_by_mail"  # a new PIN, without one
    CHOICES = "choices"


@dataclass(frozen=True, slots=True)
class AuthnRequest:
    """What a service asked, after its message was verified; ``acs`` is one of its metadata's.

    An errand that no service asked for has one too, without ``id``, ``entity_id`` and ``acs``: its
    ``service`` is the one whose policy counts.
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


@dataclass(frozen=True, slots=True)
class Outstanding:
    """An AuthnRequest of ours that may still be answered, once, by this upstream at its own ACS."""

    id: str
    upstream: str
    sent: datetime


@dataclass(frozen=True, slots=True, repr=False)
class Authentication:
    """Our verified reading of an upstream's assertion; only ``saml`` makes one, so having it is the proof."""

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

    @property
    def subject(self) -> NameID | None:
        """Give the NameID as it was received, for the logout that must name it so."""
        qualifiers = (self.name_qualifier, self.sp_name_qualifier, self.sp_provided_id)
        return (
            NameID(self.name_id, self.name_id_format or None, *qualifiers) if self.name_id else None
        )


@dataclass(frozen=True, slots=True)
class UpstreamRefusal:
    """The upstream answered our request with an error status: no person, but an answer."""

    upstream: str
    status: Status


@dataclass(frozen=True, slots=True)
class Arrival:
    """An upstream's answer between its ACS and its browser; ``answer`` is gone once used (design 4a.2)."""

    transaction: str
    request: str
    at: datetime
    answer: Authentication | UpstreamRefusal | None


@dataclass(frozen=True, slots=True)
class Person:
    """Who the links say this is: the random id behind every NameID, and the borrower they remember.

    ``case`` is set where link and CPR disagree: nothing is made, staff get it listed (invariant 6).
    """

    id: str
    number: str | None = None
    case: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of the borrower now: the number (None: none yet) and how the enrolment stands."""

    number: str | None
    # known | none | wanted | done | case | given_up | observed | unavailable | mail_required |
    # closed
    state: str
    outcome: str | None = None
    reason: str | None = None
    upgrade_from: str | None = None  # the category that going on would change, if the person wants
    category: str | None = None  # the borrower's, where an enrolment says it
    pin_mailed: bool = False  # whether a PIN is mailed, or will be


@dataclass(frozen=True, slots=True)
class Issued:
    """That an assertion was issued, with the ids that make a second submit give the same one again.

    ``content`` is the digest of what left: under these ids nothing else ever does.
    """

    response: str
    assertion: str
    at: datetime
    name_id: str
    number: str | None
    content: str


@dataclass(frozen=True, slots=True)
class Transaction:
    """Everything stored about one login; what is not here is worked out again each time."""

    id: str
    reference: str  # eight speakable characters for the service desk
    begun: datetime
    until: datetime
    request: AuthnRequest
    errand: Errand = Errand.LOGIN
    shared: bool = (
        False  # on a computer that others use too, there or begun there: nothing is remembered
    )
    back: str | None = None  # the service to go on to after an errand
    browser: str | None = None  # pseudonym of cookie b
    intent: str | None = None
    upstream: str | None = None
    outstanding: tuple[Outstanding, ...] = ()
    sent: int = 0
    arrival: str | None = None  # pseudonym of cookie a
    authentication: Authentication | None = None
    failure: UpstreamRefusal | None = None
    authenticated: datetime | None = None
    person: Person | None = None
    receipts: tuple[Receipt, ...] = ()  # on file when the person arrived
    receipt: Receipt | None = None
    account: Account | None = None
    proofs: tuple[Proved, ...] = ()
    mailing: Mailing | None = None
    unproved: bool = (
        False  # the person goes on without a proof that would make them who they said they are
    )
    upgrade: bool | None = None  # the person's answer to the offer
    temporary: str | None = (
        None  # the borrower without a CPR that the person proved to be their own by its PIN
    )
    issued: Issued | None = None

    @property
    def forced(self) -> bool:
        """Say whether whoever logs in must do so afresh (ForceAuthn)."""
        return self.request.force_authn or self.shared

    def bound(self, browser: str, *, shared: bool = False) -> "Transaction":
        """Bind to one browser, once and for all; BrowserUnmatched if it is another's already (design 4a.1).

        ``shared`` is whether others use that browser's computer too, wherever the transaction was
        begun: by a link that somebody made elsewhere, whoever sits there would be let in by the
        login that the one before left open. What was asked before that without ForceAuthn is
        answered no more, however many answers to it are under way.
        """
        if self.browser not in {None, browser}:
            raise BrowserUnmatched("bound to another browser")
        asked = self.outstanding if self.forced or not shared else ()
        return replace(
            self,
            browser=browser,
            shared=self.shared or shared,
            outstanding=asked,
            until=self.begun + LIFETIME,
        )

    def asked(self, outstanding: Outstanding) -> "Transaction":
        """Record an AuthnRequest that is about to be sent; TooMany after twenty in one transaction."""
        if self.sent >= _MOST_OUTSTANDING:
            raise TooMany("AuthnRequests in one transaction")
        return replace(self, outstanding=(*self.outstanding, outstanding), sent=self.sent + 1)

    def awaits(self, request: str) -> Outstanding | None:
        """Find the request of ours that ``request`` (an InResponseTo) names, if it may still be answered."""
        return next((each for each in self.outstanding if each.id == request), None)

    def consumed(self, request: str) -> "Transaction":
        """Take ``request`` off what may be answered."""
        return replace(
            self, outstanding=tuple(each for each in self.outstanding if each.id != request)
        )

    def authenticated_by(
        self, answer: Authentication | UpstreamRefusal, request: str, arrival: str, now: datetime
    ) -> "Transaction":
        """Add the answer to ``request`` and discard what an older one led to (design 4a.3)."""
        plain = replace(
            self.cleared().consumed(request),
            arrival=arrival,
            authenticated=now,
            upstream=answer.upstream,
        )
        if isinstance(answer, Authentication):
            return replace(plain, authentication=answer, failure=None)
        return replace(plain, authentication=None, failure=answer)

    def cleared(self) -> "Transaction":
        """Drop everything that an authentication led to."""
        return replace(
            self.relearning(),
            proofs=(),
            mailing=None,
            unproved=False,
            upgrade=None,
            temporary=None,
            issued=None,
        )

    def relearning(self) -> "Transaction":
        """Drop what was learnt of the person, because more is known now: it is asked for again."""
        return replace(self, person=None, receipts=(), receipt=None, account=None)
