"""SAML messages sent through the browser: AuthnRequests to upstreams, Responses to services."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask import current_app, redirect, render_template
from werkzeug.wrappers import Response

from broker.adapters.web.pages.language import language, localize_text
from broker.adapters.web.pages.page_security import protect
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.entities import Text
from broker.core.errors import Status
from broker.core.events.broker_events import EventKind
from broker.core.login.transaction import Outstanding, Transaction
from broker.core.saml_ports import PostForm
from broker.use_cases.transactions.transactions import LoginContext

_REQUEST_FIELDS: Final = ("SAMLRequest", "RelayState")


@dataclass(frozen=True, slots=True)
class OutgoingSaml:
    """Makes the answers that send SAML messages through the browser."""

    ports: WebPorts

    def send_to_upstream(self, context: LoginContext, upstream: str) -> Response:
        """Send the browser to ``upstream`` with a new AuthnRequest.

        Before the authentication, every AuthnRequest after the first one counts as a new login
        against the limit of the network. Without this limit, a visitor could fill the message log,
        which may keep each request for half a year.
        """
        ports = self.ports
        if context.transaction.sent and context.transaction.authentication is None:
            ports.limits.count_beginning()
        return self.send_request(*ports.login_flow.ask_upstream(context, upstream, ports.now()))

    def send_request(self, context: LoginContext, outstanding: Outstanding) -> Response:
        """Send the browser to the upstream with the AuthnRequest ``outstanding``."""
        ports = self.ports
        transaction = context.transaction
        upstream = outstanding.upstream
        asked, reference = transaction.upstream_request, transaction.reference
        message = ports.messages.ask(ports.sp_role, asked, outstanding, reference)
        ports.tell_login(EventKind.UPSTREAM_ASKED, transaction, {"upstream": upstream})
        return self.send_message(message, "authenticate", ports.upstreams[upstream].label)

    def send_message(self, message: str | PostForm, step: str, party: Text) -> Response:
        """Return the answer that sends ``message``: a redirect, or a page that posts it."""
        if isinstance(message, str):
            return redirect(message, 302)
        page = render_template(
            "peer_post.html", form=message, step=step, party=localize_text(party)
        )
        return self.posting_page(page)

    def posting_page(self, page: str, status: int = 200) -> Response:
        """Return a page with a form that posts to another site."""
        response = Response(page, status, mimetype="text/html")
        return protect(response, self.ports.base_url, "leaving")

    def introduce(self, back: str) -> Response:
        """Set the browser cookie and redirect to ``back``, which checks that it was accepted."""
        response = redirect(back, 303)
        self.ports.cookies.set_browser_cookie(response)
        return response

    def post_again(self, fields: Mapping[str, str]) -> Response:
        """Return a page that posts a service's AuthnRequest again, now from the broker's origin.

        The browser then sends the broker's cookies with it.
        """
        ports = self.ports
        kept = {name: fields[name] for name in _REQUEST_FIELDS if name in fields}
        form = PostForm(f"{ports.base_url}/saml/idp/sso", kept)
        return self.send_message(form, "authenticate", ports.library_name)

    def post_to_service(self, form: PostForm, service: str, *, shared: bool = False) -> Response:
        """Return the page that posts ``form`` to the service.

        On a shared computer the person presses the button, and reads how to log out first.
        """
        lang = language()
        label = self.ports.services[service].label[lang]
        if shared:
            page = render_template("post_shared.html", form=form, step="issue", service=label)
        else:
            template = current_app.jinja_env.get_template("post.html")
            page = template.render(form=form, service=label, lang=lang)
        return self.posting_page(page)

    def make_refusal(self, transaction: Transaction, status: Status) -> PostForm:
        """Return the error Response that takes the person back to the service."""
        # The id follows from the transaction, so that a second return sends the same Response.
        return self.ports.idp_role.refuse(
            transaction.request, status, f"_r{transaction.id}", self.ports.now()
        )
