"""The pages on which a person claims a borrower that they already have."""

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login_pages import LoginPages, make_routes
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_security import SubmittedForm
from broker.core.borrowers.enrolment import CaseReason, Claim
from broker.core.borrowers.matching import read_person_facts
from broker.core.borrowers.pins import read_identifier
from broker.core.errors import BrowserUnmatched, ClaimRefused, CodeRefused, TooMany
from broker.core.events.broker_events import EventKind
from broker.core.identity.mail_addresses import mask_address
from broker.core.input_normalization import remove_invisible
from broker.core.login.authentication_reading import display_name
from broker.core.login.next_step import offers_claim
from broker.core.login.steps import ClaimBorrower, Step
from broker.use_cases.enrolment.borrower_claims import BorrowerClaims, Claimant
from broker.use_cases.transactions.transactions import LoginContext

_PURPOSE: Final = "claim"
_BUTTONS: Final = ("mail", "card_mail", "card", "code")


@dataclass(frozen=True, slots=True)
class ClaimPages(LoginPages):
    """The endpoints over the web ports."""

    claims: BorrowerClaims

    def routes(self) -> Blueprint:
        """Return the page with its form."""
        return make_routes("claim", "/login/<name>/claim", self.ask, self.answer)

    def ask(self, name: str) -> Response:
        """Offer a mailed code and the card number, or ask for the code that was mailed."""
        context = self.require_person(name)
        step = self.ports.next_step(context)
        if not offers_claim(step):
            return self.redirect_to(context.transaction)
        if "code" in request.args:
            return self._code_page(context, step)
        if isinstance(step, ClaimBorrower):
            # Staff find the case by the help code of the page.
            self.trace_delay(context.transaction, _PURPOSE, CaseReason.POSSIBLE_DUPLICATE.value)
        return self._form(context, step)

    def answer(self, name: str) -> Response:
        """Mail a code, try one, or take the card number in its place, as the button says."""
        context = self.require_person(name)
        step = self.ports.next_step(context)
        if not offers_claim(step):
            return self.onward(context, self.url(context.transaction))
        form = self.ports.forms.read_fresh(context.transaction, _PURPOSE)
        if form is None:
            show = self._code_page if "code" in request.form else self._form
            return show(context, step, "page_too_old")
        button = form.choice("do", _BUTTONS)
        try:
            return self._answer(context, step, button, form)
        except CodeRefused as refused:
            self.ports.tell_proof_refused(context.transaction, _PURPOSE, refused.cause)
            return self._code_page(context, step, refused.cause)
        except (ClaimRefused, TooMany) as refused:
            reason = refused.reason
            if isinstance(refused, TooMany):
                reason = "mails_too_many" if button == "mail" else "claim_too_many"
            self.ports.tell_proof_refused(context.transaction, _PURPOSE, reason)
            return self._form(context, step, reason)

    def _answer(
        self, context: LoginContext, step: Step, button: str, form: SubmittedForm
    ) -> Response:
        claimant = _claimant(context)
        if button == "code":
            return self._claim(context, self.claims.claim_by_code(claimant, form.value("code", "")))
        if button == "mail":
            self.claims.mail_code(claimant)
        else:
            card_number = read_identifier(remove_invisible(form.value("card", "")))
            if card_number is None:
                return self._form(context, step, "claim_card_unread")
            if button == "card":
                return self._claim(context, self.claims.claim_by_card(claimant, card_number))
            self.claims.mail_code_for_card(claimant, card_number)
        self.ports.tell_login(EventKind.PROOF_MAILED, context.transaction, {"proof": _PURPOSE})
        return redirect(f"{self.url(context.transaction, _PURPOSE)}?code=1", 303)

    def _claim(self, context: LoginContext, claim: Claim) -> Response:
        context = self.ports.login_flow.add_claim(context, claim, self.ports.now())
        self.ports.tell_proved(context.transaction, _PURPOSE, borrower=claim.borrower_number)
        return self.show_next(context)

    def _form(self, context: LoginContext, step: Step, problem: str = "") -> Response:
        address = ""
        if isinstance(step, ClaimBorrower):
            offered = self.claims.find_offered(_claimant(context))
            address = mask_address(offered.email) if offered and offered.email else ""
        return self._page(context, step, problem or "offer", problem, address=address)

    def _code_page(self, context: LoginContext, step: Step, problem: str = "") -> Response:
        return self._page(
            context, step, problem or "code", problem, asking=False, carried={"code": "1"}
        )

    def _page(
        self, context: LoginContext, step: Step, reason: str, problem: str, **values: object
    ) -> Response:
        # Only the link on the consent page leads back there: where the step is the claim itself,
        # there is no new account to go on to.
        consent = (
            "" if isinstance(step, ClaimBorrower) else self.url(context.transaction, "consent")
        )
        shown = {"asking": True, "reason": reason, "consent": consent, **values}
        return self.form_page("claim.html", _PURPOSE, context, problem, **shown)


def _claimant(context: LoginContext) -> Claimant:
    transaction = context.transaction
    arrived = context.evaluated
    if arrived is None or transaction.person is None or transaction.browser is None:
        raise BrowserUnmatched("a claim of nobody")
    return Claimant(
        transaction.person.id,
        read_person_facts(arrived.reading.attributes),
        transaction.browser,
        display_name(arrived.reading),
        language(),
    )
