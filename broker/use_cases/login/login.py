"""A login, from the request to the assertion. Each method adds a fact to the transaction."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Claim
from broker.core.borrowers.matching import AddressAnswer
from broker.core.borrowers.wanted_borrower import derive_wanted_borrower
from broker.core.errors import (
    REQUEST_UNSUPPORTED,
    BrowserUnmatched,
    FormRefused,
    RequestRefused,
    TransactionGone,
)
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE
from broker.core.login.authentication_reading import make_pin_authentication
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.decision_input import deny
from broker.core.login.next_step import StepInputs, next_step, offers_claim
from broker.core.login.refused_facts import RefusedFacts, collect_refused_facts
from broker.core.login.steps import ConfirmAddress, Enrol, OfferUpgrade, Refuse, Step, TellChange
from broker.core.login.transaction import (
    MOST_OCTETS,
    AuthnRequest,
    LoginPurpose,
    Outstanding,
    Transaction,
)
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Store
from broker.core.retention import TRANSACTION_BEGUN
from broker.use_cases.login.arrival_matching import ArrivalMatching
from broker.use_cases.login.arrivals import Arrivals
from broker.use_cases.login.consent_answers import ConsentAnswers
from broker.use_cases.login.issuance import Issuance
from broker.use_cases.login.person_at_login import PersonAtLogin
from broker.use_cases.logout.sessions import Sessions
from broker.use_cases.transactions.transactions import LoginContext, Transactions, draw_reference


@dataclass(frozen=True, slots=True)
class LoginFlow:
    """The steps of a login. Every method takes ``now``, an aware UTC time.

    ``sign_up_service`` is the service whose policies are used for people who sign up.
    """

    store: Store
    hmacs: LookupHmacs
    rules: ConfiguredEntities
    person_at_login: PersonAtLogin
    sign_up_service: str | None = None

    @property
    def answers(self) -> ConsentAnswers:
        """Return the part that stores answers to questions."""
        return ConsentAnswers(self.hmacs, self.person_at_login, self.transactions)

    @property
    def issuance(self) -> Issuance:
        """Return the part that records an assertion before it is sent."""
        sessions = Sessions(self.store, self.hmacs)
        return Issuance(self.hmacs, self.person_at_login, self.transactions, sessions)

    @property
    def arrivals(self) -> Arrivals:
        """Return the answers of upstreams that wait for their browser."""
        return Arrivals(self.store, self.hmacs)

    @property
    def matching(self) -> ArrivalMatching:
        """Return the part that joins an arrival to its transaction."""
        return ArrivalMatching(self.arrivals, self.transactions, self.person_at_login)

    @property
    def transactions(self) -> Transactions:
        """Return the stored transactions."""
        return Transactions(self.store)

    def begin(
        self,
        request: AuthnRequest,
        now: datetime,
        browser: str | None = None,
        *,
        shared: bool = False,
    ) -> tuple[LoginContext, Outstanding | None]:
        """Store a new transaction for a verified AuthnRequest.

        Raises RequestRefused if its IDPList leaves no way to log in, if no policy gives the NameID
        format, or if it is too long to be stored for a visitor (docs/reference/design.md#4e). If
        the browser is known and there is only one way to log in, our AuthnRequest to that upstream
        is recorded in the same write, and returned (docs/reference/design.md#4a-1).
        """
        if request.octets > MOST_OCTETS:
            what = f"more than {MOST_OCTETS} octets of names and classes"
            raise RequestRefused(REQUEST_UNSUPPORTED, what, request=request)
        self.rules.check_name_id(request)
        upstreams = self.rules.list_upstreams(request)
        only = upstreams[0] if len(upstreams) == 1 else None
        begun = make_transaction(request, now, shared=shared, upstream=only)
        if browser is None:
            return self.transactions.add(begun, now), None
        bound = begun.bind(browser)
        sent = self._make_request_at_once(bound, upstreams, now)
        asked = bound.add_request(sent) if sent else bound
        return self.transactions.add(asked, now), sent

    def begin_for(
        self,
        purpose: LoginPurpose,
        now: datetime,
        *,
        intent: str | None = None,
        upstream: str | None = None,
        back: str | None = None,
        shared: bool = False,
    ) -> LoginContext:
        """Store a transaction that no service asked for.

        Raises FormRefused if ``upstream`` is no way to log in for this purpose. The person must log
        in again (ForceAuthn), because another person may use an open browser.
        """
        if self.sign_up_service is None:
            raise FormRefused("no service by whose policy people sign up")
        request = AuthnRequest(
            id="", service=self.sign_up_service, entity_id="", acs="", force_authn=True
        )
        if upstream is not None and upstream not in self.rules.list_upstreams(request, purpose):
            raise FormRefused("not a way to log in for this")
        if back not in self.rules.services:
            back = None
        transaction = replace(
            make_transaction(request, now, shared=shared, upstream=upstream),
            purpose=purpose,
            back=back,
            intent=intent,
        )
        return self.transactions.add(transaction, now)

    def read(self, name: str, now: datetime) -> LoginContext:
        """Return the transaction. Raises TransactionGone if there is none.

        Also raises it for a login to the staff view, which has no person, policy or service.
        """
        context = self.transactions.read(name, now)
        if context.transaction.purpose is LoginPurpose.STAFF:
            raise TransactionGone("a login of staff")
        return context

    def resume(self, context: LoginContext, now: datetime) -> LoginContext:
        """Return the transaction with which the person continues, looked up if necessary.

        Raises TransactionGone if the person has logged out since.
        """
        context = self.issuance.check_not_logged_out(context, now)
        return self.person_at_login.look_up_and_store(
            self.transactions.mark_attended(context, now), now
        )

    def reveal_cpr(self, context: LoginContext, now: datetime) -> LoginContext | None:
        """Record that the page shows the whole CPR number; None if this login has shown it before.

        So a page that was left open does not show the number to another person. Of two requests at
        the same time only one succeeds.
        """
        first = False

        def mark_shown(each: Transaction) -> Transaction:
            nonlocal first
            first = not each.number_shown
            return replace(each, number_shown=True)

        context = self.transactions.change(context, mark_shown, now)
        return context if first else None

    def next_step(self, context: LoginContext, now: datetime) -> Step:
        """Return the next step."""
        context = self.person_at_login.evaluate(context, now)
        return next_step(context.transaction, self._collect_inputs(context, now), now)

    def collect_refused_facts(
        self, context: LoginContext, step: Refuse, now: datetime
    ) -> RefusedFacts | None:
        """Return the facts that led to a refusal; None if no policy decision was made."""
        login = self.person_at_login.evaluate(context, now).evaluated
        if login is None or step.decision is None:
            return None
        return collect_refused_facts(
            context.transaction, login.reading, step.decision, login.policies, trusted=login.trusted
        )

    def bind(
        self, context: LoginContext, browser: str, now: datetime, *, shared: bool = False
    ) -> LoginContext:
        """Bind the transaction to a browser, by the keyed hash of its cookie."""
        if context.transaction.bind(browser, shared=shared) == context.transaction:
            return context
        return self.transactions.change(
            context, lambda transaction: transaction.bind(browser, shared=shared), now
        )

    def bind_and_ask(
        self, context: LoginContext, browser: str, now: datetime, *, shared: bool = False
    ) -> tuple[LoginContext, Outstanding | None]:
        """Bind a transaction, and record the AuthnRequest to the only way to log in.

        Return None for the AuthnRequest if another step comes first. Also if another request has
        bound the transaction meanwhile, because it may have sent the AuthnRequest.
        """
        upstreams = self.rules.list_upstreams(
            context.transaction.request, context.transaction.purpose
        )
        sent = self._make_request_at_once(context.transaction, upstreams, now)

        def bind_and_add_request(each: Transaction) -> Transaction:
            bound = each.bind(browser, shared=shared)
            first = each.browser is None
            return bound.add_request(sent) if sent and first else bound

        bound = self.transactions.change(context, bind_and_add_request, now)
        is_recorded = sent is not None and bound.transaction.find_request(sent.id)
        return bound, sent if is_recorded else None

    def ask_upstream(
        self, context: LoginContext, upstream: str, now: datetime
    ) -> tuple[LoginContext, Outstanding]:
        """Record a new AuthnRequest to ``upstream`` before it is sent.

        Everything else in the transaction stays until the answer comes. Raises BrowserUnmatched if
        the transaction is not bound, and FormRefused if this request may not use the upstream.
        """
        if context.transaction.browser is None:
            raise BrowserUnmatched("an AuthnRequest needs a bound transaction")
        upstreams = self.rules.list_upstreams(
            context.transaction.request, context.transaction.purpose
        )
        if upstream not in upstreams or upstream in self.rules.local:
            raise FormRefused("not a way to log in to this service")
        sent = make_authn_request(context.transaction, upstream, now)
        asked = self.transactions.change(
            context, lambda transaction: transaction.add_request(sent), now, of_person=False
        )
        return asked, sent

    def find_awaited_request(
        self, in_response_to: str, upstream: str, now: datetime
    ) -> tuple[LoginContext, Outstanding]:
        """Return the transaction and the AuthnRequest that an answer names.

        The AuthnRequest must be outstanding and sent to this upstream. Raises TransactionGone for
        an unsolicited answer, a second answer, and an answer of another upstream
        (docs/reference/attacks.md#15, #16 and #18).
        """
        context = self.transactions.read(in_response_to[1:33], now)
        outstanding = context.transaction.find_request(in_response_to)
        if outstanding is None or outstanding.upstream != upstream:
            raise TransactionGone("not an outstanding request of this upstream")
        return context, outstanding

    def consume_request(
        self, context: LoginContext, outstanding: Outstanding, now: datetime
    ) -> None:
        """Remove our request that a refused message answers: no other answer may be tried."""
        self.transactions.change(
            context, lambda each: each.drop_request(outstanding.id), now, of_person=False
        )

    def find_account_address(self, context: LoginContext, now: datetime) -> str | None:
        """Return the mail address that a new borrower of this login would get, if any."""
        evaluated = self.person_at_login.evaluate(context, now).evaluated
        if evaluated is None:
            return None
        wanted = derive_wanted_borrower(
            evaluated.decision, evaluated.reading.attributes, language="", today=now.date()
        )
        return wanted.email if wanted else None

    def answer_upgrade(self, context: LoginContext, now: datetime, *, wanted: bool) -> LoginContext:
        """Add the person's answer to the offer of another category."""
        if not isinstance(self.next_step(context, now), OfferUpgrade):
            return context
        if wanted:
            return self.transactions.change(context, lambda each: replace(each, upgrade=True), now)
        unchanged = self.transactions.change(
            context, lambda each: replace(each.clear_look_up(), upgrade=False), now
        )
        return self.person_at_login.look_up_and_store(unchanged, now)

    def answer_address(self, context: LoginContext, now: datetime, *, is_own: bool) -> LoginContext:
        """Add the person's answer to the question whether the borrower's address is theirs."""
        step = self.next_step(context, now)
        if not isinstance(step, ConfirmAddress):
            return context
        answer = AddressAnswer(step.question.match_hash, is_own)
        answered = self.transactions.change(context, lambda each: each.answer_address(answer), now)
        return self.person_at_login.look_up_and_store(answered, now)

    def add_claim(self, context: LoginContext, claim: Claim, now: datetime) -> LoginContext:
        """Add that the person has shown a borrower to be theirs."""
        if not offers_claim(self.next_step(context, now)):
            return context
        return self.transactions.change(context, lambda each: each.add_claim(claim), now)

    def mark_told(self, context: LoginContext, now: datetime) -> LoginContext:
        """Add that the page about a changed category or address was shown."""
        if not isinstance(self.next_step(context, now), TellChange):
            return context
        return self.transactions.change(context, lambda each: replace(each, told=True), now)

    def join_verified_pin(
        self, context: LoginContext, upstream: str, borrower: Borrower, now: datetime
    ) -> tuple[LoginContext, str]:
        """Add the authentication by a borrower's PIN, and return a new token for the login cookie.

        Raises FormRefused if this request may not use the library account.
        """
        transaction = context.transaction
        upstreams = self.rules.list_upstreams(transaction.request, transaction.purpose)
        local = upstream in upstreams and upstream in self.rules.local
        if transaction.browser is None or not local:
            raise FormRefused("not a way to log in to this service")
        # A new token, as after an assertion, makes an earlier login cookie invalid
        # (docs/reference/design.md#4a-4).
        arrival_token = secrets.token_hex(32)
        token_hash = self.arrivals.hash_token(arrival_token)
        cpr_person_id = self.person_at_login.persons.find_cpr_person_of(borrower, now)
        answer = make_pin_authentication(upstream, borrower, now, cpr_person_id)
        joined = self.transactions.change(
            context, lambda each: each.add_answer(answer, "", token_hash, now), now, of_person=False
        )
        return self.person_at_login.look_up_and_store(joined, now), arrival_token

    def enrol(
        self, context: LoginContext, now: datetime, *, language: str, patience: float
    ) -> LoginContext:
        """Queue the enrolment, wait for it at most ``patience`` seconds, and record the account.

        The policies decide again after the wait.
        """
        context = self.person_at_login.evaluate(context, now)
        login = context.evaluated
        if login is None or not isinstance(self.next_step(context, now), Enrol):
            return context
        enrol = self.person_at_login.borrowers.enrol
        account = enrol(context.transaction, login, language=language, patience=patience)
        recorded = self.transactions.change(
            context, lambda transaction: replace(transaction, account=account), now
        )
        # The person may have logged out while this request waited.
        recorded = self.issuance.check_not_logged_out(recorded, now)
        return self.person_at_login.evaluate(replace(recorded, evaluated=None), now)

    def _make_request_at_once(
        self, transaction: Transaction, upstreams: Collection[str], now: datetime
    ) -> Outstanding | None:
        """Return the AuthnRequest to the only way to log in; None if there are several.

        Also None for the library account, which needs no AuthnRequest.
        """
        upstream = transaction.upstream
        if upstream is None or upstream not in upstreams or upstream in self.rules.local:
            return None
        return make_authn_request(transaction, upstream, now)

    def _collect_inputs(self, context: LoginContext, now: datetime) -> StepInputs:
        transaction, login, rules = context.transaction, context.evaluated, self.rules
        inputs = StepInputs(
            service=rules.service(transaction.request.service),
            giver=rules.find_giver(transaction.authentication),
            hmacs=self.hmacs,
            decision=deny("no_affiliation", rules.policies()),
            missing_proof=None,
            upstreams=rules.list_upstreams(transaction.request, transaction.purpose),
            local=rules.local,
            meets=rules.meets(transaction.authentication),
            ids=self.person_at_login.compute_service_ids(transaction),
        )
        if login is None:
            # Before the authentication there is nothing to decide.
            return inputs
        return replace(
            inputs,
            decision=login.decision,
            missing_proof=self.person_at_login.find_missing_proof(login, now),
            received_class=rules.authn_context(login.authentication, login.reading),
            cpr=login.reading.attributes.one(CPR_ATTRIBUTE),
        )


def make_transaction(
    request: AuthnRequest, now: datetime, *, shared: bool, upstream: str | None = None
) -> Transaction:
    """Return a new transaction, which has no browser yet."""
    return Transaction(
        secrets.token_hex(16),
        draw_reference(),
        now,
        TRANSACTION_BEGUN.until(now),
        request,
        shared=shared,
        upstream=upstream,
    )


def make_authn_request(transaction: Transaction, upstream: str, now: datetime) -> Outstanding:
    """Return a new AuthnRequest to ``upstream``, not recorded yet.

    Its id begins with the id of the transaction. So no RelayState is needed, which an attacker
    could exchange (docs/reference/attacks.md#16).
    """
    return Outstanding(f"_{transaction.id}{secrets.token_hex(16)}", upstream, now)
