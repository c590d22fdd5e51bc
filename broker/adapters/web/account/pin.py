"""``/pin``: a new PIN by mail without a login, or after one chosen or mailed; always inside a transaction."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.form_tokens import SubmittedForm
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.sign_up_result import service_to_return_to
from broker.adapters.web.pages.step_pages import StepPages
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
from broker.core.login.steps import Done
from broker.core.login.transaction import Errand, Transaction
from broker.core.typed_codes import without_invisible
from broker.flows.proofs.pin_renewal import PinRenewal
from broker.flows.transactions import Held

_BY_MAIL: Final = "pin by mail"
_CHANGE: Final = "pin change"
_DEEDS: Final = ("choose", "mail")
_DOWN: Final = (LibraryUnavailable, MailUnavailable)


def blueprint(
    desk: WebPorts, pages: StepPages, login: LoginEndpoints, letters: PinRenewal
) -> Blueprint:
    """Give ``/pin``."""
    pin = PinPages(desk, pages, login, letters)
    rooms = Blueprint("pin", __name__)
    rooms.add_url_rule("/pin", "ask", pin.ask, methods=["GET"])
    rooms.add_url_rule("/pin", "answer", pin.answer, methods=["POST"])
    return rooms


@dataclass(frozen=True, slots=True)
class PinPages:
    """The endpoints over one desk."""

    desk: WebPorts
    pages: StepPages
    login: LoginEndpoints
    letters: PinRenewal

    def ask(self) -> Response:
        """Begin asking for a PIN, or go on where the address says that something was begun."""
        given = request.args
        if "link" in given:
            return self._opened(given["link"])
        if "login" in given:
            return self._show(given["login"])
        if "change" in given:
            held = self._begin(Errand.PIN, given["change"])
            return redirect(self.pages.url(held.transaction), 303)
        return redirect(self._url(self._begin(Errand.PIN_BY_MAIL).transaction), 303)

    def answer(self) -> Response:
        """Take a number, the press of a link's button, or how a PIN is to be changed."""
        name = request.args.get("login", "")
        if not self.desk.cookies.browsers(request):
            raise CookiesNeeded("no cookie came back with the form")
        held, now = self.login.of_browser(name), self.desk.now()
        if held.transaction.errand is Errand.PIN:
            held = self.login.of_person(name)
            return self._changed(
                held, self.desk.forms.read(request, held.transaction, _CHANGE, now)
            )
        if held.transaction.errand is not Errand.PIN_BY_MAIL:
            raise FormRefused("a login in which no PIN is asked for")
        form = self.desk.forms.read(request, held.transaction, _BY_MAIL, now)
        return (
            self._pressed(held, form.one("link"))
            if "link" in form.fields
            else self._asked(held, form)
        )

    def _begin(self, errand: Errand, upstream: str | None = None) -> Held:
        back, shared = request.args.get("service"), self.desk.shared(request)
        return self.desk.broker.begin_errand(
            errand, self.desk.now(), upstream=upstream, back=back, shared=shared
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
        """Show the button of a mailed link; the browser is bound by this very answer, so that no address repeats it."""
        self.letters.opened(secret)
        held, browsers = self._begin(Errand.PIN_BY_MAIL), self.desk.cookies.browsers(request)
        made = Response()
        browser = browsers[0] if browsers else self.desk.cookies.new_browser(made)
        response = self._button(self.desk.broker.bind(held, browser, self.desk.now()), secret)
        for cookie in made.headers.getlist("Set-Cookie"):
            response.headers.add("Set-Cookie", cookie)
        return response

    def _asked(self, held: Held, form: SubmittedForm) -> Response:
        text = without_invisible(form.one("identifier", ""))
        digits = identifier_of(text)
        if digits is None:
            return self._asking(
                held, "pin_number_unread" if text else "pin_number_missing", 422, text
            )
        # Nothing is looked up before the answer: known and unknown take the same time and read the
        # same (R09).
        try:
            self.letters.ask(digits, self.desk.network(request), language())
        except TooMany as error:
            return self._asking(held, "pin_asks_too_many", error.http, text)
        self.desk.events(
            "pin_asked",
            reference=held.transaction.reference,
            by="cpr" if is_cpr(digits) else "number",
        )
        return self._ended("pin_asked.html", held, "asked")

    def _pressed(self, held: Held, secret: str) -> Response:
        try:
            number = self.letters.opened(secret).number
            address = self.letters.press(secret)
        except _DOWN as error:
            return self._button(held, secret, error)
        self.desk.events("pin_mailed", reference=held.transaction.reference)
        self.desk.trail.add(
            of_login(AuditEventKind.PIN_MAILED, self.desk.now(), held.transaction, borrower=number)
        )
        return self._ended("pin_mailed.html", held, "mailed", address=address)

    def _changed(self, held: Held, form: SubmittedForm) -> Response:
        number = self._number(held)
        if number is None:
            raise FormRefused("nobody is logged in whose PIN could be changed")
        deed = form.choice("do", _DEEDS)
        try:
            return (
                self._mailed(held, number) if deed == "mail" else self._chosen(held, number, form)
            )
        except _DOWN as error:
            return self._choosing(held, error.reason, error.http)
        except TooMany as error:
            return self._choosing(held, "pin_changes_too_many", error.http)

    def _mailed(self, held: Held, number: str) -> Response:
        address = self.letters.make(number, language())
        if address is None:
            return self._choosing(held, "pin_no_mail", 422)
        self.desk.events("pin_mailed", reference=held.transaction.reference)
        self.desk.trail.add(
            of_login(AuditEventKind.PIN_MAILED, self.desk.now(), held.transaction, borrower=number)
        )
        self.desk.broker.transactions.end(held)
        return self._ended("pin_mailed.html", held, "mailed", address=address)

    def _chosen(self, held: Held, number: str, form: SubmittedForm) -> Response:
        pin = without_invisible(form.one("pin", ""))
        if pin != without_invisible(form.one("again", "")):
            return self._choosing(held, "pin_differs", 422)
        fault = self.letters.choose(number, pin, language())
        if fault:
            return self._choosing(held, fault, 422)
        self.desk.events("pin_changed", reference=held.transaction.reference)
        self.desk.trail.add(
            of_login(AuditEventKind.PIN_CHOSEN, self.desk.now(), held.transaction, borrower=number)
        )
        # Whoever presses Back after them, at the screen they left, finds no login to change the PIN
        # by.
        self.desk.broker.transactions.end(held)
        return self._ended("pin_changed.html", held, "changed")

    def _number(self, held: Held) -> str | None:
        """Give the borrower whose PIN may be changed: the step is done only after a login for just this, by no PIN."""
        step = self.desk.broker.step(held, self.desk.now())
        return step.number if isinstance(step, Done) else None

    def _asking(
        self, held: Held, problem: str = "", status: int = 200, typed: str = ""
    ) -> Response:
        desk, transaction = self.desk, held.transaction
        back = {"service": transaction.back} if transaction.back else {}
        ways = [
            (
                f"{desk.base_url}/pin?{urlencode({'change': way, **back})}",
                desk.upstreams[way].label[language()],
            )
            for way in desk.broker.rules.ways(transaction.request, Errand.PIN)
        ]
        again, kept = shown_again(typed), {"login": transaction.id}
        return self._page(
            "pin_ask.html", held, problem, status, ways=ways, identifier=again, kept=kept
        )

    def _choosing(self, held: Held, problem: str = "", status: int = 200) -> Response:
        kept = {"login": held.transaction.id}
        return self._page("pin_choose.html", held, problem, status, purpose=_CHANGE, kept=kept)

    def _ended(self, template: str, held: Held, reason: str, **values: object) -> Response:
        """Show what a form came to: no link asks for that again, but one goes back to the service."""
        back = service_to_return_to(self.desk, held.transaction)
        return self._page(template, held, reason, 200, _BY_MAIL, back=back, **values)

    def _button(self, held: Held, secret: str, error: BrokerError | None = None) -> Response:
        reason, status = (error.reason, error.http) if error else ("", 200)
        return self._page("pin_link.html", held, reason, status, link=secret, kept={"link": secret})

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
        shown = {
            "action": self._url(transaction),
            "reason": reason,
            "token": self.desk.forms.token(transaction, purpose, self.desk.now()),
            **values,
        }
        response = self.pages.page(template, "pin", transaction, **shown)
        response.status_code = status
        return response

    def _url(self, transaction: Transaction) -> str:
        return f"{self.desk.base_url}/pin?login={transaction.id}"
