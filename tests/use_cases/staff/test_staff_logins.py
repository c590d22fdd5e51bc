"""Logins and sessions of staff over a real store: what a login must bring, and how long a session lasts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores.open_store import open_store
from broker.core.entities import Assurance, Institution, Text, Upstream
from broker.core.errors import BrowserUnmatched, TransactionGone
from broker.core.identity.canonical_attributes import AttributeMap, MapRow, WireAttribute
from broker.core.login.transaction import Authentication
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.staff.staff_rules import StaffIdentity, StaffLoginNeeded, StaffRefused, StaffRole, StaffRules
from broker.use_cases.login.arrivals import Arrivals
from broker.use_cases.staff.staff_logins import StaffLogins
from broker.use_cases.staff.staff_sessions import StaffSessions
from tests.plugins.core_values import make_authentication

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
    institutions=(
        Institution(AU, scopes=("au.dk",), may_assert=frozenset({"cpr"})),
        Institution(KU, scopes=("ku.dk", "au.dk")),
    ),
)

MAPS = {
    "wayf": AttributeMap(
        "wayf",
        (
            MapRow("eppn", "eduPersonPrincipalName"),
            MapRow("subject-id", "subject-id"),
            MapRow("cpr", "cpr"),
            MapRow("affiliation", "eduPersonScopedAffiliation"),
            MapRow("assurance", "eduPersonAssurance"),
        ),
    )
}
SUBJECT_ID, ANOTHER_SUBJECT_ID = "k1@au.dk", "k2@au.dk"
KIRSTEN = StaffIdentity(EPPN, "subject-id", SUBJECT_ID)


@pytest.fixture
def logins(tmp_path: Path) -> StaffLogins:
    """Give logins over a store of their own."""
    return StaffLogins(Arrivals(open_store("sqlite:broker.db", tmp_path), HMACS), RULES, lambda: WAYF, MAPS)


@pytest.fixture
def sessions(logins: StaffLogins) -> StaffSessions:
    """Give sessions over the same store."""
    return StaffSessions(logins.arrivals.store, HMACS, RULES)


def answer(
    eppn: str = EPPN, institution: str = AU, upstream: str = "wayf", at: datetime = NOW, **asserted: str
) -> Authentication:
    """Give a verified answer of an upstream: of a member of staff, but for what is ``asserted``."""
    values = {
        "eppn": eppn, "subject-id": SUBJECT_ID, "affiliation": "staff@au.dk", "assurance": "Substantial", "cpr": "",
    }  # fmt: skip
    values |= {name.replace("_", "-"): value for name, value in asserted.items()}
    wire = tuple(WireAttribute(name, (value,)) for name, value in values.items() if value)
    return make_authentication(upstream, institution=institution, attributes=wire, authn_instant=at)


def begin(logins: StaffLogins) -> tuple[str, str]:
    """Begin a login in a browser; return its id and the id of its request."""
    context, sent = logins.begin("browser", NOW)
    return context.transaction.id, sent.id


def brought(logins: StaffLogins, login: tuple[str, str], answered: Authentication) -> str:
    """Store an answer to a login as the ACS does, and give its arrival token."""
    message = (f"_{answered.authn_instant.timestamp()}{login[1]}", NOW + timedelta(minutes=5))
    return logins.arrivals.add(login[0], login[1], answered, message, NOW)


def test_an_answer_late_or_to_another_request_is_worth_nothing(logins: StaffLogins) -> None:
    """Sixty seconds between ACS and browser, and the one request of this login."""
    login, other = begin(logins), begin(logins)
    token = brought(logins, login, answer())
    with pytest.raises(TransactionGone):
        logins.join_arrival(login[0], token, ("browser",), NOW + timedelta(seconds=61))
    with pytest.raises(TransactionGone):
        logins.join_arrival(other[0], token, ("browser",), NOW)
    foreign = brought(logins, (login[0], other[1]), answer())
    with pytest.raises(TransactionGone):
        logins.join_arrival(login[0], foreign, ("browser",), NOW)


def test_an_answer_in_another_browser_is_destroyed(logins: StaffLogins) -> None:
    """After that the answer is worthless in the right browser too."""
    login = begin(logins)
    token = brought(logins, login, answer())
    with pytest.raises(BrowserUnmatched):
        logins.join_arrival(login[0], token, ("another",), NOW)
    with pytest.raises(TransactionGone):
        logins.join_arrival(login[0], token, ("browser",), NOW)


def test_a_login_upstream_from_before_the_request_is_none(logins: StaffLogins) -> None:
    """Only the clock skew is allowed."""
    login = begin(logins)
    token = brought(logins, login, answer(at=NOW - timedelta(seconds=179)))
    assert logins.join_arrival(login[0], token, ("browser",), NOW)
    login = begin(logins)
    token = brought(logins, login, answer(at=NOW - timedelta(seconds=181)))
    with pytest.raises(StaffRefused, match="authenticated_before"):
        logins.join_arrival(login[0], token, ("browser",), NOW)


@pytest.mark.parametrize(
    ("answered", "cause"),
    [
        (answer(institution=KU), "institution"),
        (answer(institution="https://other.example"), "institution"),
        (answer(upstream="nemid"), "upstream"),
        (answer("kirsten@ku.dk", subject_id=""), "scope_mismatch"),
        (answer("Kirsten@au.dk"), "not_listed"),
        (answer("asta@au.dk"), "not_listed"),
        (answer("ida@au.dk"), "not_listed"),
        (answer(""), "no_eppn"),
    ],
)
def test_a_login_of_staff_is_listed_and_of_the_institution(
    logins: StaffLogins, answered: Authentication, cause: str
) -> None:
    """Another institution, another scope, another spelling and a person without a role are refused."""
    assert logins.identify(answer(), NOW) == KIRSTEN
    with pytest.raises(StaffRefused, match=f"^{cause}$"):
        logins.identify(answered, NOW)


@pytest.mark.parametrize("affiliation", ["student", "staff", "employee", "faculty", "member"])
def test_a_person_of_the_institution_is_let_in(logins: StaffLogins, affiliation: str) -> None:
    """The five affiliations of people whose papers the institution has seen."""
    assert logins.identify(answer(affiliation=f"{affiliation}@au.dk"), NOW) == KIRSTEN


@pytest.mark.parametrize("affiliation", ["", "affiliate@au.dk", "library-walk-in@au.dk", "alum@au.dk", "staff@ku.dk"])
def test_a_guest_of_the_institution_is_refused(logins: StaffLogins, affiliation: str) -> None:
    """Also a former student, a login without affiliation, and the affiliation of another scope."""
    with pytest.raises(StaffRefused, match=r"^affiliation$"):
        logins.identify(answer(affiliation=affiliation), NOW)


@pytest.mark.parametrize(
    ("asserted", "least", "accepted"),
    [
        ("Substantial", Assurance.SUBSTANTIAL, True),
        ("High", Assurance.SUBSTANTIAL, True),
        ("Low", Assurance.SUBSTANTIAL, False),
        ("", Assurance.SUBSTANTIAL, False),
        ("Low", Assurance.LOW, True),
        ("", Assurance.LOW, False),
        ("Substantial", Assurance.HIGH, False),
    ],
)
def test_the_assurance_is_at_least_that_of_the_table(
    logins: StaffLogins, asserted: str, least: Assurance, *, accepted: bool
) -> None:
    """The default is substantial. A missing level is below low."""
    assert RULES.assurance is Assurance.SUBSTANTIAL
    demanding = replace(logins, rules=replace(RULES, assurance=least))
    if accepted:
        assert demanding.identify(answer(assurance=asserted), NOW) == KIRSTEN
        return
    with pytest.raises(StaffRefused, match=r"^assurance_too_low$"):
        demanding.identify(answer(assurance=asserted), NOW)


@pytest.mark.parametrize("number", ["", "6703004768", "120199ABC1", "9999999999"])
def test_an_eppn_alone_opens_nothing(logins: StaffLogins, number: str) -> None:
    """Without a subject-id a real CPR number is needed. Replacement and constructed numbers do not count."""
    real = logins.identify(answer(subject_id="", cpr="0909984068"), NOW)
    assert real == StaffIdentity(EPPN, "cpr", "0909984068")
    with pytest.raises(StaffRefused, match=r"^no_lasting_identifier$"):
        logins.identify(answer(subject_id="", cpr=number), NOW)


@pytest.mark.parametrize(
    "another",
    [
        replace(KIRSTEN, identifier=ANOTHER_SUBJECT_ID),
        StaffIdentity(EPPN, "cpr", "0909984068"),
        StaffIdentity(EPPN, "cpr", SUBJECT_ID),
    ],
)
def test_an_eppn_that_another_person_gets_opens_nothing(sessions: StaffSessions, another: StaffIdentity) -> None:
    """The first login binds it. A later login brings the same subject-id or CPR number."""
    sessions.open(KIRSTEN, "browser", NOW)
    sessions.open(KIRSTEN, "browser", NOW + timedelta(days=400))
    with pytest.raises(StaffRefused, match=r"^bound_to_another_person$"):
        sessions.open(another, "browser", NOW + timedelta(days=800))


def test_the_binding_ends_when_the_eppn_leaves_the_list(sessions: StaffSessions) -> None:
    """Listed again, it binds to the person of the next login. A session of the earlier person has ended."""
    another = replace(KIRSTEN, identifier=ANOTHER_SUBJECT_ID)
    _, token = sessions.open(KIRSTEN, "browser", NOW)
    kept = [kept.value for _, kept in sessions.store.list("session", "staff", NOW)]
    assert not [value for value in kept if b"k1@" in value or EPPN.encode() in value]
    without = replace(sessions, rules=replace(RULES, roles={"ida@au.dk": frozenset()}))
    without.drop_unlisted(NOW)
    with pytest.raises(StaffLoginNeeded):
        sessions.find(token, ("browser",), NOW)
    assert sessions.open(another, "browser", NOW)
    with pytest.raises(StaffRefused):
        sessions.open(KIRSTEN, "browser", NOW)


def test_a_session_is_of_its_browser_and_its_role(sessions: StaffSessions) -> None:
    """Roles, upstream and institution are those of now."""
    member, token = sessions.open(KIRSTEN, "browser", NOW)
    assert sessions.find(token, ("other", "browser"), NOW).roles == frozenset({StaffRole.SERVICE_DESK})
    assert EPPN not in str(member)
    gone = [
        (sessions, ("other",)),
        (replace(sessions, rules=replace(RULES, roles={})), ("browser",)),
        (replace(sessions, rules=replace(RULES, institution=KU)), ("browser",)),
        (replace(sessions, rules=replace(RULES, upstream="nemid")), ("browser",)),
    ]
    for those, browsers in gone:
        with pytest.raises(StaffLoginNeeded):
            those.find(token, browsers, NOW)
    sessions.end(member)
    with pytest.raises(StaffLoginNeeded):
        sessions.find(token, ("browser",), NOW)


def test_a_session_ends_after_fifteen_idle_minutes(sessions: StaffSessions) -> None:
    """A request renews it; a request in another browser does not."""
    _, token = sessions.open(KIRSTEN, "browser", NOW)
    sessions.find(token, ("browser",), NOW + timedelta(minutes=14))
    with pytest.raises(StaffLoginNeeded):
        sessions.find(token, ("other",), NOW + timedelta(minutes=28))
    with pytest.raises(StaffLoginNeeded):
        sessions.find(token, ("browser",), NOW + timedelta(minutes=29))


def test_a_busy_session_ends_after_four_hours(sessions: StaffSessions) -> None:
    """However often it is renewed."""
    _, token = sessions.open(KIRSTEN, "browser", NOW)
    for minutes in range(10, 240, 10):
        sessions.find(token, ("browser",), NOW + timedelta(minutes=minutes))
    assert sessions.find(token, ("browser",), NOW + timedelta(minutes=239)).until_at_most == NOW + timedelta(hours=4)
    with pytest.raises(StaffLoginNeeded):
        sessions.find(token, ("browser",), NOW + timedelta(hours=4))
