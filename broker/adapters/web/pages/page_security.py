"""Security headers of each kind of page, and the tokens that protect forms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlsplit

from flask import request
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.wrappers import Response

from broker.core.consent.consent import TOKEN_VALID_FOR
from broker.core.errors import FormRefused, TokenRefused
from broker.core.login.transaction import Transaction
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.staff.staff_sessions import StaffMember

# page: all its forms post to the broker. leaving: it has a form that posts to a service. static:
# stylesheet and scripts.
PageKind = Literal["page", "leaving", "static"]

_CLOSED: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# For a demonstration or a developer's machine; never allowed if base_url is https.
_LOCAL: Final = "http://localhost:* http://*.localhost:* http://127.0.0.1:*"
_NO_DEVICES: Final = (
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
)
_KEPT_FOR_A_YEAR: Final = "public, max-age=31536000, immutable"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@lru_cache(maxsize=32)
def headers(kind: PageKind, base_url: str) -> Mapping[str, str]:
    """Return the security headers of one kind of page (docs/reference/pages.md#policy).

    There is no Cross-Origin-Opener-Policy: a service that opens the login in a separate window
    could no longer reach that window.
    """
    fields = {
        "Content-Security-Policy": f"{_CLOSED}; form-action {_form_action(kind, base_url)}",
        # With no-referrer the broker's own POST would have Origin: null
        # (docs/reference/design.md#4a-post). Other sites get no part of the URL.
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": _NO_DEVICES,
        "Cache-Control": _KEPT_FOR_A_YEAR if kind == "static" else "no-store",
    }
    return MappingProxyType(fields)


def protect(response: Response, base_url: str, kind: PageKind = "page") -> Response:
    """Add the headers of ``kind`` that the response does not carry yet, and return it."""
    carried = set(response.headers.keys(lower=True))
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

    ``Sec-Fetch-Site`` decides if the browser sends it, else ``Origin``. A request with neither is
    refused.
    """
    site = sent.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return sent.get("Origin") == origin(base_url)


def _form_action(kind: PageKind, base_url: str) -> str:
    if kind != "leaving":
        return "'self'"
    # Browsers check form-action along the whole redirect chain, and the broker cannot know the
    # redirects of a service: with only its ACS the login would be blocked after the assertion was
    # consumed (measured, docs/reference/pages.md#form-action).
    if urlsplit(base_url).scheme == "http":
        return f"'self' https: {_LOCAL}"
    return "'self' https:"


# A form belongs to a transaction or to a staff session.
FormOwner = Transaction | StaffMember


@dataclass(frozen=True, slots=True, repr=False)
class SubmittedForm:
    """The fields of a form, and the digest of what its page showed."""

    fields: MultiDict[str, str]
    shown: str = ""

    def value(self, name: str, default: str | None = None) -> str:
        """Return the value of ``name``, or ``default`` if it was not sent.

        Raises FormRefused if it was sent twice, or if it was not sent and has no default.
        """
        values = self.values(name)
        if len(values) > 1:
            raise FormRefused(f"field {name} repeated")
        if values:
            return values[0]
        if default is None:
            raise FormRefused(f"field {name} missing")
        return default

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """Return the value of ``name``. Raises FormRefused if it is not among ``allowed``."""
        value = self.value(name)
        if value not in allowed:
            raise FormRefused(f"field {name} has a value that the page does not offer")
        return value

    def values(self, name: str) -> tuple[str, ...]:
        """Return all values that were sent for ``name``."""
        return tuple(self.fields.getlist(name))


@dataclass(frozen=True, slots=True)
class FormTokens:
    """Makes and verifies form tokens. Only forms from the origin of ``base_url`` are accepted."""

    hmacs: LookupHmacs
    base_url: str
    now: Callable[[], datetime]

    def token(self, owner: FormOwner, purpose: str, shown: str = "") -> str:
        """Return a token for one form, ``seconds~shown~digest``.

        ``shown`` is the digest of what the page shows.
        """
        seconds = str(int(self.now().timestamp()))
        digest = self.hmacs.compute("form", *_bound_to(owner, purpose, shown, seconds))
        return f"{seconds}~{shown}~{digest}"

    def read(self, owner: FormOwner, purpose: str) -> SubmittedForm:
        """Return the fields of the form that was sent.

        Raises TokenRefused if another site sent it, or if its token is another form's or expired.
        """
        if not same_origin(request.headers, self.base_url):
            raise TokenRefused("a form from another origin")
        token = SubmittedForm(request.form).value("token", "")
        return SubmittedForm(request.form, self.verify(token, owner, purpose))

    def read_fresh(self, owner: FormOwner, purpose: str) -> SubmittedForm | None:
        """Return the form's fields, or None if the page was open for too long.

        Use it for pages that wait for a mail, which may take longer than ten minutes.
        """
        try:
            return self.read(owner, purpose)
        except TokenRefused:
            if not same_origin(request.headers, self.base_url):
                raise
            return None

    def verify(self, token: str, owner: FormOwner, purpose: str) -> str:
        """Return what the page of ``token`` showed.

        Raises TokenRefused if the token has another purpose or transaction, or has expired.
        """
        seconds, _, rest = token.partition("~")
        shown, _, digest = rest.partition("~")
        if not self.hmacs.matches(digest, "form", *_bound_to(owner, purpose, shown, seconds)):
            raise TokenRefused("a token of another form, transaction or page")
        made_at = datetime.fromtimestamp(int(seconds), UTC)
        if abs(self.now() - made_at) >= TOKEN_VALID_FOR:
            raise TokenRefused("a token older than ten minutes")
        return shown


def _bound_to(owner: FormOwner, purpose: str, shown: str, seconds: str) -> tuple[str, ...]:
    # arrival: after a new login of the same transaction, earlier tokens are no longer valid.
    return (owner.id, owner.browser or "", owner.arrival or "", purpose, shown, seconds)
