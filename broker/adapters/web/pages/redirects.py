"""An answer that sends the browser elsewhere, without the note that no browser shows."""

import re
from typing import Final

import flask
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

_LETTERS: Final = r"A-Za-z0-9\-._~:/@!$&'()*+,;=%"
# Of RFC 3986, section 2, without what is reserved for hosts in brackets, and for fragments.
_URI: Final = re.compile(
    rf"https?://[a-z0-9.\-]+(?::[1-9][0-9]*)?(?:/[{_LETTERS}]*(?:\?[{_LETTERS}?]+)?)?"
)


class _Elsewhere(flask.Response):
    """Its Location is a URI: to be taken apart and written again costs more than the redirect."""

    def get_wsgi_headers(self, environ: object) -> Headers:  # noqa: ARG002 - werkzeug's own
        """Return the headers as they are."""
        return self.headers


def redirect(location: str, code: int) -> Response:
    """Return the answer that sends the browser to ``location``; what is no URI is made one.

    ValueError where it holds a line feed. Source: RFC 9110, section 15.4.
    """
    if not _URI.fullmatch(location):
        return flask.redirect(location, code)
    response = _Elsewhere(b"", code)
    response.headers["Location"] = location
    return response
