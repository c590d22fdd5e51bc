"""The pages on which a person claims a borrower that they already have."""

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_security import SubmittedForm
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.borrowers.enrolment import CaseReason, Claim
from broker.core.borrowers.matching import read_person_facts
from broker.core.borrowers.pins import hide_long_number, read_identifier
from broker.core.errors import (
    BrokerError,
    BrowserUnmatched,
    ClaimRefused,
    CodeRefused,
    TokenRefused,
    TooMany,
)
from broker.core.events.audit_events import AuditEventKind
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.core.identity.mail_addresses import mask_address
from broker.core.input_normalization import remove_invisible
from broker.core.login.next_step import can_claim
from broker.core.login.steps import ClaimBorrower
from broker.use_cases.enrolment.claims import BorrowerClaims, Claimant
from broker.use_cases.transactions.person_resolution import display_name
from broker.use_cases.transactions.transactions import Held

_PURPOSE: Final = "claim"
_BUTTONS: Final = ("mail", "card_mail", "card", "code")
_SHOWN_AT_THE_FORM: Final = (ClaimRefused, CodeRefused, TooMany)


def blueprint(pages: "ClaimPages") -> Blueprint:
    """Return ``/login/<transaction>/claim``."""
    routes = Blueprint("claim", __name__)
    routes.get("/login/<name>/claim")(pages.ask)
    routes.post("/login/<name>/claim")(pages.answer)
    return routes


@dataclass(frozen=True, slots=True)
class ClaimPages:
    """The endpoints over the web ports."""

    ports: WebPorts
    pages: StepPages
    login: LoginEndpoints
    claims: BorrowerClaims

    def ask(self, name: str) -> Response:
        """Offer a mailed code and the card number, or ask for the code that was mailed."""
        held = self.login.require_person(name)
        if not self._can_claim(held):
            return redirect(self.pages.url(held.transaction), 303)
        if "code" in request.args:
            return self._code_page(held)
        if not self._is_asked_by_person(held):
            # Staff find the case by the help code of the page.
            reason = CaseReason.POSSIBLE_DUPLICATE.value
            trace = self.ports.trace_of(held.transaction, _PURPOSE, reason)
            self.ports.tell(BrokerEvent(EventKind.LOGIN_HELD_UP, trace=trace))
        return self._form(held)

    def answer(self, name: str) -> Response:
        """Mail a code, try one, or take the card number in its place, as the button says."""
        held = self.login.require_person(name)
        if not self._can_claim(held):
            return self.pages.onward(held, self.pages.url(held.transaction))
        form = self.ports.forms.read_fresh(request, held.transaction, _PURPOSE, self.ports.now())
        if form is None:
            show = self._code_page if "code" in request.form else self._form
            return show(held, "page_too_old", TokenRefused.http)
        button = form.choice("do", _BUTTONS)
        try:
            return self._answer(held, button, form)
        except _SHOWN_AT_THE_FORM as error:
            return self._refuse(held, button, error, form)

    def _answer(self, held: Held, button: str, form: SubmittedForm) -> Response:
        claimant = self._claimant(held)
        if button == "code":
            return self._claim(held, self.claims.claim_by_code(claimant, form.value("code", "")))
        if button == "mail":
            self.claims.mail_code(claimant)
        else:
            card_number = read_identifier(remove_invisible(form.value("card", "")))
            if card_number is None:
                return self._form(held, "claim_card_unread", CodeRefused.http)
            if button == "card":
                return self._claim(held, self.claims.claim_by_card(claimant, card_number))
            self.claims.mail_code_for_card(claimant, card_number)
        self.ports.tell_login(EventKind.PROOF_MAILED, held.transaction, {"proof": _PURPOSE})
        return redirect(f"{self.pages.url(held.transaction, 'claim')}?code=1", 303)

    def _claim(self, held: Held, claim: Claim) -> Response:
        held = self.ports.broker.add_claim(held, claim, self.ports.now())
        self.ports.tell_login(
            EventKind.MAILBOX_PROVED,
            held.transaction,
            {"proof": _PURPOSE},
            audit=AuditEventKind.PROVED,
            about=_PURPOSE,
            borrower=claim.borrower_number,
        )
        return self.pages.show(held)

    def _refuse(self, held: Held, button: str, error: BrokerError, form: SubmittedForm) -> Response:
        transaction = held.transaction
        reason = error.cause if isinstance(error, CodeRefused) else error.reason
        if isinstance(error, TooMany):
            reason = "mails_too_many" if button == "mail" else "claim_too_many"
        self.ports.tell_proof_refused(transaction, _PURPOSE, reason)
        if isinstance(error, CodeRefused):
            return self._code_page(held, reason, error.http)
        return self._form(held, reason, error.http, hide_long_number(form.value("card", "")))

    def _can_claim(self, held: Held) -> bool:
        return can_claim(self.ports.broker.next_step(held, self.ports.now()))

    def _is_asked_by_person(self, held: Held) -> bool:
        """Return whether the link on the consent page led here, and nothing was found by us."""
        return not isinstance(self.ports.broker.next_step(held, self.ports.now()), ClaimBorrower)

    def _claimant(self, held: Held) -> Claimant:
        transaction = held.transaction
        arrived = held.evaluated
        if arrived is None or transaction.person is None or transaction.browser is None:
            raise BrowserUnmatched("a claim of nobody")
        return Claimant(
            transaction.person.id,
            read_person_facts(arrived.reading.attributes),
            transaction.browser,
            display_name(arrived.reading),
            language(),
        )

    def _form(self, held: Held, problem: str = "", http: int = 200, card: str = "") -> Response:
        is_asked = self._is_asked_by_person(held)
        offered = None if is_asked else self.claims.find_offered(self._claimant(held))
        address = mask_address(offered.email) if offered and offered.email else ""
        return self._page(held, problem, http, asking=True, card=card, address=address)

    def _code_page(self, held: Held, problem: str = "", http: int = 200) -> Response:
        return self._page(held, problem, http, asking=False, kept={"code": "1"})

    def _page(self, held: Held, problem: str, http: int, **values: object) -> Response:
        is_asked = self._is_asked_by_person(held)
        return self.pages.form_page(
            "claim.html",
            _PURPOSE,
            held,
            problem,
            http,
            reason=problem or ("offer" if values["asking"] else "code"),
            consent=self.pages.url(held.transaction, "consent") if is_asked else "",
            **values,
        )
