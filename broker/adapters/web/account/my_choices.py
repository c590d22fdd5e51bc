"""The page where people see and withdraw their consents and notices, and get their receipts."""

from dataclasses import dataclass, replace
from typing import Any, Final

from flask import Blueprint, abort, request
from werkzeug.wrappers import Response

from broker.adapters.web.account.own_records import PATH, OwnRecordPages, attach_json
from broker.adapters.web.login.login_pages import make_routes
from broker.adapters.web.pages.language import language
from broker.core.consent.consent import Receipt, ReceiptEvent
from broker.core.errors import FormRefused, TransactionGone
from broker.core.events.audit_events import AuditEventKind
from broker.core.events.broker_events import EventKind
from broker.core.login.steps import Refuse
from broker.core.login.transaction import LoginPurpose, Transaction
from broker.use_cases.personal_data.given_consents import GivenConsents
from broker.use_cases.transactions.evaluated_login import evaluate_login
from broker.use_cases.transactions.transactions import LoginContext

_BUTTONS: Final = ("withdraw", "forget", "leave")


@dataclass(frozen=True, slots=True)
class MyChoices(OwnRecordPages):
    """The endpoints of the page. They show personal data only in the person's own transaction."""

    consents: GivenConsents

    def routes(self) -> Blueprint:
        """Return the page with its form."""
        return make_routes("choices", PATH, self.show, self.take_back)

    def show(self) -> Response:
        """Show the choices of the person who is logged in, one receipt, or the ways to log in."""
        query = request.args
        if "login" not in query:
            return self._begin(query.get("with"))
        context = self._enter()
        if isinstance(context, Response):
            return context
        transaction = context.transaction
        if "do" in query:
            return self.show_records(context)
        if "receipt" in query:
            return self._receipt(transaction, query["receipt"])
        return self._file(transaction) if "format" in query else self._page(transaction)

    def take_back(self) -> Response:
        """Withdraw a consent, have a notice shown again at the next login, or leave the page.

        A second press of the same button changes nothing.
        """
        ports = self.ports
        context = self._enter()
        if isinstance(context, Response):
            return context
        if "do" in request.args:
            return self.delete_records(context)
        transaction = context.transaction
        form = ports.forms.read(transaction, "choices")
        if form.choice("do", _BUTTONS) == "leave":
            return self._leave(context)
        service = form.value("service")
        if service not in ports.services:
            raise FormRefused("not a service")
        receipt = self.consents.take_back(transaction.person_id, service, language(), ports.now())
        if receipt:
            kind = AuditEventKind.NOTICE_FORGOTTEN
            if receipt.event is ReceiptEvent.WITHDRAWN:
                kind = AuditEventKind.CONSENT_WITHDRAWN
            ports.tell_login(
                EventKind.CONSENT_TAKEN_BACK,
                transaction,
                {"service": service, "answer": str(receipt.event)},
                audit=kind,
                service=service,
                about=receipt.record_id,
            )
        return self._page(transaction, service)

    def _leave(self, context: LoginContext) -> Response:
        """End the transaction, so that the Back button of the browser shows the choices no more."""
        self.ports.login_flow.transactions.end(context)
        return self.account_page("choices_left.html", "left", over=True)

    def _begin(self, upstream_name: str | None) -> Response:
        """Begin a login at the upstream that was chosen; without one, list the upstreams."""
        ports = self.ports
        sign_up = ports.login_flow.sign_up_service
        if sign_up is None:
            abort(404)
        if upstream_name is not None:
            return self.redirect_to(self.begin_for(LoginPurpose.CHOICES, upstream_name).transaction)
        ways = [ports.upstreams[name] for name in ports.services[sign_up].methods]
        return self.account_page("choices_begin.html", "begin", ways=ways)

    def _enter(self) -> LoginContext | Response:
        """Return the transaction that the query names, if the cookies of browser and login fit it.

        Return a refusal page if the policies no longer admit the person. Raises TransactionGone if
        the transaction is a login for another purpose.

        Source: docs/reference/design.md#4a-4.
        """
        context = self.require_person(request.args.get("login", ""))
        if context.transaction.purpose is not LoginPurpose.CHOICES:
            raise TransactionGone("not a login for one's choices")
        step = self.ports.next_step(context)
        return self.show_refusal(context, step) if isinstance(step, Refuse) else context

    def _page(self, transaction: Transaction, withdrawn_service: str = "") -> Response:
        """Show every choice; a choice at ``withdrawn_service`` was withdrawn just now."""
        ports = self.ports
        now = ports.now()
        choices = self.consents.list_all(transaction.person_id, now)
        taken_back = (
            each
            for each in choices
            if each.service == withdrawn_service and not each.find_action(now)
        )
        ended = next(taken_back, None)
        reason = "" if choices else "none"
        return self.account_page(
            "choices.html",
            ended.latest.event if ended else reason,
            choices=choices,
            has_pseudonym=self.consents.has_pseudonym,
            ended=ended,
            carried={"login": transaction.id},
            token=ports.forms.token(transaction, "choices"),
        )

    def _receipt(self, transaction: Transaction, record_id: str) -> Response:
        """Return one of the person's own receipts, to print; 404 for any other id."""
        own = self.consents.find_receipt(transaction.person_id, record_id, self.ports.now())
        if own is None:
            abort(404)
        service, receipt = own
        return self.account_page(
            "receipt.html",
            "receipt",
            service=self.ports.services[service],
            line=receipt,
            has_pseudonym=self.consents.has_pseudonym,
            record=self._record(transaction, service, receipt),
            carried={"login": transaction.id, "receipt": receipt.record_id},
        )

    def _file(self, transaction: Transaction) -> Response:
        records = [
            self._record(transaction, choice.service, receipt)
            for choice in self.consents.list_all(transaction.person_id, self.ports.now())
            for receipt in choice.receipts
        ]
        return attach_json({"receipts": records}, "receipts.json")

    def _record(self, transaction: Transaction, service: str, receipt: Receipt) -> dict[str, Any]:
        """Return a receipt with the texts that a login at ``service`` would show today.

        It stores only digests of the earlier texts.
        """
        ports, rules = self.ports, self.ports.login_flow.rules
        transaction_at_service = replace(
            transaction, request=replace(transaction.request, service=service)
        )
        arrived = evaluate_login(rules, transaction_at_service, ports.now())
        release = arrived.decision.release if arrived else None
        return self.consents.as_record(
            receipt,
            ports.services[service],
            ports.base_url + PATH,
            release.purpose if release else None,
            rules.find_giver(transaction.authentication),
        )
