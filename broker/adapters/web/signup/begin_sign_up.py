"""The errands that no service asked for, and the offer of another category: where they begin and are answered."""

from datetime import datetime
from typing import Final

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEventKind, of_login
from broker.core.errors import FormRefused
from broker.core.events import BrokerEvent, EventKind
from broker.core.login.steps import OfferUpgrade
from broker.core.login.transaction import Errand, Transaction

_ANSWERS: Final = {
    "yes": AuditEventKind.UPGRADE_ACCEPTED,
    "no": AuditEventKind.UPGRADE_DECLINED,
}


def blueprint(ports: WebPorts, pages: StepPages, login: LoginEndpoints) -> Blueprint:
    """Give ``/sign-up/begin`` and ``/login/<transaction>/upgrade``."""
    errands = SignUpBeginning(ports, pages, login)
    rooms = Blueprint("errands", __name__)
    rooms.add_url_rule("/sign-up/begin", "begin", errands.begin, methods=["GET"])
    rooms.add_url_rule("/login/<name>/upgrade", "upgrade", errands.offer, methods=["GET"])
    rooms.add_url_rule("/login/<name>/upgrade", "upgraded", errands.answer, methods=["POST"])
    return rooms


class SignUpBeginning:
    """The endpoints over the web ports."""

    def __init__(self, ports: WebPorts, pages: StepPages, login: LoginEndpoints) -> None:
        """Take what the endpoints reach, what shows their steps, and who may enter."""
        self.ports, self.pages, self.login = ports, pages, login

    def begin(self) -> Response:
        """Begin a sign-up with what the person said they are, an intent and no more (invariant 7)."""
        ports, given = self.ports, request.args
        affiliation = given.get("affiliation", "")
        if affiliation not in ports.broker.rules.affiliations():
            raise FormRefused("no such affiliation")
        held = ports.broker.begin_errand(
            Errand.SIGN_UP,
            ports.now(),
            intent=affiliation,
            upstream=given.get("upstream"),
            back=given.get("service"),
            shared=ports.shared(request),
        )
        return redirect(self.pages.url(held.transaction), 303)

    def offer(self, name: str) -> Response:
        """Show the offer, or whatever is next if nothing is offered."""
        held = self.login.of_person(name)
        step = self.ports.broker.step(held.transaction, self.ports.now())
        if isinstance(step, OfferUpgrade):
            return self.pages.offer(held, step)
        return redirect(self.pages.url(held.transaction), 303)

    def answer(self, name: str) -> Response:
        """Take the answer to the offer."""
        ports = self.ports
        held = self.login.of_person(name)
        form = ports.forms.read(request, held.transaction, "upgrade", ports.now())
        answer = form.choice("answer", tuple(_ANSWERS))
        answered = ports.broker.upgrade(held, ports.now(), wanted=answer == "yes")
        if (
            answered is not held
        ):  # else nothing was offered any more: a form sent again, or after Back
            ports.tell(_upgrade_answered(answered.transaction, answer, ports.now()))
        return self.pages.show(answered)


def _upgrade_answered(transaction: Transaction, answer: str, now: datetime) -> BrokerEvent:
    facts = {"reference": transaction.reference, "answer": answer}
    audit = of_login(_ANSWERS[answer], now, transaction)
    return BrokerEvent(EventKind.UPGRADE_ANSWERED, facts, audit)
