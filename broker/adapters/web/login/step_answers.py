"""The pages of a login with one question: consent, another category, own mail address."""

from contextlib import suppress
from dataclasses import dataclass

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login_pages import LoginPages
from broker.adapters.web.pages import consent_screen
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_security import SubmittedForm, same_origin
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.consent.consent import ReceiptEvent
from broker.core.errors import BrowserUnmatched, TokenRefused, TransactionGone
from broker.core.events.audit_events import AuditEventKind
from broker.core.events.broker_events import EventKind
from broker.core.login.steps import Ask, ConfirmAddress, OfferUpgrade, TellChange
from broker.core.login.transaction import LoginPurpose
from broker.use_cases.transactions.transactions import LoginContext

_YES_OR_NO = ("yes", "no")


def blueprint(ports: WebPorts) -> Blueprint:
    """Return the pages below ``/login/<transaction>``, and ``/end`` for a shared computer."""
    answers = StepAnswers(ports)
    routes = Blueprint("step_answers", __name__)
    pages = (
        ("consent", answers.show_at(Ask, answers.ask_consent), answers.consent),
        ("upgrade", answers.show_at(OfferUpgrade, answers.offer), answers.upgrade),
        ("changed", answers.show_at(TellChange, answers.tell_change), answers.go_on),
        ("address", answers.show_at(ConfirmAddress, answers.ask_address), answers.own_address),
    )
    for page, show, answer in pages:
        address = f"/login/<name>/{page}"
        routes.get(address, endpoint=f"show_{page}")(show)
        routes.post(address, endpoint=f"answer_{page}")(answers.answer_to(page, answer))
    routes.post("/end")(answers.end)
    return routes


@dataclass(frozen=True, slots=True)
class StepAnswers(LoginPages):
    """The answers over the web ports."""

    def consent(self, context: LoginContext, form: SubmittedForm) -> Response:
        """Store the answer, show the whole number, or take a refusal back, as the button says."""
        ports = self.ports
        now = ports.now()
        if form.value("reveal", ""):
            return self._reveal(context)
        if form.value("reconsider", ""):
            receipt = context.transaction.receipt
            if receipt is not None and receipt.event is ReceiptEvent.REFUSED:
                context = ports.login_flow.answers.undo_refusal(context, now)
            return self.redirect_to(context.transaction, "consent")
        answer = form.choice("answer", _YES_OR_NO)
        context = ports.login_flow.answers.record_answer(
            context,
            ports.next_step(context),
            form.shown,
            answer,
            now,
            remember=bool(form.value("remember", "")),
            chosen=form.values("optional"),
            language=language(),
        )
        transaction = context.transaction
        if answer == "no" and transaction.issued:
            # The assertion was already sent and cannot be recalled; a no sends nothing else.
            service = transaction.request.service
            return self.error("finished", 410, transaction.reference, None, service)
        if transaction.purpose is not LoginPurpose.LOGIN:
            # Redirect, so that a reload of the next page does not send the form again.
            return self.redirect_to(transaction)
        # 200 and never a redirect: what follows may post off-site
        # (docs/reference/design.md#4a-post).
        step = ports.next_step(context)
        return (
            self.ask_consent(context, step)
            if isinstance(step, Ask)
            else self.show_next(context, step)
        )

    def upgrade(self, context: LoginContext, form: SubmittedForm) -> Response:
        """Store the answer to the offer of another category."""
        ports = self.ports
        answer = form.choice("answer", _YES_OR_NO)
        wanted = answer == "yes"
        answered = ports.login_flow.answer_upgrade(context, ports.now(), wanted=wanted)
        # Else nothing was offered any more: a form sent again, or after Back.
        if answered is not context:
            kind = AuditEventKind.UPGRADE_ACCEPTED if wanted else AuditEventKind.UPGRADE_DECLINED
            facts = {"answer": answer}
            ports.tell_login(EventKind.UPGRADE_ANSWERED, answered.transaction, facts, audit=kind)
        return self.show_next(answered)

    def go_on(self, context: LoginContext, _form: SubmittedForm) -> Response:
        """Store that the person has been told of another category."""
        return self.show_next(self.ports.login_flow.mark_told(context, self.ports.now()))

    def own_address(self, context: LoginContext, form: SubmittedForm) -> Response:
        """Store whether the mail address of a borrower matched for the first time is their own."""
        ports = self.ports
        is_own = form.choice("answer", _YES_OR_NO) == "yes"
        answered = ports.login_flow.answer_address(context, ports.now(), is_own=is_own)
        if answered is not context and is_own:
            ports.tell_proved(answered.transaction, "address")
        elif answered is not context:
            ports.tell_proof_refused(answered.transaction, "claim", "address_not_own")
        return self.show_next(answered)

    def end(self) -> Response:
        """End the login of the page whose button was pressed, and drop what the browser keeps.

        Meant for shared computers. The form has no transaction token, because the transaction may
        have ended already. A form of our own origin and the browser cookie are enough.
        """
        if not same_origin(request.headers, self.ports.base_url):
            raise TokenRefused("a form of another site")
        with suppress(TransactionGone, BrowserUnmatched):
            context = self.require_browser(request.form.get("login", ""))
            self.ports.login_flow.transactions.end(context)
        response = Response(render_template("ended.html", step="end"), mimetype="text/html")
        self.ports.cookies.drop_all(response)
        return response

    def _reveal(self, context: LoginContext) -> Response:
        """Show a person their own CPR number, once."""
        ports = self.ports
        now = ports.now()
        step = ports.next_step(context)
        number = shown = None
        if isinstance(step, Ask) and consent_screen.may_reveal(context.transaction, now):
            number = consent_screen.whole_number(step.question.disclosure)
            shown = ports.login_flow.reveal_cpr(context, now) if number else None
        if shown is None:
            return self.onward(context, self.url(context.transaction))
        transaction = shown.transaction
        ports.tell_login(EventKind.CPR_REVEALED, transaction, audit=AuditEventKind.CPR_REVEALED)
        back = self.url(transaction, "consent")
        return self.page("reveal.html", "reveal", transaction, number=number, back=back)
