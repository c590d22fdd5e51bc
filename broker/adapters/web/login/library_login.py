"""The library account as a way to log in: number and PIN, and a mailed code in unknown browsers."""

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, redirect, request
from flask_babel import format_datetime
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_security import SubmittedForm
from broker.adapters.web.pages.sign_up_result import pin_url
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.pins import hide_long_number, read_identifier
from broker.core.errors import BrowserUnmatched, CodeRefused, FormRefused
from broker.core.events.audit_events import AuditEventKind
from broker.core.events.broker_events import EventKind
from broker.core.input_normalization import remove_invisible
from broker.core.login.transaction import Errand, Transaction
from broker.use_cases.pins.library_login import LibraryLogins, LoginAttempt
from broker.use_cases.transactions.transactions import Held

_PURPOSE: Final = "pin"
_UNPROCESSABLE: Final = 422
_STATUS: Final = {"": 200, "pin_throttled": 429, "account_busy": 503, "page_too_old": 403}


def blueprint(endpoints: "LibraryLoginPages") -> Blueprint:
    """Return ``/login/<transaction>/pin``."""
    routes = Blueprint("pin_login", __name__)
    routes.get("/login/<name>/pin")(endpoints.ask)
    routes.post("/login/<name>/pin")(endpoints.answer)
    return routes


@dataclass(frozen=True, slots=True)
class LibraryLoginPages:
    """The endpoints over the web ports."""

    ports: WebPorts
    pages: StepPages
    login: LoginEndpoints
    logins: LibraryLogins

    def ask(self, name: str) -> Response:
        """Show the form, or the page for the mailed code."""
        held = self._read_held(name)
        return self._code_page(held) if "code" in request.args else self._form(held)

    def answer(self, name: str) -> Response:
        """Answer number and PIN, or a code."""
        held = self._read_held(name)
        form = self.ports.forms.read_fresh(request, held.transaction, _PURPOSE, self.ports.now())
        if form is None:
            if SubmittedForm(request.form).values("code"):
                return self._code_page(held, "page_too_old")
            return self._form(held, "page_too_old")
        answers = {"login": self._number_and_pin, "code": self._code}
        return answers[form.choice("do", tuple(answers))](held, form)

    def _read_held(self, name: str) -> Held:
        """Return the transaction where people may log in so; FormRefused otherwise."""
        held = self.login.require_browser(name)
        transaction = held.transaction
        local = self.ports.local
        ways = self.ports.broker.rules.ways(transaction.request, transaction.errand)
        passing = transaction.errand in {Errand.LOGIN, Errand.CHOICES}
        if transaction.request.is_passive or not passing or local is None or local not in ways:
            raise FormRefused("the library account is not a way to log in here")
        return held

    def _number_and_pin(self, held: Held, form: SubmittedForm) -> Response:
        text = remove_invisible(form.value("identifier", ""))
        typed = read_identifier(text)
        pin = remove_invisible(form.value("pin", ""))
        if typed is None:
            return self._form(held, "pin_number_unread" if text else "pin_number_missing", form)
        if not pin:
            return self._form(held, "pin_missing", form)
        known = self.logins.find_known(self.ports.cookies.find_known_browsers(request))
        if known:
            outcome = self.logins.log_in_known(known, typed, pin)
            if outcome is not None:
                return self._outcome(held, form, outcome)
        if not self.ports.limits.count_account_try(request, typed):
            return self._form(held, "pin_throttled", form)
        if self.logins.mail_code == "never":
            return self._outcome(held, form, self.logins.log_in_without_code(typed, pin))
        attempt = self._attempt(held, typed, pin)
        if not self.ports.submit(lambda: self.logins.check_and_mail(attempt)):
            return self._form(held, "account_busy", form)
        # The same answer for a right PIN, a wrong one, an unknown number and any error.
        return redirect(f"{self.pages.url(held.transaction, 'pin')}?code=1", 303)

    def _attempt(self, held: Held, typed: str, pin: str) -> LoginAttempt:
        at = format_datetime(self.ports.now(), "long")
        browser = _browser(held)
        decoy_hash = self.logins.make_decoy(browser)
        return LoginAttempt(typed, pin, browser, decoy_hash, language(), at, self._origin())

    def _origin(self) -> str:
        if self.ports.shared(request):
            return str(_("one of the library's own computers"))
        network = self.ports.network(request)
        begins = network.partition("/")[0].removesuffix(".0").partition("::")[0]
        if "/" not in network or not begins:
            return str(_("a place that we cannot name"))
        return str(_("an internet address that begins with %(begins)s", begins=begins))

    def _outcome(self, held: Held, form: SubmittedForm, outcome: Borrower | str) -> Response:
        if isinstance(outcome, Borrower):
            return self._join(held, outcome)
        return self._form(held, outcome, form)

    def _code(self, held: Held, form: SubmittedForm) -> Response:
        try:
            borrower = self.logins.try_code(form.value("code", ""), _browser(held))
        except CodeRefused as refused:
            self._tell_refused(held.transaction, refused.cause)
            return self._code_page(held, refused.cause)
        response = self._join(held, borrower)
        if form.value("own", "") and not held.transaction.shared:
            token = self.logins.browsers.remember(borrower.number)
            self.ports.cookies.remember_browser(request, response, token)
        return response

    def _join(self, held: Held, borrower: Borrower) -> Response:
        ports = self.ports
        held, arrival_token = ports.broker.join_verified_pin(
            held, str(ports.local), borrower, ports.now()
        )
        transaction = held.transaction
        ports.tell_login(
            EventKind.PIN_VERIFIED,
            transaction,
            {"service": transaction.request.service},
            audit=AuditEventKind.PIN_VERIFIED,
            borrower=borrower.number,
        )
        response = self.pages.show(held)
        ports.cookies.set_login_cookie(request, response, transaction, arrival_token)
        return response

    def _form(self, held: Held, problem: str = "", form: SubmittedForm | None = None) -> Response:
        transaction = held.transaction
        if problem:
            self._tell_refused(transaction, problem)
        typed = hide_long_number(form.value("identifier", "")) if form else ""
        return self._page("pin_login.html", held, problem, identifier=typed)

    def _code_page(self, held: Held, problem: str = "") -> Response:
        return self._page(
            "pin_code.html",
            held,
            problem,
            reason=problem or "code",
            rememberable=not held.transaction.shared and self.logins.mail_code != "always",
            kept={"code": "1"},
        )

    def _page(self, template: str, held: Held, problem: str, **values: object) -> Response:
        transaction = held.transaction
        back = transaction.request.service if transaction.errand is Errand.LOGIN else None
        return self.pages.form_page(
            template,
            _PURPOSE,
            held,
            problem,
            _STATUS.get(problem, _UNPROCESSABLE),
            forgotten=pin_url(self.ports, back),
            others=self.pages.url(transaction, "upstream"),
            **values,
        )

    def _tell_refused(self, transaction: Transaction, reason: str) -> None:
        """Tell of a form that let nobody in."""
        facts = {"reason": reason, "route": "pin"}
        if reason.startswith(("pin_number", "pin_missing", "code_malformed", "page_")):
            self.ports.tell_login(EventKind.PIN_FORM_INCOMPLETE, transaction, facts)
            return
        audit = AuditEventKind.REFUSED
        self.ports.tell_login(EventKind.PIN_REFUSED, transaction, facts, audit=audit, reason=reason)


def _browser(held: Held) -> str:
    if held.transaction.browser is None:
        raise BrowserUnmatched("a login that no browser has come for")
    return held.transaction.browser
