"""The messages that leave in the browser: AuthnRequests to upstreams, Responses to services."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Literal

from flask import redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_security import protect
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.errors import Status
from broker.core.events.audit_events import deciding_line
from broker.core.events.broker_events import EventKind
from broker.core.login.steps import Issue
from broker.core.login.transaction import Outstanding, Transaction
from broker.core.saml_ports import PostForm
from broker.use_cases.transactions.transactions import Held

# An assertion lives five minutes: one given again must still be good at the service.
_GIVEN_AGAIN_FOR: Final = timedelta(minutes=4)
_REQUEST_FIELDS: Final = ("SAMLRequest", "RelayState")


def post_page(template: str, form: PostForm, base_url: str, **values: object) -> Response:
    """Return the page of ``template`` that posts ``form`` to another site by itself."""
    page = render_template(template, form=form, **values)
    return protect(Response(page, mimetype="text/html"), base_url, "leaving")


@dataclass(frozen=True, slots=True)
class OutgoingSaml:
    """The messages that leave through the browser, made of the web ports."""

    ports: WebPorts

    def ask(self, held: Held, upstream: str) -> Response:
        """Send the browser to ``upstream`` with a new AuthnRequest.

        One more for somebody whom nobody has authenticated counts as a beginning: the message log
        may keep each for half a year.
        """
        ports = self.ports
        if held.transaction.sent and held.transaction.authentication is None:
            ports.limits.count_beginning(request)
        return self.away(*ports.broker.ask_upstream(held, upstream, ports.now()))

    def away(self, held: Held, outstanding: Outstanding) -> Response:
        """Send the browser to the upstream with the AuthnRequest that ``outstanding`` records.

        By a redirect, or by a page that posts it.
        """
        ports = self.ports
        now = ports.now()
        transaction = held.transaction
        asked = transaction.request
        if transaction.is_forced != asked.force_authn:
            asked = replace(asked, force_authn=transaction.is_forced)
        leaving = ports.sp_role.ask(outstanding.upstream, outstanding.id, asked, now)
        facts = {"upstream": outstanding.upstream}
        ports.tell_login(EventKind.UPSTREAM_ASKED, transaction, facts)
        if isinstance(leaving, str):
            return redirect(leaving, 302)
        label = ports.upstreams[outstanding.upstream].label[language()]
        return post_page(
            "peer_post.html", leaving, ports.base_url, step="authenticate", party=label
        )

    def post_again(self, fields: Mapping[str, str]) -> Response:
        """Return the page that posts a service's AuthnRequest to us once more, by our origin."""
        ports = self.ports
        kept = {name: fields[name] for name in _REQUEST_FIELDS if name in fields}
        form = PostForm(f"{ports.base_url}/saml/idp/sso", kept)
        label = ports.library[language()]
        page = render_template("peer_post.html", form=form, step="authenticate", party=label)
        return Response(page, mimetype="text/html")

    def post(self, form: PostForm, service: str, *, shared: bool = False) -> Response:
        """Return the page that posts ``form`` to the service.

        On a shared computer the person reads it first.
        """
        ports = self.ports
        label = ports.services[service].label[language()]
        return post_page(
            "post.html", form, ports.base_url, step="issue", service=label, shared=shared
        )

    def issue(self, held: Held, step: Issue) -> Response | Literal["over", "changed"]:
        """Return the page that posts the assertion, recorded as having left.

        "over": it left before, too long ago or as another; "changed": a fact came in between, and
        the login is decided again. TransactionGone where the person has logged out meanwhile.
        """
        ports = self.ports
        now = ports.now()
        transaction = held.transaction
        issuance = ports.broker.issuance
        request = transaction.request
        authentication = ports.broker.issuance.authentication_for_service(held, now)
        issued = issuance.make_ids(held, step, now)
        if authentication is None or issued is None:
            return "over"
        if now > issued.at + _GIVEN_AGAIN_FOR:
            return "over"
        # Written before it is recorded: what cannot be written is not said to have left.
        form = ports.idp_role.respond(request, step.disclosure, authentication, issued)
        subject = ports.idp_role.subject(request, step.disclosure, issued)
        if not issuance.record_release(held, step, issued, subject, now):
            return "changed"
        if transaction.issued is None:
            decision = step.decision
            facts = {
                "service": transaction.request.service,
                "upstream": transaction.upstream,
                "affiliation": decision.affiliation,
                "policy": decision.digest[:12],
                "rule": deciding_line(decision),
                "released": " ".join(item.name for item in step.disclosure.items),
            }
            ports.tell_login(EventKind.ASSERTION_ISSUED, transaction, facts)
        return self.post(form, request.service, shared=transaction.shared)

    def refusal(self, transaction: Transaction, status: Status) -> PostForm:
        """Return the error Response that takes the person back to the service."""
        # The id is the transaction's own, so that going back twice sends the same answer.
        return self.ports.idp_role.refuse(
            transaction.request, status, f"_r{transaction.id}", self.ports.now()
        )
