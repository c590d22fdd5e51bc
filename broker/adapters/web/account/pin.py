"""``/pin``: a new PIN by mail without a login, or after one; always inside a transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.form_tokens import SubmittedForm
from broker.adapters.web.pages.language import language, spoken
from broker.adapters.web.pages.sign_up_result import service_to_return_to
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.url_query import with_query
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEventKind, of_login
from broker.core.borrowers.pins import identifier_of, is_cpr, shown_again
from broker.core.errors import (
    BrokerError,
    CookiesNeeded,
    FormRefused,
    LibraryUnavailable,
    MailUnavailable,
    TooMany,
)
from broker.core.event_routes import BrokerEvent, EventKind
from broker.core.input_normalization import without_invisible
from broker.core.login.steps import Done
from broker.core.login.transaction import Errand, Transaction
from broker.flows.proofs.pin_renewal import PinRenewal
from broker.flows.transactions import Held

_BY_MAIL: Final = "pin by mail"
_CHANGE: Final = "pin change"
_BUTTONS: Final = ("choose", "mail")
_DOWN: Final = (LibraryUnavailable, MailUnavailable)
_UNPROCESSABLE: Final = 422


def blueprint(
    ports: WebPorts, pages: StepPages, login: LoginEndpoints, renewal: PinRenewal
) -> Blueprint:
    """Return ``/pin``."""
    pin = PinPages(ports, pages, login, renewal)
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
    renewal: PinRenewal

    def ask(self) -> Response:
        """Begin asking for a PIN, or go on where the address says that something was begun."""
        query = request.args
        if "link" in query:
            return self._opened(query["link"])
        if "login" in query:
            return self._show(query["login"])
        if "change" in query:
            held = self._begin(Errand.PIN, query["change"])
            return redirect(self.pages.url(held.transaction), 303)
        return redirect(self._url(self._begin(Errand.PIN_BY_MAIL).transaction), 303)

    def answer(self) -> Response:
        """Answer a number, the press of a link's button, or how a PIN is to be changed."""
        name = request.args.get("login", "")
        if not self.ports.cookies.browsers(request):
            raise CookiesNeeded("no cookie came back with the form")
        held = self.login.of_browser(name)
        now = self.ports.now()
        if held.transaction.errand is Errand.PIN:
            held = self.login.of_person(name)
            form = self.ports.forms.read(request, held.transaction, _CHANGE, now)
            return self._changed(held, form)
        if held.transaction.errand is not Errand.PIN_BY_MAIL:
            raise FormRefused("a login in which no PIN is asked for")
        form = self.ports.forms.read(request, held.transaction, _BY_MAIL, now)
        if "link" in form.fields:
            return self._pressed(held, form.value("link"))
        return self._asked(held, form)

    def _begin(self, errand: Errand, upstream: str | None = None) -> Held:
        back = request.args.get("service")
        shared = self.ports.shared(request)
        return self.ports.broker.begin_errand(
            errand, self.ports.now(), upstream=upstream, back=back, shared=shared
        )

    def _show(self, name: str) -> Response:
        held = self.login.bound(name, self._url)
        if isinstance(held, Response):
            return held
        if held.transaction.errand is Errand.PIN_BY_MAIL:
            return self._asking(held)
        if held.transaction.errand is not Errand.PIN:
            return redirect(self.pages.url(held.transaction), 303)
        held = self.login.of_person(name)
        if self._number(held) is None:
            return redirect(self.pages.url(held.transaction), 303)
        return self._choosing(held)

    def _opened(self, secret: str) -> Response:
        """Show the button of a mailed link.

        The browser is bound by this very answer, so that no address repeats the link's secret.
        """
        self.renewal.opened(secret)
        ports = self.ports
        held = self._begin(Errand.PIN_BY_MAIL)
        with_cookie = Response()
        browsers = ports.cookies.browsers(request)
        browser = browsers[0] if browsers else ports.cookies.set_browser_cookie(with_cookie)
        held = ports.broker.bind(held, browser, ports.now())
        response = self._button(held, secret)
        for cookie in with_cookie.headers.getlist("Set-Cookie"):
            response.headers.add("Set-Cookie", cookie)
        return response

    def _asked(self, held: Held, form: SubmittedForm) -> Response:
        text = without_invisible(form.value("identifier", ""))
        digits = identifier_of(text)
        if digits is None:
            problem = "pin_number_unread" if text else "pin_number_missing"
            return self._asking(held, problem, _UNPROCESSABLE, text)
        # Nothing is looked up before the answer: known and unknown take the same time and read the
        # same (R09).
        try:
            self.renewal.ask(digits, self.ports.network(request), language())
        except TooMany as error:
            return self._asking(held, "pin_asks_too_many", error.http, text)
        by = "cpr" if is_cpr(digits) else "number"
        facts = {"reference": held.transaction.reference, "by": by}
        self.ports.tell(BrokerEvent(EventKind.PIN_ASKED, facts))
        return self._ended("pin_asked.html", held, "asked")

    def _pressed(self, held: Held, secret: str) -> Response:
        try:
            number = self.renewal.opened(secret).number
            address = self.renewal.press(secret)
        except _DOWN as error:
            return self._button(held, secret, error)
        self.ports.tell(_pin_mailed(held.transaction, number, self.ports.now()))
        return self._ended("pin_mailed.html", held, "mailed", address=address)

    def _changed(self, held: Held, form: SubmittedForm) -> Response:
        number = self._number(held)
        if number is None:
            raise FormRefused("nobody is logged in whose PIN could be changed")
        button = form.choice("do", _BUTTONS)
        try:
            if button == "mail":
                return self._mailed(held, number)
            return self._chosen(held, number, form)
        except _DOWN as error:
            return self._choosing(held, error.reason, error.http)
        except TooMany as error:
            return self._choosing(held, "pin_changes_too_many", error.http)

    def _mailed(self, held: Held, number: str) -> Response:
        address = self.renewal.make(number, language())
        if address is None:
            return self._choosing(held, "pin_no_mail", _UNPROCESSABLE)
        self.ports.tell(_pin_mailed(held.transaction, number, self.ports.now()))
        self.ports.broker.transactions.end(held)
        return self._ended("pin_mailed.html", held, "mailed", address=address)

    def _chosen(self, held: Held, number: str, form: SubmittedForm) -> Response:
        pin = without_invisible(form.value("pin", ""))
        if pin != without_invisible(form.value("again", "")):
            return self._choosing(held, "pin_differs", _UNPROCESSABLE)
        fault = self.renewal.choose(number, pin, language())
        if fault:
            return self._choosing(held, fault, _UNPROCESSABLE)
        self.ports.tell(_pin_chosen(held.transaction, number, self.ports.now()))
        # Whoever presses Back after them, at the screen they left, finds no login to change the PIN
        # by.
        self.ports.broker.transactions.end(held)
        return self._ended("pin_changed.html", held, "changed")

    def _number(self, held: Held) -> str | None:
        """Return the number of the borrower whose PIN may be changed, or None.

        The step is done only after a login for just this, by no PIN.
        """
        step = self.ports.broker.step(held, self.ports.now())
        return step.number if isinstance(step, Done) else None

    def _asking(
        self, held: Held, problem: str = "", status: int = 200, typed: str = ""
    ) -> Response:
        ports = self.ports
        transaction = held.transaction
        ways = ports.broker.rules.ways(transaction.request, Errand.PIN)
        return self._page(
            "pin_ask.html",
            held,
            problem,
            status,
            ways=[self._link_to(way, transaction.back) for way in ways],
            identifier=shown_again(typed),
            kept={"login": transaction.id},
        )

    def _link_to(self, upstream: str, back: str | None) -> tuple[str, str]:
        """Return address and label of a login after which a PIN is chosen."""
        query = {"change": upstream, "service": back}
        url = with_query(f"{self.ports.base_url}/pin", query)
        return url, spoken(self.ports.upstreams[upstream].label)

    def _choosing(self, held: Held, problem: str = "", status: int = 200) -> Response:
        kept = {"login": held.transaction.id}
        return self._page("pin_choose.html", held, problem, status, purpose=_CHANGE, kept=kept)

    def _ended(self, template: str, held: Held, reason: str, **values: object) -> Response:
        """Show the end of a form: no link asks for it again, but one goes back to the service."""
        back = service_to_return_to(self.ports, held.transaction)
        return self._page(template, held, reason, 200, _BY_MAIL, back=back, **values)

    def _button(self, held: Held, secret: str, error: BrokerError | None = None) -> Response:
        reason = error.reason if error else ""
        status = error.http if error else 200
        kept = {"link": secret}
        return self._page("pin_link.html", held, reason, status, link=secret, kept=kept)

    def _page(
        self,
        template: str,
        held: Held,
        reason: str,
        status: int = 200,
        purpose: str = _BY_MAIL,
        **values: object,
    ) -> Response:
        transaction = held.transaction
        response = self.pages.page(
            template,
            "pin",
            transaction,
            action=self._url(transaction),
            reason=reason,
            token=self.ports.forms.token(transaction, purpose, self.ports.now()),
            **values,
        )
        response.status_code = status
        return response

    def _url(self, transaction: Transaction) -> str:
        return f"{self.ports.base_url}/pin?login={transaction.id}"


def _pin_mailed(transaction: Transaction, number: str, now: datetime) -> BrokerEvent:
    audit = of_login(AuditEventKind.PIN_MAILED, now, transaction, borrower=number)
    return BrokerEvent(EventKind.PIN_MAILED, {"reference": transaction.reference}, audit)


def _pin_chosen(transaction: Transaction, number: str, now: datetime) -> BrokerEvent:
    audit = of_login(AuditEventKind.PIN_CHOSEN, now, transaction, borrower=number)
    return BrokerEvent(EventKind.PIN_CHOSEN, {"reference": transaction.reference}, audit)
