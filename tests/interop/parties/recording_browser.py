"""A browser that records each address it opens and each form it sends, so that a test can read the SAML messages."""

import base64
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlsplit

import requests
from lxml import etree, html

from broker.adapters.saml.xml_security import http_bindings
from broker.demo.check.http_browser import Browser, PageForm

_KINDS: Final[tuple[http_bindings.MessageField, ...]] = ("SAMLRequest", "SAMLResponse")
_ALGORITHM: Final = "{http://www.w3.org/2001/04/xmlenc#}EncryptionMethod"


@dataclass(slots=True)
class RecordingBrowser(Browser):
    """One person's browser with a record of its messages."""

    audit_log: list[str] = field(default_factory=list)
    sent: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def submit(self, form: PageForm, **more: str) -> requests.Response:
        """Send a form, and record its address and fields."""
        self.sent.append((form.action, {**form.fields, **more}))
        return super(RecordingBrowser, self).submit(form, **more)

    def _show(self, page: requests.Response) -> requests.Response:
        self.audit_log += [each.url for each in (*page.history, page)]
        return super(RecordingBrowser, self)._show(page)

    def find_requests(self, place: str) -> list[etree._Element]:
        """Return the AuthnRequests that this browser brought to ``place`` by Redirect, in order."""
        found = [http_bindings.read_redirect(each, "SAMLRequest") for each in self._queries(place)]
        return [etree.fromstring(each.xml) for each in found]

    def find_signature_algorithms(self, place: str) -> list[str]:
        """Return the signature algorithm of each of those AuthnRequests, "" if a request is not signed."""
        return [parse_qs(each).get("SigAlg", [""])[0] for each in self._queries(place)]

    def find_responses(self, place: str) -> list[etree._Element]:
        """Return the Responses that this browser posted to an address that begins with ``place``."""
        fields = (each for action, each in self.sent if action.startswith(place) and "SAMLResponse" in each)
        return [etree.fromstring(base64.b64decode(each["SAMLResponse"])) for each in fields]

    def find_logout_messages(self, place: str) -> list[etree._Element]:
        """Return the logout messages that this browser brought to an address that begins with ``place``."""
        queries = dict.fromkeys(urlsplit(each).query for each in self.audit_log if each.startswith(place))
        found = [
            etree.fromstring(http_bindings.read_redirect(each, kind).xml)
            for each in queries
            for kind in _KINDS
            if f"{kind}=" in each
        ]
        posted = [fields for action, fields in self.sent if action.startswith(place)]
        found += [etree.fromstring(base64.b64decode(each[kind])) for each in posted for kind in _KINDS if kind in each]
        return [each for each in found if "Logout" in str(each.tag)]

    def read_lines(self) -> dict[str, str]:
        """Return the lines NAME=value of a service's page."""
        text = html.fromstring(self.page.content).xpath("string(//pre[@id='seen'])") if self.page else ""
        return dict(line.split("=", 1) for line in str(text).splitlines() if "=" in line)

    def _queries(self, place: str) -> list[str]:
        queries = [urlsplit(each).query for each in self.audit_log if each.startswith(f"{place}?")]
        return list(dict.fromkeys(each for each in queries if "SAMLRequest=" in each))


def list_encryption_algorithms(response: etree._Element) -> list[str]:
    """Return the encryption algorithms of a Response's assertion: content first, then key."""
    return [str(each.get("Algorithm")) for each in response.iter(_ALGORITHM)]
