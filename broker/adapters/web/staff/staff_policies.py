"""The staff page on which an identity admin tries a login by the policies in force."""

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
from broker.core.identity.accepted_text import find_scoped_text_fault
from broker.core.identity.cpr import mask_numbers
from broker.core.login.given_facts import GivenFacts
from broker.core.staff.staff_rules import StaffPage
from broker.use_cases.policy_trials.login_trials import TrialSite, try_login
from broker.use_cases.policy_trials.rendering import Wording, trial_lines
from broker.use_cases.staff.staff_sessions import StaffMember

_KINDS: Final = ("real", "replacement", "constructed", "invalid", "none")
_LEVELS: Final = tuple(level.name.lower() for level in Assurance)
_MOST_AFFILIATIONS: Final = 10
_AGES: Final = tuple(map(str, range(126)))
Typed = Mapping[str, str]  # the values in the fields of the page that tries a login


@dataclass(frozen=True, slots=True)
class StaffPolicyPages:
    """The endpoints of the page. ``access`` admits only staff with the right role."""

    access: StaffAccess
    make_trial_site: Callable[[], TrialSite]

    def add_to(self, routes: Blueprint) -> None:
        """Add ``/admin/try``."""
        routes.get(f"{PATH}/try")(self.ask_login)
        routes.post(f"{PATH}/try")(self.try_login)

    def ask_login(self) -> Response:
        """Show the form for a login."""
        member = self.access.open_page(StaffPage.TRY)
        return self._try_page(member, dict.fromkeys(("affiliation", *self._list_offered()), ""))

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
            "age": ("", *_AGES),
            "assurance": ("", *_LEVELS),
            "service": ("", *ports.services),
            "intent": ("", *sorted(ports.login_flow.rules.affiliations())),
        }

    def _read_login(self, form: SubmittedForm) -> tuple[Typed, str]:
        """Return the fields and the code of a problem; raises FormRefused for a forged choice.

        After a problem the text field comes back empty: the text may be a CPR number.
        """
        chosen = {name: form.choice(name, values) for name, values in self._list_offered().items()}
        affiliation = form.value("affiliation", "").strip()
        problem = _affiliation_problem(affiliation)
        return {**chosen, "affiliation": "" if problem else affiliation}, problem

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


def _affiliation_problem(affiliation: str) -> str:
    if mask_numbers(affiliation, "") != affiliation:
        return "affiliation_cpr"
    named = _affiliations(affiliation)
    unread = [each for each in named if each.count("@") != 1 or find_scoped_text_fault(each)]
    if unread or len(named) > _MOST_AFFILIATIONS:
        return "affiliation_unread"
    return ""


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
