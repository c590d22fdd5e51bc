"""Shows a step: the one place where what comes next becomes an answer to the browser."""

from typing import Final, assert_never

from flask import redirect, render_template, request
from werkzeug.wrappers import Response

from broker.adapters.web.pages import consent_screen, sign_up_result
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.outgoing_saml import OutgoingSaml
from broker.adapters.web.pages.reason_texts import explain
from broker.adapters.web.pages.refusal_links import sign_up_link, upstream_help_url
from broker.adapters.web.pages.security_headers import protect
from broker.adapters.web.pages.web_ports import WebPorts
from broker.core.audit_events import AuditEventKind, of_login
from broker.core.errors import NO_PASSIVE
from broker.core.login.steps import (
    Ask,
    Authenticate,
    Choose,
    Done,
    Enrol,
    Issue,
    OfferUpgrade,
    ProveMailbox,
    Refuse,
    Step,
    VerifyPin,
)
from broker.core.login.transaction import Errand, Transaction
from broker.flows.transactions import Held

_PAGES: Final[dict[type[Step], str]] = {
    VerifyPin: "pin",
    ProveMailbox: "proof",
    OfferUpgrade: "upgrade",
    Ask: "consent",
}


class StepPages:
    """The pages over one desk."""

    def __init__(self, desk: WebPorts) -> None:
        """Take what pages need."""
        self.desk, self.leaving = desk, OutgoingSaml(desk)

    def url(self, transaction: Transaction, page: str = "") -> str:
        """Give the address of a transaction, or of one of its pages, built from base_url."""
        return f"{self.desk.base_url}/login/{transaction.id}" + (f"/{page}" if page else "")

    def show(self, held: Held, decided: Step | None = None) -> Response:
        """Answer with what comes next; ``decided`` is the step of ``held`` where the caller knows it already."""
        step = decided or self.desk.broker.step(held, self.desk.now())
        match step:
            case Choose():
                return self.choose(held)
            case Authenticate():
                return self.to_upstream(held, step.upstream)
            case VerifyPin() | ProveMailbox() | OfferUpgrade() | Ask():
                return redirect(self.url(held.transaction, _PAGES[type(step)]), 303)
            case Enrol():
                return self._enrol(held)
            case Issue():
                return self._issue(held, step)
            case Done():
                return self.done(held, step)
            case Refuse():
                return self.refused(held, step)
            case _:
                assert_never(step)

    def choose(self, held: Held) -> Response:
        """Show the ways to log in; a request that may show no page is answered instead (IsPassive)."""
        desk, transaction = self.desk, held.transaction
        if transaction.request.is_passive:
            return self.refused(held, Refuse("passive", NO_PASSIVE))
        ways = desk.broker.rules.ways(transaction.request, transaction.errand)
        numbered = desk.broker.rules.tells(transaction.request.service, "cpr")
        return self.page(
            "choose.html",
            "choose",
            transaction,
            action=self.url(transaction, "upstream"),
            ways=[
                (name, desk.upstreams[name].label[language()], name in desk.broker.rules.local)
                for name in ways
            ],
            token=desk.forms.token(transaction, "upstream", desk.now()),
            again=bool(transaction.sent),
            tells=numbered and any(name not in desk.broker.rules.local for name in ways),
            rememberable=len(ways) > 1 and not transaction.shared,
            remembered=desk.cookies.way(request) is not None,
        )

    def offer(self, held: Held, step: OfferUpgrade) -> Response:
        """Show what another category would change, and that nothing changes without a yes."""
        policy = step.decision.policy
        return self.page(
            "upgrade.html",
            "upgrade",
            held.transaction,
            affiliation=policy.label[language()] if policy else "",
            token=self.desk.forms.token(held.transaction, "upgrade", self.desk.now()),
        )

    def done(self, held: Held, step: Done) -> Response:
        """Show what an errand came to, or the page where it is done."""
        transaction, desk = held.transaction, self.desk
        if transaction.errand is not Errand.SIGN_UP:
            page = "my-choices" if transaction.errand is Errand.CHOICES else "pin"
            return redirect(f"{desk.base_url}/{page}?login={transaction.id}", 303)
        return self.page(
            "done.html",
            "done",
            transaction,
            **sign_up_result.sign_up_result(step, held, desk),
        )

    def onward(self, held: Held, url: str) -> Response:
        """Send the browser on by a page to ``url``, which is ours: a form POST never redirects off-site (design 4a)."""
        return self.page("onward.html", "authenticate", held.transaction, url=url)

    def ask(self, held: Held, step: Ask) -> Response:
        """Show the consent or notice screen."""
        desk, transaction, now = self.desk, held.transaction, self.desk.now()
        shown = step.question.disclosure.shown(desk.broker.pseudonyms)
        service = desk.services[transaction.request.service]
        return self.page(
            "consent.html",
            "ask",
            transaction,
            token=desk.forms.token(transaction, "consent", now, shown),
            screen=consent_screen.consent(step, service, desk.labels, language(), transaction, now),
            choices=f"{desk.base_url}/my-choices",
            temporary=self.url(transaction, "pin?temporary=1"),
            kept={},
        )

    def reveal(self, held: Held, number: str) -> Response:
        """Show a person their own CPR number."""
        return self.page(
            "reveal.html",
            "reveal",
            held.transaction,
            number=number,
            back=self.url(held.transaction, "consent"),
        )

    def refused(self, held: Held, step: Refuse) -> Response:
        """Say why the login ends, what the person can do, and offer the way back to the service."""
        desk, transaction = self.desk, held.transaction
        desk.events(
            "refused",
            reference=transaction.reference,
            service=transaction.request.service,
            upstream=transaction.upstream,
            reason=step.reason,
            policy=step.decision.digest[:12] if step.decision else None,
        )
        desk.trail.add(
            of_login(
                AuditEventKind.REFUSED, desk.now(), transaction, step.decision, reason=step.reason
            )
        )
        # An errand of our own has no service to go back to, and nobody who waits for a status.
        form = (
            self.leaving.refusal(transaction, step.status)
            if transaction.errand is Errand.LOGIN
            else None
        )
        if transaction.request.is_passive and form:
            return self.leaving.post(form, transaction.request.service)
        self._leave(transaction, "refuse", step.reason)
        response = self.page(
            "declined.html" if step.reason == "consent_refused" else "refused.html",
            "refuse",
            transaction,
            reason=step.reason,
            form=form,
            review=self.url(transaction, "consent"),
            retry=self.url(transaction, "upstream"),
            token=desk.forms.token(transaction, "consent", desk.now()),
            onward=sign_up_link(step, transaction, desk.sign_up),
            abroad=upstream_help_url(step, transaction, desk),
            signing_up=transaction.errand is Errand.SIGN_UP,
            kept={},
        )
        response.status_code = 200 if step.reason == "consent_refused" else 403
        return protect(response, desk.base_url, "leaving")

    def error(self, reason: str, status: int, reference: str, retry: str | None) -> Response:
        """Show something that went wrong outside a step; ``retry`` is where the person may try again."""
        page = render_template(
            "error.html",
            step="error",
            reason=reason,
            reference=reference,
            now=self.desk.now(),
            explain=explain,
            retry=retry,
        )
        return Response(page, status, mimetype="text/html")

    def to_upstream(self, held: Held, upstream: str) -> Response:
        """Send the browser to ``upstream`` with a new AuthnRequest."""
        desk, now = self.desk, self.desk.now()
        return self.leaving.away(*desk.broker.ask_upstream(held, upstream, now))

    def _enrol(self, held: Held) -> Response:
        desk = self.desk
        held = desk.broker.enrol(held, desk.now(), language=language(), patience=desk.patience)
        step = desk.broker.step(held, desk.now())
        if isinstance(step, Done):
            account = held.transaction.account
            desk.events(
                "signed_up",
                reference=held.transaction.reference,
                upstream=held.transaction.upstream,
                affiliation=step.decision.affiliation if step.decision else None,
                outcome=account.outcome if account else None,
            )
        if not isinstance(step, Enrol):
            return self.show(held, step)
        if held.transaction.request.is_passive:
            return self.refused(held, Refuse("passive", NO_PASSIVE, step.decision))
        self._leave(held.transaction, "enrol", "library_unavailable")
        return self.page(
            "enrolling.html", "enrol", held.transaction, url=self.url(held.transaction), kept={}
        )

    def _issue(self, held: Held, step: Issue) -> Response:
        desk = self.desk
        standing = desk.broker.answers.reread(held, desk.now())
        left = self.leaving.issue(held, step) if standing is held else "changed"
        if left == "changed":
            # Another request of this browser wrote a fact meanwhile: whatever is next now is
            # decided anew.
            return self.show(self.desk.broker.transactions.again(held, self.desk.now()))
        return (
            self.error("finished", 410, held.transaction.reference, None)
            if left == "over"
            else left
        )

    def _leave(self, transaction: Transaction, step: str, reason: str) -> None:
        self.desk.traces.leave(
            transaction.reference,
            self.desk.now(),
            known=True,
            step=step,
            upstream=transaction.upstream,
            reason=reason,
        )

    def page(
        self, template: str, step: str, transaction: Transaction, **values: object
    ) -> Response:
        """Give a page of a transaction: its template, the step it shows, and whatever else the template names."""
        desk = self.desk
        asked = transaction.errand is Errand.LOGIN
        service = (desk.services[transaction.request.service].label if asked else desk.library)[
            language()
        ]
        page = render_template(
            template,
            step=step,
            service=service,
            reference=transaction.reference,
            now=desk.now(),
            explain=explain,
            **{"shared": transaction.shared, **values},
        )
        return Response(page, mimetype="text/html")
