"""A logout over one store: whose sessions it ends, who is asked, and whom it never touches."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

import pytest

from broker.core.entities import Service, Text, Upstream
from broker.core.logout.logout_state import (
    MOST_ASKED,
    Logout,
    LogoutPeer,
    LogoutRequest,
    LogoutResponse,
    ParticipantState,
)
from broker.core.logout.sessions import NameID, Session
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.logout.logout_flow import LogoutFlow
from broker.use_cases.logout.sessions import Sessions

NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
INSTANT, SECOND, HALF_AN_HOUR = timedelta(microseconds=1), timedelta(seconds=1), timedelta(minutes=30)
WORDS: Final = Text("x", "x")
SERVICES: Final = {
    name: Service(name, f"https://{name}.example", WORDS, ("wayf",)) for name in ("loans", "books", "halls")
}
WAYF: Final = Upstream("wayf", "wayf", "https://wayf.example", "https://broker.example", "wayf", WORDS)
UPSTREAMS: Final = {"wayf": WAYF, "library": Upstream("library", "library", "", "", "", WORDS)}
AT_LOANS: Final = Session(
    id="loans",
    service="loans",
    entity_id="https://loans.example",
    name_id=NameID("asta at loans", "persistent"),
    index="_l",
    browser="b1",
    person="asta",
    transaction="t1",
    upstream="wayf",
    at=NOW,
    until=NOW + timedelta(hours=1),
    upstream_name_id=NameID("_t1"),
    upstream_index="_i1",
    issuer="https://wayf.example",
)


def session(name: str, service: str = "books", person: str = "asta", browser: str = "b1", **more: Any) -> Session:
    """Give another session."""
    return replace(
        AT_LOANS,
        id=name,
        service=service,
        entity_id=f"https://{service}.example",
        name_id=NameID(f"{person} at {service}", "persistent"),
        index=f"_{name}",
        person=person,
        browser=browser,
        transaction=f"t {name}",
        **more,
    )


BOOKS: Final = session("books")
# Sent by clocks that are far ahead: every session existed then.
LATER: Final = datetime.max.replace(tzinfo=UTC)
BY_LOANS: Final = LogoutRequest(LogoutPeer("service", "loans"), "_q", AT_LOANS.name_id, latest_issue_time=LATER)
IDS: Final = count()
Flow = Callable[..., LogoutFlow]


@pytest.fixture
def flow(world: Any) -> Flow:
    """Give a maker of logouts over these sessions."""

    def make(
        *sessions: Session, upstream: Upstream = WAYF, unreachable: tuple[str, ...] = (), **services: Service
    ) -> LogoutFlow:
        kept = Sessions(world.store, LookupHmacs("k1", b"k" * 32))
        for each in sessions:
            kept.add(each, NOW)
        return LogoutFlow(
            world.store,
            kept,
            {**SERVICES, **services},
            {**UPSTREAMS, "wayf": upstream},
            lambda peer, _now: peer.name not in unreachable,
        )

    return make


def begun(flow: LogoutFlow, request: LogoutRequest = BY_LOANS, *browsers: str, now: datetime = NOW) -> Logout:
    """Begin a logout in a browser, and keep it."""
    logout, new = flow.receive(replace(request, id=f"_q{next(IDS)}"), now)
    assert new
    return flow.read(logout.id, browsers or ("b1",), now)


def ask_participant(logout: Logout) -> list[tuple[str, str]]:
    """Give each participant and its state."""
    return [(each.peer.name, each.state.value) for each in logout.participants]


def test_a_login_by_the_library_leaves_no_upstream_open(flow: Flow) -> None:
    """The library account has no upstream session, so that no upstream is asked."""
    by_pin = replace(AT_LOANS, upstream="library")
    assert ask_participant(begun(flow(by_pin))) == []
    assert not begun(flow(by_pin), BY_LOANS, "b2").leaves_others


@pytest.mark.parametrize(
    ("logout", "state", "always"), [("ask", "open", False), ("always", "open", True), ("never", "kept", False)]
)
def test_an_upstream_is_asked_as_it_is_configured(flow: Flow, logout: Any, state: str, *, always: bool) -> None:
    """And where it alone is left and is always asked, the person is not."""
    found = begun(flow(AT_LOANS, upstream=replace(WAYF, logout=logout)))
    assert ask_participant(found) == [("wayf", state)]
    assert found.participants[0].always is always
    assert found.has_chosen is (logout != "ask")


def test_an_upstream_is_named_by_what_it_gave_last(flow: Flow) -> None:
    """Once, with every index that came with that name."""
    made = flow(
        replace(AT_LOANS, upstream_name_id=NameID("_old"), upstream_index="_i0", at=NOW - SECOND),
        session("books", upstream_name_id=NameID("_new"), upstream_index="_i2"),
        session("halls", "halls", upstream_name_id=NameID("_new"), upstream_index="_i3", at=NOW + SECOND),
        session("more", "halls", upstream_name_id=NameID("_new"), upstream_index="_i3", at=NOW + 2 * SECOND),
    )
    wayf = begun(made, now=NOW + 2 * SECOND).participants[-1]
    assert (wayf.name_id, wayf.indexes) == (NameID("_new"), ("_i2", "_i3"))


def test_each_upstream_is_named_by_what_it_gave_itself(flow: Flow) -> None:
    """Two upstreams are both asked, each with its own NameID only."""
    nemid = replace(WAYF, name="nemid", entity_id="https://nemid.example")
    other = session(
        "books", upstream="nemid", issuer="https://nemid.example", upstream_name_id=NameID("_n"), upstream_index="_in"
    )
    made = flow(AT_LOANS, other)
    both = replace(made, upstreams={**UPSTREAMS, "nemid": nemid})
    names = {each.peer.name: (each.name_id.value, each.indexes) for each in begun(both).participants[1:]}
    assert names == {"wayf": ("_t1", ("_i1",)), "nemid": ("_n", ("_in",))}


@pytest.mark.parametrize(
    "facts", [{"issuer": "https://old-wayf.example"}, {"upstream_name_id": None}], ids=["of another", "no name"]
)
def test_an_upstream_that_never_gave_a_name_is_not_told_one(flow: Flow, facts: dict[str, Any]) -> None:
    """A new upstream of the same name cannot end the session, and the page says that it stays."""
    [wayf] = begun(flow(replace(AT_LOANS, **facts))).participants
    assert (wayf.state, wayf.name_id) == (ParticipantState.UNREACHABLE, NameID(""))


@pytest.mark.parametrize(
    "how",
    [{"unreachable": ("books",)}, {"books": replace(SERVICES["books"], entity_id="https://new-books.example")}],
    ids=["no address", "another service by now"],
)
def test_a_service_that_cannot_be_told_is_not_asked(flow: Flow, how: dict[str, Any]) -> None:
    """A service that has the name by now hears nothing of a person of the one before."""
    assert ask_participant(begun(flow(AT_LOANS, BOOKS, **how)))[0] == ("books", "unreachable")


def test_an_upstream_without_an_address_is_unreachable(flow: Flow) -> None:
    """It cannot be asked, nor its answer believed."""
    assert ask_participant(begun(flow(AT_LOANS, unreachable=("wayf",)))) == [("wayf", "unreachable")]


def test_no_browser_makes_more_than_twenty_hops(flow: Flow) -> None:
    """The rest is reported as not logged out; two sessions of one name are one hop."""
    many = [replace(session(f"s{at}"), name_id=NameID(f"n{at}")) for at in range(MOST_ASKED + 1)]
    many.append(replace(session("again"), name_id=NameID("n0")))
    logout = begun(flow(AT_LOANS, *many, unreachable=("wayf",)))
    states = [each.state for each in logout.participants]
    assert states == [*[ParticipantState.OPEN] * MOST_ASKED, *[ParticipantState.UNREACHABLE] * 2]
    assert [each.indexes for each in logout.participants if each.name_id == NameID("n0")] == [("_again", "_s0")]


def test_the_trail_is_told_once(flow: Flow) -> None:
    """However often the last page is loaded."""
    made = flow(AT_LOANS)
    logout = begun(made)
    assert [made.mark_logged(logout, NOW), made.mark_logged(made.read(logout.id, ("b1",), NOW), NOW)] == [True, False]


def send_message(made: LogoutFlow, logout: Logout) -> str:
    """Send a LogoutRequest to the first participant."""
    request = made.record_request(logout, made.read(logout.id, ("b1",), NOW).participants[0], NOW)
    assert request
    return request


@pytest.mark.attack(29)
def test_an_upstream_s_answer_that_was_held_back_is_about_no_later_login(flow: Flow) -> None:
    """The upstream has a session again: the next logout asks for its end, and claims no Success without it."""
    made = flow(AT_LOANS)
    logout = begun(made)
    request = send_message(made, logout)
    since = NOW + SECOND
    made.sessions.add(session("books", at=since, upstream_index="_i2"), since)
    held_back = since + SECOND
    made.record_answer(LogoutResponse(LogoutPeer("upstream", "wayf"), request, ended=True), held_back)
    by_books = LogoutRequest(LogoutPeer("service", "books"), "_q", BOOKS.name_id, latest_issue_time=LATER)
    assert ask_participant(begun(made, by_books, now=held_back)) == [("wayf", "open")]
