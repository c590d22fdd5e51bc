"""The pages with the open cases, the person that staff help, and why somebody was refused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flask import Blueprint
from flask_babel import format_datetime
from werkzeug.wrappers import Response

from broker.adapters.translations.catalogue import translate
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_security import SubmittedForm
from broker.adapters.web.staff.staff_access import PATH, StaffAccess
from broker.core.events.audit_events import AuditEventKind
from broker.core.help_codes import normalize_code
from broker.core.identity.cpr import looks_like_cpr
from broker.core.identity.mail_addresses import mask_address
from broker.core.staff.staff_rules import StaffPage
from broker.core.staff.staff_sentences import REGISTER_NOTES
from broker.use_cases.pins.borrower_pins import BorrowerPins
from broker.use_cases.policy_trials.explanations import RefusalExplainer
from broker.use_cases.policy_trials.rendering import Wording, explanation_lines
from broker.use_cases.staff.staff_search import FoundPerson, StaffSearch
from broker.use_cases.staff.staff_sessions import StaffMember

_LONGEST: Final = 110  # a person id of the list
_BUTTONS: Final = ("try_again", "another_person", "pin_mail", "remove_proof")


@dataclass(frozen=True, slots=True)
class StaffCases:
    """The endpoints over access control and the search.

    ``make_explainer`` uses the policies in force.
    """

    access: StaffAccess
    search: StaffSearch
    pins: BorrowerPins
    make_explainer: Callable[[], RefusalExplainer]
    borrower_url: Callable[[str], str]  # the borrower's page in the library system, or ""

    def add_to(self, routes: Blueprint) -> None:
        """Add ``/admin`` and ``/admin/person``."""
        routes.get(PATH)(self.home)
        routes.get(f"{PATH}/person")(self.ask)
        routes.post(f"{PATH}/person")(self.help_person)

    def home(self) -> Response:
        """Show the open cases to the service desk, and to others their pages."""
        member = self.access.member()
        if not member.sees_persons:
            return self.access.page("admin_home.html", member, reason="home")
        self.access.log_look(member, StaffPage.PERSON)
        return self.access.page(
            "admin_cases.html",
            member,
            reason="home",
            cases=self.search.cases.list_open(),
            token=self.access.token(member, StaffPage.PERSON),
            action=self.access.url(StaffPage.PERSON),
            borrower_url=self.borrower_url,
        )

    def ask(self) -> Response:
        """Show the form for a help code or a borrower number."""
        return self._page(self.access.open_page(StaffPage.PERSON))

    def help_person(self) -> Response:
        """Show a person, or press one of the buttons and show the person afterwards."""
        member = self.access.require_page(StaffPage.PERSON)
        form = self.access.form(member, StaffPage.PERSON)
        button = form.choice("do", ("find", *_BUTTONS) if member.sees_persons else ("find",))
        typed, problem = _read_typed(form)
        self.access.log_look(member, StaffPage.PERSON, typed or None)
        if problem:
            return self._page(member, problem=problem)
        found = self._find(member, typed)
        if found is None:
            return self._page(member, typed=typed, problem="find_unknown")
        if button == "find":
            return self._page(member, typed=typed, found=found)
        # Written to the audit log first: what cannot be written does not happen.
        self.access.tell(AuditEventKind.STAFF_ACTED, member, reason=button, about=typed)
        done = self._press(button, found, form)
        return self._page(member, typed=typed, found=self._find(member, typed), done=done)

    def _find(self, member: StaffMember, typed: str) -> FoundPerson | None:
        """Return the person, or to an identity admin only the page that has the help code."""
        found = self.search.find(typed, member.staff_id)
        if found is None or member.sees_persons:
            return found
        return FoundPerson(found.page) if found.page else None

    def _press(self, button: str, found: FoundPerson, form: SubmittedForm) -> str:
        """Carry out a button, and return the code of what was done."""
        if button == "pin_mail":
            return self._send_pin_mail(found)
        if button == "remove_proof":
            self.search.remove_proof(found, form.value("proof"))
            return "proof_removed"
        cases, person_id = self.search.cases, found.person_id or ""
        if button == "try_again":
            is_tried = cases.try_again(person_id)
        else:
            # The case may be about other borrowers by now than those on the page.
            is_tried = cases.rule_out(person_id, form.values("borrower"))
        return "tried" if is_tried else "nothing_to_try"

    def _send_pin_mail(self, found: FoundPerson) -> str:
        number, at = found.pin_mail_number, format_datetime(self.access.ports.now(), "long")
        if number and self.pins.mail_link_for_staff(number, language(), at):
            return "pin_mail"
        return "no_pin_mail"

    def _page(
        self,
        member: StaffMember,
        typed: str = "",
        problem: str = "",
        found: FoundPerson | None = None,
        done: str = "",
    ) -> Response:
        """Show the form, and the person with the rule that refused the login of their page."""
        ports = self.access.ports
        now = ports.now()
        is_code = found is not None and found.page is not None
        explained = self.make_explainer().explain(normalize_code(typed), now) if is_code else None
        wording = Wording(language(), translate)
        return self.access.form_page(
            "admin_person.html",
            member,
            StaffPage.PERSON,
            problem,
            typed=typed,
            found=found,
            done=done,
            explained=explained,
            lines=tuple(explanation_lines(explained, now.date(), wording)) if explained else (),
            services=ports.services,
            upstreams=ports.upstreams,
            mask_address=mask_address,
            register_notes=REGISTER_NOTES,
            borrower_url=self.borrower_url,
        )


def _read_typed(form: SubmittedForm) -> tuple[str, str]:
    """Return what was typed, or "" and the code of the problem.

    A text that may be a CPR number is not stored.
    """
    typed = form.value("find", "").strip()
    if not typed:
        return "", "find_missing"
    if looks_like_cpr(typed, apart=True):
        return "", "find_cpr"
    if len(typed) > _LONGEST:
        return "", "find_unknown"
    return typed, ""
