"""The pages on which a person shows that a mailbox is their own, and the page behind the mailed link."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.form_tokens import SubmittedForm
from broker.adapters.web.pages.language import language
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
    LinkGone,
    MailUnavailable,
    TokenRefused,
    TooMany,
    TransactionGone,
)
from broker.core.identity.cpr import looks_like_cpr
from broker.core.identity.mail_addresses import LONGEST, typed
from broker.core.identity.mailbox_proofs import Mailing
from broker.core.letters import named
from broker.core.login.steps import ProveMailbox
from broker.flows.proofs.mailbox_proof import MailboxProof
from broker.flows.transactions import Held

_DEEDS: Final = ("mail", "code", "again", "other", "without", "press")


class _Problem(NamedTuple):
    """What is said at the field, and the status of the page."""

    reason: str
    http: int


# What is said on the page itself, so that nothing typed is lost.
_SAID: Final = (AddressRefused, AddressTaken, CodeRefused, TooMany, MailUnavailable)


class Whose(Protocol):
    """What is known of the person whose transaction it is."""

    def owners(self, held: Held, now: datetime) -> tuple[str, ...]:
        """Give the pseudonym that the person's proofs are kept under, and others of theirs."""
        ...

    def asker(self, held: Held, now: datetime) -> str:
        """Give the person's name as the upstream asserted it, "" where it did not."""
        ...

    def remembered_for(self, held: Held, name: str) -> timedelta:
        """Give for how long the proof ``name`` is remembered today."""
        ...


def blueprint(
    desk: WebPorts, pages: StepPages, login: LoginEndpoints, proving: MailboxProof, whose: Whose
) -> Blueprint:
    """Give ``/login/<transaction>/proof`` and the address of the mailed link below it."""
    proof = MailboxProofPages(desk, pages, login, proving, whose)
    rooms = Blueprint("proof", __name__)
    rooms.add_url_rule("/login/<name>/proof", "ask", proof.ask, methods=["GET"])
    rooms.add_url_rule("/login/<name>/proof", "answer", proof.answer, methods=["POST"])
    rooms.add_url_rule("/login/<name>/proof/<link>", "link", proof.link, methods=["GET"])
    return rooms


@dataclass(frozen=True, slots=True)
class MailboxProofPages:
    """The endpoints over one desk."""

    desk: WebPorts
    pages: StepPages
    login: LoginEndpoints
    proving: MailboxProof
    whose: Whose

    def ask(self, name: str) -> Response:
        """Ask for an address, or for the code that was mailed to it."""
        held = self.login.of_person(name)
        step = self.desk.broker.step(held, self.desk.now())
        if not isinstance(step, ProveMailbox):
            return redirect(self.pages.url(held.transaction), 303)
        return self._page(held, step)

    def answer(self, name: str) -> Response:
        """Take the address, the code, the link's button, or the wish to go on without."""
        held, now = self.login.of_person(name), self.desk.now()
        step = self.desk.broker.step(held, now)
        if not isinstance(step, ProveMailbox):
            return self.pages.onward(held, self.pages.url(held.transaction))
        try:
            form = self.desk.forms.read(request, held.transaction, "proof", now)
        except TokenRefused as error:
            if not same_origin(request.headers, self.desk.base_url):
                raise
            # The mail may well take longer than a page's ten minutes: what was typed is kept on a
            # fresh one.
            problem = _Problem("page_too_old", error.http)
            return self._page(
                held, step, problem=problem, address=SubmittedForm(request.form).one("address", "")
            )
        try:
            return self._done(held, step, form)
        except _SAID as error:
            return self._refused(held, error, form)

    def link(self, name: str, link: str) -> Response:
        """Show what the mailed link leads to: a button in the login's own browser, the code in any other.

        Nothing is used up: mail scanners open links. LinkGone where there is no such link any more,
        or never was.
        """
        now = self.desk.now()
        try:
            held = self.desk.broker.read(name, now)
        except TransactionGone:
            raise LinkGone("no such transaction") from None
        mailing = self.proving.opened(held, link, now)
        if mailing is None:
            raise LinkGone("no such link")
        own = held.transaction.browser in self.desk.cookies.browsers(request)
        if not (own and self.desk.cookies.brings_authentication(request, held.transaction)):
            return self._elsewhere(held, mailing)
        step = self.desk.broker.step(held, now)
        if not isinstance(step, ProveMailbox) or step.name != mailing.name:
            return redirect(self.pages.url(held.transaction), 303)
        return self._shown(
            "proof_link.html", held, mailing.name, mailing=mailing, link=link, asker=None
        )

    def _done(self, held: Held, step: ProveMailbox, form: SubmittedForm) -> Response:
        deed = form.choice("do", _DEEDS)
        if deed == "other":
            return self._page(held, step, other=True)
        if deed == "mail":
            return self._mailed(held, step, form.one("address"))
        if deed == "again":
            return self._mailed(held, step, self._under_way(held, step).address)
        if deed == "without":
            return self._without(held, step)
        return self._proved(held, step, form, deed)

    def _mailed(self, held: Held, step: ProveMailbox, text: str) -> Response:
        now, transaction = self.desk.now(), held.transaction
        self.proving.mail_to(
            held,
            self.whose.owners(held, now)[0],
            step.name,
            typed(text, step.domains),
            asker=self.whose.asker(held, now),
            language=language(),
            url=lambda link: self.pages.url(transaction, f"proof/{link}"),
            lasts=step.lasts,
            now=now,
        )
        self.desk.events("proof_mailed", reference=transaction.reference, proof=step.name)
        return redirect(self.pages.url(transaction, "proof"), 303)

    def _proved(self, held: Held, step: ProveMailbox, form: SubmittedForm, deed: str) -> Response:
        now = self.desk.now()
        self._under_way(held, step)
        prove, given = (
            (self.proving.try_code, "code") if deed == "code" else (self.proving.press, "link")
        )
        (owner, *mine), lasts = (
            self.whose.owners(held, now),
            self.whose.remembered_for(held, step.name),
        )
        held = prove(
            held, form.one(given), owner, now, domains=step.domains, remembered_for=lasts, mine=mine
        )
        self.desk.events("proved", reference=held.transaction.reference, proof=step.name)
        self.desk.trail.add(of_login(AuditEventKind.PROVED, now, held.transaction, about=step.name))
        return self.pages.show(self.desk.broker.looked_up(held, now))

    def _without(self, held: Held, step: ProveMailbox) -> Response:
        if not step.optional:
            raise FormRefused("this proof cannot be done without")
        now = self.desk.now()
        return self.pages.show(self.desk.broker.looked_up(self.proving.without(held, now), now))

    @staticmethod
    def _under_way(held: Held, step: ProveMailbox) -> Mailing:
        mailing = held.transaction.mailing
        if mailing is None or mailing.name != step.name:
            raise CodeRefused("code_none")
        return mailing

    def _refused(self, held: Held, error: BrokerError, form: SubmittedForm) -> Response:
        desk, now, before = self.desk, self.desk.now(), held.transaction.mailing
        held = desk.broker.transactions.again(held, now)
        transaction, step = held.transaction, desk.broker.step(held, now)
        if not isinstance(step, ProveMailbox):
            # The same answer was given twice, side by side: the other one has led on.
            return self.pages.show(held, step)
        reason = _reason(error, form)
        desk.events("refused", reference=transaction.reference, reason=reason, route="proof")
        desk.trail.add(of_login(AuditEventKind.REFUSED, now, transaction, reason=reason))
        desk.traces.leave(
            transaction.reference,
            now,
            known=True,
            step="proof",
            upstream=transaction.upstream,
            reason=reason,
        )
        address = form.one("address", before.address if before else "")
        problem = _Problem(reason, error.http)
        return self._page(
            held, step, problem=problem, address=address, other=form.one("do") == "mail"
        )

    def _page(
        self,
        held: Held,
        step: ProveMailbox,
        *,
        problem: _Problem | None = None,
        address: str = "",
        other: bool = False,
    ) -> Response:
        now, mailing = self.desk.now(), held.transaction.mailing
        fresh = mailing if mailing and mailing.name == step.name and now < mailing.until else None
        before = address or (mailing.address if mailing else "") or step.suggested or ""
        # A link to the other language shows the form that stands here without a deed, and no other.
        kept: dict[str, dict[str, str]] = {} if other and fresh is not None else {"kept": {}}
        response = self._shown(
            "proof.html",
            held,
            step.name,
            mailing=fresh,
            asking=other or fresh is None,
            domains=step.domains,
            optional=step.optional,
            # A number is not shown again to whoever looks over the shoulder, nor a page's worth of
            # anything.
            address="" if looks_like_cpr(before) else before[: 2 * LONGEST],
            problem=problem.reason if problem else "",
            **kept,
        )
        response.status_code = problem.http if problem else 200
        return response

    def _elsewhere(self, held: Held, mailing: Mailing) -> Response:
        asker = named(self.whose.asker(held, self.desk.now()))
        return self._shown(
            "proof_link.html", held, "elsewhere", mailing=mailing, link="", asker=asker
        )

    def _shown(self, template: str, held: Held, reason: str, **values: object) -> Response:
        transaction = held.transaction
        token = self.desk.forms.token(transaction, "proof", self.desk.now())
        action = self.pages.url(transaction, "proof")
        page = render_template(
            template, step="proof", reason=reason, action=action, token=token, **values
        )
        return Response(page, mimetype="text/html")


def _reason(error: BrokerError, form: SubmittedForm) -> str:
    if isinstance(error, TooMany):
        return "mails_too_many" if form.one("do") in {"mail", "again"} else "codes_too_many"
    return error.cause if isinstance(error, AddressRefused | CodeRefused) else error.reason
