"""The end of a visit to a computer that others use too: the button for it, and the last page."""

from contextlib import suppress
from dataclasses import dataclass

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login import LoginEndpoints
from broker.adapters.web.pages.security_headers import same_origin
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.errors import BrowserUnmatched, TokenRefused, TransactionGone


def blueprint(ports: WebPorts, login: LoginEndpoints) -> Blueprint:
    """Return ``/end``."""
    shared = SharedComputer(ports, login)
    routes = Blueprint("shared_computer", __name__)
    routes.post("/end")(shared.end)
    return routes


@dataclass(frozen=True, slots=True)
class SharedComputer:
    """The endpoint over the web ports."""

    ports: WebPorts
    login: LoginEndpoints

    def end(self) -> Response:
        """End the login of the page whose button was pressed, and drop what the browser keeps.

        It has no token of a transaction, which may be over: that the form is our own page's, and
        the browser cookie for the transaction, are all it takes to end something of one's own.
        """
        if not same_origin(request.headers, self.ports.base_url):
            raise TokenRefused("a form of another site")
        with suppress(TransactionGone, BrowserUnmatched):
            held = self.login.of_browser(request.form.get("login", ""))
            self.ports.broker.transactions.end(held)
        response = Response(render_template("ended.html", step="end"), mimetype="text/html")
        self.ports.cookies.drop_all(request, response)
        return response
