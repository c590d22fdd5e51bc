"""The login endpoints: each adds one fact to the transaction and shows what comes next."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from flask import Blueprint, Request, g, redirect, request
from werkzeug.wrappers import Response

from broker.adapters.web.login.login_pages import LoginPages
from broker.adapters.web.pages.page_links import add_query
from broker.adapters.web.pages.page_security import SubmittedForm, same_origin
from broker.core.errors import FormRefused, MessageRefused, NetworkBusy, StoreUnavailable
from broker.core.login.steps import Issue
from broker.core.login.transaction import LoginPurpose, Transaction
from broker.use_cases.storage.records import MOST_TRIES
from broker.use_cases.transactions.transactions import LoginContext

# The largest form that a page of the broker posts again, so that the browser adds its SameSite=Lax
# cookies. A real AuthnRequest has some kilobytes.
_MOST_POSTED_AGAIN: Final = 32 * 1024


def list_form_fields(request: Request) -> Sequence[tuple[str, str]]:
    """Return all fields of a form: a parameter that is sent twice is listed twice (attacks 14)."""
    return tuple(request.form.items(multi=True))


def raw_query(request: Request) -> str:
    """Return the query unchanged: a signature by HTTP-Redirect is over its octets."""
    return request.query_string.decode("ascii", "replace")


def blueprint(login: "LoginEndpoints") -> Blueprint:
    """Return the routes that begin a login or sign-up, the ACS, and the pages of a transaction.

    ``name`` in these routes is the id of the transaction.
    """
    routes = Blueprint("login", __name__)
    both = ["GET", "POST"]
    routes.route("/saml/idp/sso", methods=both)(login.sso)
    routes.get("/sign-up/begin")(login.begin_sign_up)
    routes.post("/saml/sp/<upstream>/acs")(login.acs)
    routes.get("/login/<name>")(login.show)
    routes.route("/login/<name>/upstream", methods=both)(login.upstream)
    return routes


@dataclass(frozen=True, slots=True)
class LoginEndpoints(LoginPages):
    """The endpoints of a login."""

    def sso(self) -> Response:
        """Begin a transaction for a service's AuthnRequest and redirect to it.

        Source: docs/reference/design.md#4a-1.
        """
        ports = self.ports
        try:
            ports.limits.count_beginning()
        except NetworkBusy:
            if not self._can_retry_with_cookies():
                raise
            return self.post_again(dict(list_form_fields(request)))
        now = ports.now()
        browser = None
        if request.method == "GET":
            asked = ports.idp_role.read_redirect(raw_query(request), now)
            # Only a GET: a cross-site POST brings no SameSite=Lax cookie.
            browser = next(iter(ports.cookies.browsers()), None)
        else:
            asked = ports.idp_role.read_post(list_form_fields(request), now)
        shared = ports.shared()
        context, pending_request = ports.login_flow.begin(asked, now, browser, shared=shared)
        if pending_request:
            return self.send_request(context, pending_request)
        return self.redirect_to(context.transaction)

    def begin_sign_up(self) -> Response:
        """Begin a sign-up with the affiliation that the person named, which is their intent.

        Source: docs/reference/design.md#invariant-7.
        """
        query = request.args
        affiliation = query.get("affiliation", "")
        if affiliation not in self.ports.login_flow.rules.affiliations():
            raise FormRefused("no such affiliation")
        context = self.begin_for(LoginPurpose.SIGN_UP, query.get("upstream"), affiliation)
        return self.redirect_to(context.transaction)

    def acs(self, upstream: str) -> Response:
        """Verify an upstream's answer and redirect with its arrival; no cookie is read or set."""
        ports = self.ports
        now = ports.now()
        if upstream not in ports.upstreams:
            raise MessageRefused("response.unknown_upstream")
        message, request_id = ports.sp_role.parse_response(upstream, list_form_fields(request))
        context, pending_request = ports.login_flow.find_awaited_request(request_id, upstream, now)
        transaction = context.transaction
        try:
            asked, reference = transaction.upstream_request, transaction.reference
            received = ports.messages.receive(
                ports.sp_role, message, asked, pending_request, reference
            )
            identity = received.message_id, received.until
            arrival_token = ports.login_flow.arrivals.add(
                transaction.id, pending_request.id, received.answer, identity, now
            )
        except MessageRefused as refused:
            if refused.cause != "response.replayed":
                ports.login_flow.consume_request(context, pending_request, now)
            raise
        return redirect(add_query(self.url(transaction), {"arrival": arrival_token}), 303)

    def show(self, name: str) -> Response:
        """Continue a transaction in its browser."""
        arrival_token = request.args.get("arrival")
        if arrival_token is not None:
            return self._join_arrival(name, arrival_token)
        context = self.bound(name, self.url)
        if isinstance(context, Response):
            return context
        ports = self.ports
        transaction = context.transaction
        if transaction.upstream is None:
            remembered = self._find_remembered(transaction)
            if remembered in ports.login_flow.rules.local:
                return self.redirect_to(transaction, "pin")
            if remembered:
                return self.send_to_upstream(context, remembered)
        # If the upstream refused, the transaction names no person: the browser cookie is enough to
        # see the page, and no login cookie is set.
        if transaction.authentication is not None and not ports.cookies.brings_login_cookie(
            transaction
        ):
            return self.redirect_to(transaction, "upstream")
        return self.show_next(ports.login_flow.resume(context, ports.now()))

    def upstream(self, name: str) -> Response:
        """Show the ways to log in, or continue with the chosen upstream."""
        forms = self.ports.forms
        context = self.require_browser(name)
        if request.method == "POST":
            return self._send_to_chosen(context, forms.read(context.transaction, "upstream"))
        upstream = request.args.get("to")
        if upstream is None:
            return self.choose(context)
        token = request.args.get("token", "")
        forms.verify(token, context.transaction, _token_scope(upstream))
        return self.send_to_upstream(context, upstream)

    def bind(self, context: LoginContext, browser: str) -> LoginContext | Response:
        """Bind the transaction to the browser.

        If only one upstream is possible and it is not the library account, answer with the
        AuthnRequest to it. One write stores both, before the AuthnRequest is made.
        """
        ports = self.ports
        shared = ports.shared()
        bound, pending_request = ports.login_flow.bind_and_ask(
            context, browser, ports.now(), shared=shared
        )
        if pending_request is None:
            return bound
        return self.send_request(bound, pending_request)

    def url_to(self, transaction: Transaction, upstream: str) -> str:
        """Return the address of the broker that leads to ``upstream``.

        A form POST never redirects off-site (docs/reference/design.md#4a-post).
        """
        if upstream in self.ports.login_flow.rules.local:
            return self.url(transaction, "pin")
        token = self.ports.forms.token(transaction, _token_scope(upstream))
        query = urlencode({"to": upstream, "token": token})
        return f"{self.url(transaction, 'upstream')}?{query}"

    def _can_retry_with_cookies(self) -> bool:
        """Return whether a page of the broker can post the request again, with more cookies.

        A cross-site POST brings no SameSite=Lax cookie. One of these is the mark of an earlier
        login, and browsers with a mark have a separate limit (``NetworkLimits``).
        """
        if request.method != "POST" or same_origin(request.headers, self.ports.base_url):
            return False
        return (request.content_length or 0) <= _MOST_POSTED_AGAIN

    def _find_remembered(self, transaction: Transaction) -> str:
        """Return the upstream that this browser remembers, if this request allows it; else ""."""
        asked = transaction.request
        # Raises RequestRefused if no upstream is possible: call it even if none is remembered.
        upstreams = self.ports.login_flow.rules.list_upstreams(asked, transaction.purpose)
        if transaction.purpose is not LoginPurpose.LOGIN or transaction.shared or asked.is_passive:
            return ""
        upstream = self.ports.cookies.upstream()
        return upstream if upstream and upstream in upstreams else ""

    def _join_arrival(self, name: str, arrival_token: str) -> Response:
        """Join the arrival to its transaction, and set the login cookie for an authentication.

        If another request writes first, read and decide again. Raises StoreUnavailable if that
        happens each time, because so many collisions are a fault of the store.
        """
        for _ in range(MOST_TRIES):
            response = self._try_to_join_arrival(name, arrival_token)
            if response is not None:
                return response
        raise StoreUnavailable("a transaction kept changing")

    def _try_to_join_arrival(self, name: str, arrival_token: str) -> Response | None:
        """Join the arrival once; return None if another request wrote first."""
        ports = self.ports
        matching = ports.login_flow.matching
        brought = matching.read_both(name, arrival_token, ports.now())
        g.context = brought.context
        browsers = ports.cookies.browsers()
        if brought.context.transaction.browser in browsers:
            brought = replace(brought, context=self.note_shared_computer(brought.context))
        joined = matching.match(brought, browsers, ports.now())
        if joined is None:
            return self.redirect_to(brought.context.transaction, "upstream")
        response = self._join(joined)
        transaction = joined.transaction
        if response is not None and transaction.authentication is not None:
            ports.cookies.set_login_cookie(response, transaction, arrival_token)
        return response

    def _join(self, matched: LoginContext) -> Response | None:
        """Store the matched arrival and answer; return None if another request wrote first.

        If the assertion is the next step, one write stores both the upstream's answer and that the
        assertion is issued.
        """
        ports = self.ports
        step = ports.next_step(matched)
        if isinstance(step, Issue):
            return self.issue(matched, step)
        joined = ports.login_flow.matching.store(matched, ports.now())
        return self.redirect_to(joined.transaction) if joined else None

    def _send_to_chosen(self, context: LoginContext, form: SubmittedForm) -> Response:
        """Continue with the chosen upstream, and remember it if the person ticked that.

        A tick at "shared computer" has the effect of a request from ``shared_networks``.
        """
        ports = self.ports
        browser = context.transaction.browser
        is_ticked = bool(form.value("shared", ""))
        if is_ticked and browser:
            context = ports.login_flow.bind(context, browser, ports.now(), shared=True)
        transaction = context.transaction
        upstream = form.value("upstream")
        response = self.onward(context, self.url_to(transaction, upstream))
        if is_ticked:
            ports.cookies.mark_shared(response)
        if upstream in ports.login_flow.rules.list_upstreams(
            transaction.request, transaction.purpose
        ):
            is_remembered = form.value("remember", "") and not transaction.shared
            remembered = upstream if is_remembered else None
            ports.cookies.remember_upstream(response, remembered)
        return response


def _token_scope(upstream: str) -> str:
    """Return the scope of a form token that sends this browser to one upstream and no other."""
    return f"to {upstream}"
