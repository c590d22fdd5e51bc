"""The consent and notice screen, the answer to it, and the page with a person's CPR number."""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages import consent_screen
from broker.adapters.web.pages.form_tokens import SubmittedForm
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEventKind, of_login
from broker.core.consent.consent import ReceiptEvent
from broker.core.event_routes import BrokerEvent, EventKind
from broker.core.login.steps import Ask
from broker.core.login.transaction import Errand, Transaction
from broker.use_cases.transactions import Held


def blueprint(ports: WebPorts, pages: StepPages, login: LoginEndpoints) -> Blueprint:
    """Return ``/login/<transaction>/consent``."""
    consent = ConsentPages(ports, pages, login)
    routes = Blueprint("consent", __name__)
    routes.get("/login/<name>/consent")(consent.ask)
    routes.post("/login/<name>/consent")(consent.answer)
    return routes


@dataclass(frozen=True, slots=True)
class ConsentPages:
    """The endpoints over the web ports."""

    ports: WebPorts
    pages: StepPages
    login: LoginEndpoints

    def ask(self, name: str) -> Response:
        """Show the screen, or whatever is next if nothing is to be asked."""
        held = self.login.of_person(name)
        step = self.ports.broker.step(held, self.ports.now())
        if isinstance(step, Ask):
            return self.pages.ask(held, step)
        return self._onward(held)

    def answer(self, name: str) -> Response:
        """Store the answer, show the whole number, or take a refusal back, as the button says."""
        held = self.login.of_person(name)
        now = self.ports.now()
        form = self.ports.forms.read(request, held.transaction, "consent", now)
        if form.value("reveal", ""):
            return self._reveal(held)
        if form.value("reconsider", ""):
            return self._reconsider(held)
        return self._answered(held, form)

    def _answered(self, held: Held, form: SubmittedForm) -> Response:
        ports = self.ports
        asked = ports.broker.step(held, ports.now())
        answer = form.choice("answer", ("yes", "no"))
        held = ports.broker.answers.answer(
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
            # What has been sent cannot be called back, and a no sends nothing again.
            service = transaction.request.service
            return self.pages.error("finished", 410, transaction.reference, None, service)
        if transaction.errand is not Errand.LOGIN:
            # What follows is a page of ours, which the person may load again without sending the
            # form again.
            return redirect(self.pages.url(transaction), 303)
        # 200 and never a redirect: what follows may post off-site
        # (docs/reference/design.md#4a-post).
        step = ports.broker.step(held, ports.now())
        if isinstance(step, Ask):
            return self.pages.ask(held, step)
        return self.pages.show(held)

    def _reconsider(self, held: Held) -> Response:
        receipt = held.transaction.receipt
        if receipt is not None and receipt.event is ReceiptEvent.REFUSED:
            held = self.ports.broker.answers.reconsider(held, self.ports.now())
        return redirect(self.pages.url(held.transaction, "consent"), 303)

    def _reveal(self, held: Held) -> Response:
        now = self.ports.now()
        step = self.ports.broker.step(held, now)
        if not isinstance(step, Ask):
            return self._onward(held)
        number = consent_screen.whole_number(step.question.disclosure)
        if number is None or not consent_screen.may_reveal(held.transaction, now):
            return self._onward(held)
        shown = self.ports.broker.reveals(held, now)
        if shown is None:
            return self._onward(held)
        self.ports.tell(_cpr_revealed(shown.transaction, now))
        return self.pages.reveal(shown, number)

    def _onward(self, held: Held) -> Response:
        if request.method == "POST":
            return self.pages.onward(held, self.pages.url(held.transaction))
        return redirect(self.pages.url(held.transaction), 303)


def _cpr_revealed(transaction: Transaction, now: datetime) -> BrokerEvent:
    audit = of_login(AuditEventKind.CPR_REVEALED, now, transaction.names)
    return BrokerEvent(EventKind.CPR_REVEALED, {"reference": transaction.reference}, audit)
