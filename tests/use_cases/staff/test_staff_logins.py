"""Logins and sessions of staff over a real store: what an answer must bring, and for how long it is worth anything."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores.open_store import open_store
from broker.core.entities import Institution, Text, Upstream
from broker.core.errors import BrowserUnmatched, TransactionGone
from broker.core.identity.canonical_attributes import AttributeMap, MapRow, WireAttribute
from broker.core.login.transaction import Authentication
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.staff import StaffLoginNeeded, StaffPage, StaffRefused, StaffRole, StaffRoleMissing, StaffRules
from broker.use_cases.login.arrivals import Arrivals
from broker.use_cases.staff.staff_logins import StaffLogin, StaffLogins
from broker.use_cases.staff.staff_sessions import StaffSessions

NOW = datetime(2031, 1, 1, 12, tzinfo=UTC)
AU, KU = "https://idp.au.example", "https://idp.ku.example"
EPPN = "kirsten@au.dk"
HMACS = LookupHmacs("k1", b"k" * 32)
RULES = StaffRules("wayf", AU, {EPPN: frozenset({StaffRole.SERVICE_DESK}), "ida@au.dk": frozenset()})
WAYF = Upstream(
    name="wayf",
    profile="wayf",
    entity_id="https://hub.example",
    sp_entity_id="https://sp.example",
    attribute_map="wayf",
    label=Text("WAYF", "WAYF"),
    institutions=(Institution(AU, scopes=("au.dk",)), Institution(KU, scopes=("ku.dk", "au.dk"))),
)
ROW = MapRow("eppn", "eduPersonPrincipalName", single=True, identity=True, scope="exact")
MAPS = {"wayf": AttributeMap("wayf", (ROW,))}
Answer = Callable[..., Authentication]


@pytest.fixture
def logins(tmp_path: Path) -> StaffLogins:
    """Give logins over a store of their own."""
    return StaffLogins(Arrivals(open_store("sqlite:broker.db", tmp_path), HMACS), RULES, lambda: WAYF, MAPS)


@pytest.fixture
def sessions(logins: StaffLogins) -> StaffSessions:
    """Give sessions over the same store."""
    return StaffSessions(logins.arrivals.store, HMACS, RULES)


def answer(eppn: str = EPPN, institution: str = AU, upstream: str = "wayf", at: datetime = NOW) -> Authentication:
    """Give a verified answer of an upstream."""
    return Authentication(
        upstream=upstream,
        issuer="https://hub.example",
        institution=institution,
        authorities=(institution,),
        attributes=(WireAttribute("eppn", (eppn,)),) if eppn else (),
        authn_instant=at,
        authn_context=None,
        received=NOW,
        assertion_until=NOW + timedelta(minutes=5),
    )


def brought(logins: StaffLogins, login: StaffLogin, answered: Authentication, request: str = "") -> str:
    """Store an answer to a login as the ACS does, and give its arrival token."""
    message = (f"_{answered.authn_instant.timestamp()}{request}", NOW + timedelta(minutes=5))
    return logins.arrivals.add(login.id, request or login.request.id, answered, message, NOW)


def test_an_answer_in_time_and_in_its_browser_is_worth_something_once(logins: StaffLogins) -> None:
    """It brings the authentication and the browser, and both records are spent by it."""
    login = logins.begin("browser", NOW)
    token = brought(logins, login, answer())
    assert logins.arrived(login.id, token, ("browser",), NOW) == (answer(), "browser")
    with pytest.raises(TransactionGone):
        logins.arrived(login.id, token, ("browser",), NOW)


def test_an_answer_late_or_to_another_request_is_worth_nothing(logins: StaffLogins) -> None:
    """Sixty seconds between ACS and browser, and the one request of this login."""
    login, other = logins.begin("browser", NOW), logins.begin("browser", NOW)
    token = brought(logins, login, answer())
    with pytest.raises(TransactionGone):
        logins.arrived(login.id, token, ("browser",), NOW + timedelta(seconds=61))
    with pytest.raises(TransactionGone):
        logins.arrived(other.id, token, ("browser",), NOW)
    foreign = brought(logins, login, answer(at=NOW - timedelta(seconds=1)), other.request.id)
    with pytest.raises(TransactionGone):
        logins.arrived(login.id, foreign, ("browser",), NOW)


def test_an_answer_in_another_browser_is_destroyed(logins: StaffLogins) -> None:
    """Nobody is logged in by what somebody else began, and then neither is whoever began it."""
    login = logins.begin("browser", NOW)
    token = brought(logins, login, answer())
    with pytest.raises(BrowserUnmatched):
        logins.arrived(login.id, token, ("another",), NOW)
    with pytest.raises(TransactionGone):
        logins.arrived(login.id, token, ("browser",), NOW)


def test_a_login_upstream_from_before_the_request_is_none(logins: StaffLogins) -> None:
    """Whatever the face toward the upstream has let pass: the skew is all that is allowed."""
    login = logins.begin("browser", NOW)
    for ago, fresh in ((179, True), (181, False)):
        token = brought(logins, login, answer(at=NOW - timedelta(seconds=ago)))
        if fresh:
            assert logins.arrived(login.id, token, ("browser",), NOW)
            login = logins.begin("browser", NOW)
            continue
        with pytest.raises(StaffRefused, match="authenticated_before"):
            logins.arrived(login.id, token, ("browser",), NOW)


def test_an_answer_is_looked_up_for_its_own_upstream_and_request(logins: StaffLogins) -> None:
    """An id that is changed in its last letter, or sent to another ACS, names no request."""
    login = logins.begin("browser", NOW)
    assert logins.takes(login.request.id)
    assert logins.awaited(login.request.id, "wayf", NOW) == login
    changed = login.request.id[:-1] + ("0" if login.request.id[-1] != "0" else "1")
    for request_id, upstream in ((changed, "wayf"), (login.request.id, "nemid")):
        with pytest.raises(TransactionGone):
            logins.awaited(request_id, upstream, NOW)
    with pytest.raises(TransactionGone):
        logins.awaited(login.request.id, "wayf", NOW + timedelta(minutes=10))


@pytest.mark.parametrize(
    ("answered", "cause"),
    [
        (answer(institution=KU), "institution"),
        (answer(institution="https://other.example"), "institution"),
        (answer(upstream="nemid"), "upstream"),
        (answer("kirsten@ku.dk"), "scope_mismatch"),
        (answer("Kirsten@au.dk"), "not_listed"),
        (answer("asta@au.dk"), "not_listed"),
        (answer("ida@au.dk"), "not_listed"),
        (answer(""), "no_eppn"),
    ],
)
def test_only_who_is_listed_comes_in(logins: StaffLogins, answered: Authentication, cause: str) -> None:
    """By the one upstream and institution, though another may assert the same scope; with a role."""
    assert logins.eppn(answer(), NOW) == EPPN
    with pytest.raises(StaffRefused, match=f"^{cause}$"):
        logins.eppn(answered, NOW)


def test_a_session_is_of_its_browser_its_time_and_its_role(sessions: StaffSessions) -> None:
    """A quarter of an hour in that browser; roles, upstream and institution are those of now."""
    member, token = sessions.open(EPPN, "browser", NOW)
    assert sessions.found(token, ("other", "browser"), NOW).roles == frozenset({StaffRole.SERVICE_DESK})
    assert EPPN not in str(member)
    gone = [
        (sessions, ("other",), NOW),
        (sessions, ("browser",), NOW + timedelta(minutes=15)),
        (replace(sessions, rules=replace(RULES, roles={})), ("browser",), NOW),
        (replace(sessions, rules=replace(RULES, institution=KU)), ("browser",), NOW),
        (replace(sessions, rules=replace(RULES, upstream="nemid")), ("browser",), NOW),
    ]
    for those, browsers, moment in gone:
        with pytest.raises(StaffLoginNeeded):
            those.found(token, browsers, moment)
    sessions.end(member)
    with pytest.raises(StaffLoginNeeded):
        sessions.found(token, ("browser",), NOW)


def test_a_page_is_for_a_role(sessions: StaffSessions) -> None:
    """The desk sees its own pages, whatever it asks for."""
    member, _ = sessions.open(EPPN, "browser", NOW)
    assert member.pages == (StaffPage.EXPLAIN, StaffPage.DESK)
    member.check(StaffPage.DESK)
    with pytest.raises(StaffRoleMissing):
        member.check(StaffPage.LIVE)
