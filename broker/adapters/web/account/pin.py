"""``/pin``: a new PIN by mail without a login, or after one; always inside a transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import Blueprint, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.letter_pages import (
    PURPOSE,
    LetterPages,
    identifier_in,
    logs_in,
    typed_again,
)
from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.form_tokens import SubmittedForm
from broker.adapters.web.pages.language import language, spoken
from broker.adapters.web.pages.national_eid_link import national_eid_label
from broker.adapters.web.pages.redirects import redirect
from broker.adapters.web.pages.sign_up_result import service_to_return_to
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.url_query import with_query
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEventKind, of_login
from broker.core.borrowers.account_codes import account_code_of
from broker.core.errors import (
    BrowserUnmatched,
    CookiesNeeded,
    FormRefused,
    LibraryUnavailable,
    LinkGone,
    MailUnavailable,
    TokenRefused,
    TooMany,
    TransactionGone,
)
from broker.core.event_routes import BrokerEvent, EventKind
from broker.core.input_normalization import without_invisible
from broker.core.login.steps import Done
from broker.core.login.transaction import Errand, Transaction
from broker.use_cases.proofs.pin_letters import PinLetter
from broker.use_cases.proofs.pin_renewal import PinRenewal
from broker.use_cases.transactions import Held

_CHANGE: Final = "pin change"
_BUTTONS: Final = ("choose", "mail")
_DOWN: Final = (LibraryUnavailable, MailUnavailable)
_UNPROCESSABLE: Final = 422
_MOST_LOOKED_AT: Final = 8  # browser cookies for which a link looks up a typed number


def blueprint(
    ports: WebPorts, login: LoginEndpoints, renewal: PinRenewal, letters: LetterPages
) -> Blueprint:
    """Return ``/pin``."""
    pin = PinPages(ports, letters.pages, login, renewal, letters)
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
    letters: LetterPages

    def ask(self) -> Response:
        """Begin asking for a PIN, or go on where the address says that something was begun."""
        query = request.args
        if "code" in query:
            code = account_code_of(query["code"])
            if code is None:
                raise LinkGone("no code is written so")
            return self._followed(code)
        if "login" in query:
            return self._show(query["login"])
        if "change" in query:
            held = self._begin(Errand.PIN, query["change"])
            return redirect(self.pages.url(held.transaction), 303)
        return redirect(self._url(self._begin(Errand.PIN_BY_MAIL).transaction), 303)

    def answer(self) -> Response:
        """Answer a number, a code, the press of its button, or how a PIN is to be changed."""
        name = request.args.get("login", "")
        browsers = self.ports.cookies.browsers(request)
        if not browsers:
            raise CookiesNeeded("no cookie came back with the form")
        held = self.login.of_browser(name, browsers)
        now = self.ports.now()
        if held.transaction.errand is Errand.PIN:
            held = self.login.of_person(name)
            form = self.ports.forms.read(request, held.transaction, _CHANGE, now)
            return self._changed(held, form)
        if held.transaction.errand is not Errand.PIN_BY_MAIL:
            raise FormRefused("a login in which no PIN is asked for")
        try:
            form = self.ports.forms.read(request, held.transaction, PURPOSE, now)
        except TokenRefused as refused:
            return self.letters.fresh(held, refused) or self._asking(held, "page_too_old")
        answers = {
            "letter": self._asked,
            "opened": self._typed,
            "code": self._coded,
            "renew": self._renewed,
        }
        return answers[form.choice("do", tuple(answers))](held, form)

    def _url(self, transaction: Transaction) -> str:
        return f"{self.ports.base_url}/pin?login={transaction.id}"

    def _begin(self, errand: Errand, upstream: str | None = None) -> Held:
        self.ports.count_beginning(request)
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
            if "asked" in request.args:
                return self.letters.code_page(held)
            return self._asking(held)
        if held.transaction.errand is not Errand.PIN:
            return redirect(self.pages.url(held.transaction), 303)
        held = self.login.of_person(name)
        if self._number(held) is None:
            return redirect(self.pages.url(held.transaction), 303)
        return self._choosing(held)

    def _followed(self, code: str) -> Response:
        """Go on by a mailed link where this browser typed the number; else ask for the number.

        The link only fills in the code, for the browser that it is opened in: a browser elsewhere,
        where somebody else typed the number, is let in by nothing that happens here.
        """
        held = self._waiting()
        if held is not None:
            letter = self.letters.opened(held, code)
            if isinstance(letter, PinLetter) and logs_in(held):
                query = {"code": letter.code}
                return redirect(with_query(self.pages.url(held.transaction, "pin"), query), 303)
            if isinstance(letter, PinLetter):
                return self.letters.pin_page(held, letter)
        return self._elsewhere(code)

    def _waiting(self) -> Held | None:
        """Return the transaction in which this browser has typed a number last, if it lives."""
        browsers = self.ports.cookies.browsers(request)
        name = self.letters.letters.waiting(browsers[:_MOST_LOOKED_AT])
        if name is None:
            return None
        try:
            return self.login.of_browser(name)
        except (TransactionGone, BrowserUnmatched):
            return None

    def _elsewhere(self, code: str) -> Response:
        """Begin the errand of a new PIN with the code filled in, bound by this very answer."""
        ports = self.ports
        held = self._begin(Errand.PIN_BY_MAIL)
        with_cookie = Response()
        browsers = ports.cookies.browsers(request)
        browser = browsers[0] if browsers else ports.cookies.set_browser_cookie(with_cookie)
        held = ports.broker.bind(held, browser, ports.now())
        response = self._opening(held, code)
        for cookie in with_cookie.headers.getlist("Set-Cookie"):
            response.headers.add("Set-Cookie", cookie)
        return response

    def _opening(self, held: Held, code: str, problem: str = "", typed: str = "") -> Response:
        values = {"code": code, "identifier": typed, "kept": {"code": code}}
        return self.letters.page("pin_opened.html", held, problem, status=problem, **values)

    def _asked(self, held: Held, form: SubmittedForm) -> Response:
        identifier, problem = identifier_in(form)
        if identifier is None:
            return self._asking(held, problem, typed_again(form))
        return self.letters.asked(held, identifier)

    def _typed(self, held: Held, form: SubmittedForm) -> Response:
        """Answer the number that belongs to a link; nobody is written to for it."""
        code = form.value("code", "")
        identifier, problem = identifier_in(form)
        if identifier is None:
            return self._opening(held, code, problem, typed_again(form))
        transaction = held.transaction
        self.letters.letters.typed(str(transaction.browser), identifier, transaction.id)
        letter = self.letters.opened(held, code)
        if isinstance(letter, str):
            return self._opening(held, code, letter)
        return self.letters.pin_page(held, letter)

    def _coded(self, held: Held, form: SubmittedForm) -> Response:
        letter = self.letters.opened(held, form.value("code", ""))
        if isinstance(letter, str):
            return self.letters.code_page(held, letter)
        return self.letters.pin_page(held, letter)

    def _renewed(self, held: Held, form: SubmittedForm) -> Response:
        letter = self.letters.opened(held, form.value("code", ""))
        if isinstance(letter, str):
            return self.letters.code_page(held, letter)
        address = self.letters.renewed(held, letter)
        if isinstance(address, Response):
            return address
        return self._ended("pin_mailed.html", held, "mailed", address=address)

    def _changed(self, held: Held, form: SubmittedForm) -> Response:
        number = self._number(held)
        if number is None:
            # Barred while the page stood open, perhaps: they are told so.
            return self.pages.show(held)
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

    def _asking(self, held: Held, problem: str = "", typed: str = "") -> Response:
        transaction = held.transaction
        ways = self.ports.broker.rules.ways(transaction.request, Errand.PIN)
        return self.letters.page(
            "pin_ask.html",
            held,
            problem,
            status=problem,
            ways=[self._link_to(way, transaction.back) for way in ways],
            eid=national_eid_label(ways, self.ports.upstreams),
            identifier=typed,
            kept={"login": transaction.id},
        )

    def _link_to(self, upstream: str, back: str | None) -> tuple[str, str]:
        """Return address and label of a login after which a PIN is chosen."""
        query = {"change": upstream, "service": back}
        url = with_query(f"{self.ports.base_url}/pin", query)
        return url, spoken(self.ports.upstreams[upstream].label)

    def _choosing(self, held: Held, problem: str = "", status: int = 200) -> Response:
        transaction = held.transaction
        response = self.pages.page(
            "pin_choose.html",
            "pin",
            transaction,
            reason=problem,
            action=self._url(transaction),
            token=self.ports.forms.token(transaction, _CHANGE, self.ports.now()),
            kept={"login": transaction.id},
        )
        response.status_code = status
        return response

    def _ended(self, template: str, held: Held, reason: str, **values: object) -> Response:
        """Show the end: no link asks for it again, but one goes back to the service."""
        back = service_to_return_to(self.ports, held.transaction)
        return self.pages.page(
            template,
            "pin",
            held.transaction,
            reason=reason,
            back=back,
            proved=self.ports.broker.rules.pins_checked,
            over=True,
            **values,
        )


def _pin_mailed(transaction: Transaction, number: str, now: datetime) -> BrokerEvent:
    audit = of_login(AuditEventKind.PIN_MAILED, now, transaction.names, borrower=number)
    return BrokerEvent(EventKind.PIN_MAILED, {"reference": transaction.reference}, audit)


def _pin_chosen(transaction: Transaction, number: str, now: datetime) -> BrokerEvent:
    audit = of_login(AuditEventKind.PIN_CHOSEN, now, transaction.names, borrower=number)
    return BrokerEvent(EventKind.PIN_CHOSEN, {"reference": transaction.reference}, audit)
