"""The library account as a way to log in: by number and PIN, or by number, letter and PIN."""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.adoption import Adoption
from broker.adapters.web.login.letter_pages import (
    PURPOSE,
    LetterPages,
    identifier_in,
    pin_refused,
    typed_again,
)
from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.form_tokens import SubmittedForm
from broker.adapters.web.pages.sign_up_result import pin_url
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEventKind, of_login
from broker.core.borrowers.borrower import Borrower
from broker.core.errors import FormRefused, TokenRefused
from broker.core.event_routes import BrokerEvent, EventKind
from broker.core.input_normalization import without_invisible
from broker.core.login.transaction import Errand, Transaction
from broker.use_cases.proofs.known_browsers import KnownBrowsers, KnownBrowserToken
from broker.use_cases.proofs.pin_check import PinCheck, PinProblem
from broker.use_cases.proofs.pin_letters import PinLetter
from broker.use_cases.transactions import Held


def blueprint(
    ports: WebPorts,
    login: LoginEndpoints,
    pin_check: PinCheck,
    browsers: KnownBrowsers,
    letters: LetterPages,
) -> Blueprint:
    """Return ``/login/<transaction>/pin``."""
    adoption = Adoption(ports, letters.pages, login, pin_check)
    pin_login = PinLogin(ports, login, pin_check, browsers, letters, adoption)
    routes = Blueprint("pin_login", __name__)
    routes.get("/login/<name>/pin")(pin_login.ask)
    routes.post("/login/<name>/pin")(pin_login.answer)
    return routes


@dataclass(frozen=True, slots=True)
class PinLogin:
    """The endpoints over the web ports.

    No PIN is checked for a browser that has proved nothing: it shows a letter first.

    Source: docs/reference/design.md#4a-pin.
    """

    ports: WebPorts
    login: LoginEndpoints
    pin_check: PinCheck
    browsers: KnownBrowsers
    letters: LetterPages
    adoption: Adoption

    def ask(self, name: str) -> Response:
        """Show the form to log in by, or the page that a letter or another address leads to."""
        if request.args.get("temporary"):
            return self.adoption.ask(name)
        held = self._held(name)
        code = request.args.get("code")
        if code is not None:
            letter = self.letters.opened(held, code)
            if isinstance(letter, str):
                return self.letters.code_page(held, letter)
            return self.letters.pin_page(held, letter)
        if "asked" in request.args:
            return self.letters.code_page(held)
        return self._form(held)

    def answer(self, name: str) -> Response:
        """Answer a number, a number and PIN, a code, a PIN behind a letter, or its new PIN."""
        held = self.login.of_browser(name)
        now = self.ports.now()
        try:
            form = self.ports.forms.read(request, held.transaction, PURPOSE, now)
        except TokenRefused as refused:
            if request.form.get("do") == "temporary":
                raise
            return self.letters.fresh(held, refused) or self._form(self._held(name), "page_too_old")
        if form.value("do", "") == "temporary":
            return self.adoption.answer(name, form)
        held = self._held(name)
        answers = {
            "letter": self._number,
            "login": self._number_and_pin,
            "code": self._code,
            "pin": self._pin,
            "renew": self._renew,
        }
        return answers[form.choice("do", tuple(answers))](held, form)

    def _held(self, name: str) -> Held:
        """Return the transaction where people may log in by PIN; FormRefused otherwise."""
        held = self.login.of_browser(name)
        transaction = held.transaction
        local = self.ports.local
        ways = self.ports.broker.rules.ways(transaction.request, transaction.errand)
        passing = transaction.errand in {Errand.LOGIN, Errand.CHOICES}
        if transaction.request.is_passive or not passing or local is None or local not in ways:
            raise FormRefused("the library account is not a way to log in here")
        return held

    def _number(self, held: Held, form: SubmittedForm) -> Response:
        identifier, problem = identifier_in(form)
        if identifier is None:
            return self._form(held, problem, form, with_pin=False)
        return self.letters.asked(held, identifier)

    def _number_and_pin(self, held: Held, form: SubmittedForm) -> Response:
        identifier, problem = identifier_in(form)
        pin = without_invisible(form.value("pin", ""))
        if identifier is None or not pin:
            return self._form(held, problem or "pin_missing", form)
        if self.ports.terminal(request):
            host = self.ports.host(request)
            outcome = self.pin_check.at_terminal(identifier, pin, host)
            return self._outcome(held, form, outcome)
        brought = self.ports.cookies.known_browsers(request)
        known = self.browsers.of(brought, identifier)
        if known is None:
            # The PIN goes nowhere: this browser has proved nothing about the number.
            return self.letters.asked(held, identifier, note="pin_browser_unknown")
        outcome = self.pin_check.in_known_browser(known, pin)
        response = self._outcome(held, form, outcome)
        if outcome is PinProblem.CHANGED_SINCE:
            self._forget(response, known)
        return response

    def _outcome(self, held: Held, form: SubmittedForm, outcome: Borrower | PinProblem) -> Response:
        if isinstance(outcome, Borrower):
            return self._joined(held, outcome)
        return self._form(held, outcome, form, with_pin=outcome is not PinProblem.CHANGED_SINCE)

    def _forget(self, response: Response, known: KnownBrowserToken) -> None:
        self.ports.cookies.forget_browser(request, response, known.token)

    def _code(self, held: Held, form: SubmittedForm) -> Response:
        letter = self._letter(held, form)
        if isinstance(letter, Response):
            return letter
        return self.letters.pin_page(held, letter)

    def _pin(self, held: Held, form: SubmittedForm) -> Response:
        letter = self._letter(held, form)
        if isinstance(letter, Response):
            return letter
        pin = without_invisible(form.value("pin", ""))
        if not pin:
            return self.letters.pin_page(held, letter, "pin_missing")
        outcome = self.pin_check.behind_letter(letter, pin)
        if not isinstance(outcome, Borrower):
            self.ports.tell(pin_refused(held.transaction, outcome, self.ports.now()))
            return self.letters.pin_page(held, letter, outcome)
        response = self._joined(held, outcome)
        if form.value("own", "") and not held.transaction.shared:
            token = self.browsers.remember(outcome, letter.identifiers, pin)
            self.ports.cookies.remember_browser(request, response, token)
        return response

    def _renew(self, held: Held, form: SubmittedForm) -> Response:
        letter = self._letter(held, form)
        if isinstance(letter, Response):
            return letter
        address = self.letters.renewed(held, letter)
        if isinstance(address, Response):
            return address
        return self.letters.pin_page(held, letter, address=address)

    def _letter(self, held: Held, form: SubmittedForm) -> PinLetter | Response:
        letter = self.letters.opened(held, form.value("code", ""))
        if isinstance(letter, PinLetter):
            return letter
        self.ports.tell(pin_refused(held.transaction, letter, self.ports.now()))
        return self.letters.code_page(held, letter)

    def _joined(self, held: Held, borrower: Borrower) -> Response:
        ports = self.ports
        local = str(ports.local)
        held, arrival_token = ports.broker.verified(held, local, borrower, ports.now())
        transaction = held.transaction
        ports.tell(_pin_verified(transaction, borrower, ports.now()))
        response = self._welcome(held, borrower)
        ports.cookies.set_login_cookie(request, response, transaction, arrival_token)
        return response

    def _welcome(self, held: Held, borrower: Borrower) -> Response:
        """Go on; first say why nothing can be borrowed, where the library system says so."""
        pages = self.letters.pages
        if not borrower.bars:
            return pages.show(held)
        return pages.page(
            "pin_bars.html",
            "pin",
            held.transaction,
            reason="barred",
            bars=sorted(borrower.bars),
            url=pages.url(held.transaction),
        )

    def _form(
        self,
        held: Held,
        problem: str = "",
        form: SubmittedForm | None = None,
        *,
        with_pin: bool = True,
    ) -> Response:
        ports = self.ports
        transaction = held.transaction
        if problem:
            ports.tell(pin_refused(transaction, problem, ports.now()))
        terminal = ports.terminal(request)
        with_pin = with_pin and "letter" not in request.args and (terminal or self._is_known())
        back = transaction.request.service if transaction.errand is Errand.LOGIN else None
        return self.letters.page(
            "pin_login.html",
            held,
            problem,
            status=problem,
            problem=problem,
            with_pin=with_pin,
            terminal=terminal,
            identifier=typed_again(form) if form else "",
            forgotten=pin_url(ports, back),
            others=self.letters.others(held),
            without=self.letters.without_mail(held),
            kept={} if with_pin else {"letter": "1"},
        )

    def _is_known(self) -> bool:
        return self.browsers.knows_any(self.ports.cookies.known_browsers(request))


def _pin_verified(transaction: Transaction, borrower: Borrower, now: datetime) -> BrokerEvent:
    facts = {"reference": transaction.reference, "service": transaction.request.service}
    audit = of_login(AuditEventKind.PIN_VERIFIED, now, transaction.names, borrower=borrower.number)
    return BrokerEvent(EventKind.PIN_VERIFIED, facts, audit)
