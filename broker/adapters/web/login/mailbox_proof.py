"""The page on which a person proves a mailbox by a mailed code."""

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login_pages import LoginPages, make_routes
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_links import add_query
from broker.adapters.web.pages.page_security import SubmittedForm
from broker.core.errors import (
    AddressRefused,
    AddressTaken,
    BrokerError,
    CodeRefused,
    FormRefused,
    TooMany,
)
from broker.core.events.broker_events import EventKind
from broker.core.identity.cpr import looks_like_cpr
from broker.core.identity.mail_addresses import LONGEST, check_typed_address
from broker.core.identity.mailbox_proofs import MailedAddress
from broker.core.login.authentication_reading import display_name
from broker.core.login.steps import ProveMailbox
from broker.core.login.transaction import Transaction
from broker.use_cases.login.person_at_login import PersonAtLogin
from broker.use_cases.pins.mailbox_proofs import MailboxProofs
from broker.use_cases.transactions.transactions import LoginContext

_BUTTONS: Final = ("mail", "code", "without")


@dataclass(frozen=True, slots=True)
class MailboxProofPages(LoginPages):
    """The endpoints over the web ports."""

    proving: MailboxProofs
    persons: PersonAtLogin

    def routes(self) -> Blueprint:
        """Return the page with its form."""
        return make_routes(
            "proof", "/login/<name>/proof", self.show_at(ProveMailbox, self.ask), self.answer
        )

    def ask(self, context: LoginContext, step: ProveMailbox) -> Response:
        """Ask for an address, or for the code that was mailed to it."""
        return self._page(context, step, other="other" in request.args)

    def answer(self, name: str) -> Response:
        """Carry out the pressed button: mail a code, try a code, or go on without a proof."""
        context = self.require_person(name)
        step = self.ports.next_step(context)
        if not isinstance(step, ProveMailbox):
            return self.onward(context, self.url(context.transaction))
        form = self.ports.forms.read_fresh(context.transaction, "proof")
        if form is None:
            # The fresh page keeps the typed text.
            typed = SubmittedForm(request.form).value("address", "")
            return self._page(context, step, "page_too_old", typed)
        button = form.choice("do", _BUTTONS)
        try:
            if button == "mail":
                return self._mail(context, step, form.value("address"))
            if button == "code":
                return self._prove(context, step, form.value("code"))
            return self._go_on_without(context, step)
        except (AddressRefused, AddressTaken, CodeRefused, TooMany) as error:
            # The form itself shows it, so that nothing typed is lost.
            reason = _reason(error)
            self.ports.tell_proof_refused(context.transaction, "proof", reason)
            typed = form.value("address", "")
            return self._page(context, step, reason, typed, other=button == "mail")

    def _mail(self, context: LoginContext, step: ProveMailbox, text: str) -> Response:
        now, login = self.ports.now(), context.evaluated
        address = check_typed_address(text, step.domains)
        self.proving.mail_code(
            context,
            self.persons.proof_owner(context, now),
            step,
            address,
            claimant=display_name(login.reading) if login else "",
            language=language(),
            now=now,
        )
        self.ports.tell_login(EventKind.PROOF_MAILED, context.transaction, {"proof": step.name})
        return self.redirect_to(context.transaction, "proof")

    def _prove(self, context: LoginContext, step: ProveMailbox, code: str) -> Response:
        now = self.ports.now()
        owner = self.persons.proof_owner(context, now)
        lifetime = self.persons.proof_lifetime(context, step.name)
        context = self.proving.try_code(
            context, owner, step, code, remembered_for=lifetime, now=now
        )
        self.ports.tell_proved(context.transaction, step.name)
        return self.show_next(self.persons.look_up_and_store(context, now))

    def _go_on_without(self, context: LoginContext, step: ProveMailbox) -> Response:
        if not step.optional:
            raise FormRefused("this proof is required and cannot be skipped")
        now = self.ports.now()
        context = self.proving.skip(context, now)
        return self.show_next(self.persons.look_up_and_store(context, now))

    def _page(
        self,
        context: LoginContext,
        step: ProveMailbox,
        problem: str = "",
        typed: str = "",
        *,
        other: bool = False,
    ) -> Response:
        """Return the form; ``other`` asks for another address after a code was mailed."""
        mailing = context.transaction.mailing
        is_fresh = mailing and mailing.name == step.name and self.ports.now() < mailing.until
        return self.form_page(
            "proof.html",
            "proof",
            context,
            problem,
            reason=step.name,
            mailing=mailing if is_fresh else None,
            asking=other or not is_fresh,
            domains=step.domains,
            optional=step.optional,
            address=_choose_address(typed, mailing, step),
            about=self._about(context.transaction, step),
        )

    def _about(self, transaction: Transaction, step: ProveMailbox) -> str:
        """Return the address of the page that says how to get a kaldemail; "" if there is none."""
        sign_up = self.ports.sign_up
        if sign_up is None or step.name != "kaldemail":
            return ""
        # The button on that page starts the sign-up again: keep the service to go back to.
        query = {"service": transaction.back, "login": f"{transaction.id}/proof"}
        return add_query(f"{sign_up}/hospital/kaldemail", query)


def _choose_address(typed: str, mailing: MailedAddress | None, step: ProveMailbox) -> str:
    """Return the address in the field: the typed one, else the mailed one, else the suggested one.

    Do not repeat a CPR number or a very long text on the page.
    """
    mailed = mailing.address if mailing else ""
    address = typed or mailed or step.suggested or ""
    return "" if looks_like_cpr(address) else address[: 2 * LONGEST]


def _reason(error: BrokerError) -> str:
    if isinstance(error, TooMany):
        return "mails_too_many"
    return error.cause if isinstance(error, AddressRefused | CodeRefused) else error.reason
