"""Collects what the parties of the demo send each other during a login, for the page /timeline."""

import html
import json
import re
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from flask import Flask, g, request
from lxml import etree
from werkzeug.wrappers import Response

from broker.adapters.saml.xml_security import http_bindings
from broker.demo.demo_app import mask_cpr_numbers

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
_EVENTS: Final = {
    "issued": (
        "Policy decision: access for {affiliation}",
        "Politikkens afgørelse: adgang som {affiliation}",
    ),
    "refused": ("Policy decision: refused, {reason}", "Politikkens afgørelse: afvist, {reason}"),
    "pin_changed": ("The person has chosen a PIN", "Personen har valgt en pinkode"),
    "proof_mailed": (
        "A code is mailed, to prove a mailbox",
        "En kode er sendt til en mailadresse for at bekræfte den",
    ),
    "proved": ("The mailbox is proved", "Mailadressen er bekræftet"),
    "policies_changed": (
        "The edited policies are in force in one of the broker's processes",
        "De ændrede politikker gælder i en af brokerens processer",
    ),
    "policies_stale": (
        "The edited policies are refused; the earlier ones stay in force",
        "De ændrede politikker er afvist; de tidligere gælder stadig",
    ),
    "register_looked_up": ("The register of persons is asked", "Personregisteret bliver spurgt"),
}

_CALLS: Final = {
    "GET": ("Looks for borrowers", "Søger efter lånere"),
    "POST": ("Creates a borrower", "Opretter en låner"),
    "PUT": ("Changes a borrower", "Ændrer en låner"),
    "PATCH": ("Changes a borrower", "Ændrer en låner"),
    "DELETE": ("Deletes a borrower", "Sletter en låner"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A message between two parties, or an event inside the broker; ``receiver`` is then ""."""

    at: datetime
    sender: str
    receiver: str
    title: Texts
    detail: str = ""


class Timeline:
    """The latest messages, mails and events of the broker. CPR numbers and PINs are masked."""

    def __init__(self, log: Path, list_mails: Callable[[], Iterable[Entry]]) -> None:
        """Use the broker's log file, and the function that lists the mails that arrived."""
        self._log, self._list_mails = log, list_mails
        self._entries: deque[Entry] = deque(maxlen=_KEPT)

    def add(self, sender: str, receiver: str, title: Texts, detail: str = "") -> None:
        """Add a message that was sent just now."""
        self._entries.append(Entry(datetime.now(UTC), sender, receiver, title, detail))

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
                self.add(BROKER, name, title, _read_query(query))
            if response.mimetype == "text/html":
                for value in _RESPONSE.findall(response.get_data(as_text=True)):
                    text = _read_post(html.unescape(value))
                    title = (
                        "Says who the person is (Response)",
                        "Fortæller, hvem personen er (Response)",
                    )
                    self.add(name, BROKER, title, text)
            return response

    def watch_library(self, app: Flask, name: str) -> None:
        """Add each AuthnRequest that the library sends, and each Response that it receives."""

        @app.after_request
        def record(response: Response) -> Response:
            query = urlsplit(response.headers.get("Location", "")).query
            if "SAMLRequest=" in query:
                to = f"{request.path[1:]} (AuthnRequest)"
                title = f"Asks for a login to {to}", f"Beder om login til {to}"
                self.add(name, BROKER, title, _read_query(query))
            if "SAMLResponse" in request.form:
                text = _read_post(request.form["SAMLResponse"])
                title = (
                    "Says who has logged in (Response)",
                    "Fortæller, hvem der er logget på (Response)",
                )
                self.add(BROKER, name, title, text)
                # demo/library/services.py sets g.landing when it opens the Response.
                values = g.landing.attributes.items()
                lines = [f"{attribute}: {', '.join(found)}" for attribute, found in values]
                status = g.landing.status
                title = f"Opens the assertion: {status}", f"Åbner svaret: {status}"
                self.add(name, "", title, "\n".join(lines))
            return response

    def watch_library_system(self, app: Flask, name: str) -> None:
        """Add each call of the library system's interface, with its body and answer."""

        @app.after_request
        def record(response: Response) -> Response:
            if request.path.startswith("/api/v1/") and "oauth" not in request.path:
                url = unquote(request.full_path.rstrip("?"))
                path = urlsplit(url).path.removeprefix("/api/v1")
                what = _CALLS[request.method]
                if path.startswith("/auth"):
                    what = ("Checks a PIN", "Kontrollerer en pinkode")
                elif path.endswith("/password"):
                    what = ("Sets a PIN", "Sætter en pinkode")
                title = _append(what, f"({request.method} {path})")
                parts = [url, _format_json(request.get_data(as_text=True))]
                answer = _format_json(response.get_data(as_text=True))
                parts += [f"Answer: {response.status_code}", answer]
                self.add(BROKER, name, title, "\n".join(filter(None, parts)))
            return response


def _mask(entry: Entry) -> Entry:
    texts = (*entry.title, entry.detail)
    en, da, detail = map(mask_cpr_numbers, texts)
    return replace(entry, title=(en, da), detail=_PIN.sub(r'\1"••••"', detail))


def _append(title: Texts, more: str) -> Texts:
    en, da = title
    return f"{en} {more}", f"{da} {more}"


def _read_events(log: Path) -> Iterator[Entry]:
    """Yield the events in the last lines of the broker's log."""
    try:
        lines = log.read_bytes()[-_LOG_OCTETS:].splitlines()
    except OSError:
        return
    for line in lines:
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        if fields.get("event") in _EVENTS:
            yield _describe(fields)


def _describe(fields: Mapping[str, Any]) -> Entry:
    known = {"affiliation": "", "reason": "", **fields}
    en, da = (text.format_map(known) for text in _EVENTS[fields["event"]])
    rule = fields.get("rule")
    shown = [f"{name}: {value}" for name, value in fields.items() if name not in _HIDDEN]
    at = datetime.fromisoformat(fields["timestamp"])
    title = _append((en, da), f"({rule})") if rule else (en, da)
    return Entry(at, BROKER, "", title, "\n".join(shown))


def _read_query(query: str) -> str:
    return _format_xml(http_bindings.read_redirect(query, "SAMLRequest").xml)


def _read_post(value: str) -> str:
    return _format_xml(b64decode(value))


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
