"""Where a refusal leads on: to one of our own pages, where there are any, and back to the service."""

from dataclasses import replace

import pytest

from broker.adapters.web.pages.refusal_links import sign_up_link
from broker.core.errors import REQUEST_DENIED
from broker.core.login.steps import Refuse
from broker.core.login.transaction import Errand, Transaction
from broker.core.policy.model import Decision, Effect

PAGES = "https://login.library.example/sign-up"


@pytest.mark.parametrize(
    ("reason", "who", "path"),
    [
        ("cpr_required", "student", "/student/temporary"),
        ("cpr_required", "private", None),
        ("no_library_account", "employee", "/employee"),
        ("no_library_account", None, ""),
        ("no_affiliation", None, ""),
        ("national_eid_required", "private", "/private"),
        ("no_policy_for_service", "private", "/hospital"),
        ("no_policy_for_service", "student", None),
        ("two_borrowers", "student", None),
    ],
)
def test_a_refusal_leads_to_the_page_that_helps(login: Transaction, reason: str, who: str | None, path: str) -> None:
    """With the service that the person came from; nowhere where the library has no sign-up pages of ours."""
    step = Refuse(reason, REQUEST_DENIED, Decision(Effect.DENY, (), who))
    found = sign_up_link(step, login, PAGES)
    assert (found.url if found else None) == (None if path is None else f"{PAGES}{path}?service=my-loans")
    assert sign_up_link(step, login, None) is None


def test_an_errand_leads_back_to_the_service_before_it(login: Transaction) -> None:
    """Not to the one by whose policy people sign up."""
    step = Refuse("no_affiliation", REQUEST_DENIED)
    bare, back = (
        sign_up_link(step, replace(login, errand=Errand.SIGN_UP, back=each), PAGES) for each in (None, "myprint")
    )
    assert bare
    assert back
    assert (bare.url, back.url) == (PAGES, f"{PAGES}?service=myprint")
