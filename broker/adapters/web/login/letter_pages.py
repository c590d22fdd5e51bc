"""The pages around a borrower's letter: the one answer to a typed number, and what its code opens.

A login by PIN and ``/pin`` share them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from flask import request
from flask_babel import format_datetime
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.adapters.web.pages.filled_pages import look_of
from broker.adapters.web.pages.form_tokens import SubmittedForm
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.security_headers import same_origin
from broker.adapters.web.pages.sign_up_result import service_to_return_to
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEventKind, of_login
from broker.core.borrowers.account_codes import account_code_of
from broker.core.borrowers.pins import identifier_of, is_cpr, shown_again
from broker.core.errors import LibraryUnavailable, LinkGone, MailUnavailable, TokenRefused, TooMany
from broker.core.event_routes import BrokerEvent, EventKind
from broker.core.input_normalization import without_invisible
from broker.core.login.transaction import Errand, Transaction
from broker.use_cases.proofs.pin_check import PinProblem
from broker.use_cases.proofs.pin_letters import PinLetter, PinLetters
from broker.use_cases.proofs.pin_renewal import Asking, PinRenewal
from broker.use_cases.transactions import Held

PURPOSE: Final = "pin"
NOT_TEMPORARY: Final = "pin_not_temporary"
# Somebody tried a PIN; a slip of the pen did not.
_TRIED: Final = frozenset({*PinProblem, NOT_TEMPORARY})
_UNPROCESSABLE: Final = 422
_TOO_OLD: Final = "page_too_old"
_STATUS: Final[Mapping[str, int]] = {
    "": 200,
    "mailed": 200,
    "pin_browser_unknown": 200,
    _TOO_OLD: TokenRefused.http,
    "pin_throttled": TooMany.http,
    "pin_letter_used_up": TooMany.http,
    "pin_codes_too_many": TooMany.http,
    "pin_new_pins_too_many": TooMany.http,
    "pin_asks_too_many": TooMany.http,
    LibraryUnavailable.reason: LibraryUnavailable.http,
    MailUnavailable.reason: MailUnavailable.http,
}


@dataclass(frozen=True, slots=True)
class WithoutMail:
    """The ways that need no mail: the page that leads to them, and their labels."""

    others: str
    ways: tuple[str, ...]
    terminals: bool


@dataclass(frozen=True, slots=True)
class LetterPages:
    """The pages over the web ports; each posts to the page that its transaction goes on at."""

    ports: WebPorts
    pages: StepPages
    renewal: PinRenewal
    letters: PinLetters
    terminals: bool = False  # whether there are any where number and PIN are enough

    def asked(self, held: Held, identifier: str, note: str = "") -> Response:
        """Ask for the letter of whoever has ``identifier``, and show the one answer to everybody.

        Nothing is looked up before it: known and unknown take the same time and read the same
        (docs/reference/design.md#4a-pin). ``note`` is a code of what this browser is told besides.
        """
        transaction = held.transaction
        refused = not self._is_asked(identifier)
        if refused:
            # A letter of the last day is as good as one that is mailed now.
            note = "pin_asks_too_many"
        browser = str(transaction.browser)
        self.letters.typed(browser, identifier, transaction.id, refused=refused)
        by = "cpr" if is_cpr(identifier) else "number"
        facts = {"reference": transaction.reference, "by": by}
        self.ports.tell(BrokerEvent(EventKind.PIN_ASKED, facts))
        return self.code_page(held, note=note)

    def _is_asked(self, identifier: str) -> bool:
        try:
            self.renewal.ask(identifier, self.ports.network(request), self._asking)
        except TooMany:
            return False
        return True

    def fresh(self, held: Held, refused: TokenRefused) -> Response | None:
        """Return the page for a code that came with a token too old; None for another form's.

        The mail may well take longer than a page's ten minutes: the code is kept on a fresh one.
        Raises ``refused`` for a form from elsewhere.
        """
        if not same_origin(request.headers, self.ports.base_url):
            raise refused
        form = SubmittedForm(request.form)
        if not form.values("code"):
            return None
        return self.code_page(held, _TOO_OLD, code=form.value("code"))

    def code_page(
        self, held: Held, problem: str = "", note: str = "", *, code: str = ""
    ) -> Response:
        """Show where the code of the letter is written.

        Whoever asks once more than they may gets it too, so that it must cost little
        (docs/reference/design.md#4e).
        """
        transaction = held.transaction
        without = self.without_mail(held)
        back = service_to_return_to(self.ports, transaction)
        differing = {
            "action": self.action(held),
            "token": self.ports.forms.token(transaction, PURPOSE, self.ports.now()),
            "code": account_code_of(code) or "",
            "transaction": transaction.id,
            "others": without.others,
        }

        def given(marks: Mapping[str, str]) -> Mapping[str, object]:
            own = {} if logs_in(held) else {"login": marks["transaction"]}
            others = without.others and marks["others"]
            return {
                "step": "pin",
                "reason": problem or note or "asked",
                "problem": problem,
                "note": note,
                "shared": transaction.shared,
                "action": marks["action"],
                "token": marks["token"],
                "code": marks["code"],
                "kept": {**own, "asked": "1"},
                "back": back,
                "without": replace(without, others=others),
            }

        ways = (bool(without.others), without.ways, without.terminals)
        look = (problem, note, logs_in(held), transaction.shared, look_of(back), ways)
        page = self.ports.filled.page("pin_asked.html", look, differing, given)
        return Response(page, _STATUS.get(problem or note, _UNPROCESSABLE), mimetype="text/html")

    def opened(self, held: Held, code: str) -> PinLetter | str:
        """Return the letter of a code as it was typed, or the code of the problem."""
        if not without_invisible(code):
            return "pin_code_missing"
        try:
            return self.letters.opened(code, str(held.transaction.browser))
        except LinkGone:
            return "pin_code_wrong"
        except TooMany:
            return "pin_codes_too_many"

    def pin_page(
        self, held: Held, letter: PinLetter, problem: str = "", address: str = ""
    ) -> Response:
        """Show what a letter opens: the form for the PIN in a login, and a new PIN.

        The code goes along in the form: whoever shares only the browser's cookie gets no further by
        it. ``address`` is the masked address that a new PIN has just been mailed to.
        """
        reason = "mailed" if address else problem
        return self.page(
            "pin_code.html",
            held,
            reason,
            status=reason,
            problem=problem,
            address=address,
            code=letter.code,
            logging_in=logs_in(held),
            rememberable=logs_in(held) and not held.transaction.shared,
            others=self.others(held),
            kept={"code": letter.code},
        )

    def renewed(self, held: Held, letter: PinLetter) -> str | Response:
        """Make and mail a new PIN; return the masked address, or the page with the problem."""
        try:
            address = self.renewal.renew(letter, language())
        except (LibraryUnavailable, MailUnavailable) as error:
            return self.pin_page(held, letter, error.reason)
        except TooMany:
            return self.pin_page(held, letter, "pin_new_pins_too_many")
        transaction = held.transaction
        now = self.ports.now()
        kind = AuditEventKind.PIN_MAILED
        audit = of_login(kind, now, transaction.names, borrower=letter.number)
        facts = {"reference": transaction.reference}
        self.ports.tell(BrokerEvent(EventKind.PIN_MAILED, facts, audit))
        return address

    def page(
        self, template: str, held: Held, reason: str, *, status: str = "", **values: Any
    ) -> Response:
        """Show a page of a transaction that posts back to where it goes on."""
        transaction = held.transaction
        now = self.ports.now()
        response = self.pages.page(
            template,
            "pin",
            transaction,
            action=self.action(held),
            reason=reason,
            token=self.ports.forms.token(transaction, PURPOSE, now),
            **values,
        )
        response.status_code = _STATUS.get(status, _UNPROCESSABLE)
        return response

    def action(self, held: Held) -> str:
        """Return the address where the transaction goes on."""
        transaction = held.transaction
        if logs_in(held):
            return self.pages.url(transaction, "pin")
        return f"{self.ports.base_url}/pin?login={transaction.id}"

    def others(self, held: Held) -> str:
        """Return the address of the page with the other ways to log in."""
        if logs_in(held):
            return self.pages.url(held.transaction, "upstream")
        return self.action(held)

    def without_mail(self, held: Held) -> WithoutMail:
        """Return the ways that need no mail."""
        transaction = held.transaction
        rules = self.ports.broker.rules
        errand = transaction.errand if logs_in(held) else Errand.PIN
        local = rules.local
        ways = [way for way in rules.ways(transaction.request, errand) if way not in local]
        of_page = language()
        labels = tuple(self.ports.upstreams[way].label[of_page] for way in ways)
        # Where no PIN is checked nobody gets in by one, at the library's own computers neither.
        terminals = self.terminals and rules.pins_checked
        return WithoutMail(self.others(held) if ways else "", labels, terminals)

    def _asking(self) -> Asking:
        """Word when and from where it is asked, for the owner of the letter to recognise."""
        at = format_datetime(self.ports.now(), "long")
        return Asking(language(), at, self._origin())

    def _origin(self) -> str:
        if self.ports.shared(request):
            return str(_("one of the library's own computers"))
        network = self.ports.network(request)
        begins = network.partition("/")[0].removesuffix(".0").partition("::")[0]
        if "/" not in network or not begins:
            return str(_("a place that we cannot name"))
        return str(_("an internet address that begins with %(begins)s", begins=begins))


def logs_in(held: Held) -> bool:
    """Return whether the transaction is a login, not only the errand of a new PIN."""
    return held.transaction.errand is not Errand.PIN_BY_MAIL


def identifier_in(form: SubmittedForm) -> tuple[str | None, str]:
    """Return the number in a form, or None and the code of what is wrong with it."""
    text = without_invisible(form.value("identifier", ""))
    identifier = identifier_of(text)
    if identifier is None:
        return None, "pin_number_unread" if text else "pin_number_missing"
    return identifier, ""


def typed_again(form: SubmittedForm) -> str:
    """Return the part of the typed number that may stand in its field again."""
    return shown_again(form.value("identifier", ""))


def pin_refused(transaction: Transaction, reason: str, now: datetime) -> BrokerEvent:
    """Return the event of a PIN that let nobody in, or of a form that was not filled in."""
    facts = {"reference": transaction.reference, "reason": str(reason), "route": "pin"}
    if reason not in _TRIED:
        return BrokerEvent(EventKind.PIN_FORM_INCOMPLETE, facts)
    audit = of_login(AuditEventKind.REFUSED, now, transaction.names, reason=str(reason))
    return BrokerEvent(EventKind.PIN_REFUSED, facts, audit)
