"""The pages of a login with one question: consent, another category, whose address it is."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages import consent_screen
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_security import SubmittedForm, same_origin
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.consent.consent import ReceiptEvent
from broker.core.errors import BrowserUnmatched, TokenRefused, TransactionGone
from broker.core.events.audit_events import AuditEventKind
from broker.core.events.broker_events import EventKind
from broker.core.login.steps import Ask, ConfirmAddress, OfferUpgrade, TellChange
from broker.core.login.transaction import Errand
from broker.use_cases.transactions.transactions import Held

_UPGRADES: Final = {"yes": AuditEventKind.UPGRADE_ACCEPTED, "no": AuditEventKind.UPGRADE_DECLINED}


def blueprint(ports: WebPorts, pages: StepPages, login: LoginEndpoints) -> Blueprint:
    """Return the pages below ``/login/<transaction>``, and ``/end`` for a shared computer."""
    answers = StepAnswers(ports, pages, login)
    routes = Blueprint("step_answers", __name__)
    at, answer_to = login.show_at, login.answer_to
    routes.get("/login/<name>/consent", endpoint="ask")(at(Ask, pages.ask))
    routes.post("/login/<name>/consent", endpoint="consent")(answer_to("consent", answers.consent))
    routes.get("/login/<name>/upgrade", endpoint="offer")(at(OfferUpgrade, pages.offer))
    routes.post("/login/<name>/upgrade", endpoint="upgrade")(answer_to("upgrade", answers.upgrade))
    routes.get("/login/<name>/changed", endpoint="tell")(at(TellChange, pages.tell_change))
    routes.post("/login/<name>/changed", endpoint="told")(answer_to("changed", answers.go_on))
    routes.get("/login/<name>/address", endpoint="whose")(at(ConfirmAddress, pages.ask_address))
    routes.post("/login/<name>/address", endpoint="own")(answer_to("address", answers.own_address))
    routes.post("/end")(answers.end)
    return routes


@dataclass(frozen=True, slots=True)
class StepAnswers:
    """The answers over the web ports."""

    ports: WebPorts
    pages: StepPages
    login: LoginEndpoints

    def consent(self, held: Held, form: SubmittedForm) -> Response:
        """Store the answer, show the whole number, or take a refusal back, as the button says."""
        if form.value("reveal", ""):
            return self._reveal(held)
        if form.value("reconsider", ""):
            receipt = held.transaction.receipt
            if receipt is not None and receipt.event is ReceiptEvent.REFUSED:
                held = self.ports.broker.answers.undo_refusal(held, self.ports.now())
            return redirect(self.pages.url(held.transaction, "consent"), 303)
        ports = self.ports
        asked = ports.broker.next_step(held, ports.now())
        answer = form.choice("answer", ("yes", "no"))
        held = ports.broker.answers.record_answer(
            held,
            asked,
            form.shown,
            answer,
            ports.now(),
            remember=bool(form.value("remember", "")),
            chosen=form.values("optional"),
            language=language(),
        )
        transaction = held.transaction
        if answer == "no" and transaction.issued:
            # A sent assertion cannot be called back, and a no sends nothing again.
            service = transaction.request.service
            return self.pages.error("finished", 410, transaction.reference, None, service)
        if transaction.errand is not Errand.LOGIN:
            # Redirect, so that a reload of the next page does not send the form again.
            return redirect(self.pages.url(transaction), 303)
        # 200 and never a redirect: what follows may post off-site
        # (docs/reference/design.md#4a-post).
        step = ports.broker.next_step(held, ports.now())
        return self.pages.ask(held, step) if isinstance(step, Ask) else self.pages.show(held, step)

    def upgrade(self, held: Held, form: SubmittedForm) -> Response:
        """Store the answer to the offer of another category."""
        answer = form.choice("answer", tuple(_UPGRADES))
        answered = self.ports.broker.answer_upgrade(held, self.ports.now(), wanted=answer == "yes")
        # Else nothing was offered any more: a form sent again, or after Back.
        if answered is not held:
            self.ports.tell_login(
                EventKind.UPGRADE_ANSWERED,
                answered.transaction,
                {"answer": answer},
                audit=_UPGRADES[answer],
            )
        return self.pages.show(answered)

    def go_on(self, held: Held, _form: SubmittedForm) -> Response:
        """Store that the person has been told of another category."""
        return self.pages.show(self.ports.broker.mark_told(held, self.ports.now()))

    def own_address(self, held: Held, form: SubmittedForm) -> Response:
        """Store whether the address in a borrower that matches for the first time is own."""
        is_own = form.choice("answer", ("yes", "no")) == "yes"
        answered = self.ports.broker.answer_address(held, self.ports.now(), is_own=is_own)
        if answered is not held and is_own:
            self.ports.tell_login(
                EventKind.MAILBOX_PROVED,
                answered.transaction,
                {"proof": "address"},
                audit=AuditEventKind.PROVED,
                about="address",
            )
        elif answered is not held:
            self.ports.tell_proof_refused(answered.transaction, "claim", "address_not_own")
        return self.pages.show(answered)

    def end(self) -> Response:
        """End the login of the page whose button was pressed, and drop what the browser keeps.

        For a computer that others use too. It has no token of a transaction, which may be over:
        that the form is our own page's, and the browser cookie for the transaction, are all it
        takes to end something of one's own.
        """
        if not same_origin(request.headers, self.ports.base_url):
            raise TokenRefused("a form of another site")
        with suppress(TransactionGone, BrowserUnmatched):
            held = self.login.require_browser(request.form.get("login", ""))
            self.ports.broker.transactions.end(held)
        response = Response(render_template("ended.html", step="end"), mimetype="text/html")
        self.ports.cookies.drop_all(request, response)
        return response

    def _reveal(self, held: Held) -> Response:
        now = self.ports.now()
        step = self.ports.broker.next_step(held, now)
        number = shown = None
        if isinstance(step, Ask) and consent_screen.may_reveal(held.transaction, now):
            number = consent_screen.whole_number(step.question.disclosure)
            shown = self.ports.broker.reveal_cpr(held, now) if number else None
        if number is None or shown is None:
            return self.pages.onward(held, self.pages.url(held.transaction))
        kind = AuditEventKind.CPR_REVEALED
        self.ports.tell_login(EventKind.CPR_REVEALED, shown.transaction, audit=kind)
        return self.pages.reveal(shown, number)
