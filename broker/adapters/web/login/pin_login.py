"""The library account as a way to log in: a number and its PIN, which the library system verifies."""

from dataclasses import dataclass
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
from broker.core.login.steps import Ask, Enrol, OfferUpgrade
from broker.core.login.transaction import Errand
from broker.core.typed_codes import without_invisible
from broker.flows.proofs.pin_check import Device, PinCheck
from broker.flows.transactions import Held

_PURPOSE: Final = "pin"
_STATUS: Final = {"pin_throttled": 429}
_TRIED: Final = frozenset(
    {"pin_wrong", "pin_throttled", "pin_not_temporary"}
)  # somebody tried; a slip of the pen did not


def blueprint(
    desk: WebPorts, pages: StepPages, login: LoginEndpoints, guesses: PinCheck
) -> Blueprint:
    """Give ``/login/<transaction>/pin``."""
    room = PinLogin(desk, pages, login, guesses)
    rooms = Blueprint("pin_login", __name__)
    rooms.add_url_rule("/login/<name>/pin", "ask", room.ask, methods=["GET"])
    rooms.add_url_rule("/login/<name>/pin", "answer", room.answer, methods=["POST"])
    return rooms


@dataclass(frozen=True, slots=True)
class PinLogin:
    """The endpoints over one desk."""

    desk: WebPorts
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
        form = self.desk.forms.read(request, held.transaction, _PURPOSE, self.desk.now())
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
        transaction, local = held.transaction, self.desk.local
        ways = self.desk.broker.rules.ways(transaction.request, transaction.errand)
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
        by = transaction.authentication.upstream if transaction.authentication else self.desk.local
        step = self.desk.broker.step(held, self.desk.now())
        errand = transaction.errand in {Errand.LOGIN, Errand.SIGN_UP}
        if by == self.desk.local or not errand or not isinstance(step, Ask | Enrol | OfferUpgrade):
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
        cookies, network = self.desk.cookies, self.desk.network(request)
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
        desk, local = self.desk, str(self.desk.local)
        held, x = desk.broker.verified(held, local, borrower, desk.now())
        desk.events(
            "verified_pin",
            reference=held.transaction.reference,
            service=held.transaction.request.service,
        )
        desk.trail.add(
            of_login(
                AuditEventKind.PIN_VERIFIED, desk.now(), held.transaction, borrower=borrower.number
            )
        )
        response = self.pages.show(held)
        desk.cookies.authenticated(request, response, held.transaction, x)
        if not held.transaction.shared:
            desk.cookies.remember_borrower(request, response, borrower.number)
        return response

    def _adopted(self, held: Held, form: SubmittedForm) -> Response:
        found = self._verified(form, temporary=True)
        if not isinstance(found, Borrower):
            return self._page(held, form, found, temporary=True)
        held = self.desk.broker.adopt(held, found.number, self.desk.now())
        self.desk.events("temporary_proved", reference=held.transaction.reference)
        self.desk.trail.add(
            of_login(AuditEventKind.PROVED, self.desk.now(), held.transaction, about="temporary")
        )
        return self.pages.show(held)

    def _page(
        self,
        held: Held,
        form: SubmittedForm | None = None,
        problem: str = "",
        *,
        temporary: bool = False,
    ) -> Response:
        desk, transaction = self.desk, held.transaction
        if problem:
            desk.events("refused", reference=transaction.reference, reason=problem, route="pin")
            if problem in _TRIED:
                desk.trail.add(
                    of_login(AuditEventKind.REFUSED, desk.now(), transaction, reason=problem)
                )
        response = self.pages.page(
            "pin_login.html",
            "pin",
            transaction,
            problem=problem,
            action=self.pages.url(transaction, "pin"),
            temporary=temporary,
            identifier=shown_again(form.one("identifier", "")) if form else "",
            token=desk.forms.token(transaction, _PURPOSE, desk.now()),
            others=self.pages.url(transaction, "" if temporary else "upstream"),
            forgotten=pin_url(
                desk, transaction.request.service if transaction.errand is Errand.LOGIN else None
            ),
            kept={"temporary": "1"} if temporary else {},
        )
        response.status_code = _STATUS.get(problem, 422) if problem else 200
        return response
