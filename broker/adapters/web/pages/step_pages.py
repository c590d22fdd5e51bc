"""Shows a step: the one place where what comes next becomes an answer to the browser."""

from dataclasses import dataclass
from typing import Final, Literal, assert_never

from flask import redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.pages import consent_screen, sign_up_result
from broker.adapters.web.pages.language import language, spoken
from broker.adapters.web.pages.outgoing_saml import OutgoingSaml
from broker.adapters.web.pages.page_links import add_query, national_eid_label
from broker.adapters.web.pages.page_security import protect
from broker.adapters.web.pages.reason_texts import explain
from broker.adapters.web.pages.refusal_links import (
    choose_actions,
    choose_error_actions,
    list_admitted,
)
from broker.adapters.web.pages.step_events import refusal_facts
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.errors import NO_PASSIVE, StoreUnavailable
from broker.core.events.audit_events import AuditEventKind
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
from broker.core.login.transaction import OWN_ERRANDS, Errand, Transaction
from broker.core.policy.model import Release
from broker.core.saml_ports import PostForm
from broker.use_cases.storage.records import MOST_TRIES
from broker.use_cases.transactions.transactions import Held

_PAGES: Final[dict[type[Step], str]] = {
    VerifyPin: "pin",
    ProveMailbox: "proof",
    OfferUpgrade: "upgrade",
    Ask: "consent",
    ClaimBorrower: "claim",
    ConfirmAddress: "address",
    TellChange: "changed",
}
_REFUSED_PAGE: Final = ("refused.html", 403)
_DECLINED_PAGE: Final = ("declined.html", 200)


@dataclass(frozen=True, slots=True)
class StepPages:
    """The pages of a transaction, made of the web ports."""

    ports: WebPorts

    @property
    def outgoing(self) -> OutgoingSaml:
        """Return what sends the browser off to an upstream or a service."""
        return OutgoingSaml(self.ports)

    def url(self, transaction: Transaction, page: str = "") -> str:
        """Return the address of a transaction, or of one of its pages, built from base_url."""
        address = f"{self.ports.base_url}/login/{transaction.id}"
        return f"{address}/{page}" if page else address

    def show(self, held: Held, decided: Step | None = None) -> Response:
        """Answer with what comes next.

        ``decided`` is the step of ``held`` where the caller knows it already.
        """
        step = decided or self.ports.broker.next_step(held, self.ports.now())
        match step:
            case Choose():
                return self.choose(held)
            case Authenticate():
                return self.to_upstream(held, step.upstream)
            case (
                VerifyPin()
                | ProveMailbox()
                | OfferUpgrade()
                | Ask()
                | ClaimBorrower()
                | ConfirmAddress()
                | TellChange()
            ):
                return redirect(self.url(held.transaction, _PAGES[type(step)]), 303)
            case Enrol():
                return self._enrol(held)
            case Issue():
                return self._issue(held, step)
            case Done():
                return self.show_done(held, step)
            case Refuse():
                return self.show_refusal(held, step)
            case _:
                assert_never(step)

    def choose(self, held: Held) -> Response:
        """Show the ways to log in; refuse a request that may show no page (IsPassive)."""
        ports = self.ports
        transaction = held.transaction
        if transaction.request.is_passive:
            return self.show_refusal(held, Refuse("passive", NO_PASSIVE))
        rules = ports.broker.rules
        names = rules.ways(transaction.request, transaction.errand)
        ways = []
        for name in names:
            label = spoken(ports.upstreams[name].label)
            ways.append((name, label, name in rules.local))
        entries = rules.list_releases(transaction.request.service)
        released = {listed.name for entry in entries for listed in entry.attributes}
        return self.page(
            "choose.html",
            "choose",
            transaction,
            action=self.url(transaction, "upstream"),
            ways=ways,
            eid=national_eid_label(names, ports.upstreams),
            token=ports.forms.token(transaction, "upstream", ports.now()),
            again=bool(transaction.sent),
            tells="cpr" in released and not rules.local.issuperset(names),
            rememberable=len(ways) > 1 and not transaction.shared,
            remembered=ports.cookies.upstream(request) is not None,
            sign_up=self._sign_up(transaction, entries),
        )

    def _sign_up(self, transaction: Transaction, entries: tuple[Release, ...]) -> str:
        """Return the address where a person signs up for the service; "" where nobody need."""
        address = self.ports.sign_up
        if address is None or all(entry.borrower == "none" for entry in entries):
            return ""
        login = f"{transaction.id}/upstream"
        return add_query(address, {"service": transaction.request.service, "login": login})

    def offer(self, held: Held, step: OfferUpgrade) -> Response:
        """Show what another category would change, and that nothing changes without a yes."""
        policy = step.decision.policy
        return self.page(
            "upgrade.html",
            "upgrade",
            held.transaction,
            affiliation=spoken(policy.label if policy else None),
            token=self.ports.forms.token(held.transaction, "upgrade", self.ports.now()),
        )

    def tell_change(self, held: Held, step: TellChange) -> Response:
        """Show how this login has moved the borrower's category, before it goes on."""
        policy = step.decision.policy
        return self.page(
            "changed.html",
            "changed",
            held.transaction,
            reason=step.outcome.value if step.outcome else "new_address",
            pin=sign_up_result.pin_url(self.ports, held.transaction.request.service),
            affiliation=spoken(policy.label if policy else None),
            token=self.ports.forms.token(held.transaction, "changed", self.ports.now()),
        )

    def ask_address(self, held: Held, step: ConfirmAddress) -> Response:
        """Ask whether the address in a borrower that matches for the first time is own."""
        token = self.ports.forms.token(held.transaction, "address", self.ports.now())
        address = step.question.masked_address
        return self.page("address.html", "address", held.transaction, token=token, address=address)

    def show_done(self, held: Held, step: Done) -> Response:
        """Show what a sign-up came to; redirect any other errand to the page where it is done."""
        transaction = held.transaction
        ports = self.ports
        if transaction.errand is Errand.SIGN_UP:
            if not sign_up_result.may_choose_pin(step, transaction):
                held = ports.broker.transactions.mark_finished(held, ports.now())
            values = sign_up_result.sign_up_result(step, held, ports)
            return self.page("done.html", "done", transaction, **values)
        page = "my-choices" if transaction.errand in OWN_ERRANDS else "pin"
        return redirect(f"{ports.base_url}/{page}?login={transaction.id}", 303)

    def onward(self, held: Held, url: str) -> Response:
        """Send the browser on by a page to ``url``, which is ours.

        A form POST never redirects off-site (docs/reference/design.md#4a-post).
        """
        return self.page("onward.html", "authenticate", held.transaction, url=url)

    def ask(self, held: Held, step: Ask) -> Response:
        """Show the consent or notice screen."""
        ports = self.ports
        transaction = held.transaction
        now = ports.now()
        shown = step.question.disclosure.page_digest(ports.broker.hmacs)
        service = ports.services[transaction.request.service]
        screen = consent_screen.describe_question(
            step,
            service,
            ports.labels,
            language(),
            transaction,
            now,
            upstream=ports.upstreams.get(transaction.upstream or ""),
        )
        return self.page(
            "consent.html",
            "ask",
            transaction,
            token=ports.forms.token(transaction, "consent", now, shown),
            screen=screen,
            choices=f"{ports.base_url}/my-choices",
            claim=self.url(transaction, "claim") if step.can_claim else "",
            account_address=ports.broker.find_account_address(held, now),
            is_claimed=transaction.claim is not None,
            logo=ports.logo(service.name),
        )

    def reveal(self, held: Held, number: str) -> Response:
        """Show a person their own CPR number."""
        return self.page(
            "reveal.html",
            "reveal",
            held.transaction,
            number=number,
            back=self.url(held.transaction, "consent"),
        )

    def show_refusal(self, held: Held, step: Refuse) -> Response:
        """Show why the login ends and what the person can do, with the way back to the service.

        A request that may show no page is answered instead, by a Response with the step's status.
        """
        transaction = held.transaction
        reference = self._tell_refused(held, step)
        form = None
        # An errand of our own has no service to go back to, and none that waits for a status.
        if transaction.errand is Errand.LOGIN:
            form = self.outgoing.refusal(transaction, step.status)
            if transaction.request.is_passive:
                return self.outgoing.post(form, transaction.request.service)
        return self._refusal_page(held, step, form, reference)

    def error(
        self,
        reason: str,
        status: int,
        reference: str,
        retry: str | None,
        service: str | None = None,
    ) -> Response:
        """Show an error outside a step with its HTTP status.

        ``retry`` is the address where the person may try again, ``service`` the name of the one to
        go back to.
        """
        page = render_template(
            "error.html",
            step="error",
            reason=reason,
            reference=reference,
            now=self.ports.now(),
            actions=choose_error_actions(
                reason, retry, self.ports.services.get(service or ""), self.ports.base_url
            ),
        )
        return Response(page, status, mimetype="text/html")

    def to_upstream(self, held: Held, upstream: str) -> Response:
        """Send the browser to ``upstream`` with a new AuthnRequest."""
        return self.outgoing.ask(held, upstream)

    def page(
        self, template: str, step: str, transaction: Transaction, **values: object
    ) -> Response:
        """Return a page of a transaction that shows ``step``; ``values`` are its template's own."""
        label = self.ports.library
        if transaction.errand is Errand.LOGIN:
            label = self.ports.services[transaction.request.service].label
        page = render_template(
            template,
            step=step,
            service=spoken(label),
            now=self.ports.now(),
            explain=explain,
            help_code=self._help_code(transaction),
            ends_soon=transaction.shared and transaction.authentication is not None,
            **{"shared": transaction.shared, "reference": transaction.reference, **values},
            login=transaction.id,
        )
        return Response(page, mimetype="text/html")

    def form_page(
        self,
        template: str,
        step: str,
        held: Held,
        problem: str = "",
        http: int = 200,
        **values: object,
    ) -> Response:
        """Return the page of a form, with its token and what was wrong with what was sent."""
        transaction = held.transaction
        token = self.ports.forms.token(transaction, step, self.ports.now())
        shown = {"reason": problem, "action": self.url(transaction, step), **values}
        response = self.page(template, step, transaction, problem=problem, token=token, **shown)
        response.status_code = http
        return response

    def _help_code(self, transaction: Transaction) -> str:
        """Return the code by which staff find this login; nothing is stored for it."""
        if transaction.authentication is None:
            return self.ports.stranger_reference("/login/<name>", "")
        return transaction.reference

    def _refusal_page(
        self, held: Held, step: Refuse, form: PostForm | None, reference: str
    ) -> Response:
        ports = self.ports
        transaction = held.transaction
        template, status = _REFUSED_PAGE
        actions = choose_actions(step, transaction, ports, self.url(transaction, "upstream"))
        if step.reason == "consent_refused":
            template, status = _DECLINED_PAGE
        response = self.page(
            template,
            "refuse",
            transaction,
            reason=step.reason,
            form=form,
            review=self.url(transaction, "consent"),
            retry=self.url(transaction, "upstream"),
            token=ports.forms.token(transaction, "consent", ports.now()),
            actions=actions,
            eid=national_eid_label(
                (action.way for action in actions if action.way), ports.upstreams
            ),
            ways_token=ports.forms.token(transaction, "upstream", ports.now()),
            admitted=list_admitted(step, held, ports),
            admitted_to=spoken(ports.services[transaction.request.service].label),
            signing_up=transaction.errand is Errand.SIGN_UP,
            reference=reference,
            decision=step.decision,
        )
        response.status_code = status
        return protect(response, ports.base_url, "leaving")

    def _enrol(self, held: Held) -> Response:
        """Wait for the enrolment, and show what follows it, or the page that waits on."""
        ports = self.ports
        held = ports.broker.enrol(held, ports.now(), language=language(), patience=ports.patience)
        transaction = held.transaction
        step = ports.broker.next_step(held, ports.now())
        if isinstance(step, Done):
            account, decision = transaction.account, step.decision
            facts = {
                "upstream": transaction.upstream,
                "affiliation": decision.affiliation if decision else None,
                "outcome": account.outcome if account else None,
            }
            ports.tell_login(EventKind.SIGNED_UP, transaction, facts)
        if not isinstance(step, Enrol):
            return self.show(held, step)
        if transaction.request.is_passive:
            return self.show_refusal(held, Refuse("passive", NO_PASSIVE, step.decision))
        self._tell_held_up(transaction, "enrol", "library_unavailable")
        url = self.url(transaction)
        return self.page("enrolling.html", "enrol", transaction, url=url)

    def _issue(self, held: Held, step: Issue) -> Response:
        """Issue the assertion, or show what comes next instead where another fact came in between.

        StoreUnavailable where one always does: that is a fault of the store.
        """
        broker = self.ports.broker
        for _ in range(MOST_TRIES):
            response = self.issue(held, step)
            if response is not None:
                return response
            held = broker.transactions.reread(held, self.ports.now())
            following = broker.next_step(held, self.ports.now())
            if not isinstance(following, Issue):
                return self.show(held, following)
            step = following
        raise StoreUnavailable("a transaction kept changing")

    def issue(self, held: Held, step: Issue) -> Response | None:
        """Return the page that posts the assertion; None where another request wrote first."""
        broker = self.ports.broker
        answer: Response | Literal["over", "changed"] = "changed"
        if broker.answers.reread(held, self.ports.now()) is held:
            answer = self.outgoing.issue(held, step)
        if answer == "changed":
            return None
        if answer == "over":
            service = held.transaction.request.service
            return self.error("finished", 410, held.transaction.reference, None, service)
        return answer

    def _tell_refused(self, held: Held, step: Refuse) -> str:
        """Tell a refusal, and return the reference of its page."""
        ports = self.ports
        transaction = held.transaction
        if transaction.authentication is None:
            # Store nothing before the authentication (docs/reference/design.md#4e).
            reference = ports.stranger_reference("/login/<name>", step.reason)
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
            refused = ports.broker.collect_refused_facts(held, step, ports.now())
            self._tell_held_up(transaction, "refuse", step.reason, refused)
        return transaction.reference

    def _tell_held_up(
        self, transaction: Transaction, step: str, reason: str, refused: RefusedFacts | None = None
    ) -> None:
        trace = self.ports.trace_of(transaction, step, reason, refused)
        self.ports.tell(BrokerEvent(EventKind.LOGIN_HELD_UP, trace=trace))
