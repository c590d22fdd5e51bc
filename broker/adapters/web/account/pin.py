"""``/pin``: a borrower chooses a PIN after a fresh login, after a sign-up, or behind a PIN mail."""

from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, redirect, request
from flask_babel import format_datetime
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.language import language, spoken
from broker.adapters.web.pages.page_links import add_query, national_eid_label
from broker.adapters.web.pages.page_security import SubmittedForm
from broker.adapters.web.pages.sign_up_result import may_choose_pin, service_to_return_to
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.borrowers.pins import hide_long_number, is_cpr, read_identifier
from broker.core.errors import CookiesNeeded, FormRefused, LibraryUnavailable, TokenRefused
from broker.core.events.audit_events import AuditEventKind
from broker.core.events.broker_events import EventKind
from broker.core.input_normalization import remove_invisible
from broker.core.login.steps import Done
from broker.core.login.transaction import Errand, Transaction
from broker.use_cases.pins.borrower_pins import BorrowerPins, PinChoice
from broker.use_cases.pins.mailed_codes import MailedCodes
from broker.use_cases.transactions.transactions import Held

_PURPOSE: Final = "pin"
_UNPROCESSABLE: Final = 422
_STATUS: Final = {"": 200, "page_too_old": TokenRefused.http, "account_busy": 503}


def blueprint(pin: "PinPages") -> Blueprint:
    """Return ``/pin``."""
    routes = Blueprint("pin", __name__)
    routes.get("/pin")(pin.ask)
    routes.post("/pin")(pin.answer)
    return routes


@dataclass(frozen=True, slots=True)
class PinPages:
    """The endpoints over the web ports."""

    ports: WebPorts
    pages: StepPages
    login: LoginEndpoints
    pins: BorrowerPins

    @property
    def codes(self) -> MailedCodes:
        """Return the codes behind the mailed links."""
        return self.pins.codes

    def ask(self) -> Response:
        """Begin asking for a PIN mail or a login, or go on where the address says."""
        query = request.args
        if "link" in query:
            return self._follow_link(query["link"])
        if "login" in query:
            return self._show(query["login"])
        if "change" in query:
            held = self._begin(Errand.PIN, query["change"])
            return redirect(self.pages.url(held.transaction), 303)
        return redirect(self._url(self._begin(Errand.PIN_BY_MAIL).transaction), 303)

    def answer(self) -> Response:
        """Answer a number that was typed, or a PIN that was chosen."""
        name = request.args.get("login", "")
        browsers = self.ports.cookies.browsers(request)
        if not browsers:
            raise CookiesNeeded("no cookie came back with the form")
        held = self.login.require_browser(name, browsers)
        if held.transaction.errand in {Errand.PIN, Errand.SIGN_UP}:
            held = self.login.require_person(name)
            form = self.ports.forms.read(request, held.transaction, _PURPOSE, self.ports.now())
            number = self._number(held)
            if number is None:
                return self.pages.show(held)
            return self._chosen(held, number, form)
        if held.transaction.errand is not Errand.PIN_BY_MAIL:
            raise FormRefused("a login in which no PIN is chosen")
        form = self.ports.forms.read(request, held.transaction, _PURPOSE, self.ports.now())
        if form.choice("do", ("ask", "choose")) == "ask":
            return self._answer_request(held, form)
        token = form.value("link")
        return self._chosen(held, self.codes.find_link(token), form, token)

    def _url(self, transaction: Transaction) -> str:
        return f"{self.ports.base_url}/pin?login={transaction.id}"

    def _begin(self, errand: Errand, upstream: str | None = None) -> Held:
        self.ports.limits.count_beginning(request)
        back = request.args.get("service")
        shared = self.ports.shared(request)
        return self.ports.broker.begin_errand(
            errand, self.ports.now(), upstream=upstream, back=back, shared=shared
        )

    def _show(self, name: str) -> Response:
        held = self.login.bound(name, self._url)
        if isinstance(held, Response):
            return held
        errand = held.transaction.errand
        if errand is Errand.PIN_BY_MAIL:
            return self._asking(held)
        if errand not in {Errand.PIN, Errand.SIGN_UP}:
            return redirect(self.pages.url(held.transaction), 303)
        held = self.login.require_person(name)
        if self._number(held) is None:
            return redirect(self.pages.url(held.transaction), 303)
        return self._choosing(held)

    def _follow_link(self, token: str) -> Response:
        """Show the form behind a mailed link; nothing is used up: mail scanners open links."""
        self.codes.find_link(token)
        ports = self.ports
        held = self._begin(Errand.PIN_BY_MAIL)
        with_cookie = Response()
        browsers = ports.cookies.browsers(request)
        browser = browsers[0] if browsers else ports.cookies.set_browser_cookie(with_cookie)
        held = ports.broker.bind(held, browser, ports.now())
        response = self._choosing(held, link=token)
        for cookie in with_cookie.headers.getlist("Set-Cookie"):
            response.headers.add("Set-Cookie", cookie)
        return response

    def _answer_request(self, held: Held, form: SubmittedForm) -> Response:
        """Answer a typed number: the same page for everybody, before the library is asked."""
        text = remove_invisible(form.value("identifier", ""))
        typed = read_identifier(text)
        if typed is None:
            problem = "pin_number_unread" if text else "pin_number_missing"
            return self._asking(held, problem, hide_long_number(text))
        at, spoken_language = format_datetime(self.ports.now(), "long"), language()
        if self.ports.limits.count_pin_request(request) and not self.ports.submit(
            lambda: self.pins.request(typed, spoken_language, at)
        ):
            return self._asking(held, "account_busy", hide_long_number(text))
        transaction = held.transaction
        by = "cpr" if is_cpr(typed) else "number"
        self.ports.tell_login(EventKind.PIN_ASKED, transaction, {"by": by})
        back = service_to_return_to(self.ports, transaction)
        return self._page("pin_asked.html", held, reason="asked", back=back, **self._ways(held))

    def _chosen(
        self, held: Held, number: str, form: SubmittedForm, token: str | None = None
    ) -> Response:
        pin = remove_invisible(form.value("pin", ""))
        if pin != remove_invisible(form.value("again", "")):
            return self._choosing(held, "pin_differs", token)
        try:
            choice = self.pins.choose(number, pin, language(), link_token=token)
        except LibraryUnavailable as error:
            response = self._choosing(held, error.reason, token)
            response.status_code = error.http
            return response
        if choice.result == "refused":
            return self._choosing(held, choice.reason, token)
        return self._end(held, number, choice, form)

    def _end(self, held: Held, number: str, choice: PinChoice, form: SubmittedForm) -> Response:
        is_set = choice.result == "set"
        response = self._page(
            "pin_chosen.html",
            held,
            reason=choice.result,
            again_at=choice.again_at,
            back=service_to_return_to(self.ports, held.transaction),
            over=is_set,
        )
        if not is_set:
            return response
        self.ports.tell_login(
            EventKind.PIN_CHOSEN, held.transaction, audit=AuditEventKind.PIN_CHOSEN, borrower=number
        )
        if form.value("own", "") and not held.transaction.shared:
            browser = self.pins.browsers.remember(number)
            self.ports.cookies.remember_browser(request, response, browser)
        # End the login: Back must not lead to a form that changes the PIN.
        self.ports.broker.transactions.end(held)
        return response

    def _number(self, held: Held) -> str | None:
        """Return the borrower whose PIN may be chosen: a fresh login for it, or a new borrower."""
        step = self.ports.broker.next_step(held, self.ports.now())
        if not isinstance(step, Done):
            return None
        if held.transaction.errand is Errand.PIN or may_choose_pin(step, held.transaction):
            return step.number
        return None

    def _asking(self, held: Held, problem: str = "", typed: str = "") -> Response:
        kept = {"login": held.transaction.id}
        return self._page(
            "pin_ask.html", held, problem, identifier=typed, kept=kept, **self._ways(held)
        )

    def _ways(self, held: Held) -> dict[str, Any]:
        transaction = held.transaction
        ways = self.ports.broker.rules.ways(transaction.request, Errand.PIN)
        return {
            "ways": [self._link_to(way, transaction.back) for way in ways],
            "eid": national_eid_label(ways, self.ports.upstreams),
        }

    def _link_to(self, upstream: str, back: str | None) -> tuple[str, str]:
        """Return address and label of a login after which a PIN is chosen."""
        query = {"change": upstream, "service": back}
        url = add_query(f"{self.ports.base_url}/pin", query)
        return url, spoken(self.ports.upstreams[upstream].label)

    def _choosing(self, held: Held, problem: str = "", link: str | None = None) -> Response:
        return self._page(
            "pin_choose.html",
            held,
            problem,
            link=link,
            rememberable=link is not None and not held.transaction.shared,
            kept={"link": link} if link else {"login": held.transaction.id},
        )

    def _page(self, template: str, held: Held, problem: str = "", **values: object) -> Response:
        http = _STATUS.get(problem, _UNPROCESSABLE)
        action = self._url(held.transaction)
        return self.pages.form_page(
            template, _PURPOSE, held, problem, http, action=action, **values
        )
