"""The login endpoints: each adds one fact to the transaction and shows what comes next."""

from collections.abc import Sequence
from urllib.parse import urlencode

from flask import Blueprint, Request, redirect, request
from werkzeug.wrappers import Response

from broker.core.errors import NO_PASSIVE, BrowserUnmatched, CookiesNeeded, MessageRefused
from broker.core.steps import Issue
from broker.core.transaction import Transaction
from broker.transactions import Held
from broker.web.desk import Desk
from broker.web.pages import Pages


def pairs(of: Request) -> Sequence[tuple[str, str]]:
    """Give a form's pairs in full: a parameter that stands twice must be seen twice (attacks 14)."""
    return tuple(of.form.items(multi=True))


def blueprint(login: "Login") -> Blueprint:
    """Give ``/saml/idp/sso``, ``/saml/sp/<upstream>/acs`` and ``/login/<transaction>``."""
    rooms = Blueprint("login", __name__)
    rooms.add_url_rule("/saml/idp/sso", "sso", login.sso, methods=["GET", "POST"])
    rooms.add_url_rule("/saml/sp/<upstream>/acs", "acs", login.acs, methods=["POST"])
    rooms.add_url_rule("/login/<name>", "show", login.show, methods=["GET"])
    rooms.add_url_rule("/login/<name>/upstream", "upstream", login.upstream, methods=["GET", "POST"])
    return rooms


class Login:
    """The endpoints over one desk."""

    def __init__(self, desk: Desk, pages: Pages) -> None:
        """Take what the endpoints reach and what shows their steps."""
        self.desk, self.pages = desk, pages

    def sso(self) -> Response:
        """Begin a transaction for a service's AuthnRequest and send the browser to it (design 4a.1)."""
        desk, now = self.desk, self.desk.now()
        if request.method == "GET":
            asked = desk.service_face.read_redirect(request.query_string.decode("ascii", "replace"), now)
        else:
            asked = desk.service_face.read_post(pairs(request), now)
        browsers = desk.cookies.browsers(request) if request.method == "GET" else ()
        held, outstanding = desk.broker.begin(asked, now, browsers[0] if browsers else None)
        if outstanding:
            return self.pages.away(held, outstanding)
        return redirect(self.pages.url(held.transaction), 303)

    def acs(self, upstream: str) -> Response:
        """Verify an upstream's answer and send the browser on with its arrival; no cookie is read or set."""
        desk, now = self.desk, self.desk.now()
        if upstream not in desk.upstreams:
            raise MessageRefused("response.unknown_upstream")
        message, request_id = desk.upstream_face.in_response_to(upstream, pairs(request))
        held, outstanding = desk.broker.awaited(request_id, upstream, now)
        transaction = held.transaction
        try:
            received = desk.upstream_face.receive(
                upstream,
                message,
                outstanding,
                force_authn=transaction.request.force_authn,
                now=now,
                idp_list=transaction.request.idp_list,
            )
            x = desk.broker.arrivals.add(
                transaction.id, request_id, received.answer, (received.message_id, received.until), now
            )
        except MessageRefused as refused:
            if refused.cause != "response.replayed":
                desk.broker.spoil(held, outstanding, now)
            raise
        return redirect(f"{self.pages.url(transaction)}?arrival={x}", 303)

    def show(self, name: str) -> Response:
        """Continue a transaction in its browser."""
        desk, now = self.desk, self.desk.now()
        held = desk.broker.read(name, now)
        browsers = desk.cookies.browsers(request)
        arrival = request.args.get("arrival")
        if arrival is not None:
            return self._arrived(held, arrival, browsers)
        transaction = held.transaction
        if transaction.browser is None:
            if not browsers:
                return self._introduce(transaction)
            held = desk.broker.bind(held, browsers[0], now)
            transaction = held.transaction
        elif transaction.browser not in browsers:
            raise BrowserUnmatched("not the browser of this transaction")
        # A refusal of the upstream's names nobody: b suffices to see it, and no cookie a is spent on it.
        if transaction.authentication is not None and not desk.cookies.brings_authentication(request, transaction):
            return redirect(self.pages.url(transaction, "upstream"), 303)
        return self.pages.show(desk.broker.learnt(held, now))

    def _introduce(self, transaction: Transaction) -> Response:
        """Set cookie b and come back once to see whether the browser keeps it."""
        if request.args.get("cookie"):
            if transaction.request.is_passive:
                return self.pages.post(self.pages.refusal(transaction, NO_PASSIVE), transaction.request.service)
            raise CookiesNeeded("no cookie after it was set")
        response = redirect(f"{self.pages.url(transaction)}?cookie=1", 303)
        self.desk.cookies.new_browser(response)
        return response

    def _arrived(self, held: Held, x: str, browsers: Sequence[str]) -> Response:
        desk = self.desk
        joined = desk.broker.match(held, x, browsers, desk.now())
        if joined is None:
            return redirect(self.pages.url(held.transaction, "upstream"), 303)
        transaction = joined.transaction
        step = desk.broker.step(transaction, desk.now())
        issuing = isinstance(step, Issue)
        response = self.pages.show(joined, step) if issuing else redirect(self.pages.url(transaction), 303)
        if transaction.authentication is not None:
            desk.cookies.authenticated(request, response, transaction, x)
        return response

    def upstream(self, name: str) -> Response:
        """Show the ways to log in, or take the chosen one."""
        desk, now = self.desk, self.desk.now()
        held = self.of_browser(name)
        if request.method == "POST":
            form = desk.forms.read(request, held.transaction, "upstream", now)
            upstream = form.one("upstream")
            token = desk.forms.token(held.transaction, f"to {upstream}", now)
            # A form POST never redirects off-site (design 4a): a page leads to our own GET, which does.
            query = urlencode({"to": upstream, "token": token})
            return self.pages.onward(held, f"{self.pages.url(held.transaction, 'upstream')}?{query}")
        if "to" not in request.args:
            return self.pages.choose(held)
        desk.forms.hold(request.args.get("token", ""), held.transaction, f"to {request.args['to']}", now)
        return self.pages.to_upstream(held, request.args["to"])

    def of_browser(self, name: str) -> Held:
        """Give the transaction if the browser's cookie b is its own; BrowserUnmatched otherwise."""
        held = self.desk.broker.read(name, self.desk.now())
        browser = held.transaction.browser
        if browser is None or browser not in self.desk.cookies.browsers(request):
            raise BrowserUnmatched("not the browser of this transaction")
        return held

    def of_person(self, name: str) -> Held:
        """Give the transaction if cookies b and a are its own (design 4a.4); BrowserUnmatched otherwise."""
        held = self.of_browser(name)
        if not self.desk.cookies.brings_authentication(request, held.transaction):
            raise BrowserUnmatched("not the browser of this authentication")
        return self.desk.broker.learnt(held, self.desk.now())
