"""The errands that no service asked for, and the offer of another category: where they begin and are answered."""

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEventKind, of_login
from broker.core.errors import FormRefused
from broker.core.login.steps import OfferUpgrade
from broker.core.login.transaction import Errand


def blueprint(desk: WebPorts, pages: StepPages, login: LoginEndpoints) -> Blueprint:
    """Give ``/sign-up/begin`` and ``/login/<transaction>/upgrade``."""
    errands = SignUpBeginning(desk, pages, login)
    rooms = Blueprint("errands", __name__)
    rooms.add_url_rule("/sign-up/begin", "begin", errands.begin, methods=["GET"])
    rooms.add_url_rule("/login/<name>/upgrade", "upgrade", errands.offer, methods=["GET"])
    rooms.add_url_rule("/login/<name>/upgrade", "upgraded", errands.answer, methods=["POST"])
    return rooms


class SignUpBeginning:
    """The endpoints over one desk."""

    def __init__(self, desk: WebPorts, pages: StepPages, login: LoginEndpoints) -> None:
        """Take what the endpoints reach, what shows their steps, and who may enter."""
        self.desk, self.pages, self.login = desk, pages, login

    def begin(self) -> Response:
        """Begin a sign-up with what the person said they are, an intent and no more (invariant 7)."""
        desk, given = self.desk, request.args
        affiliation = given.get("affiliation", "")
        if affiliation not in desk.broker.rules.affiliations():
            raise FormRefused("no such affiliation")
        held = desk.broker.begin_errand(
            Errand.SIGN_UP,
            desk.now(),
            intent=affiliation,
            upstream=given.get("upstream"),
            back=given.get("service"),
            shared=desk.shared(request),
        )
        return redirect(self.pages.url(held.transaction), 303)

    def offer(self, name: str) -> Response:
        """Show the offer, or whatever is next if nothing is offered."""
        held = self.login.of_person(name)
        step = self.desk.broker.step(held, self.desk.now())
        if isinstance(step, OfferUpgrade):
            return self.pages.offer(held, step)
        return redirect(self.pages.url(held.transaction), 303)

    def answer(self, name: str) -> Response:
        """Take the answer to the offer."""
        desk = self.desk
        held = self.login.of_person(name)
        form = desk.forms.read(request, held.transaction, "upgrade", desk.now())
        wanted = form.choice("answer", ("yes", "no")) == "yes"
        answered = desk.broker.upgrade(held, desk.now(), wanted=wanted)
        if (
            answered is not held
        ):  # else nothing was offered any more: a form sent again, or after Back
            desk.events(
                "upgrade_answered",
                reference=held.transaction.reference,
                answer="yes" if wanted else "no",
            )
            kind = AuditEventKind.UPGRADE_ACCEPTED if wanted else AuditEventKind.UPGRADE_DECLINED
            desk.trail.add(of_login(kind, desk.now(), answered.transaction))
        return self.pages.show(answered)
