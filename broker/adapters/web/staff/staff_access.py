"""Login, logout and access checks of the staff pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, render_template, request
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString
from werkzeug.wrappers import Response

from broker.adapters.web.pages.language import localize_text
from broker.adapters.web.pages.outgoing_saml import OutgoingSaml
from broker.adapters.web.pages.page_security import SubmittedForm
from broker.core.errors import BrokerError, CookiesNeeded
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.staff.staff_rules import (
    StaffLoginNeeded,
    StaffPage,
    StaffRefused,
    StaffRoleMissing,
)
from broker.use_cases.staff.staff_logins import StaffLogins
from broker.use_cases.staff.staff_sessions import StaffMember, StaffSessions

PATH: Final = "/admin"
_LOGOUT: Final = "logout"
_UNPROCESSABLE: Final = 422


_CPR: Final = _(
    "That looked like a CPR number. It has been thrown away: no CPR number belongs in this field."
)
# A sentence for people by the code of a problem, which begins with the id of the field to fix.
_PROBLEMS: Final[Mapping[str, LazyString]] = {
    "find_missing": _("Write the help code or the borrower number."),
    "find_cpr": _CPR,
    "find_unknown": _(
        "No page of the last thirty days has this code, and no borrower this number."
    ),
    "affiliation_cpr": _CPR,
    "affiliation_unread": _("Write affiliations with their scope, as student@au.dk."),
}


@dataclass(frozen=True, slots=True)
class StaffAccess(OutgoingSaml):
    """The endpoints of login and logout over the web ports, and what other pages ask of them."""

    logins: StaffLogins
    sessions: StaffSessions

    def routes(self) -> Blueprint:
        """Return ``/admin/login`` and ``/admin/logout``, with the page of who is not logged in."""
        routes = Blueprint("admin", __name__)
        routes.get(f"{PATH}/login")(self.begin)
        routes.get(f"{PATH}/login/<login_id>")(self.arrive)
        routes.post(f"{PATH}/logout")(self.log_out)
        routes.register_error_handler(StaffLoginNeeded, self.login_needed)
        return routes

    def begin(self) -> Response:
        """Begin a login in this browser, and send it to the upstream of broker.toml.

        CookiesNeeded where the browser keeps none: without one the answer could be anybody's.
        """
        ports = self.ports
        ports.limits.count_beginning()
        browsers = ports.cookies.browsers()
        if browsers:
            return self.send_request(*self.logins.begin(browsers[0], ports.now()))
        if request.args.get("cookie"):
            raise CookiesNeeded("no cookie after it was set")
        return self.introduce(f"{self.url('login')}?cookie=1")

    def arrive(self, login_id: str) -> Response:
        """Let a person in who arrives from the upstream, if broker.toml lists them with a role.

        The answer is a page: its cookie is SameSite=Strict, and the redirects from another site's
        form would not bring it along.
        """
        ports = self.ports
        now = ports.now()
        browsers = ports.cookies.browsers()
        token = request.args.get("arrival", "")
        upstream, institution = self.logins.rules.upstream, None
        try:
            answer, browser = self.logins.join_arrival(login_id, token, browsers, now)
            upstream, institution = answer.upstream, answer.institution
            identity = self.logins.identify(answer, now)
            member, session_token = self.sessions.open(identity, browser, now)
        except StaffRefused as refused:
            ports.tell(
                AuditEvent(
                    AuditEventKind.REFUSED,
                    now,
                    upstream=upstream,
                    institution=institution or None,
                    reason=f"staff_{refused}",
                )
            )
            raise
        self.tell(AuditEventKind.STAFF_LOGGED_IN, member, upstream=upstream)
        response = self.page("admin_arrived.html", member, reason="arrived", over=True)
        ports.cookies.set_staff_cookie(response, session_token)
        return response

    def log_out(self) -> Response:
        """End the session of this browser."""
        member = self.member()
        self.form(member, _LOGOUT)
        self.sessions.end(member)
        self.tell(AuditEventKind.STAFF_LOGGED_OUT, member)
        response = _render(
            "admin_left.html", reason="left", over=True, way=self._way(), home=self.url()
        )
        self.ports.cookies.drop_staff_cookie(response)
        return response

    def login_needed(self, _error: BrokerError) -> Response:
        """Show where to log in, if there is no session or it has ended."""
        response = _render(
            "admin_begin.html", reason="login", login=self.url("login"), way=self._way()
        )
        response.status_code = 403
        return response

    def member(self) -> StaffMember:
        """Return who asks; StaffLoginNeeded where nobody of the staff is logged in here."""
        token = self.ports.cookies.staff_token()
        if not token:
            raise StaffLoginNeeded("no cookie of the staff view")
        return self.sessions.find(token, self.ports.cookies.browsers(), self.ports.now())

    def require_page(self, page: StaffPage) -> StaffMember:
        """Return who asks for ``page``, and may; StaffLoginNeeded, StaffRoleMissing."""
        member = self.member()
        if page not in member.pages:
            self.tell(AuditEventKind.REFUSED, member, reason=StaffRoleMissing.reason)
            raise StaffRoleMissing(page.value)
        return member

    def open_page(self, page: StaffPage) -> StaffMember:
        """Return who asks for ``page``, and write down that they look at it."""
        member = self.require_page(page)
        self.log_look(member, page)
        return member

    def log_look(self, member: StaffMember, page: StaffPage, about: str | None = None) -> None:
        """Record a view of ``page``, and of which reference; raises AuditUnavailable.

        To be called before anything is shown.
        """
        self.tell(AuditEventKind.STAFF_LOOKED, member, reason=page.value, about=about)

    def form(self, member: StaffMember, purpose: str) -> SubmittedForm:
        """Return the form that came; TokenRefused unless it is this session's, from our page."""
        return self.ports.forms.read(member, f"staff {purpose}")

    def token(self, member: StaffMember, purpose: str) -> str:
        """Return the token of a form for ``form``."""
        return self.ports.forms.token(member, f"staff {purpose}")

    def form_page(
        self, template: str, member: StaffMember, page: StaffPage, problem: str = "", **values: Any
    ) -> Response:
        """Return a page with its form, and with what was wrong with what was sent."""
        response = self.page(
            template,
            member,
            reason=page.value,
            token=self.token(member, page),
            problem=_PROBLEMS.get(problem),
            code=problem,
            **values,
        )
        if problem:
            response.status_code = _UNPROCESSABLE
        return response

    def page(self, template: str, member: StaffMember, **values: Any) -> Response:
        """Return a page for a logged-in member of staff, with the links onward and to log out."""
        shown = {page.value: self.url(page.value) for page in member.pages}
        return _render(
            template,
            home=self.url(),
            pages=shown,
            sees_persons=member.sees_persons,
            until=member.until_at_most,
            logout=self.url(_LOGOUT),
            logout_token=self.token(member, _LOGOUT),
            **values,
        )

    def _way(self) -> str:
        """Return what people call the place where staff log in."""
        upstream = self.logins.upstream()
        institution = upstream.institution(self.logins.rules.institution)
        label = institution.label if institution else None
        return localize_text(label or upstream.label)

    def tell(self, kind: AuditEventKind, member: StaffMember, **more: Any) -> None:
        """Write an event of a member of staff to the audit log; AuditUnavailable."""
        by = ", ".join(sorted(member.roles)) or None
        self.ports.tell(AuditEvent(kind, self.ports.now(), person=member.staff_id, by=by, **more))

    def url(self, page: str = "") -> str:
        """Return the address of a page of the staff view."""
        address = f"{self.ports.base_url}{PATH}"
        return f"{address}/{page}" if page else address


def _render(template: str, **values: Any) -> Response:
    return Response(render_template(template, step="admin", **values), mimetype="text/html")
