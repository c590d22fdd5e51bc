"""The pages of the identity admin: explain the refusal of a help code, and try a login."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from flask import Blueprint
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString
from werkzeug.wrappers import Response

from broker.adapters.web.admin.staff_door import PATH, StaffDoor
from broker.adapters.web.admin.staff_ports import (
    ExplainedRefusal,
    LoginToTry,
    StaffPorts,
    TriedLogin,
    TryableLogins,
)
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_security import SubmittedForm
from broker.core.entities import Assurance, Names
from broker.core.identity.accepted_text import scoped_text_fault
from broker.core.identity.cpr import blotted, looks_like_cpr
from broker.core.login.given_facts import GivenFacts
from broker.core.staff import StaffPage
from broker.core.stateless_references import compact, is_stateless
from broker.use_cases.staff.reference_guesses import ReferenceGuesses
from broker.use_cases.staff.staff_sessions import StaffMember
from broker.use_cases.transactions import is_reference


class FormProblem(NamedTuple):
    """A sentence for people, and the id of the field that they mend."""

    field: str
    text: LazyString


_CPR: Final = _(
    "That looked like a CPR number. It has been thrown away: no CPR number belongs in this field."
)
PROBLEMS: Final[Mapping[str, FormProblem]] = {
    "find_missing": FormProblem("find", _("Write the help code or the borrower number.")),
    "find_cpr": FormProblem("find", _CPR),
    "person_unknown": FormProblem(
        "find", _("No page of the last thirty days has this code, and no borrower this number.")
    ),
    "reference_missing": FormProblem("reference", _("Write the help code.")),
    "reference_cpr": FormProblem("reference", _CPR),
    "reference_unread": FormProblem(
        "reference", _("A help code has eight or twelve letters and digits.")
    ),
    "reference_unknown": FormProblem(
        "reference", _("No page of the last thirty days has this code. Ask for it again.")
    ),
    "affiliation_cpr": FormProblem("affiliation", _CPR),
    "affiliation_unread": FormProblem(
        "affiliation", _("Write affiliations with their scope, as student@au.dk.")
    ),
    "age_unread": FormProblem("age", _("Write the age as a whole number from 0 to 125.")),
}


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


SHOWN: Final = 12  # digits of a digest, as the commands print them
KINDS: Final = ("real", "replacement", "constructed", "invalid", "none")
LEVELS: Final = tuple(level.name.lower() for level in Assurance)
_MOST_AFFILIATIONS: Final = 10
_OLDEST: Final = 125
_AGE_DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class _Typed:
    """What the fields hold when the page is shown; what is "" is made up, or all of them."""

    upstream: str = ""
    affiliation: str = ""
    cpr: str = ""
    age: str = ""
    assurance: str = ""
    service: str = ""
    intent: str = ""
    nearest: bool = True


@dataclass(frozen=True, slots=True)
class StaffTrials:
    """The endpoints over the door and the ports."""

    door: StaffDoor
    ports: StaffPorts

    def add_to(self, routes: Blueprint) -> None:
        """Add ``/admin/try``."""
        routes.get(f"{PATH}/try")(self.ask_login)
        routes.post(f"{PATH}/try")(self.try_login)

    def ask_login(self) -> Response:
        """Show the form."""
        member = self.door.allowed(StaffPage.TRY)
        self.door.looked(member, StaffPage.TRY)
        return self._page(member, _Typed())

    def try_login(self) -> Response:
        """Show what the policies in force would make of a login."""
        member = self.door.allowed(StaffPage.TRY)
        form = self.door.form(member, StaffPage.TRY)
        self.door.looked(member, StaffPage.TRY)
        typed, problem = self._typed(form)
        if problem:
            return self._page(member, typed, problem)
        login = LoginToTry(_facts(typed), typed.service or None, typed.nearest)
        return self._page(member, typed, tried=self.ports.tried(login, language()))

    def _typed(self, form: SubmittedForm) -> tuple[_Typed, str]:
        """Return the fields and the code of a problem; FormRefused for what no page offers.

        A field with a problem comes back empty: what was typed by mistake may be somebody's number.
        """
        choices = self.ports.tryable()
        typed = _Typed(
            upstream=form.choice("upstream", tuple(choices.upstreams)),
            cpr=form.choice("cpr", ("", *KINDS)),
            assurance=form.choice("assurance", ("", *LEVELS)),
            service=form.choice("service", ("", *choices.services)),
            intent=form.choice("intent", ("", *choices.affiliations)),
            nearest=form.value("nearest", "") == "yes",
        )
        age, affiliation = form.value("age", "").strip(), form.value("affiliation", "").strip()
        problem = _affiliation_problem(affiliation) or _age_problem(age)
        if problem:
            return typed, problem
        return replace(typed, affiliation=affiliation, age=age), ""

    def _page(
        self, member: StaffMember, typed: _Typed, problem: str = "", tried: TriedLogin | None = None
    ) -> Response:
        choices: TryableLogins = self.ports.tryable()
        response = self.door.page(
            "admin_try.html",
            member,
            reason="try",
            token=self.door.token(member, StaffPage.TRY),
            choices=choices,
            kinds=KINDS,
            levels=LEVELS,
            typed=typed,
            problem=PROBLEMS.get(problem),
            code=problem,
            tried=tried,
            shown=SHOWN,
        )
        if problem:
            response.status_code = _UNPROCESSABLE
        return response


def _affiliation_problem(affiliation: str) -> str:
    if blotted(affiliation, "") != affiliation:
        return "affiliation_cpr"
    named = _affiliations(affiliation)
    unread = [each for each in named if each.count("@") != 1 or scoped_text_fault(each)]
    if unread or len(named) > _MOST_AFFILIATIONS:
        return "affiliation_unread"
    return ""


def _age_problem(age: str) -> str:
    if not age:
        return ""
    # No longer than an age is: a CPR number of a first of the month begins as a small one.
    read = len(age) <= _AGE_DIGITS and age.isascii() and age.isdecimal()
    return "" if read and int(age) <= _OLDEST else "age_unread"


def _affiliations(affiliation: str) -> Names:
    return tuple(affiliation.replace(",", " ").split())


def _facts(typed: _Typed) -> GivenFacts:
    return GivenFacts(
        upstream=typed.upstream,
        affiliations=_affiliations(typed.affiliation),
        assurance=Assurance.named(typed.assurance) if typed.assurance else None,
        cpr=typed.cpr or None,
        age=int(typed.age) if typed.age else None,
        intent=typed.intent or None,
    )
