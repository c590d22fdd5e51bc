"""Base class of the pages inside a login: it checks the browser cookie and the login cookie."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from flask import Blueprint, g, request
from werkzeug.wrappers import Response

from broker.adapters.web.pages.page_security import SubmittedForm
from broker.adapters.web.pages.step_pages import StepPages
from broker.core.errors import NO_PASSIVE, BrowserUnmatched, CookiesNeeded, LoginCookieMissing
from broker.core.login.steps import Refuse, Step
from broker.core.login.transaction import LoginPurpose, Transaction
from broker.use_cases.transactions.transactions import LoginContext

S = TypeVar("S", bound=Step)


@dataclass(frozen=True, slots=True)
class LoginPages(StepPages):
    """Pages of a transaction, with the checks that the transaction belongs to the browser."""

    def begin_for(
        self, purpose: LoginPurpose, upstream: str | None = None, intent: str | None = None
    ) -> LoginContext:
        """Begin a transaction without a service's request; the query may name one to return to."""
        ports = self.ports
        ports.limits.count_beginning()
        return ports.login_flow.begin_for(
            purpose,
            ports.now(),
            intent=intent,
            upstream=upstream,
            back=request.args.get("service"),
            shared=ports.shared(),
        )

    def read(self, name: str) -> LoginContext:
        """Return the transaction ``name``, and keep it in ``g`` for a possible error page."""
        context = self.ports.login_flow.read(name, self.ports.now())
        g.context = context
        return context

    def bound(self, name: str, url: Callable[[Transaction], str]) -> LoginContext | Response:
        """Return the transaction bound to this browser, or a redirect that sets the browser cookie.

        The redirect leads to ``url``, once. Raises BrowserUnmatched if the transaction is bound to
        another browser, and CookiesNeeded if the browser keeps no cookie
        (docs/reference/design.md#4a-1).
        """
        ports = self.ports
        context = self.read(name)
        browsers = ports.cookies.browsers()
        bound_to = context.transaction.browser
        if bound_to is None and not browsers:
            return self._introduce(context, url)
        if bound_to is None:
            return self.bind(context, browsers[0])
        if bound_to not in browsers:
            raise BrowserUnmatched("a transaction of another browser")
        return self.note_shared_computer(context)

    def bind(self, context: LoginContext, browser: str) -> LoginContext | Response:
        """Bind the transaction to its first browser; a subclass may return a page instead."""
        shared = self.ports.shared()
        return self.ports.login_flow.bind(context, browser, self.ports.now(), shared=shared)

    def require_browser(self, name: str) -> LoginContext:
        """Return the transaction; raises BrowserUnmatched without its browser cookie."""
        context = self.read(name)
        browser = context.transaction.browser
        if browser is None:
            raise BrowserUnmatched("a transaction that no browser has")
        if browser not in self.ports.cookies.browsers():
            raise BrowserUnmatched("a transaction of another browser")
        return self.note_shared_computer(context)

    def require_person(self, name: str) -> LoginContext:
        """Return the transaction if the request has its browser cookie and its login cookie.

        Raises BrowserUnmatched without the browser cookie, LoginCookieMissing without the other.

        Source: docs/reference/design.md#4a-4.
        """
        context = self.require_browser(name)
        if not self.ports.cookies.brings_login_cookie(context.transaction):
            raise LoginCookieMissing("the login cookie of this authentication is missing")
        return self.ports.login_flow.resume(context, self.ports.now())

    def show_at(
        self, kind: type[S], show: Callable[[LoginContext, S], Response]
    ) -> Callable[[str], Response]:
        """Return the endpoint that shows a step of ``kind``, or redirects to the next step."""

        def show_step(name: str) -> Response:
            context = self.require_person(name)
            step = self.ports.next_step(context)
            if isinstance(step, kind):
                return show(context, step)
            return self.redirect_to(context.transaction)

        return show_step

    def answer_to(
        self, purpose: str, answer: Callable[[LoginContext, SubmittedForm], Response]
    ) -> Callable[[str], Response]:
        """Return the endpoint that passes a form of the person's own login to ``answer``."""

        def take_answer(name: str) -> Response:
            context = self.require_person(name)
            return answer(context, self.ports.forms.read(context.transaction, purpose))

        return take_answer

    def note_shared_computer(self, context: LoginContext) -> LoginContext:
        """Return the transaction, marked as shared if the request is from a shared computer.

        Every request is checked: a computer may use IPv6 for one request and IPv4 for the next, or
        change its network. Answers to AuthnRequests without ForceAuthn are no longer accepted then:
        the previous person may still be logged in at the IdP.
        """
        browser = context.transaction.browser
        if browser is None or context.transaction.shared or not self.ports.shared():
            return context
        return self.ports.login_flow.bind(context, browser, self.ports.now(), shared=True)

    def _introduce(self, context: LoginContext, url: Callable[[Transaction], str]) -> Response:
        """Set the browser cookie and redirect once, to check that the browser keeps it."""
        if request.args.get("cookie"):
            if context.transaction.request.is_passive:
                return self.show_refusal(context, Refuse(CookiesNeeded.reason, NO_PASSIVE))
            raise CookiesNeeded("no cookie after it was set")
        back = url(context.transaction)
        mark = "&" if "?" in back else "?"
        return self.introduce(f"{back}{mark}cookie=1")


def make_routes(
    name: str, address: str, ask: Callable[..., Response], answer: Callable[..., Response]
) -> Blueprint:
    """Return the blueprint of one page: ``ask`` shows it, ``answer`` takes its form."""
    routes = Blueprint(name, __name__)
    routes.get(address)(ask)
    routes.post(address)(answer)
    return routes
