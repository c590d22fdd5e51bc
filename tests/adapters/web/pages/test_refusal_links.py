"""The links of a refusal: to a sign-up page, and to upstreams by which the person can get a borrower."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from broker.adapters.web.pages.refusal_links import find_sign_up_page, upstreams_to_borrower
from broker.core.entities import Institution, Service, Text, Upstream
from broker.core.errors import REQUEST_DENIED
from broker.core.login.configured_entities import ConfiguredEntities
from broker.core.login.steps import Refuse
from broker.core.login.transaction import LoginPurpose, Transaction
from broker.core.policy.model import Decision, Effect, PolicySet

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
        ("several_borrowers", "student", None),
        ("too_young", "private", None),
    ],
)
def test_a_refusal_leads_to_the_page_that_helps(login: Transaction, reason: str, who: str | None, path: str) -> None:
    """The link carries the service that the person came from; without our sign-up pages there is no link."""
    step = Refuse(reason, REQUEST_DENIED, Decision(Effect.DENY, (), who))
    found = find_sign_up_page(step, login, PAGES)
    query = f"?service=my-loans&login={login.id}&from=login"
    assert (found.url if found else None) == (None if path is None else f"{PAGES}{path}{query}")
    assert find_sign_up_page(step, login, None) is None


def test_a_sign_up_leads_back_to_the_service_before_it(login: Transaction) -> None:
    """The link does not name the service whose policy decides the sign-up."""
    step = Refuse("no_affiliation", REQUEST_DENIED)
    bare, back = (
        find_sign_up_page(step, replace(login, purpose=LoginPurpose.SIGN_UP, back=each), PAGES)
        for each in (None, "myprint")
    )
    assert bare
    assert back
    query = f"login={login.id}&from=login"
    assert (bare.url, back.url) == (f"{PAGES}?{query}", f"{PAGES}?service=myprint&{query}")


def ports(methods: tuple[str, ...]) -> Any:
    """Give what the links look at: the ways of one service, and the upstreams."""
    eid = Institution("https://eid.example", national_eid=True)
    upstreams = {
        "wayf": Upstream("wayf", "wayf", "h", "s", "m", Text("WAYF", "WAYF"), (Institution("https://idp.example"),)),
        "hub": Upstream("hub", "wayf", "h", "s", "m", Text("Hub", "Hub"), (Institution("https://idp.example"), eid)),
        "nemid": Upstream("nemid", "oiosaml3", "e", "s", "m", Text("NemID", "NemID"), (eid,)),
        "library": Upstream("library", "library", "", "", "", Text("Library account", "Lånerkonto")),
    }
    service = Service("my-loans", "https://loans.example", Text("My loans", "Mine lån"), methods)
    rules = ConfiguredEntities({"my-loans": service}, upstreams, {}, lambda: PolicySet((), ""))
    return SimpleNamespace(login_flow=SimpleNamespace(rules=rules), upstreams=upstreams)


@pytest.mark.parametrize(
    ("reason", "came", "methods", "ways"),
    [
        ("cpr_required", "wayf", ("library", "wayf", "nemid"), ["nemid", "library"]),
        ("replacement_number", "wayf", ("library", "wayf", "nemid"), ["library", "nemid"]),
        ("constructed_number", "wayf", ("wayf", "hub"), ["hub"]),
        ("national_eid_required", "wayf", ("wayf", "nemid"), ["nemid"]),
        ("cpr_required", "nemid", ("library", "wayf", "nemid"), ["library"]),
        ("cpr_required", "wayf", ("wayf",), []),
        ("too_young", "wayf", ("library", "wayf", "nemid"), []),
    ],
)
def test_a_person_without_cpr_number_is_list_upstreams_that_send_one(
    login: Transaction, reason: str, came: str, methods: tuple[str, ...], ways: list[str]
) -> None:
    """The national eID and the library account, if the service accepts them; not the upstream just used."""
    step = Refuse(reason, REQUEST_DENIED)
    found = upstreams_to_borrower(step, replace(login, upstream=came), ports(methods))
    assert [upstream.name for upstream in found] == ways


def test_a_sign_up_does_not_offer_the_library_account(login: Transaction) -> None:
    """The person has none yet."""
    signing_up = replace(login, upstream="wayf", purpose=LoginPurpose.SIGN_UP)
    found = upstreams_to_borrower(
        Refuse("cpr_required", REQUEST_DENIED), signing_up, ports(("library", "wayf", "nemid"))
    )
    assert [upstream.name for upstream in found] == ["nemid"]
