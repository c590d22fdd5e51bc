"""Collects what the parties of the demo send each other during a login, for the page /timeline."""

import html
import json
import re
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
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
BROKER: Final = "Broker"
_RESPONSE: Final = re.compile(r'name="SAMLResponse" value="([^"]+)"')
_PIN: Final = re.compile(r'("password(?:_2)?": )"[^"]*"')
# Fields of the broker's log lines that are no part of the story.
_HIDDEN: Final = frozenset({"event", "timestamp", "level", "reference", "policy", "near_misses"})
# Every process of the broker logs an edit of the policies within this time; one line is shown.
_SAME_EDIT: Final = timedelta(seconds=20)
_AFFILIATIONS: Final[Mapping[str, Texts]] = {
    "student": ("student", "studerende"),
    "employee": ("employee", "ansat"),
    "hospital": ("hospital employee", "hospitalsansat"),
    "private": ("private user", "privat bruger"),
}
_EVENTS: Final = {
    "issued": ("The policy lets the person in as", "Reglerne giver adgang som"),
    "refused": ("Refused:", "Afvist:"),
    "pin_changed": ("The person has chosen a PIN", "Personen har valgt en pinkode"),
    "proof_mailed": (
        "A code is mailed, to prove a mailbox",
        "En kode er sendt til en mailadresse for at bekræfte den",
    ),
    "proved": ("The mailbox is proved", "Mailadressen er bekræftet"),
    "policies_changed": ("The edited policies are in force", "De ændrede regler gælder nu"),
    "policies_stale": (
        "The edited policies are refused; the earlier ones stay in force",
        "De ændrede regler er afvist; de tidligere gælder stadig",
    ),
    "policies_recovered": (
        "The policy files are in order again",
        "Reglernes filer er i orden igen",
    ),
    "register_looked_up": ("The register of persons is asked", "Personregisteret bliver spurgt"),
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
    """

    at: datetime
    sender: str
    receiver: str
    title: Texts
    text: str = ""
    raw: str = ""
    facts: Sequence[tuple[Texts, str]] = ()


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
        """Return the latest entries, newest first."""
        entries = [*self._entries, *self._list_mails(), *_read_events(self._log)]
        entries.sort(key=lambda entry: entry.at, reverse=True)
        return [_mask(entry) for entry in entries[:_SHOWN]]

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
                    title = (
                        "Says who the person is (Response)",
                        "Fortæller, hvem personen er (Response)",
                    )
                    facts = _list_facts(read_attributes(etree.fromstring(xml)))
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
                    "Says who has logged in (Response)",
                    "Fortæller, hvem der er logget på (Response)",
                )
                self.add(BROKER, name, title, raw=raw)
                # demo/library/services.py sets g.landing when it opens the Response.
                title = "Reads the answer: logged in", "Læser svaret: logget på"
                if g.landing.status != "Success":
                    title = "Reads the answer: not logged in", "Læser svaret: ikke logget på"
                facts = _list_facts(g.landing.attributes)
                self.add(name, "", title, raw=f"Status: {g.landing.status}", facts=facts)
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
                parts += [f"Answer: {response.status_code}", answer]
                self.add(BROKER, name, what, raw="\n".join(filter(None, parts)))
            return response


def _mask(entry: Entry) -> Entry:
    texts = (*entry.title, entry.text, entry.raw)
    en, da, text, raw = map(mask_cpr_numbers, texts)
    facts = [(label, mask_cpr_numbers(value)) for label, value in entry.facts]
    hidden = _PIN.sub(r'\1"••••"', raw)
    return replace(entry, title=(en, da), text=text, raw=hidden, facts=facts)


def _list_facts(attributes: Mapping[str, Sequence[str]]) -> Sequence[tuple[Texts, str]]:
    """Return the values of the attributes that people have a name for."""
    return [(LABELS[name], ", ".join(attributes[name])) for name in attributes if name in LABELS]


def _read_events(log: Path) -> Iterator[Entry]:
    """Yield the events in the last lines of the broker's log."""
    try:
        lines = log.read_bytes()[-_LOG_OCTETS:].splitlines()
    except OSError:
        return
    edits: dict[object, datetime] = {}
    for line in lines:
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        event = fields.get("event")
        if event not in _EVENTS:
            continue
        entry = _describe(event, fields)
        if event.startswith("policies_"):
            edit = entry.title, fields.get("digest")
            before = edits.get(edit)
            edits[edit] = entry.at
            if before and entry.at - before < _SAME_EDIT:
                continue
        yield entry


def _describe(event: str, fields: Mapping[str, Any]) -> Entry:
    en, da = _EVENTS[event]
    if event == "issued":
        affiliation = fields.get("affiliation", "")
        known = _AFFILIATIONS.get(affiliation, (affiliation, affiliation))
        en, da = f"{en} {known[0]}", f"{da} {known[1]}"
    elif event == "refused":
        reason = make_text(explain(fields.get("reason", "")).title)
        en, da = f"{en} {reason.en}", f"{da} {reason.da}"
    place = fields.get("rule") or fields.get("fault", "").partition(": ")[0]
    if place:
        en, da = f"{en} ({place})", f"{da} ({place})"
    shown = [f"{name}: {value}" for name, value in fields.items() if name not in _HIDDEN]
    at = datetime.fromisoformat(fields["timestamp"])
    return Entry(at, BROKER, "", (en, da), raw="\n".join(shown))


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
