"""The beginning of a sign-up, and the offer of another category to a person who has an account."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEventKind, of_login
from broker.core.errors import FormRefused
from broker.core.event_routes import BrokerEvent, EventKind
from broker.core.login.steps import OfferUpgrade, TellChange
from broker.core.login.transaction import Errand, Transaction

_ANSWERS: Final = {"yes": AuditEventKind.UPGRADE_ACCEPTED, "no": AuditEventKind.UPGRADE_DECLINED}


def blueprint(ports: WebPorts, pages: StepPages, login: LoginEndpoints) -> Blueprint:
    """Return ``/sign-up/begin``, ``/login/<transaction>/upgrade`` and ``/changed`` beside it."""
    sign_up = SignUpBeginning(ports, pages, login)
    routes = Blueprint("errands", __name__)
    routes.get("/sign-up/begin")(sign_up.begin)
    routes.get("/login/<name>/upgrade")(sign_up.offer)
    routes.post("/login/<name>/upgrade")(sign_up.answer)
    routes.get("/login/<name>/changed")(sign_up.tell_change)
    routes.post("/login/<name>/changed")(sign_up.go_on)
    return routes


@dataclass(frozen=True, slots=True)
class SignUpBeginning:
    """The endpoints over the web ports."""

    ports: WebPorts
    pages: StepPages
    login: LoginEndpoints

    def begin(self) -> Response:
        """Begin a sign-up with the affiliation that the person named: an intent.

        Source: docs/reference/design.md#invariant-7.
        """
        ports = self.ports
        ports.limits.count_beginning(request)
        query = request.args
        affiliation = query.get("affiliation", "")
        if affiliation not in ports.broker.rules.affiliations():
            raise FormRefused("no such affiliation")
        held = ports.broker.begin_errand(
            Errand.SIGN_UP,
            ports.now(),
            intent=affiliation,
            upstream=query.get("upstream"),
            back=query.get("service"),
            shared=ports.shared(request),
        )
        return redirect(self.pages.url(held.transaction), 303)

    def offer(self, name: str) -> Response:
        """Show the offer, or whatever is next if nothing is offered."""
        held = self.login.of_person(name)
        step = self.ports.broker.step(held, self.ports.now())
        if isinstance(step, OfferUpgrade):
            return self.pages.offer(held, step)
        return redirect(self.pages.url(held.transaction), 303)

    def answer(self, name: str) -> Response:
        """Store the answer to the offer, and show what is next."""
        ports = self.ports
        held = self.login.of_person(name)
        form = ports.forms.read(request, held.transaction, "upgrade", ports.now())
        answer = form.choice("answer", tuple(_ANSWERS))
        answered = ports.broker.upgrade(held, ports.now(), wanted=answer == "yes")
        # Else nothing was offered any more: a form sent again, or after Back.
        if answered is not held:
            ports.tell(_upgrade_answered(answered.transaction, answer, ports.now()))
        return self.pages.show(answered)

    def tell_change(self, name: str) -> Response:
        """Show that the category has moved, or whatever is next if it has not."""
        held = self.login.of_person(name)
        step = self.ports.broker.step(held, self.ports.now())
        if isinstance(step, TellChange):
            return self.pages.tell_change(held, step)
        return redirect(self.pages.url(held.transaction), 303)

    def go_on(self, name: str) -> Response:
        """Store that the person has been told, and show what is next."""
        held = self.login.of_person(name)
        now = self.ports.now()
        self.ports.forms.read(request, held.transaction, "changed", now)
        return self.pages.show(self.ports.broker.told(held, now))


def _upgrade_answered(transaction: Transaction, answer: str, now: datetime) -> BrokerEvent:
    facts = {"reference": transaction.reference, "answer": answer}
    audit = of_login(_ANSWERS[answer], now, transaction.names)
    return BrokerEvent(EventKind.UPGRADE_ANSWERED, facts, audit)
