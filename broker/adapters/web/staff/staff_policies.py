"""The staff pages of the identity admin: explain a refusal by its help code, and try a login."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from flask import Blueprint
from werkzeug.wrappers import Response

from broker.adapters.translations.catalogue import translate
from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_security import SubmittedForm
from broker.adapters.web.staff.staff_access import PATH, StaffAccess
from broker.core.entities import Assurance, Names
from broker.core.help_codes import is_stateless, normalize_code
from broker.core.identity.accepted_text import find_scoped_text_fault
from broker.core.identity.cpr import looks_like_cpr, mask_numbers
from broker.core.login.given_facts import GivenFacts
from broker.core.staff.staff_rules import StaffPage
from broker.core.staff.staff_sentences import ADVICE_BY_REASON
from broker.use_cases.policy_trials.explanations import Explanation, RefusalExplainer
from broker.use_cases.policy_trials.login_trials import TrialSite, try_login
from broker.use_cases.policy_trials.rendering import Wording, explanation_lines, trial_lines
from broker.use_cases.staff.staff_search import UNKNOWN_CODES
from broker.use_cases.staff.staff_sessions import StaffMember
from broker.use_cases.storage.rate_limits import Limits
from broker.use_cases.transactions.transactions import is_reference

_KINDS: Final = ("real", "replacement", "constructed", "invalid", "none")
_LEVELS: Final = tuple(level.name.lower() for level in Assurance)
_MOST_AFFILIATIONS: Final = 10
_OLDEST: Final = 125
_AGE_DIGITS: Final = 3
# The text fields, empty.
_UNTYPED: Final = {"affiliation": "", "age": ""}
Typed = Mapping[str, str]  # the values in the fields of the page that tries a login


@dataclass(frozen=True, slots=True)
class StaffPolicies:
    """The endpoints of both pages. ``access`` admits only staff with the right role.

    ``make_explainer`` and ``make_trial_site`` use the policies in force.
    """

    access: StaffAccess
    limits: Limits
    make_explainer: Callable[[], RefusalExplainer]
    make_trial_site: Callable[[], TrialSite]

    def add_to(self, routes: Blueprint) -> None:
        """Add ``/admin/explain`` and ``/admin/try``."""
        routes.get(f"{PATH}/explain")(self.ask_reference)
        routes.post(f"{PATH}/explain")(self.explain)
        routes.get(f"{PATH}/try")(self.ask_login)
        routes.post(f"{PATH}/try")(self.try_login)

    def ask_reference(self) -> Response:
        """Show the form for a help code."""
        return self._explain_page(self.access.open_page(StaffPage.EXPLAIN))

    def explain(self) -> Response:
        """Show which rule refused the login, and the result by the policies in force now.

        Raises TooMany after ten unknown references in ten minutes.
        """
        member = self.access.require_page(StaffPage.EXPLAIN)
        reference, problem = _read_reference(self.access.form(member, StaffPage.EXPLAIN))
        self.access.log_look(member, StaffPage.EXPLAIN, reference or None)
        if problem:
            return self._explain_page(member, problem=problem)
        taken = self.limits.take(UNKNOWN_CODES, member.staff_id)
        now = self.access.ports.now()
        found = self.make_explainer().explain(reference, now)
        if found is None:
            return self._explain_page(member, reference, "reference_unknown")
        self.limits.give_back(taken)
        lines = explanation_lines(found, now.date(), Wording(language(), translate))
        return self._explain_page(member, reference, found=found, lines=tuple(lines))

    def ask_login(self) -> Response:
        """Show the form for a login."""
        member = self.access.open_page(StaffPage.TRY)
        return self._try_page(member, dict.fromkeys(self._list_offered(), "") | _UNTYPED)

    def try_login(self) -> Response:
        """Show the result of a login by the policies in force; nothing is stored."""
        member = self.access.open_page(StaffPage.TRY)
        typed, problem = self._read_login(self.access.form(member, StaffPage.TRY))
        if problem:
            return self._try_page(member, typed, problem)
        site, now = self.make_trial_site(), self.access.ports.now()
        services = (typed["service"],) if typed["service"] else ()
        trial = try_login(site, _facts(typed), services, now)
        lines = trial_lines(site, trial, now.date(), Wording(language(), translate))
        return self._try_page(member, typed, digest=site.policies.digest, lines=tuple(lines))

    def _list_offered(self) -> Mapping[str, tuple[str, ...]]:
        """Return the values that the page offers for each field.

        "" stands for all services; in another field the trial makes up a value.
        """
        ports = self.access.ports
        return {
            "upstream": tuple(ports.upstreams),
            "cpr": ("", *_KINDS),
            "assurance": ("", *_LEVELS),
            "service": ("", *ports.services),
            "intent": ("", *sorted(ports.broker.rules.affiliations())),
        }

    def _read_login(self, form: SubmittedForm) -> tuple[Typed, str]:
        """Return the fields and the code of a problem; raises FormRefused for a forged choice.

        After a problem the text fields come back empty: the text may be a CPR number.
        """
        chosen = {name: form.choice(name, values) for name, values in self._list_offered().items()}
        typed = {name: form.value(name, "").strip() for name in _UNTYPED}
        problem = _affiliation_problem(typed["affiliation"]) or _age_problem(typed["age"])
        return chosen | (_UNTYPED if problem else typed), problem

    def _explain_page(
        self,
        member: StaffMember,
        reference: str = "",
        problem: str = "",
        found: Explanation | None = None,
        lines: Names = (),
    ) -> Response:
        ports = self.access.ports
        return self.access.form_page(
            "admin_explain.html",
            member,
            StaffPage.EXPLAIN,
            problem,
            reference=reference,
            found=found,
            lines=lines,
            actions=ADVICE_BY_REASON,
            services=ports.services,
            upstreams=ports.upstreams,
        )

    def _try_page(
        self, member: StaffMember, typed: Typed, problem: str = "", **tried: object
    ) -> Response:
        return self.access.form_page(
            "admin_try.html",
            member,
            StaffPage.TRY,
            problem,
            upstreams=self.access.ports.upstreams,
            services=self.access.ports.services,
            offered=self._list_offered(),
            typed=typed,
            **{"lines": (), **tried},
        )


def _read_reference(form: SubmittedForm) -> tuple[str, str]:
    """Return the reference in its usual case and spacing, or the code of a problem.

    A text that is no reference is dropped: it may be a CPR number.
    """
    typed = form.value("reference", "")
    if not typed.strip():
        return "", "reference_missing"
    if looks_like_cpr(typed, apart=True):
        return "", "reference_cpr"
    if is_reference(typed) or is_stateless(typed):
        return normalize_code(typed), ""
    return "", "reference_unread"


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
    # At most three digits: "0101", the beginning of a CPR number, would pass as an age of 101.
    read = len(age) <= _AGE_DIGITS and age.isascii() and age.isdecimal()
    return "" if read and int(age) <= _OLDEST else "age_unread"


def _affiliations(affiliation: str) -> Names:
    return tuple(affiliation.replace(",", " ").split())


def _facts(typed: Typed) -> GivenFacts:
    assurance, age = typed["assurance"], typed["age"]
    return GivenFacts(
        upstream=typed["upstream"],
        affiliations=_affiliations(typed["affiliation"]),
        assurance=Assurance.parse(assurance) if assurance else None,
        cpr=typed["cpr"] or None,
        age=int(age) if age else None,
        intent=typed["intent"] or None,
    )
