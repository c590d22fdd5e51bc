"""The cookie of the staff view, which no page of another site can make a browser send."""

import re
from dataclasses import dataclass
from typing import Final

from flask import Request
from werkzeug.wrappers import Response

_TOKEN: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class StaffCookie:
    """Name and attributes of the cookie; ``secure`` exactly when base_url is https."""

    secure: bool
    path: str

    def token(self, request: Request) -> str:
        """Return the token that came; "" without one."""
        value = request.cookies.get(self._name, "")
        return value if _TOKEN.fullmatch(value) else ""

    def keep(self, response: Response, token: str) -> None:
        """Set the cookie until the browser closes. The session itself ends on the server."""
        response.set_cookie(
            self._name, token, secure=self.secure, httponly=True, samesite="Strict", path=self._path
        )

    def drop(self, response: Response) -> None:
        """Let the browser drop it."""
        response.delete_cookie(
            self._name, secure=self.secure, httponly=True, samesite="Strict", path=self._path
        )

    @property
    def _name(self) -> str:
        return "__Host-staff" if self.secure else "staff"

    @property
    def _path(self) -> str:
        # A cookie with the prefix __Host- must have the path /.
        return "/" if self.secure else self.path
