"""The page on which a person proves a mailbox by a mailed code."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.form_tokens import SubmittedForm
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_links import with_query
from broker.adapters.web.pages.security_headers import same_origin
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEventKind, of_login
from broker.core.errors import (
    AddressRefused,
    AddressTaken,
    BrokerError,
    CodeRefused,
    FormRefused,
    TokenRefused,
    TooMany,
)
from broker.core.event_routes import BrokerEvent, EventKind, TraceFacts
from broker.core.identity.cpr import looks_like_cpr
from broker.core.identity.mail_addresses import LONGEST, check_typed_address
from broker.core.identity.mailbox_proofs import Mailing
from broker.core.login.steps import ProveMailbox
from broker.core.login.transaction import Transaction
from broker.use_cases.mailbox_proof import MailboxProof
from broker.use_cases.transactions import Held

_BUTTONS: Final = ("mail", "code", "again", "other", "without")
# Errors that the form itself shows, so that nothing typed is lost.
_SHOWN_AT_THE_FORM: Final = (AddressRefused, AddressTaken, CodeRefused, TooMany)
_OK: Final = 200
_KALDEMAIL: Final = "kaldemail"  # the proof that our sign-up pages have a page about


@dataclass(frozen=True, slots=True, repr=False)
class _FormState:
    """What the form shows again: the problem's code, the page's status, and the address typed.

    ``other`` asks for an address though a code has been mailed to one.
    """

    problem: str = ""
    http: int = _OK
    address: str = ""
    other: bool = False


class ProofOwners(Protocol):
    """What is known of the person whose transaction it is."""

    def owner(self, held: Held, now: datetime) -> str:
        """Return the pseudonym that the person's proofs are kept under."""
        ...

    def asker(self, held: Held, now: datetime) -> str:
        """Return the person's name as the upstream asserted it, "" where it did not."""
        ...

    def remembered_for(self, held: Held, name: str, now: datetime) -> timedelta:
        """Return for how long the proof ``name`` is remembered today."""
        ...

    def looked_up(self, held: Held, now: datetime) -> Held:
        """Return the transaction with what is known of its person by now."""
        ...


def blueprint(
    ports: WebPorts,
    pages: StepPages,
    login: LoginEndpoints,
    proving: MailboxProof,
    persons: ProofOwners,
) -> Blueprint:
    """Return ``/login/<transaction>/proof``."""
    proof = MailboxProofPages(ports, pages, login, proving, persons)
    routes = Blueprint("proof", __name__)
    routes.get("/login/<name>/proof")(proof.ask)
    routes.post("/login/<name>/proof")(proof.answer)
    return routes


@dataclass(frozen=True, slots=True)
class MailboxProofPages:
    """The endpoints over the web ports."""

    ports: WebPorts
    pages: StepPages
    login: LoginEndpoints
    proving: MailboxProof
    persons: ProofOwners

    def ask(self, name: str) -> Response:
        """Ask for an address, or for the code that was mailed to it."""
        held = self.login.of_person(name)
        step = self.ports.broker.step(held, self.ports.now())
        if not isinstance(step, ProveMailbox):
            return redirect(self.pages.url(held.transaction), 303)
        return self._page(held, step, _FormState())

    def answer(self, name: str) -> Response:
        """Do what the pressed button says: mail, try a code, or go on without."""
        held = self.login.of_person(name)
        now = self.ports.now()
        step = self.ports.broker.step(held, now)
        if not isinstance(step, ProveMailbox):
            return self.pages.onward(held, self.pages.url(held.transaction))
        try:
            form = self.ports.forms.read(request, held.transaction, "proof", now)
        except TokenRefused as error:
            if not same_origin(request.headers, self.ports.base_url):
                raise
            # The mail may well take longer than a page's ten minutes: what was typed is kept on a
            # fresh one.
            typed_before = SubmittedForm(request.form).value("address", "")
            return self._page(held, step, _FormState("page_too_old", error.http, typed_before))
        try:
            return self._answered(held, step, form)
        except _SHOWN_AT_THE_FORM as error:
            return self._refused(held, error, form)

    def _answered(self, held: Held, step: ProveMailbox, form: SubmittedForm) -> Response:
        button = form.choice("do", _BUTTONS)
        match button:
            case "other":
                return self._page(held, step, _FormState(other=True))
            case "mail":
                return self._mailed(held, step, form.value("address"))
            case "again":
                return self._mailed(held, step, _mailing_of(held, step).address)
            case "without":
                return self._without(held, step)
            case _:
                return self._proved(held, step, form)

    def _mailed(self, held: Held, step: ProveMailbox, text: str) -> Response:
        now = self.ports.now()
        transaction = held.transaction
        self.proving.mail_code(
            held,
            self.persons.owner(held, now),
            step.name,
            check_typed_address(text, step.domains),
            asker=self.persons.asker(held, now),
            language=language(),
            lasts=step.lasts,
            now=now,
        )
        facts = {"reference": transaction.reference, "proof": step.name}
        self.ports.tell(BrokerEvent(EventKind.PROOF_MAILED, facts))
        return redirect(self.pages.url(transaction, "proof"), 303)

    def _proved(self, held: Held, step: ProveMailbox, form: SubmittedForm) -> Response:
        now = self.ports.now()
        _mailing_of(held, step)
        held = self.proving.try_code(
            held,
            form.value("code"),
            self.persons.owner(held, now),
            step.name,
            now,
            domains=step.domains,
            remembered_for=self.persons.remembered_for(held, step.name, now),
        )
        self.ports.tell(_mailbox_proved(held.transaction, step.name, now))
        return self.pages.show(self.persons.looked_up(held, now))

    def _without(self, held: Held, step: ProveMailbox) -> Response:
        if not step.optional:
            raise FormRefused("this proof cannot be done without")
        now = self.ports.now()
        held = self.proving.without(held, now)
        return self.pages.show(self.persons.looked_up(held, now))

    def _refused(self, held: Held, error: BrokerError, form: SubmittedForm) -> Response:
        ports = self.ports
        now = ports.now()
        mailing = held.transaction.mailing
        held = ports.broker.transactions.again(held, now)
        transaction = held.transaction
        step = ports.broker.step(held, now)
        if not isinstance(step, ProveMailbox):
            # The same answer was given twice, side by side: the other one has led on.
            return self.pages.show(held, step)
        reason = _reason(error)
        ports.tell(_proof_refused(transaction, reason, now))
        address = form.value("address", mailing.address if mailing else "")
        other = form.value("do") == "mail"
        return self._page(held, step, _FormState(reason, error.http, address, other))

    def _page(self, held: Held, step: ProveMailbox, state: _FormState) -> Response:
        mailing = held.transaction.mailing
        fresh = mailing if _is_fresh(mailing, step, self.ports.now()) else None
        response = self._shown(
            "proof.html",
            held,
            step.name,
            mailing=fresh,
            asking=state.other or fresh is None,
            domains=step.domains,
            optional=step.optional,
            address=_shown_address(state.address, mailing, step),
            problem=state.problem,
            about=self._about(held.transaction, step),
        )
        response.status_code = state.http
        return response

    def _about(self, transaction: Transaction, step: ProveMailbox) -> str:
        """Return the address of the page that says how to get a kaldemail, "" where none does."""
        sign_up = self.ports.sign_up
        if sign_up is None or step.name != _KALDEMAIL:
            return ""
        # Its button begins the sign-up anew, which must end at the same service.
        query = {"service": transaction.back, "login": f"{transaction.id}/proof"}
        return with_query(f"{sign_up}/hospital/kaldemail", query)

    def _shown(self, template: str, held: Held, reason: str, **values: object) -> Response:
        transaction = held.transaction
        now = self.ports.now()
        page = render_template(
            template,
            step="proof",
            shared=transaction.shared,
            reason=reason,
            reference=transaction.reference,
            now=now,
            action=self.pages.url(transaction, "proof"),
            token=self.ports.forms.token(transaction, "proof", now),
            **values,
        )
        return Response(page, mimetype="text/html")


def _mailing_of(held: Held, step: ProveMailbox) -> Mailing:
    """Return the mailing of this very proof; CodeRefused where none is under way."""
    mailing = held.transaction.mailing
    if mailing is None or mailing.name != step.name:
        raise CodeRefused("code_none")
    return mailing


def _is_fresh(mailing: Mailing | None, step: ProveMailbox, now: datetime) -> bool:
    return mailing is not None and mailing.name == step.name and now < mailing.until


def _shown_address(typed_before: str, mailing: Mailing | None, step: ProveMailbox) -> str:
    """Return the address in the field: the typed one, else the mailed one, else the suggested one.

    A number is not shown again to whoever looks over the shoulder, nor a page's worth of anything.
    """
    mailed = mailing.address if mailing else ""
    address = typed_before or mailed or step.suggested or ""
    return "" if looks_like_cpr(address) else address[: 2 * LONGEST]


def _mailbox_proved(transaction: Transaction, proof: str, now: datetime) -> BrokerEvent:
    facts = {"reference": transaction.reference, "proof": proof}
    audit = of_login(AuditEventKind.PROVED, now, transaction.names, about=proof)
    return BrokerEvent(EventKind.MAILBOX_PROVED, facts, audit)


def _proof_refused(transaction: Transaction, reason: str, now: datetime) -> BrokerEvent:
    reference = transaction.reference
    facts = {"reference": reference, "reason": reason, "route": "proof"}
    audit = of_login(AuditEventKind.REFUSED, now, transaction.names, reason=reason)
    upstream = transaction.upstream
    person = transaction.names.person
    trace = TraceFacts(reference, now, "proof", reason, upstream, person=person)
    return BrokerEvent(EventKind.PROOF_REFUSED, facts, audit, trace)


def _reason(error: BrokerError) -> str:
    if isinstance(error, TooMany):
        return "mails_too_many"
    return error.cause if isinstance(error, AddressRefused | CodeRefused) else error.reason
