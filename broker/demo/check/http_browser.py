"""A browser without a screen: keeps cookies by host, follows redirects and forms, for the demo's own check."""

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
            del request.headers[
                "Host"
            ]  # or the next host of a redirect would be sent this one's cookies
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
    """One person's browser."""

    session: requests.Session = field(default_factory=requests.Session)
    page: requests.Response | None = None
    seen: list[bytes] | None = (
        None  # every page that was opened, where one wants to look through them
    )

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
        """Give the forms of the page."""
        page = self._page()
        found = []
        for each in html.fromstring(page.content).iter("form"):
            fields = {
                str(one.get("name")): one.get("value") or ""
                for one in each.iter("input")
                if one.get("name") and one.get("type") == "hidden"
            }
            buttons = tuple(
                (one.get("name") or "", one.get("value") or "") for one in each.iter("button")
            )
            action = urljoin(page.url, each.get("action") or page.url)
            found.append(PageForm(action, (each.get("method") or "get").lower(), fields, buttons))
        return tuple(found)

    def submit(self, form: PageForm, **more: str) -> requests.Response:
        """Send a form with more fields filled in, as a browser does: with the page's origin."""
        here = urlsplit(self._page().url)
        there = urlsplit(form.action)
        same = (here.scheme, here.netloc) == (there.scheme, there.netloc)
        headers = {
            "Origin": f"{here.scheme}://{here.netloc}",
            "Sec-Fetch-Site": "same-origin" if same else "cross-site",
        }
        return self._opened(
            self.session.post(
                form.action, {**form.fields, **more}, headers=headers, timeout=_TIMEOUT
            )
        )

    def _opened(self, page: requests.Response) -> requests.Response:
        self.page = page
        if self.seen is not None:
            self.seen.append(page.content)
        return page

    def mark(self) -> tuple[str | None, str | None]:
        """Give ``data-step`` and ``data-reason`` of the page."""
        main = next(html.fromstring(self._page().content).iter("main"), None)
        return (
            (main.get("data-step"), main.get("data-reason")) if main is not None else (None, None)
        )

    def _page(self) -> requests.Response:
        if self.page is None:
            msg = "no page is open"
            raise ValueError(msg)
        return self.page
