"""The page where a reference that a caller reads out is explained: why then, and what of it now."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from flask import Blueprint
from werkzeug.wrappers import Response

from broker.adapters.web.admin.form_problems import PROBLEMS
from broker.adapters.web.admin.staff_door import PATH, StaffDoor
from broker.adapters.web.admin.staff_ports import ExplainedRefusal, StaffPorts
from broker.adapters.web.pages.form_tokens import SubmittedForm
from broker.adapters.web.pages.language import language
from broker.core.identity.cpr import looks_like_cpr
from broker.core.staff import StaffPage
from broker.core.stateless_references import compact, is_stateless
from broker.use_cases.staff.reference_guesses import ReferenceGuesses
from broker.use_cases.staff.staff_sessions import StaffMember
from broker.use_cases.transactions import is_reference

_UNPROCESSABLE: Final = 422


class TypedReference(NamedTuple):
    """A reference as it is written, or "" and the code of the problem.

    Of what is no reference nothing is kept: it may be anybody's number.
    """

    name: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class StaffReferences:
    """The endpoints over the door and the ports."""

    door: StaffDoor
    ports: StaffPorts
    guesses: ReferenceGuesses

    def add_to(self, routes: Blueprint) -> None:
        """Add ``/admin/explain``."""
        routes.get(f"{PATH}/explain")(self.ask_reference)
        routes.post(f"{PATH}/explain")(self.explain)

    def ask_reference(self) -> Response:
        """Show the form."""
        member = self.door.allowed(StaffPage.EXPLAIN)
        self.door.looked(member, StaffPage.EXPLAIN)
        return self._page(member)

    def explain(self) -> Response:
        """Show which rule refused, and what the policies in force would make of it now.

        TooMany after ten references in ten minutes that led nowhere.
        """
        member = self.door.allowed(StaffPage.EXPLAIN)
        form = self.door.form(member, StaffPage.EXPLAIN)
        typed = typed_reference(form)
        self.door.looked(member, StaffPage.EXPLAIN, typed.name or None)
        if typed.problem:
            return self._page(member, problem=typed.problem)
        taken = self.guesses.take(member.staff_id)
        found = self.ports.explained(typed.name, language())
        if found is None:
            return self._page(member, typed.name, "reference_unknown")
        self.guesses.led_somewhere(taken)
        return self._page(member, typed.name, found=found)

    def _page(
        self,
        member: StaffMember,
        reference: str = "",
        problem: str = "",
        found: ExplainedRefusal | None = None,
    ) -> Response:
        response = self.door.page(
            "admin_explain.html",
            member,
            reason="explain",
            token=self.door.token(member, StaffPage.EXPLAIN),
            reference=reference,
            problem=PROBLEMS.get(problem),
            code=problem,
            found=found,
        )
        if problem:
            response.status_code = _UNPROCESSABLE
        return response


def typed_reference(form: SubmittedForm) -> TypedReference:
    """Return the reference in a form as it is written, in whatever case and spacing it came."""
    typed = form.value("reference", "")
    if not typed.strip():
        return TypedReference("", "reference_missing")
    if looks_like_cpr(typed, apart=True):
        return TypedReference("", "reference_cpr")
    if is_reference(typed) or is_stateless(typed):
        return TypedReference(compact(typed))
    return TypedReference("", "reference_unread")
