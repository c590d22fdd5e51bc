"""Addresses with a query, and the links around a page: to help, and to the other language."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import urlencode

from flask import Request

from broker.adapters.web.pages.language import base_path, is_switchable

_STEP_PAGES: Final = ("upstream", "consent", "proof", "pin", "upgrade", "changed")
_LOGIN: Final = re.compile(rf"[0-9a-f]{{32}}(?:/(?:{'|'.join(_STEP_PAGES)}))?")


def add_query(url: str, fields: Mapping[str, str | None]) -> str:
    """Return ``url`` with the ``fields`` that have a value as its query."""
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"{url}?{query}" if query else url


def file_url(base_url: str, path: str, octets: bytes) -> str:
    """Return the address of a file, with a digest in it that changes with the file.

    So a browser may keep the file for a year.
    """
    return f"{base_path(base_url)}/{path}?v={sha256(octets).hexdigest()[:12]}"


def help_url(request: Request, url: str) -> str:
    """Return the address of the questions and answers, with the login to go back to.

    Return "" if ``url`` is "", because there are none.
    """
    return url and add_query(url, {"login": _login_of_page(request)})


def switch_link(request: Request, start: str) -> tuple[str, dict[str, str]]:
    """Return address and query of the page in the other language; "" is the page's own address.

    The link is a GET of the same step: a form is never sent again. A message at a SAML address
    cannot be requested by a link, so the link leads to ``start``.
    """
    if not is_switchable(request):
        return start, {}
    login = login_named(request)
    return "", {"login": login} if login else {}


def login_named(request: Request) -> str | None:
    """Return the waiting login that the query names, or None if it names none."""
    login = request.args.get("login", "")
    return login if _LOGIN.fullmatch(login) else None


def _login_of_page(request: Request) -> str | None:
    """Return the login that the page belongs to, so that help leads back to it; or None.

    It is the id and, after a slash, the page of the step if there is one. The id is no secret: each
    page of the login needs its cookies.
    """
    name = (request.view_args or {}).get("name")
    if name is None:
        return login_named(request)
    page = request.path.rpartition("/")[2]
    login = f"{name}/{page}" if page in _STEP_PAGES else str(name)
    return login if _LOGIN.fullmatch(login) else None
