"""Shows a step: turns the next step of a transaction into an answer to the browser."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from flask import redirect, render_template
from werkzeug.wrappers import Response

from broker.adapters.web.pages import sign_up_result
from broker.adapters.web.pages.consent_screen import ConsentScreen
from broker.adapters.web.pages.language import language, localize_text
from broker.adapters.web.pages.outgoing_saml import OutgoingSaml
from broker.adapters.web.pages.page_links import add_query
from broker.adapters.web.pages.refusal_links import (
    choose_actions,
    choose_error_actions,
    list_admitted,
    upstreams_to_borrower,
)
from broker.adapters.web.pages.step_events import refusal_facts
from broker.core.errors import NO_PASSIVE, StoreUnavailable
from broker.core.events.audit_events import AuditEventKind, deciding_line
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.core.login.refused_facts import RefusedFacts
from broker.core.login.steps import (
    Ask,
    Authenticate,
    Choose,
    ClaimBorrower,
    ConfirmAddress,
    Done,
    Enrol,
    Issue,
    OfferUpgrade,
    ProveMailbox,
    Refuse,
    Step,
    TellChange,
    VerifyPin,
)
from broker.core.login.transaction import AccountState, LoginPurpose, Transaction
from broker.core.policy.model import Release
from broker.use_cases.storage.records import MOST_TRIES
from broker.use_cases.transactions.transactions import LoginContext

# The steps that have a separate page, below the address of the login.
_PAGES: Final[dict[type[Step], str]] = {
    VerifyPin: "pin",
    ProveMailbox: "proof",
    OfferUpgrade: "upgrade",
    Ask: "consent",
    ClaimBorrower: "claim",
    ConfirmAddress: "address",
    TellChange: "changed",
}
# The HTTP status of a form that is shown again with a problem, if it is not 422.
_STATUS: Final = {
    "page_too_old": 403,
    "address_taken": 403,
    "pin_under_way": 409,
    "pin_throttled": 429,
    "mails_too_many": 429,
    "claim_too_many": 429,
    "account_busy": 503,
    "library_unavailable": 503,
}
_UNPROCESSABLE: Final = 422
_WITH_ACCOUNT: Final = frozenset({AccountState.KNOWN, AccountState.WANTED, AccountState.DONE})
# An assertion is valid for five minutes: one that is sent again must still be accepted.
_SENT_AGAIN_FOR: Final = timedelta(minutes=4)


@dataclass(frozen=True, slots=True)
class StepPages(OutgoingSaml):
    """The pages of a transaction."""

    def url(self, transaction: Transaction, page: str = "") -> str:
        """Return the address of a transaction, or of one of its pages, built from base_url."""
        folder = "admin/login" if transaction.purpose is LoginPurpose.STAFF else "login"
        address = f"{self.ports.base_url}/{folder}/{transaction.id}"
        return f"{address}/{page}" if page else address

    def redirect_to(self, transaction: Transaction, page: str = "") -> Response:
        """Redirect to a transaction, or to one of its pages."""
        return redirect(self.url(transaction, page), 303)

    def show_next(self, context: LoginContext, decided: Step | None = None) -> Response:
        """Show the next step, which is ``decided`` if the caller knows it already."""
        step = decided or self.ports.next_step(context)
        match step:
            case Choose():
                return self.choose(context)
            case Authenticate():
                return self.send_to_upstream(context, step.upstream)
            case Enrol():
                return self._enrol(context)
            case Issue():
                return self._issue(context, step)
            case Done():
                return self.show_done(context, step)
            case Refuse():
                return self.show_refusal(context, step)
            case _:
                return self.redirect_to(context.transaction, _PAGES[type(step)])

    def choose(self, context: LoginContext) -> Response:
        """Show the ways to log in; refuse a request with IsPassive, which may show no page."""
        ports = self.ports
        transaction = context.transaction
        if transaction.request.is_passive:
            return self.show_refusal(context, Refuse("passive", NO_PASSIVE))
        rules = ports.login_flow.rules
        names = rules.list_upstreams(transaction.request, transaction.purpose)
        entries = rules.list_releases(transaction.request.service)
        released = {listed.name for entry in entries for listed in entry.attributes}
        return self.page(
            "choose.html",
            "choose",
            transaction,
            action=self.url(transaction, "upstream"),
            token=ports.forms.token(transaction, "upstream"),
            ways=[ports.upstreams[name] for name in names],
            again=bool(transaction.sent) and transaction.authentication is None,
            tells="cpr" in released and not rules.local.issuperset(names),
            rememberable=len(names) > 1 and not transaction.shared,
            remembered=ports.cookies.upstream() is not None,
            sign_up=self._sign_up(transaction, entries),
        )

    def _sign_up(self, transaction: Transaction, entries: tuple[Release, ...]) -> str:
        """Return the address where a person signs up for the service; "" if nobody has to."""
        address = self.ports.sign_up
        if address is None or all(entry.borrower == "none" for entry in entries):
            return ""
        login = f"{transaction.id}/upstream"
        return add_query(address, {"service": transaction.request.service, "login": login})

    def offer(self, context: LoginContext, step: OfferUpgrade) -> Response:
        """Show what another category would change, and that nothing changes without a yes."""
        return self.form_page("upgrade.html", "upgrade", context, decision=step.decision)

    def tell_change(self, context: LoginContext, step: TellChange) -> Response:
        """Show how this login has changed the borrower's category, before it continues."""
        return self.form_page(
            "changed.html",
            "changed",
            context,
            reason=step.outcome.value if step.outcome else "new_address",
            pin=sign_up_result.pin_url(self.ports, context.transaction.request.service),
            decision=step.decision,
        )

    def ask_address(self, context: LoginContext, step: ConfirmAddress) -> Response:
        """Ask whether the mail address of a borrower that matches for the first time is right."""
        return self.form_page(
            "address.html", "address", context, address=step.question.masked_address
        )

    def show_done(self, context: LoginContext, step: Done) -> Response:
        """Show the result of a sign-up; redirect a login for another purpose to its page."""
        transaction = context.transaction
        ports = self.ports
        if transaction.purpose is LoginPurpose.SIGN_UP:
            if not sign_up_result.may_choose_pin(step, transaction):
                context = ports.login_flow.transactions.mark_finished(context, ports.now())
            values = sign_up_result.sign_up_result(step, context, ports)
            return self.page("done.html", "done", transaction, **values)
        page = "my-choices" if transaction.purpose is LoginPurpose.CHOICES else "pin"
        return redirect(f"{ports.base_url}/{page}?login={transaction.id}", 303)

    def onward(self, context: LoginContext, url: str) -> Response:
        """Return a page that leads to ``url``, an address of the broker.

        A form POST never redirects off-site (docs/reference/design.md#4a-post).
        """
        return self.page("onward.html", "authenticate", context.transaction, url=url)

    def ask_consent(self, context: LoginContext, step: Ask) -> Response:
        """Show the consent or notice screen."""
        ports = self.ports
        transaction = context.transaction
        now = ports.now()
        shown = step.question.disclosure.page_digest(ports.login_flow.hmacs)
        service = ports.services[transaction.request.service]
        upstream = ports.upstreams.get(transaction.upstream or "")
        return self.page(
            "consent.html",
            "ask",
            transaction,
            token=ports.forms.token(transaction, "consent", shown),
            screen=ConsentScreen(
                step, service, ports.labels, language(), transaction, now, upstream
            ),
            choices=f"{ports.base_url}/my-choices",
            claim=self.url(transaction, "claim") if step.offers_claim else "",
            account_address=ports.login_flow.find_account_address(context, now),
            is_claimed=transaction.claim is not None,
            logo=ports.logo(service.name),
        )

    def show_refusal(self, context: LoginContext, step: Refuse) -> Response:
        """Show why the login ends and what the person can do, with the way back to the service.

        A request with IsPassive gets a Response with the step's status instead.
        """
        ports = self.ports
        transaction = context.transaction
        service = ports.services[transaction.request.service]
        reference = self._tell_refused(context, step)
        form = None
        # A login for a page of the broker has no service that waits for a Response.
        if transaction.purpose is LoginPurpose.LOGIN:
            form = self.make_refusal(transaction, step.status)
            if transaction.request.is_passive:
                return self.post_to_service(form, service.name)
        is_declined = step.reason == "consent_refused"
        page = self._render(
            "declined.html" if is_declined else "refused.html",
            "refuse",
            transaction,
            reason=step.reason,
            form=form,
            address=self.url(transaction),
            token=ports.forms.token(transaction, "consent"),
            actions=choose_actions(step, transaction, ports, self.url(transaction, "upstream")),
            ways=upstreams_to_borrower(step, transaction, ports),
            ways_token=ports.forms.token(transaction, "upstream"),
            admitted=list_admitted(step, context, ports),
            admitted_to=service,
            signing_up=transaction.purpose is LoginPurpose.SIGN_UP,
            # After a yes and the Back button the account exists, or is being made.
            is_signed_up=transaction.account is not None
            and transaction.account.state in _WITH_ACCOUNT,
            reference=reference,
            decision=step.decision,
        )
        return self.posting_page(page, 200 if is_declined else 403)

    def error(
        self,
        reason: str,
        status: int,
        reference: str,
        retry: str | None = None,
        service: str | None = None,
    ) -> Response:
        """Show an error outside a step with its HTTP status.

        ``retry`` is the address where the person may try again, ``service`` the name of the one to
        go back to.
        """
        ports = self.ports
        back = ports.services.get(service or "")
        page = render_template(
            "error.html",
            step="error",
            reason=reason,
            reference=reference,
            now=ports.now(),
            actions=choose_error_actions(reason, retry, back, ports.base_url),
        )
        return Response(page, status, mimetype="text/html")

    def page(
        self,
        template: str,
        step: str,
        transaction: Transaction,
        status: int = 200,
        **values: object,
    ) -> Response:
        """Return a page of a transaction that shows ``step``; ``values`` go to its template."""
        page = self._render(template, step, transaction, **values)
        return Response(page, status, mimetype="text/html")

    def form_page(
        self, template: str, name: str, context: LoginContext, problem: str = "", **values: object
    ) -> Response:
        """Return the page ``name`` with its form, and the ``problem`` of the form that was sent."""
        transaction = context.transaction
        shown = {"reason": problem, "action": self.url(transaction, name), **values}
        return self.page(
            template,
            name,
            transaction,
            _STATUS.get(problem, _UNPROCESSABLE) if problem else 200,
            problem=problem,
            token=self.ports.forms.token(transaction, name),
            **shown,
        )

    def _render(self, template: str, step: str, transaction: Transaction, **values: object) -> str:
        label = self.ports.library_name
        if transaction.purpose is LoginPurpose.LOGIN:
            label = self.ports.services[transaction.request.service].label
        return render_template(
            template,
            step=step,
            service=localize_text(label),
            now=self.ports.now(),
            help_code=self._help_code(transaction),
            ends_soon=transaction.shared and transaction.authentication is not None,
            login=transaction.id,
            **{"shared": transaction.shared, "reference": transaction.reference, **values},
        )

    def _help_code(self, transaction: Transaction) -> str:
        """Return the help code of this login; nothing is stored for it."""
        if transaction.authentication is None:
            return self.ports.make_stranger_reference("/login/<name>", "")
        return transaction.reference

    def _enrol(self, context: LoginContext) -> Response:
        """Wait for the enrolment, and show what follows it, or a page that continues to wait."""
        ports = self.ports
        context = ports.login_flow.enrol(
            context, ports.now(), language=language(), patience=ports.patience
        )
        transaction = context.transaction
        step = ports.next_step(context)
        if isinstance(step, Done):
            account, decision = transaction.account, step.decision
            facts = {
                "upstream": transaction.upstream,
                "affiliation": decision.affiliation if decision else None,
                "outcome": account.outcome if account else None,
            }
            ports.tell_login(EventKind.SIGNED_UP, transaction, facts)
        if not isinstance(step, Enrol):
            return self.show_next(context, step)
        if transaction.request.is_passive:
            return self.show_refusal(context, Refuse("passive", NO_PASSIVE, step.decision))
        self.trace_delay(transaction, "enrol", "library_unavailable")
        return self.page("enrolling.html", "enrol", transaction, url=self.url(transaction))

    def _issue(self, context: LoginContext, step: Issue) -> Response:
        """Issue the assertion. If another request changed the login meanwhile, show its next step.

        Raises StoreUnavailable if the transaction changes each time, which is a fault of the store.
        """
        ports = self.ports
        for _ in range(MOST_TRIES):
            response = self.issue(context, step)
            if response is not None:
                return response
            context = ports.login_flow.transactions.reread(context, ports.now())
            following = ports.next_step(context)
            if not isinstance(following, Issue):
                return self.show_next(context, following)
            step = following
        raise StoreUnavailable("a transaction kept changing")

    def issue(self, context: LoginContext, step: Issue) -> Response | None:
        """Record that the assertion is sent, and return the page that posts it.

        Return None if another request changed the login: decide again. Return an error page if the
        assertion was sent too long ago to repeat it, or if it would differ. Raises TransactionGone
        if the person has logged out meanwhile.
        """
        ports = self.ports
        now = ports.now()
        transaction = context.transaction
        request = transaction.request
        if ports.login_flow.answers.reread(context, now) is not context:
            return None
        issuance = ports.login_flow.issuance
        authentication = issuance.authentication_for_service(context, now)
        issued = issuance.make_ids(context, step, now)
        if authentication is None or issued is None or now > issued.at + _SENT_AGAIN_FOR:
            return self.error("finished", 410, transaction.reference, None, request.service)
        # Made before it is recorded: a Response that cannot be written is not recorded as sent.
        form = ports.idp_role.respond(request, step.disclosure, authentication, issued)
        subject = ports.idp_role.subject(request, step.disclosure, issued)
        if not issuance.record_release(context, step, issued, subject, now):
            return None
        if transaction.issued is None:
            decision = step.decision
            facts = {
                "service": request.service,
                "upstream": transaction.upstream,
                "affiliation": decision.affiliation,
                "policy": decision.digest[:12],
                "rule": deciding_line(decision),
                "released": " ".join(item.name for item in step.disclosure.items),
            }
            ports.tell_login(EventKind.ASSERTION_ISSUED, transaction, facts)
        return self.post_to_service(form, request.service, shared=transaction.shared)

    def _tell_refused(self, context: LoginContext, step: Refuse) -> str:
        """Log a refusal, and return the help code of its page."""
        ports = self.ports
        transaction = context.transaction
        if transaction.authentication is None:
            # Store nothing before the authentication (docs/reference/design.md#4e).
            reference = ports.make_stranger_reference("/login/<name>", step.reason)
            facts = refusal_facts(transaction, step, reference)
            ports.tell(BrokerEvent(EventKind.STRANGER_REFUSED, facts))
            return reference
        ports.tell_login(
            EventKind.LOGIN_REFUSED,
            transaction,
            refusal_facts(transaction, step, transaction.reference),
            audit=AuditEventKind.REFUSED,
            decision=step.decision,
            reason=step.reason,
        )
        if not transaction.request.is_passive:
            refused = ports.login_flow.collect_refused_facts(context, step, ports.now())
            self.trace_delay(transaction, "refuse", step.reason, refused)
        return transaction.reference

    def trace_delay(
        self, transaction: Transaction, step: str, reason: str, refused: RefusedFacts | None = None
    ) -> None:
        """Store the trace of a page that ends the login, which staff find by its help code."""
        trace = self.ports.trace_of(transaction, step, reason, refused)
        self.ports.tell(BrokerEvent(EventKind.LOGIN_DELAYED, trace=trace))
