"""The library account as a way to log in: number and PIN, which the library system verifies."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

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
from broker.core.event_routes import BrokerEvent, EventKind
from broker.core.input_normalization import without_invisible
from broker.core.login.steps import Ask, Enrol, OfferUpgrade
from broker.core.login.transaction import Errand, Transaction
from broker.flows.proofs.pin_check import Device, PinCheck
from broker.flows.transactions import Held

_PURPOSE: Final = "pin"
# HTTP status of a page with a problem; any other has 422.
_STATUS: Final[Mapping[str, int]] = {"": 200, "pin_throttled": 429}
_UNPROCESSABLE: Final = 422
# Somebody tried a PIN; a slip of the pen did not.
_TRIED: Final = frozenset({"pin_wrong", "pin_throttled", "pin_not_temporary"})


def blueprint(
    ports: WebPorts, pages: StepPages, login: LoginEndpoints, pin_check: PinCheck
) -> Blueprint:
    """Return ``/login/<transaction>/pin``."""
    pin_login = PinLogin(ports, pages, login, pin_check)
    routes = Blueprint("pin_login", __name__)
    routes.get("/login/<name>/pin")(pin_login.ask)
    routes.post("/login/<name>/pin")(pin_login.answer)
    return routes


@dataclass(frozen=True, slots=True)
class PinLogin:
    """The endpoints over the web ports."""

    ports: WebPorts
    pages: StepPages
    login: LoginEndpoints
    pin_check: PinCheck

    def ask(self, name: str) -> Response:
        """Show the form to log in by.

        With ``?temporary=1`` it proves a temporary borrower after another login.
        """
        if request.args.get("temporary"):
            held = self.login.of_person(name)
            if not self._may_adopt(held):
                return redirect(self.pages.url(held.transaction), 303)
            return self._page(held, temporary=True)
        held = self.login.of_browser(name)
        self._admit(held)
        return self._page(held)

    def answer(self, name: str) -> Response:
        """Verify number and PIN, and go on.

        A wrong PIN and a number that nobody has get one answer.
        """
        held = self.login.of_browser(name)
        now = self.ports.now()
        form = self.ports.forms.read(request, held.transaction, _PURPOSE, now)
        if form.value("do", "") == "temporary":
            held = self.login.of_person(name)
            if not self._may_adopt(held):
                return self.pages.show(held)
            return self._adopted(held, form)
        self._admit(held)
        verified = self._verified(form)
        if isinstance(verified, Borrower):
            return self._joined(held, verified)
        return self._problem_page(held, form, verified)

    def _admit(self, held: Held) -> None:
        """Pass where people may log in by PIN; FormRefused otherwise."""
        transaction = held.transaction
        local = self.ports.local
        ways = self.ports.broker.rules.ways(transaction.request, transaction.errand)
        passing = transaction.errand in {Errand.LOGIN, Errand.CHOICES}
        if transaction.request.is_passive or not passing or local is None or local not in ways:
            raise FormRefused("the library account is not a way to log in here")

    def _may_adopt(self, held: Held) -> bool:
        """Return whether a person, logged in by more than a PIN, may adopt a temporary borrower.

        The step must be one before the account is made or shown. A borrower with a PIN of its own
        would otherwise be joined to whoever knows that PIN after the answer has left.
        """
        transaction = held.transaction
        step = self.ports.broker.step(held, self.ports.now())
        authentication = transaction.authentication
        if authentication is None or authentication.upstream == self.ports.local:
            return False
        if transaction.errand not in {Errand.LOGIN, Errand.SIGN_UP}:
            return False
        if not isinstance(step, Ask | Enrol | OfferUpgrade):
            return False
        return may_be_temporary(step.decision, transaction)

    def _verified(self, form: SubmittedForm, *, temporary: bool = False) -> Borrower | str:
        """Return the borrower, or the code of the problem that stands in the way."""
        identifier = without_invisible(form.value("identifier", ""))
        pin = without_invisible(form.value("pin", ""))
        digits = identifier_of(identifier)
        if digits is None:
            # Nobody has it: answered before anything is counted or asked, for there is nobody to
            # count it against.
            return _unread(identifier, temporary=temporary)
        if not pin:
            return "pin_missing"
        if temporary and is_cpr(digits):
            # A temporary borrower is the one without a CPR: only its number leads to it.
            return "pin_not_temporary"
        try:
            network = self.ports.network(request)
            borrower = self.pin_check.verify(identifier, pin, network, self._device())
        except TooMany:
            return "pin_throttled"
        if temporary and borrower is not None and borrower.cpr is not None:
            return "pin_not_temporary"
        return borrower or "pin_wrong"

    def _device(self) -> Device | None:
        cookies = self.ports.cookies
        known_borrowers = cookies.known_borrowers(request)
        if not known_borrowers:
            return None
        return Device(known_borrowers, partial(cookies.known_browser, request))

    def _joined(self, held: Held, borrower: Borrower) -> Response:
        ports = self.ports
        local = str(ports.local)
        held, arrival_token = ports.broker.verified(held, local, borrower, ports.now())
        transaction = held.transaction
        ports.tell(_pin_verified(transaction, borrower, ports.now()))
        response = self.pages.show(held)
        ports.cookies.set_login_cookie(request, response, transaction, arrival_token)
        if not transaction.shared:
            ports.cookies.remember_borrower(request, response, borrower.number)
        return response

    def _adopted(self, held: Held, form: SubmittedForm) -> Response:
        verified = self._verified(form, temporary=True)
        if not isinstance(verified, Borrower):
            return self._problem_page(held, form, verified, temporary=True)
        held = self.ports.broker.adopt(held, verified.number, self.ports.now())
        self.ports.tell(_temporary_proved(held.transaction, self.ports.now()))
        return self.pages.show(held)

    def _problem_page(
        self, held: Held, form: SubmittedForm, problem: str, *, temporary: bool = False
    ) -> Response:
        self.ports.tell(_pin_refused(held.transaction, problem, self.ports.now()))
        typed = shown_again(form.value("identifier", ""))
        return self._page(held, temporary=temporary, problem=problem, identifier=typed)

    def _page(
        self, held: Held, *, temporary: bool = False, problem: str = "", identifier: str = ""
    ) -> Response:
        ports = self.ports
        transaction = held.transaction
        back = transaction.request.service if transaction.errand is Errand.LOGIN else None
        response = self.pages.page(
            "pin_login.html",
            "pin",
            transaction,
            problem=problem,
            action=self.pages.url(transaction, "pin"),
            temporary=temporary,
            identifier=identifier,
            token=ports.forms.token(transaction, _PURPOSE, ports.now()),
            forgotten=pin_url(ports, back),
            **self._elsewhere(transaction, temporary=temporary),
        )
        response.status_code = _STATUS.get(problem, _UNPROCESSABLE)
        return response

    def _elsewhere(self, transaction: Transaction, *, temporary: bool) -> dict[str, Any]:
        """Return the form's other links: past it, and to itself in the other language."""
        if temporary:
            return {"others": self.pages.url(transaction), "kept": {"temporary": "1"}}
        return {"others": self.pages.url(transaction, "upstream"), "kept": {}}


def _unread(identifier: str, *, temporary: bool) -> str:
    """Return the problem of a field without a number; the forms ask for different numbers."""
    if temporary:
        return "pin_temporary_unread" if identifier else "pin_temporary_missing"
    return "pin_number_unread" if identifier else "pin_number_missing"


def _pin_verified(transaction: Transaction, borrower: Borrower, now: datetime) -> BrokerEvent:
    facts = {"reference": transaction.reference, "service": transaction.request.service}
    audit = of_login(AuditEventKind.PIN_VERIFIED, now, transaction, borrower=borrower.number)
    return BrokerEvent(EventKind.PIN_VERIFIED, facts, audit)


def _temporary_proved(transaction: Transaction, now: datetime) -> BrokerEvent:
    facts = {"reference": transaction.reference}
    audit = of_login(AuditEventKind.PROVED, now, transaction, about="temporary")
    return BrokerEvent(EventKind.TEMPORARY_PROVED, facts, audit)


def _pin_refused(transaction: Transaction, reason: str, now: datetime) -> BrokerEvent:
    facts = {"reference": transaction.reference, "reason": reason, "route": "pin"}
    if reason not in _TRIED:
        return BrokerEvent(EventKind.PIN_FORM_INCOMPLETE, facts)
    audit = of_login(AuditEventKind.REFUSED, now, transaction, reason=reason)
    return BrokerEvent(EventKind.PIN_REFUSED, facts, audit)
