"""A browser without a screen, for checks of the demo: cookies by host, redirects, forms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
from lxml import html
from requests.adapters import HTTPAdapter

_TIMEOUT: Final = 30


class _Loopback(HTTPAdapter):
    """Reaches ``*.localhost`` at 127.0.0.1: browsers know that name, Python does not resolve it."""

    def send(
        self, request: requests.PreparedRequest, *args: object, **options: object
    ) -> requests.Response:
        """Connect to 127.0.0.1 and send the host name of the URL in the Host header."""
        url = request.url or ""
        parts = urlsplit(url)
        request.headers["Host"] = parts.netloc
        request.url = url.replace(parts.netloc, f"127.0.0.1:{parts.port}", 1)
        try:
            response: requests.Response = super().send(request, *args, **options)  # type: ignore[arg-type]
        finally:
            request.url = url
            # A redirect to another host must not carry this host's cookies.
            del request.headers["Host"]
        response.url = url
        return response


@dataclass(frozen=True, slots=True)
class PageForm:
    """A form of a page: its action, its hidden fields and its buttons."""

    action: str
    fields: Mapping[str, str]
    buttons: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Browser:
    """The browser of one persona: its cookies, the open page, and the earlier pages."""

    session: requests.Session = field(default_factory=requests.Session)
    page: requests.Response | None = None
    seen: list[bytes] | None = None  # if it is a list, every opened page is appended

    def __post_init__(self) -> None:
        """Connect every ``*.localhost`` name to this machine."""
        self.session.trust_env = False
        self.session.mount("http://", _Loopback())

    def get(self, url: str) -> requests.Response:
        """Open an address and follow its redirects."""
        return self._show(self.session.get(url, timeout=_TIMEOUT))

    def open(self, link: str) -> requests.Response:
        """Follow a link of the page."""
        return self.get(urljoin(self._page().url, link))

    def forms(self) -> tuple[PageForm, ...]:
        """Return the forms of the page."""
        page = self._page()
        forms = html.fromstring(page.content).iter("form")
        return tuple(_page_form(form, page.url) for form in forms)

    def submit(self, form: PageForm, **more: str) -> requests.Response:
        """Submit a form with ``more`` fields, and send the page's origin as browsers do."""
        here = urlsplit(self._page().url)
        there = urlsplit(form.action)
        same = (here.scheme, here.netloc) == (there.scheme, there.netloc)
        headers = {
            "Origin": f"{here.scheme}://{here.netloc}",
            "Sec-Fetch-Site": "same-origin" if same else "cross-site",
        }
        fields = {**form.fields, **more}
        page = self.session.post(form.action, fields, headers=headers, timeout=_TIMEOUT)
        return self._show(page)

    def _show(self, page: requests.Response) -> requests.Response:
        self.page = page
        if self.seen is not None:
            self.seen.append(page.content)
        return page

    def mark(self) -> tuple[str | None, str | None]:
        """Return ``data-step`` and ``data-reason`` of the page, None for a missing one."""
        for main in html.fromstring(self._page().content).iter("main"):
            return main.get("data-step"), main.get("data-reason")
        return None, None

    def _page(self) -> requests.Response:
        if self.page is None:
            msg = "no page is open"
            raise ValueError(msg)
        return self.page


def _page_form(form: html.HtmlElement, url: str) -> PageForm:
    fields = {}
    for node in form.iter("input"):
        if node.get("name") and node.get("type") == "hidden":
            fields[str(node.get("name"))] = node.get("value") or ""
    buttons = [(node.get("name") or "", node.get("value") or "") for node in form.iter("button")]
    action = urljoin(url, form.get("action") or url)
    return PageForm(action, fields, tuple(buttons))
