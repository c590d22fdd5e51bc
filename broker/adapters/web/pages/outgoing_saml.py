"""The answers with which a browser leaves us: to an upstream with a question, to a service with an answer."""

from dataclasses import replace
from datetime import timedelta
from typing import Final, Literal

from flask import redirect, render_template
from werkzeug.wrappers import Response

from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.security_headers import protect
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.errors import Status, TransactionGone
from broker.core.login.steps import Issue
from broker.core.login.transaction import Outstanding, Transaction
from broker.core.ports import PostForm
from broker.flows.transactions import Held

# An assertion lives five minutes: one given again must still be good at the service.
_GIVEN_AGAIN_FOR: Final = timedelta(minutes=4)


class OutgoingSaml:
    """The ways out over one desk."""

    def __init__(self, desk: WebPorts) -> None:
        """Take what they need."""
        self.desk = desk

    def away(self, held: Held, outstanding: Outstanding) -> Response:
        """Redirect to the upstream with the AuthnRequest that ``outstanding`` records."""
        desk, now, transaction = self.desk, self.desk.now(), held.transaction
        asked = replace(transaction.request, force_authn=transaction.forced)
        url = desk.upstream_face.ask(outstanding.upstream, outstanding.id, asked, now)
        desk.events(
            "asked_upstream", reference=transaction.reference, upstream=outstanding.upstream
        )
        return redirect(url, 302)

    def post(self, form: PostForm, service: str, *, shared: bool = False) -> Response:
        """Give the page that posts ``form`` to the service; who is let in on a shared computer reads it first."""
        label = self.desk.services[service].label[language()]
        page = render_template("post.html", step="issue", form=form, service=label, shared=shared)
        return protect(Response(page, mimetype="text/html"), self.desk.base_url, "leaving")

    def issue(self, held: Held, step: Issue) -> Response | Literal["over", "changed"]:
        """Give the page that posts the assertion, recorded as having left.

        "over": it left before, too long ago or as another; "changed": a fact came in between, and
        all is decided anew.
        """
        desk, now, transaction = self.desk, self.desk.now(), held.transaction
        authentication = desk.broker.issuance.vouched(held, now)
        issued = desk.broker.issuance.ids(held, step, now)
        if authentication is None or issued is None or now > issued.at + _GIVEN_AGAIN_FOR:
            return "over"
        # Written before it is recorded: what cannot be written is not said to have left.
        form = desk.service_face.respond(
            transaction.request, step.disclosure, authentication, issued
        )
        if transaction.issued is None and not desk.broker.issuance.record(held, step, issued, now):
            return "changed"
        subject = desk.service_face.subject(transaction.request, step.disclosure, issued)
        if not desk.broker.issuance.keep(held, issued, subject, now):
            raise TransactionGone("its person has logged out")
        if transaction.issued is None:
            desk.events(
                "issued",
                reference=transaction.reference,
                service=transaction.request.service,
                upstream=transaction.upstream,
                affiliation=step.decision.affiliation,
                policy=step.decision.digest[:12],
                released=" ".join(item.name for item in step.disclosure.items),
            )
        return self.post(form, transaction.request.service, shared=transaction.shared)

    def refusal(self, transaction: Transaction, status: Status) -> PostForm:
        """Give the error Response that takes the person back to the service."""
        # The id is the transaction's own, so that going back twice sends the same answer.
        return self.desk.service_face.refuse(
            transaction.request, status, f"_r{transaction.id}", self.desk.now()
        )
