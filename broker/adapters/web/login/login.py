"""The login endpoints: each adds one fact to the transaction and shows what comes next."""

from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from flask import Blueprint, Request, redirect, request
from werkzeug.wrappers import Response

from broker.adapters.web.pages.form_tokens import SubmittedForm
from broker.adapters.web.pages.step_pages import StepPages
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.errors import NO_PASSIVE, BrowserUnmatched, CookiesNeeded, MessageRefused
from broker.core.login.steps import Issue, Refuse
from broker.core.login.transaction import Errand, Transaction
from broker.flows.transactions import Held


def pairs(of: Request) -> Sequence[tuple[str, str]]:
    """Give a form's pairs in full: a parameter that stands twice must be seen twice (attacks 14)."""
    return tuple(of.form.items(multi=True))


def blueprint(login: "LoginEndpoints") -> Blueprint:
    """Give ``/saml/idp/sso``, ``/saml/sp/<upstream>/acs`` and ``/login/<transaction>``."""
    rooms = Blueprint("login", __name__)
    rooms.add_url_rule("/saml/idp/sso", "sso", login.sso, methods=["GET", "POST"])
    rooms.add_url_rule("/saml/sp/<upstream>/acs", "acs", login.acs, methods=["POST"])
    rooms.add_url_rule("/login/<name>", "show", login.show, methods=["GET"])
    rooms.add_url_rule(
        "/login/<name>/upstream", "upstream", login.upstream, methods=["GET", "POST"]
    )
    return rooms


class LoginEndpoints:
    """The endpoints over one desk."""

    def __init__(self, desk: WebPorts, pages: StepPages) -> None:
        """Take what the endpoints reach and what shows their steps."""
        self.desk, self.pages = desk, pages

    def sso(self) -> Response:
        """Begin a transaction for a service's AuthnRequest and send the browser to it (design 4a.1)."""
        desk, now = self.desk, self.desk.now()
        if request.method == "GET":
            asked = desk.service_face.read_redirect(
                request.query_string.decode("ascii", "replace"), now
            )
        else:
            asked = desk.service_face.read_post(pairs(request), now)
        browsers = desk.cookies.browsers(request) if request.method == "GET" else ()
        browser = browsers[0] if browsers else None
        held, outstanding = desk.broker.begin(asked, now, browser, shared=desk.shared(request))
        if outstanding:
            return self.pages.leaving.away(held, outstanding)
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
                force_authn=transaction.forced,
                now=now,
                idp_list=transaction.request.idp_list,
            )
            x = desk.broker.arrivals.add(
                transaction.id,
                request_id,
                received.answer,
                (received.message_id, received.until),
                now,
            )
        except MessageRefused as refused:
            if refused.cause != "response.replayed":
                desk.broker.spoil(held, outstanding, now)
            raise
        return redirect(f"{self.pages.url(transaction)}?arrival={x}", 303)

    def show(self, name: str) -> Response:
        """Continue a transaction in its browser."""
        desk, now = self.desk, self.desk.now()
        arrival = request.args.get("arrival")
        if arrival is not None:
            return self._arrived(
                desk.broker.read(name, now), arrival, desk.cookies.browsers(request)
            )
        held = self.bound(name, self.pages.url)
        if isinstance(held, Response):
            return held
        transaction = held.transaction
        if transaction.upstream is None and (way := self._remembered(transaction)):
            local = way in desk.broker.rules.local
            return (
                redirect(self.pages.url(transaction, "pin"), 303)
                if local
                else self.pages.to_upstream(held, way)
            )
        # A refusal of the upstream's names nobody: b suffices to see it, and no cookie a is spent
        # on it.
        if transaction.authentication is not None and not desk.cookies.brings_authentication(
            request, transaction
        ):
            return redirect(self.pages.url(transaction, "upstream"), 303)
        return self.pages.show(desk.broker.resumed(held, now))

    def bound(self, name: str, url: Callable[[Transaction], str]) -> Held | Response:
        """Give the transaction, bound to this browser; or the answer that sets cookie b and comes back to ``url`` once.

        BrowserUnmatched where it is another browser's, CookiesNeeded where the browser keeps none
        (design 4a.1).
        """
        desk, now = self.desk, self.desk.now()
        held, browsers = desk.broker.read(name, now), desk.cookies.browsers(request)
        transaction = held.transaction
        if transaction.browser is None:
            if not browsers:
                return self._introduce(held, url)
            return desk.broker.bind(held, browsers[0], now, shared=desk.shared(request))
        if transaction.browser not in browsers:
            raise BrowserUnmatched("not the browser of this transaction")
        return held

    def _introduce(self, held: Held, url: Callable[[Transaction], str]) -> Response:
        """Set cookie b and come back once to see whether the browser keeps it."""
        if request.args.get("cookie"):
            if held.transaction.request.is_passive:
                return self.pages.refused(held, Refuse(CookiesNeeded.reason, NO_PASSIVE))
            raise CookiesNeeded("no cookie after it was set")
        back = url(held.transaction)
        response = redirect(f"{back}{'&' if '?' in back else '?'}cookie=1", 303)
        self.desk.cookies.new_browser(response)
        return response

    def _remembered(self, transaction: Transaction) -> str | None:
        """Give the way that this browser's person asked us to remember, if it is one of this request's."""
        way = (
            None
            if transaction.shared or transaction.request.is_passive
            else self.desk.cookies.way(request)
        )
        ways = self.desk.broker.rules.ways(transaction.request, transaction.errand)
        return way if transaction.errand is Errand.LOGIN and way in ways else None

    def _arrived(self, held: Held, x: str, browsers: Sequence[str]) -> Response:
        desk, browser = self.desk, held.transaction.browser
        if browser in browsers and desk.shared(request):
            # Asked for elsewhere, without ForceAuthn, it answers nothing: the person before may
            # have left it open here.
            held = desk.broker.bind(held, str(browser), desk.now(), shared=True)
        joined = desk.broker.match(held, x, browsers, desk.now())
        if joined is None:
            return redirect(self.pages.url(held.transaction, "upstream"), 303)
        transaction = joined.transaction
        step = desk.broker.step(joined, desk.now())
        issuing = isinstance(step, Issue)
        response = (
            self.pages.show(joined, step) if issuing else redirect(self.pages.url(transaction), 303)
        )
        if transaction.authentication is not None:
            desk.cookies.authenticated(request, response, transaction, x)
        return response

    def upstream(self, name: str) -> Response:
        """Show the ways to log in, or take the chosen one."""
        desk, now = self.desk, self.desk.now()
        held = self.of_browser(name)
        if request.method == "POST":
            form = desk.forms.read(request, held.transaction, "upstream", now)
            return self._chosen(held, form)
        if "to" not in request.args:
            return self.pages.choose(held)
        desk.forms.hold(
            request.args.get("token", ""), held.transaction, f"to {request.args['to']}", now
        )
        return self.pages.to_upstream(held, request.args["to"])

    def _chosen(self, held: Held, form: SubmittedForm) -> Response:
        desk, transaction, upstream = self.desk, held.transaction, form.one("upstream")
        if upstream in desk.broker.rules.local:
            url = self.pages.url(transaction, "pin")
        else:
            token = desk.forms.token(transaction, f"to {upstream}", desk.now())
            # A form POST never redirects off-site (design 4a): a page leads to our own GET, which
            # does.
            url = f"{self.pages.url(transaction, 'upstream')}?{urlencode({'to': upstream, 'token': token})}"
        response = self.pages.onward(held, url)
        known = upstream in desk.broker.rules.ways(transaction.request, transaction.errand)
        if not transaction.shared and known:
            desk.cookies.remember_way(
                request, response, upstream if form.one("remember", "") else None
            )
        return response

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
        now = self.desk.now()
        return self.desk.broker.resumed(held, now)
