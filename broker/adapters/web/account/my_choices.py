"""The page where people see and take back what they answered, and get their receipts."""

from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from flask import Blueprint, abort, redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.account.own_records import OwnRecordPages, attach_json
from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.language import language, spoken
from broker.adapters.web.pages.page_links import national_eid_label
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.consent.consent import Receipt, ReceiptEvent
from broker.core.errors import FormRefused, TransactionGone
from broker.core.events.audit_events import AuditEventKind
from broker.core.events.broker_events import EventKind
from broker.core.login.steps import Refuse
from broker.core.login.transaction import OWN_ERRANDS, Errand, Transaction
from broker.use_cases.personal_data.given_consents import (
    CurrentQuestion,
    GivenConsent,
    GivenConsents,
)
from broker.use_cases.personal_data.stored_data import StoredData
from broker.use_cases.transactions.evaluated_login import evaluate_login
from broker.use_cases.transactions.transactions import Held

PATH: Final = "/my-choices"
# A person who ticks no box answers at every login: the page stays small, the file holds every
# answer.
_EARLIER: Final = 5
_BUTTONS: Final = ("withdraw", "forget", "leave")


def blueprint(
    ports: WebPorts,
    pages: StepPages,
    login: LoginEndpoints,
    consents: GivenConsents,
    stored: StoredData,
) -> Blueprint:
    """Return ``/my-choices``: the ways to log in, the person's choices, receipts and records."""
    records = OwnRecordPages(ports, stored)
    choices = MyChoices(ports, pages, login, consents, records)
    routes = Blueprint("choices", __name__)
    routes.get(PATH)(choices.show)
    routes.post(PATH)(choices.take_back)
    return routes


@dataclass(frozen=True, slots=True)
class MyChoices:
    """The endpoints over the web ports; what is a person's stays inside their own transaction."""

    ports: WebPorts
    pages: StepPages
    login: LoginEndpoints
    consents: GivenConsents
    records: OwnRecordPages

    def show(self) -> Response:
        """Show the choices of the person who is logged in, one receipt, or the ways to log in."""
        query = request.args
        if "login" not in query:
            is_for_records = query.get("do") == "kept"
            return self._begin(query.get("with"), Errand.KEPT if is_for_records else Errand.CHOICES)
        held = self._enter()
        transaction = held.transaction
        refused = self._refuse(held)
        if refused:
            return refused
        if transaction.errand is not Errand.CHOICES:
            return self.records.show(held)
        as_file = query.get("format") == "json"
        if "receipt" in query:
            service, receipt = self._receipt_of(transaction, query["receipt"])
            if as_file:
                record = self._record(transaction, service, receipt)
                return attach_json(record, f"receipt-{receipt.record_id[:8]}.json")
            return self._receipt_page(transaction, service, receipt)
        return self._file(transaction) if as_file else self._page(transaction)

    def take_back(self) -> Response:
        """Withdraw a consent or have a notice shown again, and show the choices; or leave them.

        A second press of the same button changes nothing.
        """
        ports = self.ports
        now = ports.now()
        held = self._enter()
        transaction = held.transaction
        refused = self._refuse(held)
        if refused:
            return refused
        if transaction.errand is Errand.KEPT:
            return self.records.delete(held)
        form = ports.forms.read(request, transaction, "choices", now)
        wanted = form.choice("do", _BUTTONS)
        if wanted == "leave":
            return self._leave(held)
        service = form.value("service")
        if service not in ports.services:
            raise FormRefused("not a service")
        person = _person(transaction)
        choices = self.consents.list_all(person, now)
        offers = {choice.service: choice.find_action(now) for choice in choices}
        if offers.get(service) == wanted:
            receipt = self.consents.take_back(person, service, language(), now)
            if receipt:
                is_withdrawn = receipt.event is ReceiptEvent.WITHDRAWN
                ports.tell_login(
                    EventKind.CONSENT_TAKEN_BACK,
                    transaction,
                    {"service": service, "answer": str(receipt.event)},
                    audit=AuditEventKind.CONSENT_WITHDRAWN
                    if is_withdrawn
                    else AuditEventKind.NOTICE_FORGOTTEN,
                    service=service,
                    about=receipt.record_id,
                )
        return self._page(transaction, service)

    def _leave(self, held: Held) -> Response:
        """End the login for the choices: Back shows them to nobody."""
        self.ports.broker.transactions.end(held)
        name = held.transaction.upstream
        by = self.ports.upstreams.get(name or "")
        way = "" if by is None or by.local else spoken(by.label)
        return self._render("choices_left.html", reason="left", way=way, over=True)

    def _begin(self, way: str | None, errand: Errand) -> Response:
        """Begin a login for ``errand`` by ``way``, or show the ways there are."""
        ports = self.ports
        by = ports.broker.sign_up_service
        if by is None:
            abort(404)
        if way is not None:
            shared = ports.shared(request)
            ports.limits.count_beginning(request)
            held = ports.broker.begin_errand(errand, ports.now(), upstream=way, shared=shared)
            return redirect(self.pages.url(held.transaction), 303)
        is_for_records = errand is Errand.KEPT
        kept = {"do": "kept"} if is_for_records else {}
        without = ports.broker.rules.local if is_for_records else frozenset[str]()
        ways = [name for name in ports.services[by].methods if name not in without]
        links = [
            (_query({**kept, "with": name}), spoken(ports.upstreams[name].label)) for name in ways
        ]
        template = "kept_begin.html" if is_for_records else "choices_begin.html"
        eid = national_eid_label(ways, ports.upstreams)
        return self._render(template, reason="begin", ways=links, eid=eid, kept=kept)

    def _enter(self) -> Held:
        """Return the transaction of the address if both cookies are its own.

        TransactionGone where it is a login for something else.

        Source: docs/reference/design.md#4a-4.
        """
        held = self.login.require_person(request.args.get("login", ""))
        if held.transaction.errand not in OWN_ERRANDS:
            raise TransactionGone("not a login for one's choices")
        return held

    def _refuse(self, held: Held) -> Response | None:
        """Return the refusal of a person who was let in, and is so no more; None for all others."""
        step = self.ports.broker.next_step(held, self.ports.now())
        return self.pages.show_refusal(held, step) if isinstance(step, Refuse) else None

    def _page(self, transaction: Transaction, done: str = "") -> Response:
        """Show every choice; ``done`` is the service of which one was just taken back."""
        ports = self.ports
        now = ports.now()
        here = {"login": transaction.id}
        choices = self.consents.list_all(_person(transaction), now)
        ended = next(
            (each for each in choices if each.service == done and not each.find_action(now)), None
        )
        reason = "" if choices else "none"
        return self._render(
            "choices.html",
            reason=ended.latest.event if ended else reason,
            choices=choices,
            ended=ended,
            action=_query(here),
            file=_query({**here, "format": "json"}),
            see=_query({"do": "kept"}),
            kept=here,
            most_earlier=_EARLIER,
            token=ports.forms.token(transaction, "choices", now),
        )

    def _receipt_of(self, transaction: Transaction, record_id: str) -> tuple[str, Receipt]:
        """Return one of the person's own receipts and its service; 404 for anybody else's."""
        own = self.consents.find_receipt(_person(transaction), record_id, self.ports.now())
        if own is None:
            abort(404)
        return own

    def _receipt_page(self, transaction: Transaction, service: str, receipt: Receipt) -> Response:
        """Return one receipt as a page to print."""
        here = {"login": transaction.id}
        own = {**here, "receipt": receipt.record_id}
        today = self._today(transaction, service)
        return self._render(
            "receipt.html",
            reason="receipt",
            choice=GivenConsent(service, (receipt,)),
            record=self._record(transaction, service, receipt),
            today=today,
            back=_query(here),
            file=_query({**own, "format": "json"}),
            kept=own,
        )

    def _file(self, transaction: Transaction) -> Response:
        records = [
            self._record(transaction, choice.service, receipt)
            for choice in self.consents.list_all(_person(transaction), self.ports.now())
            for receipt in choice.receipts
        ]
        return attach_json({"receipts": records}, "receipts.json")

    def _record(self, transaction: Transaction, service: str, receipt: Receipt) -> dict[str, Any]:
        today = self._today(transaction, service)
        page = self.ports.base_url + PATH
        receiver = self.ports.services[service]
        return self.consents.as_record(receipt, receiver, page, today)

    def _today(self, transaction: Transaction, service: str) -> CurrentQuestion:
        """Return what a login at ``service`` would ask this person today.

        A receipt holds digests of the texts only.
        """
        rules = self.ports.broker.rules
        there = replace(transaction, request=replace(transaction.request, service=service))
        arrived = evaluate_login(rules, there, self.ports.now())
        release = arrived.decision.release if arrived else None
        giver = rules.giver(transaction.authentication)
        return CurrentQuestion(release.purpose if release else None, giver)

    def _render(self, template: str, **values: object) -> Response:
        ports = self.ports
        page = render_template(
            template,
            step="choices",
            services=ports.services,
            labels=ports.labels,
            now=ports.now(),
            **values,
        )
        return Response(page, mimetype="text/html")


def _person(transaction: Transaction) -> str:
    """Return the person's id; "" where the policies let nobody in: nothing is on file then."""
    return transaction.person.id if transaction.person else ""


def _query(fields: dict[str, str]) -> str:
    return f"?{urlencode(fields)}"
