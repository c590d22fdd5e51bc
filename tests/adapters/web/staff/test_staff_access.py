"""Login to the staff pages: only for its own request, in the same browser, and for persons listed in broker.toml."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from werkzeug.test import TestResponse

from broker.app.application import create_app
from broker.core.errors import AuditUnavailable
from broker.core.login.transaction import LoginPurpose, Transaction
from broker.demo.people.personas import persona
from broker.use_cases.storage.records import Records
from tests.plugins.deployment import Deployment, Person, find_text, mark
from tests.plugins.staff_logins import (
    ADMIN,
    DESK,
    answer,
    arrive,
    begin,
    change_persona,
    enter,
    read_audit_log,
    read_sent_request,
)

PATHS = ("/admin", "/admin/try", "/admin/person")


def pages(page: TestResponse) -> list[str]:
    """Give the pages that a page leads to."""
    text = page.get_data(as_text=True)
    return [path for path in PATHS[1:] if f'{path}"' in text]


def records(deployment: Deployment) -> Iterator[tuple[str, bytes]]:
    """Give name and content of each record of the staff view."""
    for key, kept in deployment.parts.store.list("session", "staff", deployment.clock.now()):
        yield key.name.partition(" ")[0], kept.value


def test_an_admin_logs_in_and_sees_the_pages_of_the_role(shared_deployment: Deployment) -> None:
    """A separate fresh login at the configured institution leads to the pages of the role."""
    staff = shared_deployment.person()
    request = read_sent_request(begin(staff))
    assert (request.force, request.institutions) == (True, ("https://idp.au.example",))
    assert mark(arrive(staff, persona(ADMIN))) == ("admin", "arrived")
    home = staff.get("/admin")
    assert (mark(home), pages(home)) == (("admin", "home"), ["/admin/try", "/admin/person"])
    shown = staff.get("/admin/try")
    assert (shown.status_code, mark(shown)) == (200, ("admin", "try"))


def test_the_desk_sees_its_own_pages_and_no_others(shared_deployment: Deployment) -> None:
    """The desk is refused the page of the other role, with a reason, and keeps its session."""
    desk = enter(shared_deployment, DESK)
    assert pages(desk.get("/admin")) == ["/admin/person"]
    for _ in range(2):
        refused = desk.get("/admin/try")
        assert (refused.status_code, mark(refused)[1]) == (403, "staff_role_missing")
        assert desk.get("/admin").status_code == 200


def test_without_the_table_there_is_no_staff_view(shared_deployment: Deployment) -> None:
    """Every address of the staff view answers 404."""
    config = shared_deployment.parts.config.model_copy(update={"admin": None})
    client = create_app(config).test_client()
    for path in (*PATHS, "/admin/login", "/admin/logout"):
        assert client.get(path, base_url=shared_deployment.person().base).status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_without_a_login_each_page_shows_the_login_page(shared_deployment: Deployment, path: str) -> None:
    """The page shows nothing else, is not cached and cannot be framed."""
    page = shared_deployment.person().get(path)
    assert (page.status_code, mark(page)) == (403, ("admin", "login"))
    assert page.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


def test_the_cookie_is_strict_and_hidden_from_scripts(shared_deployment: Deployment) -> None:
    """SameSite=Strict, HttpOnly, and gone when the browser closes; the pages are not cached."""
    staff = enter(shared_deployment, ADMIN)
    (cookie,) = staff.cookies("staff")
    assert (cookie.same_site, cookie.http_only, cookie.max_age) == ("Strict", True, None)
    assert staff.get("/admin/try").headers["Cache-Control"] == "no-store"


def test_logging_out_ends_the_session_itself(shared_deployment: Deployment) -> None:
    """A copied cookie opens nothing afterwards."""
    staff = enter(shared_deployment, ADMIN)
    (cookie,) = staff.cookies("staff")
    assert mark(staff.press(staff.get("/admin"))) == ("admin", "left")
    assert staff.cookies("staff") == []
    staff.client.set_cookie("staff", cookie.value, domain=cookie.domain)
    assert mark(staff.get("/admin/try")) == ("admin", "login")


def test_logging_out_needs_a_form_of_the_same_session(shared_deployment: Deployment) -> None:
    """A form of another site or of another session does not end the session (CWE-352)."""
    staff = enter(shared_deployment, ADMIN)
    foreign = find_text(enter(shared_deployment, DESK).get("/admin"), "//form//input[@name='token']/@value")
    own = find_text(staff.get("/admin"), "//form//input[@name='token']/@value")
    for token, site in ((foreign, "same-origin"), (own, "cross-site"), ("", "same-origin")):
        sent = staff.post("/admin/logout", {"token": token}, **{"Sec-Fetch-Site": site})
        assert sent.status_code == 403
    assert staff.get("/admin/try").status_code == 200


def test_a_role_that_is_taken_away_ends_with_the_next_request(shared_deployment: Deployment) -> None:
    """A change of broker.toml takes effect during a session."""
    staff = enter(shared_deployment, DESK)
    table = shared_deployment.parts.config.admin
    assert table is not None
    gone = shared_deployment.parts.config.model_copy(update={"admin": table.model_copy(update={"roles": {}})})
    assert staff.get("/admin").status_code == 200
    assert mark(elsewhere(staff, replace(shared_deployment, app=create_app(gone))).get("/admin")) == ("admin", "login")


def elsewhere(staff: Person, deployment: Deployment, prefix: str = "") -> Person:
    """Return another browser at ``deployment`` with the cookies of ``staff`` whose names begin with ``prefix``."""
    other = deployment.person()
    for each in staff.cookies(prefix):
        other.client.set_cookie(each.key, each.value, domain=each.domain)
    return other


@pytest.mark.parametrize("prefix", ["staff", "b-"])
def test_one_of_the_two_cookies_opens_nothing(shared_deployment: Deployment, prefix: str) -> None:
    """A session needs the cookie of the browser that began it: a copied session cookie opens nothing."""
    staff = enter(shared_deployment, ADMIN)
    assert mark(elsewhere(staff, shared_deployment, prefix).get("/admin/try")) == ("admin", "login")
    assert elsewhere(staff, shared_deployment).get("/admin/try").status_code == 200


@pytest.mark.parametrize(
    "eppn", ["asta@au.dk", "Bo@au.dk", "bo@sub.au.dk", "bo@ku.dk", "bo@au.dk.evil.example", "bo@au.dk\u200b", "bo"]
)
def test_a_person_who_is_not_listed_is_refused(shared_deployment: Deployment, eppn: str) -> None:
    """Another name, another case, a subdomain, another scope or an invisible character opens no session."""
    staff = shared_deployment.person()
    page = arrive(staff, change_persona("asta", eduPersonPrincipalName=eppn))
    assert (page.status_code, mark(page)[1]) == (403, "staff_refused")
    assert staff.cookies("staff") == []


def test_an_answer_to_an_ordinary_login_opens_no_staff_view(shared_deployment: Deployment) -> None:
    """The arrival belongs to its own transaction; delivered to a staff login it opens neither of the two."""
    staff = shared_deployment.person()
    begin(staff)
    ordinary = staff.choose(staff.ask())
    waiting, _, arrival = staff.deliver(*shared_deployment.answer(ordinary, ADMIN)).location.partition("?")
    kept = Records(shared_deployment.parts.store, Transaction).list("transaction", None, shared_deployment.clock.now())
    begun = {each.value.id for each in kept if each.value.purpose is LoginPurpose.STAFF}
    assert begun
    # The ordinary login first: another login destroys the arrival.
    for login in (waiting.rpartition("/")[2], *begun):
        refused = staff.get(f"/admin/login/{login}?{arrival}")
        assert mark(refused)[1] in {"transaction_gone", "other_browser"}
    assert staff.cookies("staff") == []


def test_an_answer_to_a_login_of_staff_opens_no_service(shared_deployment: Deployment) -> None:
    """It is no arrival of a service's login either, and sets no login cookie."""
    staff = shared_deployment.person()
    arrived = staff.deliver(*answer(shared_deployment, begin(staff), persona(ADMIN))).location
    path, _, arrival = arrived.partition("?")
    for rest in ("", "/upstream", "/consent", f"?{arrival}"):
        page = staff.get(f"/login/{path.rpartition('/')[2]}{rest}")
        assert (page.status_code, mark(page)[1]) == (410, "transaction_gone")
    ask = staff.ask()
    waiting = ask.request.path.split("/")[2]
    assert mark(staff.get(f"/login/{waiting}?{arrival}"))[0] == "choose"
    assert staff.cookies("a-") == []


def test_an_answer_opens_a_single_session(shared_deployment: Deployment) -> None:
    """Neither the address of the arrival nor the Response itself opens a second session."""
    staff = shared_deployment.person()
    sent = answer(shared_deployment, begin(staff), persona(ADMIN))
    arrived = staff.deliver(*sent).location
    assert mark(staff.get(arrived)) == ("admin", "arrived")
    assert mark(staff.get(arrived))[1] == "transaction_gone"
    again = staff.deliver(*sent)
    assert (again.status_code, mark(again)[1]) == (410, "transaction_gone")


def test_an_answer_to_another_browser_s_request_is_refused(shared_deployment: Deployment) -> None:
    """Login CSRF: an attacker's answer in a victim's browser starts no session there, and can be used no more."""
    attacker, victim = shared_deployment.person(), shared_deployment.person()
    arrived = attacker.deliver(*answer(shared_deployment, begin(attacker), persona(DESK))).location
    begin(victim)
    assert mark(victim.get(arrived))[1] == "other_browser"
    assert victim.cookies("staff") == []
    assert mark(attacker.get(arrived))[1] == "transaction_gone"


def test_a_staff_login_stores_no_person_and_no_transaction(deployment: Deployment) -> None:
    """It calls no library system, and its own records contain no name and no CPR number."""
    enter(deployment, ADMIN)
    now = deployment.clock.now()
    store = deployment.parts.store
    assert [kind for kind in ("person", "transaction") if list(store.list(kind, None, now))] == []
    assert {key.group for key, _ in store.list("session", None, now)} == {"staff"}
    assert deployment.borrower_calls() == []
    kept = dict(records(deployment))
    assert set(kept) == {"session", "binding"}
    assert not [value for value in kept.values() if b"bo@" in value or b"2207791019" in value]


def test_staff_logins_page_views_and_logouts_are_in_the_audit_log(deployment: Deployment) -> None:
    """Each line of a page view has the page and the role; no line has a name."""
    staff = enter(deployment, ADMIN)
    staff.get("/admin/try")
    staff.press(staff.get("/admin"))
    arrive(deployment.person(), persona("asta"))
    cancelling, desk = deployment.person(), enter(deployment, DESK)
    cancelling.get(cancelling.deliver(*deployment.answer(begin(cancelling), None)).location)
    desk.get("/admin/try")  # a page of the other role
    lines = read_audit_log(deployment)
    kinds = [line["event"] for line in lines if line["event"].startswith(("staff_", "refused"))]
    came = ["staff_logged_in", "staff_looked", "staff_logged_out", "refused"]
    assert kinds == [*came, "staff_logged_in", "refused", "refused"]
    refused = [line["reason"] for line in lines if line["event"] == "refused"]
    assert refused == ["staff_not_listed", "staff_upstream_refused", "staff_role_missing"]
    looked = next(line for line in lines if line["event"] == "staff_looked")
    assert (looked["reason"], looked["by"]) == ("try", "identity-admin")
    assert "bo@" not in str(lines)


@pytest.mark.parametrize("path", ["/admin/try", "/admin/person"])
def test_a_form_needs_the_token_of_its_page_and_the_role(shared_deployment: Deployment, path: str) -> None:
    """Another page's token and another site's form are refused; a missing role is reported first."""
    staff = enter(shared_deployment, ADMIN)
    logout = find_text(staff.get("/admin"), "//form//input[@name='token']/@value")
    assert staff.post(path, {"token": logout}).status_code == 403
    token = find_text(staff.get(path), "//form//input[@name='token']/@value")
    assert staff.post(path, {"token": token}, **{"Sec-Fetch-Site": "same-site"}).status_code == 403
    desk = enter(shared_deployment, DESK)
    assert mark(desk.post("/admin/try", {"token": token}))[1] == "staff_role_missing"
    assert mark(desk.post("/admin/person", {"token": token, "do": "try_again"}))[1] == "token_refused"
    assert mark(shared_deployment.person().post(path, {"token": token})) == ("admin", "login")


def test_without_an_audit_log_no_page_is_shown(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the audit log cannot be written, the staff view shows nothing."""
    staff = enter(deployment, DESK)

    def full(*_: object) -> None:
        raise AuditUnavailable("the disk is full")

    monkeypatch.setattr(type(deployment.parts.audit_log), "_write", full)
    assert staff.get("/admin/person").status_code == 503
