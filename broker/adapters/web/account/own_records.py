"""What is kept about a person, shown to themselves, and deleted when they confirm it afresh."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from flask import abort, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.account.kept_texts import KEPT_TEXTS, KeptText
from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.language import spoken
from broker.adapters.web.pages.national_eid_link import national_eid_label
from broker.adapters.web.pages.redirects import redirect
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEventKind, of_login
from broker.core.errors import FormRefused, TransactionGone
from broker.core.event_routes import BrokerEvent, EventKind
from broker.core.identity.rights import Right
from broker.core.login.transaction import Errand, Transaction
from broker.use_cases.arrived_login import read_and_decide
from broker.use_cases.transactions import Held

_URL: Final = "/my-choices"
# Whoever comes to a screen that was left open sees and deletes nothing.
_FRESH: Final = timedelta(minutes=5)
_ERRANDS: Final[Mapping[str, Errand]] = {"kept": Errand.KEPT, "forget": Errand.FORGET}
_MOST_EVENTS: Final = 50
_TOLD_BESIDE: Final = frozenset({"kind", "what", "why", "how_long", "from"})

Report = Mapping[str, Any]


class OwnRecords(Protocol):
    """The records of the person of a login, by its person id: nobody else's are reached."""

    def report(self, person: str) -> Report | None:
        """Return everything that is kept, as ``broker person export`` does.

        None where it may be two people; TooMany where they look again and again.
        """
        ...

    def forget(self, person: str, order: str) -> Report | None:
        """Order that the person be forgotten, and return what was kept; the same again is one.

        None, and nothing is ordered, where it may be two.
        """
        ...


@dataclass(frozen=True, slots=True)
class KeptKind:
    """The records of one kind: how many, until when at most, and what they say."""

    name: str
    text: KeptText
    until: datetime
    values: tuple[tuple[tuple[str, str], ...], ...]


@dataclass(frozen=True, slots=True)
class Recipient:
    """A service that was sent something: its name, who is responsible, and the last time."""

    name: str
    controller: str
    contact: str
    last: datetime


@dataclass(frozen=True, slots=True)
class OwnRecordPages:
    """The pages of ``/my-choices`` for what is kept; each begins with a login of its own."""

    ports: WebPorts
    pages: StepPages
    login: LoginEndpoints
    own: OwnRecords

    def begin(self, wanted: str) -> Response:
        """Begin a fresh login for ``wanted``, or show what it is for and the ways there are.

        Deleting is for whoever has seen what it does: it begins in a login for one's choices, and
        only the same person may confirm it.
        """
        errand = _ERRANDS.get(wanted)
        if errand is None:
            raise FormRefused("nothing that one can ask for")
        if self.ports.broker.errands_by is None:
            abort(404)
        asked = None
        if errand is Errand.FORGET:
            asked = self.login.of_person(request.args.get("login", "")).transaction
            if asked.errand is not Errand.CHOICES or asked.person is None:
                raise TransactionGone("not a login for one's choices")
        way = request.args.get("with")
        if way is not None:
            return self._away(errand, way, asked)
        if asked is not None:
            return self._warning(asked)
        return self._rendered(
            "kept_begin.html", reason="begin", kept={"do": wanted}, **self._ways(wanted)
        )

    def show(self, held: Held) -> Response:
        """Show what is kept, as a page or a file, or the button that deletes it."""
        transaction = held.transaction
        if not self._is_fresh(transaction):
            self.ports.broker.transactions.end(held)
            return redirect(f"{self.ports.base_url}{_URL}?do=kept", 303)
        person = transaction.person
        if not self._has_right(transaction):
            return self._rendered("kept_unknown.html", reason="unknown", over=True)
        if transaction.errand is Errand.FORGET:
            return self._confirming(held)
        report = self.own.report(person.id) if person else None
        if report is None:
            return self._rendered("kept_unknown.html", reason="unknown", over=True)
        as_file = request.args.get("format") == "json" and not transaction.shared
        self._tell_shown(transaction, "file" if as_file else "page")
        if as_file:
            return _attached(report)
        here = {"login": transaction.id}
        return self._rendered(
            "kept.html",
            reason="kept",
            kinds=_kinds(report),
            events=_events(report),
            refusals=report["refusals"],
            counted=len(report["counted"]),
            unread=report["unread"],
            recipients=self._recipients(report),
            sources=report["sources"],
            file="" if transaction.shared else _query({**here, "format": "json"}),
            kept=here,
        )

    def delete(self, held: Held) -> Response:
        """Order the deletion; a second press, in any tab, finds the login over."""
        ports = self.ports
        now = ports.now()
        transaction = held.transaction
        ports.forms.read(request, transaction, "forget", now)
        person = transaction.person
        if not self._is_fresh(transaction) or not self._is_awaited(transaction) or person is None:
            raise TransactionGone("not the login that this was asked for in, or too old")
        if not self._has_right(transaction):
            raise FormRefused("a login without the right to delete")
        ports.tell(_asked(transaction, now))
        kept = self.own.forget(person.id, transaction.id)
        if kept is None:
            return self._rendered("kept_unknown.html", reason="unknown", over=True)
        ports.broker.transactions.end(held)
        return self._rendered(
            "forgotten.html", reason="forgotten", recipients=self._recipients(kept), over=True
        )

    def _away(self, errand: Errand, way: str, asked: Transaction | None) -> Response:
        """Begin the fresh login by ``way``; of the person of ``asked`` alone, if there is one."""
        ports = self.ports
        ports.count_beginning(request)
        held = ports.broker.begin_errand(
            errand,
            ports.now(),
            upstream=way,
            awaited=asked.person.id if asked and asked.person else None,
            shared=ports.shared(request),
        )
        return redirect(self.pages.url(held.transaction), 303)

    def _warning(self, transaction: Transaction) -> Response:
        """Show what deleting does, before anything is done, and the login that confirms it.

        Of what is kept it names the kinds that there are for anybody: this login may be an old one,
        or by a PIN that somebody has guessed.
        """
        person = transaction.person
        if person is None:
            return self._rendered("kept_unknown.html", reason="unknown", over=True)
        here = {"login": transaction.id, "do": "forget"}
        return self._rendered(
            "forget.html",
            reason="forget",
            kinds=tuple(KEPT_TEXTS.items()),
            back=_query({"login": transaction.id}),
            kept=here,
            **self._ways("forget", transaction),
        )

    def _confirming(self, held: Held) -> Response:
        transaction = held.transaction
        person = transaction.person
        if person is None or not self._is_awaited(transaction):
            self.ports.broker.transactions.end(held)
            return self._rendered("forget_other.html", reason="another_person", over=True)
        report = self.own.report(person.id)
        if report is None:
            return self._rendered("kept_unknown.html", reason="unknown", over=True)
        here = {"login": transaction.id}
        return self._rendered(
            "forget_confirm.html",
            reason="confirm",
            action=_query(here),
            token=self.ports.forms.token(transaction, "forget", self.ports.now()),
            kinds=_kinds(report),
            waiting=any(each["value"].get("state") == "wanted" for each in report["kept"]),
            recipients=self._recipients(report),
            kept=here,
        )

    def _ways(self, wanted: str, asked: Transaction | None = None) -> dict[str, object]:
        """Return the ways to log in for ``wanted``: the one that was used, where it will do."""
        ports = self.ports
        broker = ports.broker
        by = broker.errands_by or ""
        ways = [name for name in ports.services[by].methods if name not in broker.rules.local]
        query = {"do": wanted}
        if asked is not None:
            query = {**query, "login": asked.id}
            ways = [name for name in ways if name == asked.upstream] or ways
        links = [
            (_query({**query, "with": name}), spoken(ports.upstreams[name].label)) for name in ways
        ]
        return {"ways": links, "eid": national_eid_label(ways, ports.upstreams)}

    def _is_fresh(self, transaction: Transaction) -> bool:
        came = transaction.authenticated
        return came is not None and self.ports.now() - came < _FRESH

    def _has_right(self, transaction: Transaction) -> bool:
        """Return whether the login may see and delete what is stored."""
        arrived = read_and_decide(self.ports.broker.rules, transaction, self.ports.now())
        return arrived is not None and arrived.decision.has(Right.MANAGE_STORED_DATA)

    def _is_awaited(self, transaction: Transaction) -> bool:
        """Return whether the same person has logged in again who asked for it."""
        person = transaction.person
        return person is not None and person.id == transaction.awaited

    def _recipients(self, report: Report) -> tuple[Recipient, ...]:
        return tuple(self._recipient(each) for each in report["recipients"])

    def _recipient(self, sent: Mapping[str, Any]) -> Recipient:
        service = self.ports.services.get(sent["service"])
        controller = service.controller if service else None
        return Recipient(
            name=spoken(service.label) if service else str(sent["service"]),
            controller=spoken(controller.name) if controller else "",
            contact=controller.contact if controller else "",
            last=datetime.fromisoformat(str(sent["last"])),
        )

    def _tell_shown(self, transaction: Transaction, shape: str) -> None:
        audit = of_login(AuditEventKind.RECORDS_SHOWN, self.ports.now(), transaction.names)
        facts = {"reference": transaction.reference, "as": shape}
        self.ports.tell(BrokerEvent(EventKind.RECORDS_SHOWN, facts, audit))

    @staticmethod
    def _rendered(template: str, **values: object) -> Response:
        return Response(render_template(template, step="choices", **values), mimetype="text/html")


def _asked(transaction: Transaction, now: datetime) -> BrokerEvent:
    audit = of_login(AuditEventKind.FORGET_ASKED, now, transaction.names)
    return BrokerEvent(EventKind.FORGET_ASKED, {"reference": transaction.reference}, audit)


def _kinds(report: Report) -> tuple[KeptKind, ...]:
    """Return what is kept, kind by kind, in the order in which people are told of them."""
    kinds = []
    for name, text in KEPT_TEXTS.items():
        entries = [each for each in report["kept"] if each["kind"] == name]
        if entries:
            until = max(datetime.fromisoformat(each["until"]) for each in entries)
            values = tuple(tuple(_flat(each["value"])) for each in entries)
            kinds.append(KeptKind(name, text, until, values))
    return tuple(kinds)


def _flat(value: object, name: str = "") -> Sequence[tuple[str, str]]:
    """Return the facts of a record as lines: a name, and what it says."""
    if isinstance(value, Mapping):
        inner = [_flat(each, f"{name} {key}".strip()) for key, each in value.items()]
        return [line for lines in inner for line in lines]
    if isinstance(value, list):
        inner = [_flat(each, name) for each in value]
        return [line for lines in inner for line in lines]
    return [(name.replace("_", " "), str(value))]


def _events(report: Report) -> tuple[tuple[datetime, str], ...]:
    """Return the last events of the person: when, and what."""
    events = report["events"][-_MOST_EVENTS:]
    return tuple(
        (datetime.fromisoformat(str(each["at"])), _said(each)) for each in reversed(events)
    )


def _said(event: Mapping[str, Any]) -> str:
    return ": ".join(str(event[name]) for name in ("event", "service") if event.get(name))


def _query(fields: Mapping[str, str]) -> str:
    return f"?{urlencode(fields)}"


def _attached(report: Report) -> Response:
    octets = json.dumps(report, ensure_ascii=False, indent=2) + "\n"
    response = Response(octets, mimetype="application/json")
    response.headers["Content-Disposition"] = 'attachment; filename="what-is-kept.json"'
    return response
