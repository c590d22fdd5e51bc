"""The library account as a way to log in: a number and its PIN, which the library system verifies."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.consent_screen import may_be_temporary
from broker.adapters.web.pages.form_tokens import SubmittedForm
from broker.adapters.web.pages.sign_up_result import pin_url
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEventKind, of_login
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.pins import identifier_of, is_cpr, shown_again
from broker.core.errors import FormRefused, TooMany
from broker.core.events import BrokerEvent, EventKind
from broker.core.login.steps import Ask, Enrol, OfferUpgrade
from broker.core.login.transaction import Errand, Transaction
from broker.core.typed_codes import without_invisible
from broker.flows.proofs.pin_check import Device, PinCheck
from broker.flows.transactions import Held

_PURPOSE: Final = "pin"
_STATUS: Final = {"pin_throttled": 429}
_TRIED: Final = frozenset(
    {"pin_wrong", "pin_throttled", "pin_not_temporary"}
)  # somebody tried; a slip of the pen did not


def blueprint(
    ports: WebPorts, pages: StepPages, login: LoginEndpoints, guesses: PinCheck
) -> Blueprint:
    """Give ``/login/<transaction>/pin``."""
    room = PinLogin(ports, pages, login, guesses)
    rooms = Blueprint("pin_login", __name__)
    rooms.add_url_rule("/login/<name>/pin", "ask", room.ask, methods=["GET"])
    rooms.add_url_rule("/login/<name>/pin", "answer", room.answer, methods=["POST"])
    return rooms


@dataclass(frozen=True, slots=True)
class PinLogin:
    """The endpoints over the web ports."""

    ports: WebPorts
    pages: StepPages
    login: LoginEndpoints
    guesses: PinCheck

    def ask(self, name: str) -> Response:
        """Show the form: to log in, or with ``?temporary=1`` to prove a temporary borrower after another login."""
        if request.args.get("temporary"):
            held = self.login.of_person(name)
            if not self._may_adopt(held):
                return redirect(self.pages.url(held.transaction), 303)
            return self._page(held, temporary=True)
        held = self.login.of_browser(name)
        self._admit(held)
        return self._page(held)

    def answer(self, name: str) -> Response:
        """Verify number and PIN, and go on; one answer for a wrong PIN and a number that nobody has."""
        held = self.login.of_browser(name)
        form = self.ports.forms.read(request, held.transaction, _PURPOSE, self.ports.now())
        if form.one("do", "") == "temporary":
            held = self.login.of_person(name)
            return self._adopted(held, form) if self._may_adopt(held) else self.pages.show(held)
        self._admit(held)
        found = self._verified(form)
        return (
            self._joined(held, found)
            if isinstance(found, Borrower)
            else self._page(held, form, found)
        )

    def _admit(self, held: Held) -> None:
        """Let in who may log in here by PIN; FormRefused otherwise."""
        transaction, local = held.transaction, self.ports.local
        ways = self.ports.broker.rules.ways(transaction.request, transaction.errand)
        passing = (
            transaction.errand in {Errand.LOGIN, Errand.CHOICES}
            and not transaction.request.is_passive
        )
        if local is None or local not in ways or not passing:
            raise FormRefused("the library account is not a way to log in here")

    def _may_adopt(self, held: Held) -> bool:
        """Say whether somebody is logged in, by more than a PIN, who is still to become a borrower or be shown as one.

        A borrower with a PIN of its own would otherwise be joined to whoever knows that PIN after
        the answer has left.
        """
        transaction = held.transaction
        by = transaction.authentication.upstream if transaction.authentication else self.ports.local
        step = self.ports.broker.step(transaction, self.ports.now())
        errand = transaction.errand in {Errand.LOGIN, Errand.SIGN_UP}
        if by == self.ports.local or not errand or not isinstance(step, Ask | Enrol | OfferUpgrade):
            return False
        return may_be_temporary(step.decision, transaction)

    def _verified(self, form: SubmittedForm, *, temporary: bool = False) -> Borrower | str:
        """Give the borrower, or the reason why there is none."""
        identifier, pin = (
            without_invisible(form.one("identifier", "")),
            without_invisible(form.one("pin", "")),
        )
        digits = identifier_of(identifier)
        if digits is None:
            # Nobody has it: said before anything is counted or asked, for there is nobody to count
            # it against.
            return f"pin_{'temporary' if temporary else 'number'}_{'unread' if identifier else 'missing'}"
        if not pin:
            return "pin_missing"
        cookies, network = self.ports.cookies, self.ports.network(request)
        marks = cookies.marks(request)
        device = Device(marks, partial(cookies.known, request)) if marks else None
        if temporary and is_cpr(digits):
            # A temporary borrower is the one without a CPR: only its number leads to it.
            return "pin_not_temporary"
        try:
            found = self.guesses.verify(identifier, pin, network, device)
        except TooMany:
            return "pin_throttled"
        if temporary and found is not None and found.cpr is not None:
            return "pin_not_temporary"
        return found or "pin_wrong"

    def _joined(self, held: Held, borrower: Borrower) -> Response:
        ports, local = self.ports, str(self.ports.local)
        held, x = ports.broker.verified(held, local, borrower, ports.now())
        transaction, number = held.transaction, borrower.number
        facts = {"reference": transaction.reference, "service": transaction.request.service}
        audit = of_login(AuditEventKind.PIN_VERIFIED, ports.now(), transaction, borrower=number)
        ports.tell(BrokerEvent(EventKind.PIN_VERIFIED, facts, audit))
        response = self.pages.show(held)
        ports.cookies.authenticated(request, response, held.transaction, x)
        if not held.transaction.shared:
            ports.cookies.remember_borrower(request, response, borrower.number)
        return response

    def _adopted(self, held: Held, form: SubmittedForm) -> Response:
        found = self._verified(form, temporary=True)
        if not isinstance(found, Borrower):
            return self._page(held, form, found, temporary=True)
        held = self.ports.broker.adopt(held, found.number, self.ports.now())
        now, transaction = self.ports.now(), held.transaction
        audit = of_login(AuditEventKind.PROVED, now, transaction, about="temporary")
        facts = {"reference": transaction.reference}
        self.ports.tell(BrokerEvent(EventKind.TEMPORARY_PROVED, facts, audit))
        return self.pages.show(held)

    def _page(
        self,
        held: Held,
        form: SubmittedForm | None = None,
        problem: str = "",
        *,
        temporary: bool = False,
    ) -> Response:
        ports, transaction = self.ports, held.transaction
        if problem:
            ports.tell(_pin_refused(transaction, problem, ports.now()))
        response = self.pages.page(
            "pin_login.html",
            "pin",
            transaction,
            problem=problem,
            action=self.pages.url(transaction, "pin"),
            temporary=temporary,
            identifier=shown_again(form.one("identifier", "")) if form else "",
            token=ports.forms.token(transaction, _PURPOSE, ports.now()),
            others=self.pages.url(transaction, "" if temporary else "upstream"),
            forgotten=pin_url(
                ports, transaction.request.service if transaction.errand is Errand.LOGIN else None
            ),
            kept={"temporary": "1"} if temporary else {},
        )
        response.status_code = _STATUS.get(problem, 422) if problem else 200
        return response


def _pin_refused(transaction: Transaction, reason: str, now: datetime) -> BrokerEvent:
    facts = {"reference": transaction.reference, "reason": reason, "route": "pin"}
    if reason not in _TRIED:
        return BrokerEvent(EventKind.PIN_FORM_INCOMPLETE, facts)
    audit = of_login(AuditEventKind.REFUSED, now, transaction, reason=reason)
    return BrokerEvent(EventKind.PIN_REFUSED, facts, audit)
