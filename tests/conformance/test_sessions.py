"""Sessions on every store: found by service and NameID or by browser, ended once, and closed for earlier logins."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from broker.core.login.transaction import Authentication, AuthnRequest, Person, Transaction
from broker.core.logout.logout_state import LogoutPeer, LogoutRequest
from broker.core.logout.sessions import NameID, Session
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key, Store
from broker.use_cases.logout.sessions import Sessions

NOW: Final = datetime(2031, 3, 30, 1, 59, 59, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
A: Final = Session(
    id="a" * 64,
    service="my-loans",
    entity_id="https://a.example",
    name_id=NameID("asta-at-a", "persistent"),
    index="_1",
    browser="b1",
    person="asta",
    transaction="t1",
    upstream="wayf",
    at=NOW,
    until=NOW + timedelta(hours=12),
    upstream_name_id=NameID("_t"),
    upstream_index="_i",
)
OTHERS: Final = (
    replace(A, id="b" * 64, index="_2", browser="b2", at=NOW + SECOND),
    replace(A, id="c" * 64, service="other", entity_id="https://c.example", at=NOW + 2 * SECOND),
    replace(A, id="d" * 64, person="bo", name_id=NameID("bo-at-a", "persistent"), at=NOW + 3 * SECOND),
)
Login = Callable[[datetime], Transaction]


@pytest.fixture
def sessions(store: Store) -> Sessions:
    """Return sessions of two people in two browsers at two services."""
    made = Sessions(store, LookupHmacs("k1", b"k" * 32))
    for each in (A, *OTHERS):
        made.add(each, NOW)
    return made


@pytest.fixture
def login() -> Login:
    """Return a function that makes Asta's transaction in browser b1 with an upstream answer of the given time."""
    plain = Transaction(
        "t9", "K7MW3QZX", NOW, A.until, AuthnRequest("_1", "x", "https://x.example", "https://x.example/acs")
    )
    answer = Authentication("wayf", "i", "i", (), (), NOW, None, NOW, A.until, "_t", session_index="_i")
    known = replace(plain, browser="b1", person=Person("asta"), authenticated=A.until)
    return lambda at: replace(known, authentication=replace(answer, received=at))


@pytest.mark.profile(34)
@pytest.mark.parametrize(
    ("entity_id", "name_id", "indexes", "found"),
    [
        (A.entity_id, A.name_id, ("_1",), "a"),
        (A.entity_id, A.name_id, ("_2", "_9"), "b"),
        (A.entity_id, A.name_id, (), "ab"),
        (A.entity_id, NameID("asta-at-a"), (), "ab"),
        (A.entity_id, NameID("asta-at-a", "transient"), (), ""),
        (A.entity_id, NameID("bo-at-a"), ("_1",), "d"),
        ("https://c.example", A.name_id, (), "c"),
        ("https://c.example", NameID("bo-at-a"), (), ""),
    ],
)
def test_a_service_finds_its_own_sessions(
    sessions: Sessions, entity_id: str, name_id: NameID, indexes: tuple[str, ...], found: str
) -> None:
    """Sessions match by entityID and NameID, and by SessionIndex if the request has one (core 3.7.1)."""
    request = LogoutRequest(
        LogoutPeer("service", "my-loans"), "_q", name_id, indexes, latest_issue_time=NOW + 3 * SECOND
    )
    hit = sessions.find_named(entity_id, request, NOW + 3 * SECOND)
    assert "".join(sorted(each.id[0] for each in hit)) == found


def test_a_browser_lists_the_sessions_of_all_its_users(sessions: Sessions) -> None:
    """The list has the oldest session first and no session of another browser."""
    assert [each.id[0] for each in sessions.list_in_browsers(["b1"], NOW)] == ["a", "c", "d"]
    assert [each.id[0] for each in sessions.list_in_browsers(["b2", "b3"], NOW)] == ["b"]


def test_an_ended_session_stays_ended(sessions: Sessions) -> None:
    """Adding or ending it again changes nothing, and its transaction is deleted."""
    sessions.end([A], NOW)
    sessions.add(A, NOW)
    sessions.end([A], NOW + SECOND)
    request = LogoutRequest(LogoutPeer("service", "my-loans"), "_q", A.name_id, ("_1",), latest_issue_time=NOW)
    (found,) = sessions.find_named(A.entity_id, request, NOW)
    assert found.ended == NOW
    assert sessions.store.get(Key("transaction", "t1"), NOW) is None


@pytest.mark.attack(29)
def test_closing_ends_earlier_logins_of_the_person_in_the_browser(sessions: Sessions, login: Login) -> None:
    """Later logins, logins in other browsers and logins of other persons continue."""
    sessions.close("b1", "bo", NOW)
    sessions.close("b2", "asta", NOW)
    assert not sessions.is_over(login(NOW), NOW)
    sessions.close("b1", "asta", NOW)
    assert sessions.is_over(login(NOW), NOW)
    assert sessions.is_over(login(NOW - SECOND), NOW)
    assert not sessions.is_over(login(NOW + SECOND), NOW)


@pytest.mark.attack(29)
@pytest.mark.parametrize(("upstream", "over"), [("wayf", True), ("nemid", False)])
def test_an_upstream_ends_only_its_own_logins(sessions: Sessions, login: Login, upstream: str, over: bool) -> None:
    """A login through another upstream continues."""
    sessions.close("b1", "asta", NOW, upstream)
    assert sessions.is_over(login(NOW), NOW) is over


@pytest.mark.attack(29)
@pytest.mark.parametrize(
    ("said", "over"),
    [
        (("wayf", "_t", ("_i",)), True),
        (("wayf", "_t", ()), True),
        (("wayf", "_t", ("_j",)), False),
        (("wayf", "_u", ()), False),
        (("nemid", "_t", ()), False),
    ],
)
def test_an_upstream_ends_a_session_by_name_id_and_session_index(
    sessions: Sessions, login: Login, said: tuple[str, str, tuple[str, ...]], over: bool
) -> None:
    """Without a SessionIndex, all sessions of the NameID end."""
    upstream, name, indexes = said
    request = LogoutRequest(LogoutPeer("upstream", upstream), "_q", NameID(name), indexes, latest_issue_time=NOW)
    sessions.close_upstream(request)
    assert sessions.is_over(login(NOW), NOW) is over
