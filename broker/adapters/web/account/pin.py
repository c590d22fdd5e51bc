"""``/pin``: a borrower chooses a PIN after a fresh login, after a sign-up, or behind a PIN mail."""

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, redirect, request
from flask_babel import format_datetime
from werkzeug.wrappers import Response

from broker.adapters.web.login.login_pages import LoginPages, make_routes
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_links import add_query
from broker.adapters.web.pages.page_security import SubmittedForm
from broker.adapters.web.pages.sign_up_result import may_choose_pin, service_to_return_to
from broker.core.borrowers.pins import read_identifier
from broker.core.entities import Upstream
from broker.core.errors import CookiesNeeded, FormRefused, LibraryUnavailable
from broker.core.events.audit_events import AuditEventKind
from broker.core.events.broker_events import EventKind
from broker.core.input_normalization import remove_invisible
from broker.core.login.steps import Done
from broker.core.login.transaction import LoginPurpose, Transaction
from broker.use_cases.pins.borrower_pins import BorrowerPins, PinChoice
from broker.use_cases.transactions.transactions import LoginContext

_PURPOSE: Final = "pin"
# The affiliations whose sign-up page leads here.
_WITH_OWN_PAGE: Final = frozenset({"student", "employee"})
# The purposes of people who are logged in.
_AFTER_LOGIN: Final = frozenset({LoginPurpose.PIN, LoginPurpose.SIGN_UP})


@dataclass(frozen=True, slots=True)
class PinPages(LoginPages):
    """The endpoints over the web ports."""

    pins: BorrowerPins

    def routes(self) -> Blueprint:
        """Return the page with its form."""
        return make_routes("pin", "/pin", self.ask, self.answer)

    def ask(self) -> Response:
        """Begin asking for a PIN mail or a login, or go on where the address says."""
        query = request.args
        if "link" in query:
            return self._follow_link(query["link"])
        if "login" in query:
            return self._show(query["login"])
        if "change" in query:
            context = self.begin_for(LoginPurpose.PIN, query["change"])
            return self.redirect_to(context.transaction)
        affiliation = query.get("affiliation")
        if affiliation not in _WITH_OWN_PAGE:
            affiliation = None
        context = self.begin_for(LoginPurpose.PIN_BY_MAIL, intent=affiliation)
        return redirect(self._address(context.transaction), 303)

    def answer(self) -> Response:
        """Answer a number that was typed, or a PIN that was chosen."""
        name = request.args.get("login", "")
        if not self.ports.cookies.browsers():
            raise CookiesNeeded("no cookie came back with the form")
        context = self.require_browser(name)
        purpose = context.transaction.purpose
        if purpose in _AFTER_LOGIN:
            context = self.require_person(name)
        elif purpose is not LoginPurpose.PIN_BY_MAIL:
            raise FormRefused("a login in which no PIN is chosen")
        form = self.ports.forms.read(context.transaction, _PURPOSE)
        if purpose in _AFTER_LOGIN:
            number = self._number(context)
            return self._chosen(context, number, form) if number else self.show_next(context)
        if form.choice("do", ("ask", "choose")) == "ask":
            return self._answer_request(context, form)
        token = form.value("link")
        return self._chosen(context, self.pins.codes.require_link(token), form, token)

    def _address(self, transaction: Transaction) -> str:
        return f"{self.ports.base_url}/pin?login={transaction.id}"

    def _show(self, name: str) -> Response:
        context = self.bound(name, self._address)
        if isinstance(context, Response):
            return context
        purpose = context.transaction.purpose
        if purpose is LoginPurpose.PIN_BY_MAIL:
            return self._asking(context)
        if purpose in _AFTER_LOGIN:
            context = self.require_person(name)
            if self._number(context):
                return self._choosing(context)
        return self.redirect_to(context.transaction)

    def _follow_link(self, token: str) -> Response:
        """Show the form behind a mailed link; nothing is used up: mail scanners open links."""
        self.pins.codes.require_link(token)
        ports = self.ports
        context = self.begin_for(LoginPurpose.PIN_BY_MAIL)
        with_cookie = Response()
        browsers = ports.cookies.browsers()
        browser = browsers[0] if browsers else ports.cookies.set_browser_cookie(with_cookie)
        context = ports.login_flow.bind(context, browser, ports.now())
        response = self._choosing(context, link=token)
        for cookie in with_cookie.headers.getlist("Set-Cookie"):
            response.headers.add("Set-Cookie", cookie)
        return response

    def _answer_request(self, context: LoginContext, form: SubmittedForm) -> Response:
        """Answer a typed number: the same page for everybody, before the library is asked."""
        ports = self.ports
        text = remove_invisible(form.value("identifier", ""))
        typed = read_identifier(text)
        if typed is None:
            problem = "pin_number_unread" if text else "pin_number_missing"
            return self._asking(context, problem)
        at, spoken_language = format_datetime(ports.now(), "long"), language()
        if ports.limits.count_pin_request() and not ports.submit(
            lambda: self.pins.mail_link_to_typed_number(typed, spoken_language, at)
        ):
            return self._asking(context, "account_busy")
        ports.tell_login(EventKind.PIN_ASKED, context.transaction)
        return self._page(
            "pin_asked.html",
            context,
            reason="asked",
            ways=self._ways(context),
            sign_up=self._find_sign_up_page(context.transaction),
        )

    def _find_sign_up_page(self, transaction: Transaction) -> str:
        """Return the address of the sign-up page of the person's affiliation; "" if unknown."""
        if self.ports.sign_up is None or transaction.intent is None:
            return ""
        address = f"{self.ports.sign_up}/{transaction.intent}/pin"
        return add_query(address, {"service": transaction.back})

    def _chosen(
        self, context: LoginContext, number: str, form: SubmittedForm, token: str | None = None
    ) -> Response:
        pin = remove_invisible(form.value("pin", ""))
        if pin != remove_invisible(form.value("again", "")):
            return self._choosing(context, "pin_differs", token)
        try:
            choice = self.pins.choose(number, pin, language(), link_token=token)
        except LibraryUnavailable as error:
            return self._choosing(context, error.reason, token)
        if choice.result == "refused":
            return self._choosing(context, choice.reason, token)
        return self._end(context, number, choice, form)

    def _end(
        self, context: LoginContext, number: str, choice: PinChoice, form: SubmittedForm
    ) -> Response:
        ports = self.ports
        is_set = choice.result == "set"
        response = self._page(
            "pin_chosen.html", context, reason=choice.result, again_at=choice.again_at, over=is_set
        )
        if not is_set:
            return response
        ports.tell_login(
            EventKind.PIN_CHOSEN,
            context.transaction,
            audit=AuditEventKind.PIN_CHOSEN,
            borrower=number,
        )
        if form.value("own", "") and not context.transaction.shared:
            browser = self.pins.browsers.remember(number)
            ports.cookies.remember_browser(response, browser)
        # End the login: Back must not lead to a form that changes the PIN.
        ports.login_flow.transactions.end(context)
        return response

    def _number(self, context: LoginContext) -> str | None:
        """Return the borrower whose PIN may be chosen: a fresh login for it, or a new borrower."""
        step = self.ports.next_step(context)
        if not isinstance(step, Done):
            return None
        if context.transaction.purpose is LoginPurpose.PIN or may_choose_pin(
            step, context.transaction
        ):
            return step.number
        return None

    def _asking(self, context: LoginContext, problem: str = "") -> Response:
        return self._page("pin_ask.html", context, problem, ways=self._ways(context))

    def _ways(self, context: LoginContext) -> list[Upstream]:
        """Return the ways to log in after which a PIN is chosen."""
        ports = self.ports
        upstreams = ports.login_flow.rules.list_upstreams(
            context.transaction.request, LoginPurpose.PIN
        )
        return [ports.upstreams[name] for name in upstreams]

    def _choosing(
        self, context: LoginContext, problem: str = "", link: str | None = None
    ) -> Response:
        return self._page(
            "pin_choose.html",
            context,
            problem,
            link=link,
            rememberable=link is not None and not context.transaction.shared,
            carried={"link": link} if link else {"login": context.transaction.id},
        )

    def _page(
        self, template: str, context: LoginContext, problem: str = "", **values: object
    ) -> Response:
        action = self._address(context.transaction)
        back = service_to_return_to(self.ports, context.transaction)
        return self.form_page(
            template, _PURPOSE, context, problem, action=action, back=back, **values
        )
