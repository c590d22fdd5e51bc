"""Collects what the parties of the demo send each other during a login, for the page /timeline."""

import html
import json
import re
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from flask import Flask, g, request
from lxml import etree
from werkzeug.wrappers import Response

from broker.adapters.saml.xml_security import http_bindings
from broker.adapters.translations.catalogue import make_text
from broker.adapters.web.pages.reason_texts import explain
from broker.demo.demo_app import mask_cpr_numbers
from broker.demo.library.attribute_labels import LABELS, read_attributes

Texts = tuple[str, str]  # English, Danish

_KEPT: Final = 300
_SHOWN: Final = 60
_LOG_OCTETS: Final = 60_000  # of the end of the broker's log
_LONGEST_VALUE: Final = 200
BROKER: Final = "Login service"
_RESPONSE: Final = re.compile(r'name="SAMLResponse" value="([^"]+)"')
_PIN: Final = re.compile(r'("password(?:_2)?": )"[^"]*"')
# The fields of log lines and of the audit log that are part of the story.
_FIELDS: Final[Mapping[str, Texts]] = {
    "service": ("Service", "Tjeneste"),
    "upstream": ("Login method", "Loginmetode"),
    "released": ("What is sent", "Det, der sendes"),
    "fault": ("Fault", "Fejl"),
    "by": ("Role", "Rolle"),
}
_AFFILIATIONS: Final[Mapping[str, Texts]] = {
    "student": ("student", "studerende"),
    "employee": ("employee", "ansat"),
    "hospital": ("hospital employee", "hospitalsansat"),
    "private": ("private user", "privat bruger"),
}
_EVENTS: Final = {
    "issued": (
        "The policy decides what the service gets:",
        "Reglen afgør, hvad tjenesten får at vide:",
    ),
    "signed_up": ("The person is signed up:", "Personen er oprettet:"),
    "refused": ("Refused:", "Afvist:"),
    "pin_changed": ("The person has chosen a PIN", "Personen har valgt en pinkode"),
    "proof_mailed": (
        "A code is mailed, to prove a mailbox",
        "En kode er sendt til en mailadresse for at bekræfte den",
    ),
    "proved": ("The mailbox is proved", "Mailadressen er bekræftet"),
    "policies_changed": ("The edited policy is in force", "Den ændrede regel gælder nu"),
    "policies_stale": (
        "The edited policy is refused; the earlier one stays in force",
        "Den ændrede regel er afvist; den tidligere gælder stadig",
    ),
    "policies_recovered": (
        "The policy files are in order again",
        "Reglernes filer er i orden igen",
    ),
    "register_looked_up": (
        "Looks the person up in the CPR register",
        "Slår personen op i CPR-registeret",
    ),
}

# Events of the audit log; those of staff are named after the button.
_AUDIT_EVENTS: Final = {
    "consent_given": ("The person gives consent", "Personen giver samtykke"),
    "consent_refused": ("The person refuses consent", "Personen afviser samtykke"),
    "consent_withdrawn": ("The person withdraws consent", "Personen trækker samtykket tilbage"),
    "enrolment_case": ("A case for staff:", "En sag til personalet:"),
    "staff_looked": ("Staff look at cases or a person", "Personalet ser på sager eller en person"),
    "try_again": ("Staff press Try again", "Personalet trykker på Prøv igen"),
    "another_person": (
        "Staff decide: it is another person",
        "Personalet afgør: Det er en anden person",
    ),
    "pin_mail": ("Staff send a link for a new PIN", "Personalet sender et link til en ny pinkode"),
    "remove_proof": (
        "Staff remove the proof of a mail address",
        "Personalet fjerner bekræftelsen af en mailadresse",
    ),
}
# Parts of the calls by which the broker checks the set-up; they concern no borrower.
_CHECKS: Final = ("0000000000", "/patrons/0/password", "Dry run")
_CALLS: Final = {
    "GET": ("Looks for borrowers", "Søger efter lånere"),
    "POST": ("Creates a borrower", "Opretter en låner"),
    "PUT": ("Changes a borrower", "Ændrer en låner"),
    "PATCH": ("Changes a borrower", "Ændrer en låner"),
    "DELETE": ("Deletes a borrower", "Sletter en låner"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A message between two parties, or an event inside one party; ``receiver`` is then "".

    ``text`` and ``facts``, labels with values, are for everybody, ``raw`` is for technicians.
    ``count`` says how many equal entries in a row this one stands for.
    """

    at: datetime
    sender: str
    receiver: str
    title: Texts
    text: str = ""
    raw: str = ""
    facts: Sequence[tuple[Texts, str]] = ()
    count: int = 1


class Timeline:
    """The latest messages, mails and events of the broker. CPR numbers and PINs are masked."""

    def __init__(self, log: Path, list_mails: Callable[[], Iterable[Entry]]) -> None:
        """Use the broker's log file, and the function that lists the mails that arrived."""
        self._log, self._list_mails = log, list_mails
        self._entries: deque[Entry] = deque(maxlen=_KEPT)

    def add(self, sender: str, receiver: str, title: Texts, **more: Any) -> None:
        """Add a message that was sent just now, with what else an ``Entry`` has."""
        self._entries.append(Entry(datetime.now(UTC), sender, receiver, title, **more))

    def list_latest(self) -> Sequence[Entry]:
        """Return the latest entries, newest first. Equal entries in a row are one."""
        audit_logs = self._log.parent.glob("state/audit/*.jsonl")
        audited = chain.from_iterable(_read_lines(path, _AUDIT_EVENTS) for path in audit_logs)
        logged = _read_lines(self._log, _EVENTS)
        entries = [*self._entries, *self._list_mails(), *logged, *audited]
        entries.sort(key=lambda entry: entry.at)
        rows = [_merge(list(equal)) for _, equal in groupby(entries, _get_key)]
        return [_mask(entry) for entry in rows[: -_SHOWN - 1 : -1]]

    def watch_identity_provider(self, app: Flask, name: str) -> None:
        """Add each AuthnRequest that ``app`` receives, and each Response that its page posts."""

        @app.after_request
        def record(response: Response) -> Response:
            if request.path == "/sso" and request.method == "GET":
                query = request.query_string.decode()
                title = (
                    "Asks who the person is (AuthnRequest)",
                    "Spørger, hvem personen er (AuthnRequest)",
                )
                self.add(BROKER, name, title, raw=_read_query(query))
            if response.mimetype == "text/html":
                for value in _RESPONSE.findall(response.get_data(as_text=True)):
                    xml = b64decode(html.unescape(value))
                    attributes = read_attributes(etree.fromstring(xml))
                    said = ", ".join((*attributes.get("cn", ()), "Response"))
                    title = (
                        f"Says who the person is ({said})",
                        f"Fortæller, hvem personen er ({said})",
                    )
                    facts = _list_facts(attributes)
                    self.add(name, BROKER, title, raw=_format_xml(xml), facts=facts)
            return response

    def watch_library(self, app: Flask, name: str) -> None:
        """Add each AuthnRequest that the library sends, and each Response that it receives."""

        @app.after_request
        def record(response: Response) -> Response:
            query = urlsplit(response.headers.get("Location", "")).query
            if "SAMLRequest=" in query:
                to = f"{request.path[1:]} (AuthnRequest)"
                title = f"Asks for a login to {to}", f"Beder om login til {to}"
                self.add(name, BROKER, title, raw=_read_query(query))
            if "SAMLResponse" in request.form:
                raw = _format_xml(b64decode(request.form["SAMLResponse"]))
                title = (
                    "Says who has logged in (encrypted Response)",
                    "Fortæller, hvem der er logget på (krypteret Response)",
                )
                self.add(BROKER, name, title, raw=raw)
                # demo/library/services.py sets g.landing when it opens the Response.
                title = "Reads the answer: logged in", "Læser svaret: logget på"
                if g.landing.status != "Success":
                    title = "Reads the answer: not logged in", "Læser svaret: ikke logget på"
                facts = _list_facts(g.landing.attributes)
                status = ("SAML status", "SAML-status"), g.landing.status
                self.add(name, "", title, facts=[*facts, status])
            return response

    def watch_library_system(self, app: Flask, name: str) -> None:
        """Add each call of the library system's interface, with its body and answer.

        Calls that check the set-up are left out, because they concern no borrower.
        """

        @app.after_request
        def record(response: Response) -> Response:
            url = unquote(request.full_path.rstrip("?"))
            body = request.get_data(as_text=True)
            is_check = any(each in url + body for each in _CHECKS)
            if url.startswith("/api/v1/") and "oauth" not in url and not is_check:
                path = urlsplit(url).path.removeprefix("/api/v1")
                what = _CALLS[request.method]
                if path.startswith("/auth"):
                    what = ("Checks a PIN", "Kontrollerer en pinkode")
                elif path.endswith("/password"):
                    what = ("Sets a PIN", "Sætter en pinkode")
                parts = [f"{request.method} {url}", _format_json(body)]
                answer = _format_json(response.get_data(as_text=True))
                parts += [f"HTTP {response.status_code}", answer]
                self.add(BROKER, name, what, raw="\n".join(filter(None, parts)))
            return response


def _get_key(entry: Entry) -> tuple[object, ...]:
    return entry.sender, entry.receiver, entry.title, entry.text, entry.facts


def _merge(equal: Sequence[Entry]) -> Entry:
    """Return one entry with the messages of all.

    An event has no count: every process of the broker logs the same edit of a policy.
    """
    raw = "\n\n".join(entry.raw for entry in equal)
    return replace(equal[0], raw=raw.strip(), count=len(equal) if equal[0].receiver else 1)


def _mask(entry: Entry) -> Entry:
    texts = (*entry.title, entry.text, entry.raw)
    en, da, text, raw = map(mask_cpr_numbers, texts)
    facts = [(label, mask_cpr_numbers(value)) for label, value in entry.facts]
    hidden = _PIN.sub(r'\1"••••"', raw)
    return replace(entry, title=(en, da), text=text, raw=hidden, facts=facts)


def _list_facts(attributes: Mapping[str, Sequence[str]]) -> Sequence[tuple[Texts, str]]:
    """Return the values of the attributes that people have a name for."""
    return [(LABELS[name], ", ".join(attributes[name])) for name in attributes if name in LABELS]


def _read_lines(log: Path, titles: Mapping[str, Texts]) -> Iterator[Entry]:
    """Yield the events with a title in the last lines of the broker's log or audit log."""
    try:
        lines = log.read_bytes()[-_LOG_OCTETS:].splitlines()
    except OSError:
        return
    for line in lines:
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        event = fields.get("event")
        if event == "staff_acted":
            event = fields["reason"]
        if event not in titles:
            continue
        yield _describe(event, fields, titles[event])


def _describe(event: str, fields: Mapping[str, Any], title: Texts) -> Entry:
    en, da = title
    if event in {"issued", "signed_up"}:
        affiliation = fields.get("affiliation", "")
        known = _AFFILIATIONS.get(affiliation, (affiliation, affiliation))
        en, da = f"{en} {known[0]}", f"{da} {known[1]}"
    elif event in {"refused", "enrolment_case"}:
        reason = make_text(explain(fields.get("reason", "")).title)
        en, da = f"{en} {reason.en}", f"{da} {reason.da}"
    place = fields.get("rule") or fields.get("fault", "").partition(": ")[0]
    if place:
        en = f"{en} ({place.replace(':', ', line ')})"
        da = f"{da} ({place.replace(':', ', linje ')})"
    facts = [(label, str(fields[name])) for name, label in _FIELDS.items() if name in fields]
    at = datetime.fromisoformat(fields.get("timestamp") or fields["at"])
    if event == "staff_looked":  # The audit log has no fractions: this follows what it looks at.
        at += timedelta(seconds=1)
    return Entry(at, BROKER, "", (en, da), facts=facts)


def _read_query(query: str) -> str:
    return _format_xml(http_bindings.read_redirect(query, "SAMLRequest").xml)


def _format_xml(xml: bytes) -> str:
    """Return a message with indents; long values, as keys and signatures, are cut."""
    root = etree.fromstring(xml, etree.XMLParser(resolve_entities=False))
    for element in root.iter():
        if element.text and len(element.text) > _LONGEST_VALUE:
            element.text = f"{element.text.strip()[:24]}..."
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")


def _format_json(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except ValueError:
        return ""
