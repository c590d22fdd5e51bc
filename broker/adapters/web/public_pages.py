"""The pages and addresses that need no login: metadata, health, metrics, start page, pictures."""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from flask import Blueprint, abort, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.client_address import is_from_this_machine
from broker.adapters.web.pages.cookies import BrowserCookies
from broker.adapters.web.pages.language import spoken
from broker.adapters.web.pages.page_links import file_url
from broker.adapters.web.pages.page_security import protect, same_origin
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.entities import Upstream
from broker.core.errors import TokenRefused
from broker.core.events.broker_events import BrokerEvent, EventKind


def metadata_and_health(
    idp: Callable[[], bytes],
    sps: Mapping[str, Callable[[], bytes]],
    checks: Callable[[], Mapping[str, Sequence[str]]],
    notes: Callable[[], Mapping[str, str]] = dict,
) -> Blueprint:
    """Return the metadata of both roles, ``/healthz`` and ``/readyz``.

    ``checks`` returns, for every part that is checked, sentences that say why logins would fail;
    none if the part works. ``notes`` returns faults that do not affect logins.
    """
    routes = Blueprint("public", __name__)

    @routes.get("/saml/idp/metadata")
    def idp_metadata() -> Response:
        return Response(idp(), mimetype="application/samlmetadata+xml")

    @routes.get("/saml/sp/<upstream>/metadata")
    def sp_metadata(upstream: str) -> Response:
        if upstream not in sps:
            abort(404)
        return Response(sps[upstream](), mimetype="application/samlmetadata+xml")

    @routes.get("/healthz")
    def healthz() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @routes.get("/readyz")
    def readyz() -> tuple[Response, int]:
        faults = checks()
        ready = not any(faults.values())
        answer: dict[str, Any] = {"ready": ready}
        # Show details only to requests from this machine: others need not know what is broken.
        if is_from_this_machine(request):
            details = dict(notes())
            for part, sentences in faults.items():
                answer[part] = list(sentences) or details.pop(part, "ok")
            answer |= details
        return jsonify(answer), 200 if ready else 503

    return routes


_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def metrics_endpoint(page: Callable[[], bytes], token: str | None) -> Blueprint:
    """Return ``/metrics`` with the text of ``page``; other machines send ``token`` (RFC 6750)."""
    routes = Blueprint("metrics", __name__)

    @routes.get("/metrics")
    def metrics() -> Response:
        if not (is_from_this_machine(request) or _is_authorized(token)):
            abort(404)
        return Response(page(), content_type=_TYPE)

    return routes


def _is_authorized(token: str | None) -> bool:
    if token is None:
        return False
    sent = request.headers.get("Authorization", "")
    return hmac.compare_digest(sent.encode(), f"Bearer {token}".encode())


PATH = "/"


def start_page(
    base_url: str, cookies: BrowserCookies, upstreams: Mapping[str, Upstream]
) -> Blueprint:
    """Return the page at ``base_url``, with a form that forgets the remembered upstream."""
    routes = Blueprint("start", __name__)

    @routes.get(PATH)
    def show() -> str:
        remembered = upstreams.get(cookies.upstream() or "")
        way = spoken(remembered.label if remembered else None)
        return render_template("start.html", step="start", way=way)

    @routes.post(PATH)
    def forget() -> Response:
        # A form outside a login has no token. The check of the origin is enough: another site could
        # only make the person choose an upstream again.
        if not same_origin(request.headers, base_url):
            raise TokenRefused("a form from another origin")
        response = redirect(f"{base_url}{PATH}", 303)
        cookies.remember_upstream(response, None)
        return response

    return routes


FAVICON: Final = "favicon"
OURS: Final = Path(__file__).parent / "static" / "favicon.svg"
# Replaces the colour of style.css, with a lighter shade of it in the dark scheme.
_COLOURS: Final = """\
:root {{ --brand: {0}; --link: {0}; --button-text: {0}; --button-over: var(--panel); --filled: {0};
  --filled-over: var(--text); --note: {0}; }}
@media (prefers-color-scheme: dark) {{ :root {{ --link: {1}; --button-text: {1};
  --button-over: var(--page); --filled: {1}; --filled-over: #fff; --note: {1}; }} }}
"""
_TYPES: Final = {".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon"}


class Picture(NamedTuple):
    """The bytes of a picture and their media type."""

    octets: bytes
    mimetype: str


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures by name, read once.

    The broker neither fetches nor links the mdui:Logo of a descriptor: the logo's server would
    learn who uses which service.
    """

    base_url: str
    by_name: Mapping[str, Picture]

    @classmethod
    def read(cls, base_url: str, files: Mapping[str, Path], colour: str | None) -> "Pictures":
        """Read ``files``, and the default favicon if they have none; write the colours."""
        by_name = {}
        if colour:
            by_name["colours"] = Picture(write_colours(colour).encode(), "text/css")
        for name, path in {FAVICON: OURS, **files}.items():
            by_name[name] = Picture(path.read_bytes(), _TYPES[path.suffix])
        return cls(base_url, by_name)

    def url(self, name: str) -> str:
        """Return the address of a picture, which changes with the file; "" if there is none."""
        picture = self.by_name.get(name)
        if picture is None:
            return ""
        return file_url(self.base_url, f"pictures/{name}", picture.octets)


def write_colours(colour: str) -> str:
    """Return the stylesheet with the colour of the library, written as #0b4a5e."""
    lighter = bytes(255 - (255 - part) * 35 // 100 for part in bytes.fromhex(colour[1:]))
    return _COLOURS.format(colour, f"#{lighter.hex()}")


def picture_pages(pictures: Pictures) -> Blueprint:
    """Return ``/pictures/<name>``, and ``/favicon.ico``, which browsers request by themselves."""
    routes = Blueprint("pictures", __name__)

    @routes.get("/pictures/<name>")
    def show(name: str) -> Response:
        picture = pictures.by_name.get(name)
        if picture is None:
            abort(404)
        response = Response(picture.octets, mimetype=picture.mimetype)
        return protect(response, pictures.base_url, "static")

    @routes.get("/favicon.ico")
    def favicon() -> Response:
        return show(FAVICON)

    return routes


# The codes of REFEDS errorURL. Any other code, or an unfilled placeholder, counts as the last one.
_OTHER: Final = "at_service_other"
_REASONS: Final = {
    "IDENTIFICATION_FAILURE": "at_service_identification",
    "AUTHENTICATION_FAILURE": "at_service_authentication",
    "AUTHORIZATION_FAILURE": "at_service_authorization",
    "OTHER_ERROR": _OTHER,
}


def service_error_page(ports: WebPorts) -> Blueprint:
    """Return ``/error``, our errorURL. Its query selects a known reason and is never shown."""
    routes = Blueprint("service_errors", __name__)

    @routes.get("/error")
    def error() -> Response:
        reason = _REASONS.get(request.args.get("code", ""), _OTHER)
        service = _service(ports, request.args.get("rp", ""))
        reference = ports.make_stranger_reference("/error", reason)
        facts = {"reference": reference, "reason": reason, "service": service}
        ports.tell(BrokerEvent(EventKind.SERVICE_ERROR_SHOWN, facts))
        return StepPages(ports).error(reason, 200, reference, service=service)

    return routes


def _service(ports: WebPorts, entity_id: str) -> str | None:
    """Return the name of the service with this entityID, or None."""
    named = (each.name for each in ports.services.values() if each.entity_id == entity_id)
    return next(named, None)
