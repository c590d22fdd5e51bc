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
    """Return ``url`` with the ``fields`` that have a value as its query; bare where none has."""
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"{url}?{query}" if query else url


def file_url(base_url: str, path: str, octets: bytes) -> str:
    """Return the address of a file, with a digest in it that changes with the file.

    So a browser may keep the file for a year.
    """
    return f"{base_path(base_url)}/{path}?v={sha256(octets).hexdigest()[:12]}"


def help_url(request: Request, url: str) -> str:
    """Return the questions and answers at ``url``, with the login of the page to go back to.

    "" where there are none.
    """
    return url and add_query(url, {"login": _login_of_page(request)})


def switch_link(request: Request, start: str) -> tuple[str, dict[str, str]]:
    """Return address and query of the page in the other language; "" is the page's own address.

    In the other language it is the GET of the same step: what a form sent is never sent again. A
    message at a SAML address cannot be asked for by a link: there it leads to ``start``.
    """
    if not is_switchable(request):
        return start, {}
    login = login_named(request)
    return "", {"login": login} if login else {}


def login_named(request: Request) -> str | None:
    """Return the waiting login that the query names; None for none, or for anything else."""
    login = request.args.get("login", "")
    return login if _LOGIN.fullmatch(login) else None


def _login_of_page(request: Request) -> str | None:
    """Return the login that the page belongs to, so that help leads back to it; or None.

    It is the id, and behind a slash the page, if the step has one. The id alone opens
    nothing: each of its pages asks for the login's cookies.
    """
    name = (request.view_args or {}).get("name")
    if name is None:
        return login_named(request)
    page = request.path.rpartition("/")[2]
    login = f"{name}/{page}" if page in _STEP_PAGES else str(name)
    return login if _LOGIN.fullmatch(login) else None
