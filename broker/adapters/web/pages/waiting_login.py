"""The login that waits while its person reads help, as links name it."""

import re
from typing import Final

from flask import Request

_STEP_PAGES: Final = ("upstream", "consent", "proof", "pin", "upgrade", "changed")
_LOGIN: Final = re.compile(rf"[0-9a-f]{{32}}(?:/(?:{'|'.join(_STEP_PAGES)}))?")


def login_of_page(request: Request) -> str | None:
    """Return the login that the page belongs to, so that help leads back to it; or None.

    It is the id, and behind a slash the page, if the step has one of its own. The id alone opens
    nothing: each of its pages asks for the login's cookies.
    """
    name = (request.view_args or {}).get("name")
    if name is None:
        return login_named(request)
    page = request.path.rpartition("/")[2]
    login = f"{name}/{page}" if page in _STEP_PAGES else str(name)
    return login if _LOGIN.fullmatch(login) else None


def login_named(request: Request) -> str | None:
    """Return the login that the query names; None for none, or for anything else."""
    login = request.args.get("login", "")
    return login if _LOGIN.fullmatch(login) else None
