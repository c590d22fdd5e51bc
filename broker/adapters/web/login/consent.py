"""The consent and notice screen, the answer to it, and the page that shows a person their own CPR number."""

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
from broker.core.errors import TokenRefused
from broker.core.login.steps import Ask, Enrol, Issue
from broker.core.login.transaction import Errand
from broker.flows.transactions import Held


def blueprint(desk: WebPorts, pages: StepPages, login: LoginEndpoints) -> Blueprint:
    """Give ``/login/<transaction>/consent``."""
    consent = ConsentPages(desk, pages, login)
    rooms = Blueprint("consent", __name__)
    rooms.add_url_rule("/login/<name>/consent", "ask", consent.ask, methods=["GET"])
    rooms.add_url_rule("/login/<name>/consent", "answer", consent.answer, methods=["POST"])
    return rooms


class ConsentPages:
    """The endpoints over one desk."""

    def __init__(self, desk: WebPorts, pages: StepPages, login: LoginEndpoints) -> None:
        """Take what the endpoints reach, what shows their steps, and who may enter."""
        self.desk, self.pages, self.login = desk, pages, login

    def ask(self, name: str) -> Response:
        """Show the screen, or whatever is next if nothing is to be asked."""
        held = self.login.of_person(name)
        step = self.desk.broker.step(held, self.desk.now())
        return self.pages.ask(held, step) if isinstance(step, Ask) else self._onward(held)

    def answer(self, name: str) -> Response:
        """Take the answer, a wish to see the whole number, or a refusal back."""
        held = self.login.of_person(name)
        form = self.desk.forms.read(request, held.transaction, "consent", self.desk.now())
        if form.one("reveal", ""):
            return self._reveal(held)
        if form.one("reconsider", ""):
            return self._reconsider(held)
        return self._answered(held, form)

    def _answered(self, held: Held, form: SubmittedForm) -> Response:
        desk = self.desk
        held = desk.broker.answers.answer(
            held,
            desk.broker.step(held, desk.now()),
            form.shown,
            form.choice("answer", ("yes", "no")),
            desk.now(),
            remember=bool(form.one("remember", "")),
            chosen=form.several("optional"),
            language=language(),
        )
        step = desk.broker.step(held, desk.now())
        if form.one("answer") == "no" and isinstance(step, Issue | Enrol):
            # What has been sent cannot be called back, and a no sends nothing again.
            return self.pages.error("finished", 410, held.transaction.reference, None)
        if held.transaction.errand is not Errand.LOGIN:
            # What follows is a page of ours, which the person may load again without sending the
            # form again.
            return redirect(self.pages.url(held.transaction), 303)
        # 200 and never a redirect: what follows may post off-site (design 4a).
        return self.pages.ask(held, step) if isinstance(step, Ask) else self.pages.show(held)

    def _reconsider(self, held: Held) -> Response:
        own = held.transaction.receipt
        if own is not None and own.event is ReceiptEvent.REFUSED:
            held = self.desk.broker.answers.reconsider(held, self.desk.now())
        return redirect(self.pages.url(held.transaction, "consent"), 303)

    def _reveal(self, held: Held) -> Response:
        now = self.desk.now()
        step = self.desk.broker.step(held, now)
        number = (
            consent_screen.whole_number(step.question.disclosure) if isinstance(step, Ask) else None
        )
        if number is None:
            return self._onward(held)
        if not consent_screen.may_reveal(held.transaction, now):
            raise TokenRefused("a number is shown within five minutes of the login only")
        self.desk.events("revealed", reference=held.transaction.reference)
        self.desk.trail.add(of_login(AuditEventKind.CPR_REVEALED, now, held.transaction))
        return self.pages.reveal(held, number)

    def _onward(self, held: Held) -> Response:
        if request.method == "POST":
            return self.pages.onward(held, self.pages.url(held.transaction))
        return redirect(self.pages.url(held.transaction), 303)
