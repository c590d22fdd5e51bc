"""The language of a page: the one the person picked, else the browser's, else the library's."""

from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from flask import Request
from flask.globals import request_ctx
from flask_babel import get_locale
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Response

from broker.core.entities import Text

LANGUAGES: Final = {"da": "Dansk", "en": "English"}
COOKIE: Final = "lang"
_REMEMBERED_FOR: Final = timedelta(days=365)
# Headers of browsers are few; of somebody who makes them up these are at most a megabyte.
_MOST_READ: Final = 128
# A reader of Norwegian or Swedish understands Danish more easily than the library's default.
_UNDERSTOOD: Final = {
    "da": "da",
    "nb": "da",
    "nn": "da",
    "no": "da",
    "sv": "da",
    "fo": "da",
    "kl": "da",
    "en": "en",
}


def choose(query: str | None, cookie: str | None, accepted: Iterable[str], default: str) -> str:
    """Return "da" or "en": of the query, else the cookie, else Accept-Language, else ``default``.

    ``accepted`` are the language tags of Accept-Language (RFC 9110 12.5.4), best first; the first
    that a reader of one of our languages understands counts.
    """
    for picked in (query, cookie):
        if picked in LANGUAGES:
            return picked
    for tag in accepted:
        primary = tag.replace("_", "-").partition("-")[0].lower()
        if primary in _UNDERSTOOD:
            return _UNDERSTOOD[primary]
    return default


def of(request: Request, default: str) -> str:
    """Return the language of the page that answers ``request``."""
    accepted = _tags(request.headers.get("Accept-Language", ""))
    return choose(request.args.get("lang"), _picked_before(request), accepted, default)


@lru_cache(maxsize=_MOST_READ)
def _tags(accept_language: str) -> tuple[str, ...]:
    """Return the language tags of a header that are accepted at all, best first."""
    accepted = parse_accept_header(accept_language, LanguageAccept)
    return tuple(tag for tag, quality in accepted if quality > 0)


def _picked_before(request: Request) -> str | None:
    # The ACS neither reads nor sets cookies (docs/reference/design.md#4a-2).
    if request.path.startswith("/saml/"):
        return None
    return request.cookies.get(COOKIE)


def language() -> str:
    """Return the language of the page being made."""
    return str(get_locale().language)


def remember(request: Request, response: Response, base_url: str) -> Response:
    """Keep the language picked with ``?lang=`` in a cookie of ``response``, and return it.

    Without a pick there is no cookie. A page reached by a form, or at a SAML address, sets none:
    the ACS neither reads nor sets cookies (docs/reference/design.md#4a-2).
    """
    if request.method != "GET" or not switchable(request):
        return response
    picked = request.args.get("lang")
    if picked in LANGUAGES:
        response.set_cookie(
            COOKIE,
            picked,
            max_age=_REMEMBERED_FOR,
            secure=base_url.startswith("https:"),
            httponly=True,
            samesite="Lax",
            path=base_path(base_url) or "/",
        )
    return response


def switchable(request: Request) -> bool:
    """Return whether the page's address can be asked for again in the other language.

    A message that came to a SAML address cannot be sent again by a link, nor can a form: its step
    is asked for instead, where it has a page of its own.
    """
    if request.path.startswith("/saml/"):
        return False
    if request.method in {"GET", "HEAD"}:
        return True
    addresses = request_ctx.url_adapter
    return addresses is not None and addresses.test(method="GET")


def base_path(base_url: str) -> str:
    """Return the path that ``base_url`` ends in, without a slash at its end ("" for none)."""
    return urlsplit(base_url).path.rstrip("/")


def spoken(text: Text | None) -> str:
    """Return ``text`` in the language of the page being made; "" where there is none."""
    return text[language()] if text else ""
