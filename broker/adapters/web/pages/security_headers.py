"""What a browser may do with each kind of page, and whether a form came from one of our own."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

# page: ours alone. leaving: holds a form that posts to a service. static: stylesheet and scripts.
PageKind = Literal["page", "leaving", "static"]

_CLOSED: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# A demonstration or a developer's machine; never allowed where base_url is https.
_LOCAL: Final = "http://localhost:* http://*.localhost:* http://127.0.0.1:*"
_NO_DEVICES: Final = (
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
)
_KEPT_FOR_A_YEAR: Final = "public, max-age=31536000, immutable"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@lru_cache(maxsize=32)
def headers(kind: PageKind, base_url: str) -> Mapping[str, str]:
    """Return the security headers of one kind of page (docs/reference/pages.md#policy).

    No Cross-Origin-Opener-Policy: it would cut a service that opens the login in a window of its
    own off from it.
    """
    fields = {
        "Content-Security-Policy": f"{_CLOSED}; form-action {_form_action(kind, base_url)}",
        # Under no-referrer our own POST would carry Origin: null
        # (docs/reference/design.md#4a-post); off-site nothing of the address leaks.
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": _NO_DEVICES,
        "Cache-Control": _KEPT_FOR_A_YEAR if kind == "static" else "no-store",
    }
    return MappingProxyType(fields)


def protect(response: Response, base_url: str, kind: PageKind = "page") -> Response:
    """Add the headers of ``kind`` that the response does not carry yet, and return it."""
    carried = {name.lower() for name, _ in response.headers}
    for name, value in headers(kind, base_url).items():
        if name.lower() not in carried:
            response.headers.add(name, value)
    return response


def origin(url: str) -> str:
    """Return the origin of ``url`` as a browser writes it in ``Origin`` (RFC 6454).

    It is in lower case and has no default port.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)}:
        return f"{parts.scheme}://{host}"
    return f"{parts.scheme}://{host}:{parts.port}"


def same_origin(sent: Headers | Mapping[str, str], base_url: str) -> bool:
    """Return whether a POST came from one of our own pages (CWE-352, docs/reference/attacks.md#30).

    ``Sec-Fetch-Site`` decides where the browser sends it, else ``Origin``; a request with neither
    is refused.
    """
    site = sent.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return sent.get("Origin") == origin(base_url)


def _form_action(kind: PageKind, base_url: str) -> str:
    if kind != "leaving":
        return "'self'"
    # Browsers check form-action along the whole redirect chain, and where a service redirects is
    # not ours to know: naming its ACS alone would block the login after the assertion was consumed
    # (measured, docs/reference/pages.md#form-action).
    if urlsplit(base_url).scheme == "http":
        return f"'self' https: {_LOCAL}"
    return "'self' https:"
