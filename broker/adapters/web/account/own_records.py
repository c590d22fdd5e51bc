"""The page that shows a person their stored data after a fresh login, and deletes it on request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from flask import redirect, render_template, request
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString
from werkzeug.wrappers import Response

from broker.adapters.web.login.login_pages import LoginPages
from broker.adapters.web.pages.consent_screen import role_in_words
from broker.core.entities import Text
from broker.core.errors import FormRefused, TransactionGone
from broker.core.events.audit_events import AuditEventKind
from broker.core.events.broker_events import EventKind
from broker.core.identity.rights import Right
from broker.core.login.transaction import Transaction
from broker.use_cases.personal_data.stored_data import PersonBusy, StoredData
from broker.use_cases.transactions.transactions import LoginContext

PATH: Final = "/my-choices"
# A screen that was left open shows and deletes nothing.
_FRESH: Final = timedelta(minutes=5)
# The parts of the export, by their kind, in the order of the page.
STORED_TEXTS: Final[Mapping[str, tuple[LazyString, LazyString]]] = {
    "person": (
        _("What we know about your library account"),
        _(
            "Your number in the library system, and what we asked the library system and the CPR "
            "register about you."
        ),
    ),
    "receipts": (
        _("Your consents"),
        _("What you agreed to, refused or were told, so that we can prove it and not ask again."),
    ),
    "proofs": (
        _("Email addresses that you have confirmed"),
        _("So that you are not asked for a code at every login."),
    ),
    "browsers": (
        _("Browsers that need no code by email"),
        _("So that number and PIN are enough there."),
    ),
    "mail": (
        _("Emails to you"),
        _("Of an email that has been sent only the subject, the time and part of the address."),
    ),
    "session": (
        _("Services you are logged in to"),
        _("Which service got which number for you, so that you can be logged out there."),
    ),
    "transaction": (
        _("Your logins of the last half hour"),
        _("What your university or MitID told us about you, also in this login."),
    ),
    "reference": (
        _("Pages with a help code"),
        _("What a page was about, so that the library can help you when you call."),
    ),
}

Export = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OwnRecordPages(LoginPages):
    """The pages of ``/my-choices`` for stored data, inside a fresh login of the person."""

    stored: StoredData

    def show_records(self, context: LoginContext) -> Response:
        """Show what is stored, as a page or a file, or the button that deletes it."""
        ports = self.ports
        transaction = context.transaction
        if not self._is_fresh(transaction):
            ports.login_flow.transactions.end(context)
            return redirect(f"{ports.base_url}{PATH}", 303)
        person_id = transaction.person_id
        if person_id is None or not self._has_right(context):
            return self.account_page("kept_unknown.html", "unknown", over=True)
        export = self.stored.export_own(person_id)
        do = request.args["do"]
        carried = {"login": transaction.id, "do": do}
        parts = _list_parts(export)
        if do == "forget":
            token = ports.forms.token(transaction, "forget")
            return self.account_page(
                "forget_confirm.html",
                "confirm",
                token=token,
                export=export,
                parts=parts,
                carried=carried,
            )
        shared = transaction.shared
        as_file = request.args.get("format") == "json" and not shared
        facts = {"as": "file" if as_file else "page"}
        ports.tell_login(
            EventKind.RECORDS_SHOWN, transaction, facts, audit=AuditEventKind.RECORDS_SHOWN
        )
        if as_file:
            return attach_json(export, "what-is-kept.json")
        return self.account_page(
            "kept.html",
            "kept",
            export=export,
            parts=parts,
            shared=shared,
            carried=carried,
            upstreams=ports.upstreams,
            wire_label=self._find_label,
            role_in_words=role_in_words,
            policies=ports.login_flow.person_at_login.policies(context).policies,
        )

    def delete_records(self, context: LoginContext) -> Response:
        """Delete everything; a second press, in any tab, finds the login over."""
        ports = self.ports
        transaction = context.transaction
        ports.forms.read(transaction, "forget")
        if not self._is_fresh(transaction):
            raise TransactionGone("the login is too old")
        person_id = transaction.person_id
        if person_id is None or not self._has_right(context):
            raise FormRefused("a login without the right to delete")
        kind = AuditEventKind.FORGET_ASKED
        ports.tell_login(EventKind.FORGET_ASKED, transaction, audit=kind)
        found = self.stored.find_of_person(person_id)
        export = self.stored.export(found)
        try:
            self.stored.forget(found)
        except PersonBusy:
            return self.account_page("forget_busy.html", "busy", over=True)
        ports.login_flow.transactions.end(context)
        return self.account_page("forgotten.html", "forgotten", export=export, over=True)

    def account_page(self, template: str, reason: str, **values: object) -> Response:
        """Return a page below ``/my-choices``."""
        ports = self.ports
        page = render_template(
            template,
            step="choices",
            reason=reason,
            services=ports.services,
            labels=ports.labels,
            now=ports.now(),
            read_time=datetime.fromisoformat,
            **values,
        )
        return Response(page, mimetype="text/html")

    def _find_label(self, wire_name: str) -> Text:
        """Return what people call an attribute of an assertion; its own name if no map has it."""
        rows = (each.find_row(wire_name) for each in self.ports.login_flow.rules.maps.values())
        name = next((row.name for row in rows if row), "")
        return self.ports.labels.get(name, Text(wire_name, wire_name))

    def _is_fresh(self, transaction: Transaction) -> bool:
        came = transaction.authenticated
        return came is not None and self.ports.now() - came < _FRESH

    def _has_right(self, context: LoginContext) -> bool:
        """Return whether the login may see and delete what is stored."""
        login = context.evaluated
        return login is not None and login.decision.has(Right.MANAGE_STORED_DATA)


def attach_json(record: Mapping[str, Any], name: str) -> Response:
    """Return a file to save."""
    octets = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(octets, headers=headers, mimetype="application/json")


def _list_parts(export: Export) -> list[Mapping[str, object]]:
    parts: list[Mapping[str, object]] = []
    for name, (title, why) in STORED_TEXTS.items():
        entries = [each for each in export["kept"] if each["kind"] == name]
        if entries:
            until = max(datetime.fromisoformat(each["until"]) for each in entries)
            values = [each["value"] for each in entries]
            part = {"name": name, "title": title, "why": why, "until": until, "values": values}
            parts.append(part)
    return parts
