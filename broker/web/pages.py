"""Shows a step: the one place where what comes next becomes an answer to the browser."""

from datetime import timedelta
from typing import Final, assert_never

from flask import redirect, render_template
from werkzeug.wrappers import Response

from broker.core.errors import NO_PASSIVE, Status
from broker.core.ports import PostForm
from broker.core.steps import Ask, Authenticate, Choose, Enrol, Issue, Refuse, Step
from broker.core.transaction import Outstanding, Transaction
from broker.transactions import Held
from broker.web import screens
from broker.web.desk import Desk
from broker.web.language import language
from broker.web.reasons import explain
from broker.web.security import protect

# An assertion lives five minutes: one given again must still be good at the service.
_GIVEN_AGAIN_FOR: Final = timedelta(minutes=4)


class Pages:
    """The pages over one desk."""

    def __init__(self, desk: Desk) -> None:
        """Take what pages need."""
        self.desk = desk

    def url(self, transaction: Transaction, page: str = "") -> str:
        """Give the address of a transaction, or of one of its pages, built from base_url."""
        return f"{self.desk.base_url}/login/{transaction.id}" + (f"/{page}" if page else "")

    def show(self, held: Held, decided: Step | None = None) -> Response:
        """Answer with what comes next; ``decided`` is the step of ``held`` where the caller knows it already."""
        step = decided or self.desk.broker.step(held.transaction, self.desk.now())
        match step:
            case Choose():
                return self.choose(held)
            case Authenticate():
                return self.to_upstream(held, step.upstream)
            case Ask():
                return redirect(self.url(held.transaction, "consent"), 303)
            case Enrol():
                return self._enrol(held)
            case Issue():
                return self._issue(held, step)
            case Refuse():
                return self.refused(held, step)
            case _:
                assert_never(step)

    def choose(self, held: Held) -> Response:
        """Show the ways to log in; a request that may show no page is answered instead (IsPassive)."""
        desk, transaction = self.desk, held.transaction
        if transaction.request.is_passive:
            return self.refused(held, Refuse("passive", NO_PASSIVE))
        ways = desk.broker.rules.ways(transaction.request)
        return self._page(
            "choose.html",
            "choose",
            transaction,
            action=self.url(transaction, "upstream"),
            ways=[(name, desk.upstreams[name].label[language()]) for name in ways],
            token=desk.forms.token(transaction, "upstream", desk.now()),
            again=bool(transaction.sent),
        )

    def onward(self, held: Held, url: str) -> Response:
        """Send the browser on by a page to ``url``, which is ours: a form POST never redirects off-site (design 4a)."""
        return self._page("onward.html", "authenticate", held.transaction, url=url)

    def ask(self, held: Held, step: Ask) -> Response:
        """Show the consent or notice screen."""
        desk, transaction, now = self.desk, held.transaction, self.desk.now()
        shown = step.question.disclosure.shown(desk.broker.pseudonyms)
        service = desk.services[transaction.request.service]
        return self._page(
            "consent.html",
            "ask",
            transaction,
            token=desk.forms.token(transaction, "consent", now, shown),
            screen=screens.consent(step, service, desk.labels, language(), transaction, now),
        )

    def reveal(self, held: Held, number: str) -> Response:
        """Show a person their own CPR number."""
        return self._page(
            "reveal.html", "reveal", held.transaction, number=number, back=self.url(held.transaction, "consent")
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
        form = self.refusal(transaction, step.status)
        if transaction.request.is_passive:
            return self.post(form, transaction.request.service)
        self._leave(transaction, "refuse", step.reason)
        response = self._page(
            "declined.html" if step.reason == "consent_refused" else "refused.html",
            "refuse",
            transaction,
            reason=step.reason,
            form=form,
            review=self.url(transaction, "consent"),
            retry=self.url(transaction, "upstream"),
            token=desk.forms.token(transaction, "consent", desk.now()),
        )
        response.status_code = 200 if step.reason == "consent_refused" else 403
        return protect(response, desk.base_url, "leaving")

    def post(self, form: PostForm, service: str) -> Response:
        """Give the page that posts ``form`` to the service."""
        label = self.desk.services[service].label[language()]
        page = render_template("post.html", step="issue", form=form, service=label)
        return protect(Response(page, mimetype="text/html"), self.desk.base_url, "leaving")

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
        return self.away(*desk.broker.ask_upstream(held, upstream, now))

    def away(self, held: Held, outstanding: Outstanding) -> Response:
        """Redirect to the upstream with the AuthnRequest that ``outstanding`` records."""
        desk, now = self.desk, self.desk.now()
        url = desk.upstream_face.ask(outstanding.upstream, outstanding.id, held.transaction.request, now)
        desk.events("asked_upstream", reference=held.transaction.reference, upstream=outstanding.upstream)
        return redirect(url, 302)

    def _enrol(self, held: Held) -> Response:
        desk = self.desk
        held = desk.broker.enrol(held, desk.now(), language=language(), patience=desk.patience)
        step = desk.broker.step(held.transaction, desk.now())
        if not isinstance(step, Enrol):
            return self.show(held)
        if held.transaction.request.is_passive:
            return self.refused(held, Refuse("passive", NO_PASSIVE, step.decision))
        self._leave(held.transaction, "enrol", "library_unavailable")
        return self._page("enrolling.html", "enrol", held.transaction, url=self.url(held.transaction))

    def _issue(self, held: Held, step: Issue) -> Response:
        desk, now, transaction = self.desk, self.desk.now(), held.transaction
        authentication = transaction.authentication
        issued = desk.broker.issuing(held, step, now)
        if authentication is None or issued is None or now > issued.at + _GIVEN_AGAIN_FOR:
            return self.error("finished", 410, transaction.reference, None)
        # Written before it is recorded: what cannot be written is not said to have left.
        form = desk.service_face.respond(transaction.request, step.disclosure, authentication, issued)
        if transaction.issued is None:
            if not desk.broker.issued(held, issued, now):
                # Another request of this browser wrote a fact meanwhile: whatever is next now is decided anew.
                return self.show(desk.broker.transactions.again(held, now))
            desk.events(
                "issued",
                reference=transaction.reference,
                service=transaction.request.service,
                upstream=transaction.upstream,
                affiliation=step.decision.affiliation,
                policy=step.decision.digest[:12],
                released=" ".join(item.name for item in step.disclosure.items),
            )
        return self.post(form, transaction.request.service)

    def refusal(self, transaction: Transaction, status: Status) -> PostForm:
        """Give the error Response that takes the person back to the service."""
        # The id is the transaction's own, so that going back twice sends the same answer.
        return self.desk.service_face.refuse(transaction.request, status, f"_r{transaction.id}", self.desk.now())

    def _leave(self, transaction: Transaction, step: str, reason: str) -> None:
        self.desk.traces.leave(
            transaction.reference, self.desk.now(), known=True, step=step, upstream=transaction.upstream, reason=reason
        )

    def _page(self, template: str, step: str, transaction: Transaction, **values: object) -> Response:
        service = self.desk.services[transaction.request.service].label[language()]
        page = render_template(
            template,
            step=step,
            service=service,
            reference=transaction.reference,
            now=self.desk.now(),
            explain=explain,
            **values,
        )
        return Response(page, mimetype="text/html")
