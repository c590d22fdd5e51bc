"""The language of a page: the one the person picked, else the browser's, else the library's."""

from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from flask import Request
from flask.globals import request_ctx
from flask_babel import get_locale
from werkzeug.wrappers import Response

from broker.core.entities import Text

LANGUAGES: Final = {"da": "Dansk", "en": "English"}
COOKIE: Final = "lang"
_REMEMBERED_FOR: Final = timedelta(days=365)
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


def choose_language(request: Request, default: str) -> str:
    """Return "da" or "en": of the query, else the cookie, else Accept-Language, else ``default``.

    The first tag of Accept-Language (RFC 9110 12.5.4) counts whose readers understand one of the
    broker's languages. The ACS neither reads nor sets cookies (docs/reference/design.md#4a-2).
    """
    cookie = None if request.path.startswith("/saml/") else request.cookies.get(COOKIE)
    for picked in (request.args.get("lang"), cookie):
        if picked in LANGUAGES:
            return picked
    for tag, quality in request.accept_languages:
        primary = tag.replace("_", "-").partition("-")[0].lower()
        if quality > 0 and primary in _UNDERSTOOD:
            return _UNDERSTOOD[primary]
    return default


def language() -> str:
    """Return the language of the page being made."""
    return str(get_locale().language)


def remember(request: Request, response: Response, base_url: str) -> Response:
    """Store the language picked with ``?lang=`` in a cookie of ``response``, and return it.

    Without ``?lang=`` no cookie is set, nor for a form or a SAML address: the ACS neither reads nor
    sets cookies (docs/reference/design.md#4a-2).
    """
    if request.method != "GET" or not is_switchable(request):
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


def is_switchable(request: Request) -> bool:
    """Return whether a link can show the page in the other language.

    A link cannot send a SAML message or a form again. For a form it requests the step, if the step
    answers GET.
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
    """Return ``text`` in the language of the page being made; "" if there is no text."""
    return text[language()] if text else ""
