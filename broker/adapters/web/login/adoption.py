"""A temporary borrower that becomes the account of a person who has logged in with a CPR number."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from werkzeug.wrappers import Response

from broker.adapters.web.login.letter_pages import (
    NOT_TEMPORARY,
    PURPOSE,
    identifier_in,
    pin_refused,
    typed_again,
)
from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.consent_screen import may_be_temporary
from broker.adapters.web.pages.form_tokens import SubmittedForm
from broker.adapters.web.pages.redirects import redirect
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEventKind, of_login
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.pins import is_cpr
from broker.core.event_routes import BrokerEvent, EventKind
from broker.core.input_normalization import without_invisible
from broker.core.login.steps import Ask, Enrol, OfferUpgrade
from broker.core.login.transaction import Errand, Transaction
from broker.use_cases.proofs.pin_check import PinCheck, PinProblem
from broker.use_cases.transactions import Held

_UNPROCESSABLE: Final = 422
# HTTP status of a page with a problem; any other has 422.
_STATUS: Final[Mapping[str, int]] = {"": 200, PinProblem.TOO_MANY: 429}
# The form takes no CPR number, so none of its messages speaks of one.
_UNREAD: Final = {
    "pin_number_missing": "pin_temporary_missing",
    "pin_number_unread": "pin_temporary_unread",
}


@dataclass(frozen=True, slots=True)
class Adoption:
    """The form of ``/login/<transaction>/pin?temporary=1`` over the web ports."""

    ports: WebPorts
    pages: StepPages
    login: LoginEndpoints
    pin_check: PinCheck

    def ask(self, name: str) -> Response:
        """Show the form; go on where there is nothing to adopt."""
        held = self.login.of_person(name)
        if not self._may_adopt(held):
            return redirect(self.pages.url(held.transaction), 303)
        return self._page(held)

    def answer(self, name: str, form: SubmittedForm) -> Response:
        """Verify number and PIN of the temporary borrower, and go on with it."""
        held = self.login.of_person(name)
        if not self._may_adopt(held):
            return self.pages.show(held)
        verified = self._verified(held.transaction, form)
        if not isinstance(verified, Borrower):
            self.ports.tell(pin_refused(held.transaction, verified, self.ports.now()))
            return self._page(held, verified, typed_again(form))
        held = self.ports.broker.adopt(held, verified.number, self.ports.now())
        self.ports.tell(_temporary_proved(held.transaction, self.ports.now()))
        return self.pages.show(held)

    def _may_adopt(self, held: Held) -> bool:
        """Return whether a person, logged in by more than a PIN, may adopt a temporary borrower.

        The library system must tell a right PIN, and the step be one before the account is made or
        shown. A borrower with a PIN of its own would otherwise be joined to whoever knows that PIN
        after the answer has left.
        """
        if not self.ports.broker.rules.pins_checked:
            return False
        transaction = held.transaction
        step = self.ports.broker.step(held, self.ports.now())
        authentication = transaction.authentication
        if authentication is None or authentication.upstream == self.ports.local:
            return False
        if transaction.person is None or transaction.errand not in {Errand.LOGIN, Errand.SIGN_UP}:
            return False
        if not isinstance(step, Ask | Enrol | OfferUpgrade):
            return False
        return may_be_temporary(step.decision, transaction)

    def _verified(self, transaction: Transaction, form: SubmittedForm) -> Borrower | str:
        """Return the borrower, or the code of the problem that stands in the way."""
        identifier, problem = identifier_in(form)
        pin = without_invisible(form.value("pin", ""))
        if identifier is None:
            return _UNREAD[problem]
        if not pin:
            return "pin_missing"
        if is_cpr(identifier):
            # A temporary borrower is the one without a CPR: only its card or user name leads to it.
            return NOT_TEMPORARY
        person = transaction.person.id if transaction.person else ""
        return self.pin_check.of_person(identifier, pin, person)

    def _page(self, held: Held, problem: str = "", identifier: str = "") -> Response:
        transaction = held.transaction
        response = self.pages.page(
            "pin_temporary.html",
            "pin",
            transaction,
            reason=problem,
            problem=problem,
            action=self.pages.url(transaction, "pin"),
            identifier=identifier,
            token=self.ports.forms.token(transaction, PURPOSE, self.ports.now()),
            others=self.pages.url(transaction),
            kept={"temporary": "1"},
        )
        response.status_code = _STATUS.get(problem, _UNPROCESSABLE)
        return response


def _temporary_proved(transaction: Transaction, now: datetime) -> BrokerEvent:
    facts = {"reference": transaction.reference}
    audit = of_login(AuditEventKind.PROVED, now, transaction.names, about="temporary")
    return BrokerEvent(EventKind.TEMPORARY_PROVED, facts, audit)
