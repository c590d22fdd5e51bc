"""The library account as a way to log in: number and PIN, and a mailed code in unknown browsers."""

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, redirect, request
from flask_babel import format_datetime
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.adapters.web.login.login_pages import LoginPages, make_routes
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_security import SubmittedForm
from broker.adapters.web.pages.sign_up_result import pin_url
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.pins import read_identifier
from broker.core.errors import BrowserUnmatched, CodeRefused, FormRefused
from broker.core.events.audit_events import AuditEventKind
from broker.core.events.broker_events import EventKind
from broker.core.input_normalization import remove_invisible
from broker.core.login.transaction import LoginPurpose
from broker.use_cases.pins.library_login import LibraryLogins, LoginAttempt
from broker.use_cases.transactions.transactions import LoginContext

_PURPOSE: Final = "pin"
# Problems of a form that was not filled in: they are no failed login.
_INCOMPLETE: Final = ("pin_number", "pin_missing", "code_malformed", "page_")


@dataclass(frozen=True, slots=True)
class LibraryLoginPages(LoginPages):
    """The endpoints over the web ports."""

    logins: LibraryLogins

    def routes(self) -> Blueprint:
        """Return the page with its form."""
        return make_routes("pin_login", "/login/<name>/pin", self.ask, self.answer)

    def ask(self, name: str) -> Response:
        """Show the form, or the page for the mailed code."""
        context = self._read_context(name)
        return self._code_page(context) if "code" in request.args else self._form(context)

    def answer(self, name: str) -> Response:
        """Answer number and PIN, or a code."""
        context = self._read_context(name)
        form = self.ports.forms.read_fresh(context.transaction, _PURPOSE)
        if form is None:
            show = self._code_page if "code" in request.form else self._form
            return show(context, "page_too_old")
        answers = {"login": self._number_and_pin, "code": self._code}
        return answers[form.choice("do", tuple(answers))](context, form)

    def _read_context(self, name: str) -> LoginContext:
        """Return the transaction where people may log in so; FormRefused otherwise."""
        context = self.require_browser(name)
        transaction = context.transaction
        upstreams = self.ports.login_flow.rules.list_upstreams(
            transaction.request, transaction.purpose
        )
        passing = transaction.purpose in {LoginPurpose.LOGIN, LoginPurpose.CHOICES}
        if (
            transaction.request.is_passive
            or not passing
            or self.ports.library_account not in upstreams
        ):
            raise FormRefused("the library account is not a way to log in here")
        return context

    def _number_and_pin(self, context: LoginContext, form: SubmittedForm) -> Response:
        text = remove_invisible(form.value("identifier", ""))
        typed = read_identifier(text)
        pin = remove_invisible(form.value("pin", ""))
        if typed is None or not pin:
            problem = "pin_missing" if typed else "pin_number_unread"
            return self._form(context, problem if text else "pin_number_missing")
        outcome = self._check_at_once(typed, pin)
        if isinstance(outcome, Borrower):
            return self._join(context, outcome)
        if outcome is None:
            attempt = self._attempt(context, typed, pin)
            if self.ports.submit(lambda: self.logins.check_and_mail(attempt)):
                # The same answer for a right PIN, a wrong one, an unknown number and any error.
                return redirect(f"{self.url(context.transaction, _PURPOSE)}?code=1", 303)
        return self._form(context, outcome or "account_busy")

    def _check_at_once(self, typed: str, pin: str) -> Borrower | str | None:
        """Return the borrower or a problem; None where a code is mailed first."""
        known = self.logins.find_known(self.ports.cookies.find_known_browsers())
        outcome = self.logins.log_in_at_once(known, typed, pin) if known else None
        if outcome is not None:
            return outcome
        if not self.ports.limits.count_account_try(typed):
            return "pin_throttled"
        if self.logins.mail_code == "never":
            return self.logins.log_in_at_once({}, typed, pin)
        return None

    def _attempt(self, context: LoginContext, typed: str, pin: str) -> LoginAttempt:
        at = format_datetime(self.ports.now(), "long")
        browser = _browser(context)
        code = self.logins.make_decoy(browser)
        return LoginAttempt(typed, pin, browser, code, language(), at, self._origin())

    def _origin(self) -> str:
        if self.ports.shared():
            return str(_("one of the library's own computers"))
        network, is_known, _bits = self.ports.network().partition("/")
        if not is_known:
            return str(_("a place that we cannot name"))
        return str(_("a device on the network %(network)s", network=network))

    def _code(self, context: LoginContext, form: SubmittedForm) -> Response:
        try:
            borrower = self.logins.try_code(form.value("code", ""), _browser(context))
        except CodeRefused as refused:
            return self._code_page(context, refused.cause)
        response = self._join(context, borrower)
        if form.value("own", "") and not context.transaction.shared:
            token = self.logins.browsers.remember(borrower.number)
            self.ports.cookies.remember_browser(response, token)
        return response

    def _join(self, context: LoginContext, borrower: Borrower) -> Response:
        ports = self.ports
        context, arrival_token = ports.login_flow.join_verified_pin(
            context, str(ports.library_account), borrower, ports.now()
        )
        transaction = context.transaction
        ports.tell_login(
            EventKind.PIN_VERIFIED,
            transaction,
            {"service": transaction.request.service},
            audit=AuditEventKind.PIN_VERIFIED,
            borrower=borrower.number,
        )
        response = self.show_next(context)
        ports.cookies.set_login_cookie(response, transaction, arrival_token)
        return response

    def _form(self, context: LoginContext, problem: str = "") -> Response:
        for_consents = context.transaction.purpose is LoginPurpose.CHOICES
        return self._page("pin_login.html", context, problem, for_consents=for_consents)

    def _code_page(self, context: LoginContext, problem: str = "") -> Response:
        return self._page(
            "pin_code.html",
            context,
            problem,
            reason=problem or "code",
            rememberable=not context.transaction.shared and self.logins.mail_code != "always",
            carried={"code": "1"},
        )

    def _page(
        self, template: str, context: LoginContext, problem: str, **values: object
    ) -> Response:
        transaction = context.transaction
        if problem and not problem.startswith(_INCOMPLETE):
            self.ports.tell_login(
                EventKind.PIN_REFUSED,
                transaction,
                {"reason": problem, "route": _PURPOSE},
                audit=AuditEventKind.REFUSED,
                reason=problem,
            )
        return self.form_page(
            template,
            _PURPOSE,
            context,
            problem,
            forgotten=pin_url(self.ports, transaction.service_before),
            others=self.url(transaction, "upstream"),
            **values,
        )


def _browser(context: LoginContext) -> str:
    if context.transaction.browser is None:
        raise BrowserUnmatched("a login that no browser has come for")
    return context.transaction.browser
