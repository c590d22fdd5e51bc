"""The page where an identity admin tries a login: in the words of the command, nothing stored."""

from dataclasses import dataclass, replace
from typing import Final

from flask import Blueprint
from werkzeug.wrappers import Response

from broker.adapters.web.admin.form_problems import PROBLEMS
from broker.adapters.web.admin.staff_door import PATH, StaffDoor
from broker.adapters.web.admin.staff_ports import LoginToTry, StaffPorts, TriedLogin, TryableLogins
from broker.adapters.web.pages.form_tokens import SubmittedForm
from broker.adapters.web.pages.language import language
from broker.core.entities import Assurance, Names
from broker.core.identity.accepted_text import find_scoped_text_fault
from broker.core.identity.cpr import mask_numbers
from broker.core.login.given_facts import GivenFacts
from broker.core.staff import StaffPage
from broker.use_cases.staff.staff_sessions import StaffMember

SHOWN: Final = 12  # digits of a digest, as the commands print them
KINDS: Final = ("real", "replacement", "constructed", "invalid", "none")
LEVELS: Final = tuple(level.name.lower() for level in Assurance)
_MOST_AFFILIATIONS: Final = 10
_OLDEST: Final = 125
_AGE_DIGITS: Final = 3
_UNPROCESSABLE: Final = 422


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
    if mask_numbers(affiliation, "") != affiliation:
        return "affiliation_cpr"
    named = _affiliations(affiliation)
    unread = [each for each in named if each.count("@") != 1 or find_scoped_text_fault(each)]
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
