"""A browser without a screen, for the demo's own check: cookies by host, redirects and forms."""

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
        """Send to 127.0.0.1 under the Host that was asked for."""
        asked = request.url or ""
        parts = urlsplit(asked)
        request.headers["Host"] = parts.netloc
        request.url = asked.replace(parts.netloc, f"127.0.0.1:{parts.port}", 1)
        try:
            response: requests.Response = super().send(request, *args, **options)  # type: ignore[arg-type]
        finally:
            request.url = asked
            # Or the next host of a redirect would be sent this one's cookies.
            del request.headers["Host"]
        response.url = asked
        return response


@dataclass(frozen=True, slots=True)
class PageForm:
    """A form of a page: where it goes and what it holds."""

    action: str
    method: str
    fields: Mapping[str, str]
    buttons: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Browser:
    """The browser of one persona: its cookies, the page that is open, and the pages it has seen."""

    session: requests.Session = field(default_factory=requests.Session)
    page: requests.Response | None = None
    seen: list[bytes] | None = None  # set to a list, it gets every page that is opened

    def __post_init__(self) -> None:
        """Reach every ``*.localhost`` on this machine."""
        self.session.trust_env = False
        self.session.mount("http://", _Loopback())

    def get(self, url: str) -> requests.Response:
        """Open an address and follow its redirects."""
        return self._opened(self.session.get(url, timeout=_TIMEOUT))

    def open(self, link: str) -> requests.Response:
        """Follow a link of the page."""
        return self.get(urljoin(self._page().url, link))

    def forms(self) -> tuple[PageForm, ...]:
        """Return the forms of the page."""
        page = self._page()
        forms = html.fromstring(page.content).iter("form")
        return tuple(_page_form(form, page.url) for form in forms)

    def submit(self, form: PageForm, **more: str) -> requests.Response:
        """Send a form with more fields filled in, as a browser does: with the page's origin."""
        here = urlsplit(self._page().url)
        there = urlsplit(form.action)
        same = (here.scheme, here.netloc) == (there.scheme, there.netloc)
        headers = {
            "Origin": f"{here.scheme}://{here.netloc}",
            "Sec-Fetch-Site": "same-origin" if same else "cross-site",
        }
        fields = {**form.fields, **more}
        page = self.session.post(form.action, fields, headers=headers, timeout=_TIMEOUT)
        return self._opened(page)

    def _opened(self, page: requests.Response) -> requests.Response:
        self.page = page
        if self.seen is not None:
            self.seen.append(page.content)
        return page

    def mark(self) -> tuple[str | None, str | None]:
        """Return ``data-step`` and ``data-reason`` of the page; None where it has none."""
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
    method = form.get("method") or "get"
    return PageForm(action, method.lower(), fields, tuple(buttons))
