"""The start page: what this login service is, and where a person goes from here."""

from collections.abc import Mapping

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.pages.cookies import BrowserCookies
from broker.adapters.web.pages.language import spoken
from broker.adapters.web.pages.security_headers import same_origin
from broker.core.entities import Upstream
from broker.core.errors import TokenRefused

PATH = "/"


def blueprint(
    base_url: str, cookies: BrowserCookies, upstreams: Mapping[str, Upstream]
) -> Blueprint:
    """Return the page at ``base_url``, and the form there that forgets a remembered way."""
    routes = Blueprint("start", __name__)

    @routes.get(PATH)
    def show() -> str:
        remembered = upstreams.get(cookies.upstream(request) or "")
        way = spoken(remembered.label if remembered else None)
        return render_template("start.html", step="start", way=way)

    @routes.post(PATH)
    def forget() -> Response:
        # No login, hence no token: another site could only make the person choose again, and the
        # browser says where the form stood.
        if not same_origin(request.headers, base_url):
            raise TokenRefused("a form from another origin")
        response = redirect(f"{base_url}{PATH}", 303)
        cookies.remember_upstream(request, response, None)
        return response

    return routes
