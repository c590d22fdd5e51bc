"""The page where people see what they answered to whom, take it back, and get their receipts."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from flask import Blueprint, abort, redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.consent_screen import ResponsibleParty
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEventKind, of_login
from broker.core.consent.consent import Receipt, ReceiptEvent
from broker.core.entities import Service
from broker.core.errors import FormRefused, TransactionGone
from broker.core.events import BrokerEvent, EventKind
from broker.core.login.transaction import Errand, Transaction
from broker.core.policy.model import LegalBasis
from broker.flows.consents.given_consents import CurrentQuestion, GivenConsent, GivenConsents
from broker.flows.transactions import Held

PATH: Final = "/my-choices"
# Who ticks no box answers at every login: the page stays small, the file holds every answer.
_EARLIER: Final = 5


def blueprint(
    ports: WebPorts, pages: StepPages, login: LoginEndpoints, choices: GivenConsents
) -> Blueprint:
    """Give ``/my-choices``: the ways to log in, the person's choices, and their receipts."""
    room = MyChoices(ports, pages, login, choices)
    rooms = Blueprint("choices", __name__)
    rooms.add_url_rule(PATH, "show", room.show, methods=["GET"])
    rooms.add_url_rule(PATH, "take_back", room.take_back, methods=["POST"])
    return rooms


@dataclass(frozen=True, slots=True)
class ConsentLine:
    """One answer as the page tells it: ``until`` is None where the next login asks again."""

    record_id: str
    event: ReceiptEvent
    at: datetime
    names: tuple[str, ...]
    legal_basis: LegalBasis
    until: datetime | None
    url: str


@dataclass(frozen=True, slots=True)
class Card:
    """What the page shows of one service: the answer that counts, a few before it, and how many more there are."""

    name: str
    service: str
    receiver: ResponsibleParty
    privacy_notice: str
    latest: ConsentLine
    earlier: tuple[ConsentLine, ...]
    more: int
    offer: str | None


class MyChoices:
    """The endpoints over the web ports; everything about a person happens inside their own transaction."""

    def __init__(
        self, ports: WebPorts, pages: StepPages, login: LoginEndpoints, choices: GivenConsents
    ) -> None:
        """Take what the endpoints reach, who may enter, and the answers on file."""
        self.ports, self.pages, self.login, self.choices = ports, pages, login, choices

    def show(self) -> Response:
        """Show the choices of who is logged in, one receipt, or the ways to log in."""
        if "login" not in request.args:
            return self._begin(request.args.get("with"))
        transaction = self._entered().transaction
        as_file = request.args.get("format") == "json"
        if "receipt" in request.args:
            return self._receipt(transaction, request.args["receipt"], as_file=as_file)
        return self._file(transaction) if as_file else self._page(transaction)

    def take_back(self) -> Response:
        """Withdraw a consent or have a notice shown again, and show the choices; a second press changes nothing."""
        ports, now = self.ports, self.ports.now()
        transaction = self._entered().transaction
        form = ports.forms.read(request, transaction, "choices", now)
        wanted, service = form.choice("do", ("withdraw", "forget")), form.value("service")
        if service not in ports.services:
            raise FormRefused("not a service")
        person = _person(transaction)
        before = next(
            (each for each in self.choices.of(person, now) if each.service == service), None
        )
        if before and before.offer(now) == wanted:
            made = self.choices.take_back(person, service, language(), now)
            if made:
                kind = (
                    AuditEventKind.CONSENT_WITHDRAWN
                    if made.event is ReceiptEvent.WITHDRAWN
                    else AuditEventKind.NOTICE_FORGOTTEN
                )
                ports.tell(
                    BrokerEvent(
                        EventKind.CONSENT_TAKEN_BACK,
                        {
                            "reference": transaction.reference,
                            "service": service,
                            "answer": str(made.event),
                        },
                        of_login(kind, now, transaction, service=service, about=made.record_id),
                    )
                )
        return self._page(transaction, service)

    def _begin(self, way: str | None) -> Response:
        """Begin a login for the choices by ``way``, or show the ways there are."""
        ports = self.ports
        by = ports.broker.errands_by
        ways = ports.services[by].methods if by else ()
        if not ways:
            abort(404)
        if way is not None:
            held = ports.broker.begin_errand(
                Errand.CHOICES, ports.now(), upstream=way, shared=ports.shared(request)
            )
            return redirect(self.pages.url(held.transaction), 303)
        labels = [
            (_query({"with": name}), ports.upstreams[name].label[language()]) for name in ways
        ]
        return _rendered("choices_begin.html", reason="begin", ways=labels)

    def _entered(self) -> Held:
        """Give the transaction of the address if it is for this, and cookies b and a are its own (design 4a.4)."""
        held = self.login.of_person(request.args.get("login", ""))
        if held.transaction.errand is not Errand.CHOICES:
            raise TransactionGone("not a login for one's choices")
        return held

    def _page(self, transaction: Transaction, done: str = "") -> Response:
        """Show every choice; ``done`` is the service of which one was just taken back."""
        ports, now, here = self.ports, self.ports.now(), {"login": transaction.id}
        cards = [
            self._card(transaction, each, now)
            for each in self.choices.of(_person(transaction), now)
        ]
        ended = next((each for each in cards if each.name == done and each.offer is None), None)
        reason = ended.latest.event if ended else "" if cards else "none"
        return _rendered(
            "choices.html",
            reason=reason,
            cards=cards,
            ended=ended,
            action=_query(here),
            file=_query({**here, "format": "json"}),
            kept=here,
            token=ports.forms.token(transaction, "choices", now),
        )

    def _receipt(self, transaction: Transaction, record_id: str, *, as_file: bool) -> Response:
        """Give one receipt, as a page to print or as a file."""
        now, here = self.ports.now(), {"login": transaction.id}
        found = self.choices.receipt(_person(transaction), record_id, now)
        if found is None:
            abort(404)
        service, made = found
        if as_file:
            return _attached(
                self._record(transaction, service, made), f"receipt-{made.record_id[:8]}.json"
            )
        own, today = {**here, "receipt": made.record_id}, self._today(transaction, service)
        return _rendered(
            "receipt.html",
            reason="receipt",
            card=self._card(transaction, GivenConsent(service, (made,)), now),
            record=self._record(transaction, service, made),
            purpose=today.purpose[language()] if today.purpose else "",
            giver=today.giver.name[language()] if today.giver else "",
            declined=self._labels(name for name in made.names if name not in made.told),
            back=_query(here),
            file=_query({**own, "format": "json"}),
            kept=own,
        )

    def _file(self, transaction: Transaction) -> Response:
        own = self.choices.of(_person(transaction), self.ports.now())
        records = [
            self._record(transaction, choice.service, each)
            for choice in own
            for each in choice.receipts
        ]
        return _attached({"receipts": records}, "receipts.json")

    def _record(self, transaction: Transaction, service: str, made: Receipt) -> dict[str, Any]:
        today = self._today(transaction, service)
        return self.choices.as_record(
            made, self.ports.services[service], f"{self.ports.base_url}{PATH}", today
        )

    def _today(self, transaction: Transaction, service: str) -> CurrentQuestion:
        """Give what a login at ``service`` would say today, as this person logged in; a receipt holds digests only."""
        rules = self.ports.broker.rules
        there = replace(transaction, request=replace(transaction.request, service=service))
        release = rules.decide(there, self.ports.now()).release
        return CurrentQuestion(
            release.purpose if release else None, rules.giver(transaction.authentication)
        )

    def _card(self, transaction: Transaction, choice: GivenConsent, now: datetime) -> Card:
        service, spoken = self.ports.services[choice.service], language()
        lines = [self._line(transaction, each, now) for each in choice.receipts[: _EARLIER + 1]]
        return Card(
            name=service.name,
            service=service.label[spoken],
            receiver=_receiver(service, spoken),
            privacy_notice=service.privacy_notice[spoken] if service.privacy_notice else "",
            latest=lines[0],
            earlier=tuple(lines[1:]),
            more=len(choice.receipts) - len(lines),
            offer=choice.offer(now),
        )

    def _line(self, transaction: Transaction, made: Receipt, now: datetime) -> ConsentLine:
        return ConsentLine(
            record_id=made.record_id,
            event=made.event,
            at=made.event_time,
            names=self._labels(made.told),
            legal_basis=made.legal_basis,
            until=made.valid_until if made.remembered(now) else None,
            url=_query({"login": transaction.id, "receipt": made.record_id}),
        )

    def _labels(self, names: Iterable[str]) -> tuple[str, ...]:
        labels = self.ports.labels
        return tuple(labels[name][language()] if name in labels else name for name in names)


def _person(transaction: Transaction) -> str:
    """Give the person's id; of somebody whom the policies did not let in nothing is on file, under any name."""
    return transaction.person.id if transaction.person else ""


def _receiver(service: Service, spoken: str) -> ResponsibleParty:
    controller = service.controller
    return (
        ResponsibleParty(controller.name[spoken], controller.contact)
        if controller
        else ResponsibleParty(service.label[spoken], "")
    )


def _query(fields: dict[str, str]) -> str:
    return f"?{urlencode(fields)}"


def _rendered(template: str, **values: object) -> Response:
    return Response(render_template(template, step="choices", **values), mimetype="text/html")


def _attached(record: dict[str, Any], name: str) -> Response:
    octets = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
    response = Response(octets, mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
