"""The next step of a single logout, and the status in its answer."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, get_args

import pytest

from broker.core.errors import PARTIAL_LOGOUT, SUCCESS, UNKNOWN_PRINCIPAL, Status
from broker.core.logout.logout_state import (
    AskScope,
    Logout,
    LogoutPeer,
    LogoutRequest,
    LogoutResponse,
    LogoutScope,
    Participant,
    ParticipantState,
    Send,
    find_status,
    has_open_sessions,
    next_logout_step,
)
from broker.core.logout.sessions import NameID

NOW: Final = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
A, B, UP = LogoutPeer("service", "a"), LogoutPeer("service", "b"), LogoutPeer("upstream", "wayf")
REQUEST: Final = LogoutRequest(LogoutPeer("service", "asker"), "_1", NameID("n"), latest_issue_time=NOW)


def logout(
    *states: tuple[LogoutPeer, ParticipantState], found: bool = True, going: bool = True, left: bool = False
) -> Logout:
    """Give a logout with these participants."""
    several = tuple(
        Participant(peer, NameID(peer.name), (), state, "_q" if state is ParticipantState.ASKED else None)
        for peer, state in states
    )
    return Logout(
        "0" * 32, REQUEST, NOW, ("b",), names_session=found, has_chosen=going, leaves_others=left, participants=several
    )


@pytest.mark.profile(34)
@pytest.mark.parametrize(
    ("found", "left", "states", "expected"),
    [
        (True, False, (), SUCCESS),
        (False, False, (), UNKNOWN_PRINCIPAL),
        (True, True, (), PARTIAL_LOGOUT),
        (True, False, ((A, ParticipantState.ENDED), (UP, ParticipantState.ENDED)), SUCCESS),
        (True, False, ((A, ParticipantState.FAILED),), PARTIAL_LOGOUT),
        (True, False, ((A, ParticipantState.SILENT),), PARTIAL_LOGOUT),
        (True, False, ((A, ParticipantState.KEPT),), PARTIAL_LOGOUT),
        (True, False, ((A, ParticipantState.UNREACHABLE),), PARTIAL_LOGOUT),
        (True, False, ((UP, ParticipantState.KEPT),), SUCCESS),
        (True, False, ((UP, ParticipantState.UNREACHABLE),), PARTIAL_LOGOUT),
        (True, False, ((UP, ParticipantState.FAILED),), PARTIAL_LOGOUT),
        (True, False, ((UP, ParticipantState.SILENT),), PARTIAL_LOGOUT),
        (True, False, ((A, ParticipantState.ENDED), (B, ParticipantState.SILENT)), PARTIAL_LOGOUT),
    ],
)
def test_the_status_is_honest(
    found: bool, left: bool, states: tuple[tuple[LogoutPeer, ParticipantState], ...], expected: Status
) -> None:
    """Success only where every participant ended; an upstream left alone is the upstream's own affair."""
    assert find_status(logout(*states, found=found, left=left)) == expected


@pytest.mark.parametrize("peer", [A, UP])
@pytest.mark.parametrize("state", ParticipantState)
def test_a_session_that_could_not_be_ended_is_reported(peer: LogoutPeer, state: ParticipantState) -> None:
    """A peer that failed, was silent or could not be reached remains; one that was kept by choice does not."""
    unwanted = {ParticipantState.FAILED, ParticipantState.SILENT, ParticipantState.UNREACHABLE}
    assert has_open_sessions(logout((peer, state))) is (state in unwanted)


@pytest.mark.parametrize(
    ("scope", "service", "upstream"), [("all", "open", "open"), ("services", "open", "kept"), ("none", "kept", "kept")]
)
def test_the_persons_word_counts_once(scope: LogoutScope, service: str, upstream: str) -> None:
    """A second choice, by Back, changes nothing."""
    chosen = logout((A, ParticipantState.OPEN), (UP, ParticipantState.OPEN), going=False).choose_scope(scope)
    assert [each.state.value for each in chosen.participants] == [service, upstream]
    assert all(chosen.choose_scope(other) == chosen for other in get_args(LogoutScope))


def test_an_upstream_that_is_always_logged_out_needs_no_question() -> None:
    """An upstream configured so is ended whatever the person says of the rest, and without a page where it is alone."""
    alone = logout((UP, ParticipantState.OPEN), going=False)
    always = replace(alone, participants=(replace(alone.participants[0], always=True),)).skip_question()
    assert isinstance(next_logout_step(always), Send)
    assert isinstance(next_logout_step(alone.skip_question()), AskScope)
    both = replace(always, has_chosen=False, participants=(*always.participants, Participant(A, NameID("a"), ())))
    assert [each.state for each in both.skip_question().choose_scope("none").participants] == [
        ParticipantState.OPEN,
        ParticipantState.KEPT,
    ]


def test_no_question_if_only_an_always_asked_upstream_is_left() -> None:
    """Where all that is left open is always asked, no page asks the person how far to go."""
    begun = logout((A, ParticipantState.ENDED), (B, ParticipantState.KEPT), (UP, ParticipantState.OPEN), going=False)
    always = replace(begun.participants[2], always=True)
    assert replace(begun, participants=(*begun.participants[:2], always)).skip_question().has_chosen
    assert not begun.skip_question().has_chosen


@pytest.mark.attack(29)
@pytest.mark.parametrize(
    "response",
    [
        LogoutResponse(B, "_q", ended=True),
        LogoutResponse(A, "_other", ended=True),
        LogoutResponse(UP, "_q", ended=True),
    ],
)
def test_an_answer_is_its_own_participants(response: LogoutResponse) -> None:
    """By another peer, or to another request, it is nobody's."""
    asked = logout((A, ParticipantState.ASKED), (B, ParticipantState.OPEN), (UP, ParticipantState.OPEN))
    assert asked.find_awaited(response) is None
    assert asked.find_awaited(LogoutResponse(A, "_q", ended=True)) == asked.participants[0]


def test_going_on_without_one_needs_its_request() -> None:
    """A link kept from an earlier page skips nobody else."""
    asked = logout((A, ParticipantState.ASKED), (B, ParticipantState.OPEN))
    assert asked.skip_participant("_other") == asked
    assert asked.skip_participant("_q").participants[0].state is ParticipantState.SILENT


def test_asking_again_sends_a_new_logout_request() -> None:
    """The answer to the first request no longer counts."""
    asked = logout((A, ParticipantState.ASKED), (B, ParticipantState.OPEN))
    assert asked.ask_again("_other") == asked
    turn = next_logout_step(asked.ask_again("_q"))
    assert isinstance(turn, Send)
    assert turn.participant.peer == A
    anew = asked.ask_again("_q").record_request(turn.participant, "_r", NOW)
    assert anew.find_awaited(LogoutResponse(A, "_q", ended=True)) is None
    assert anew.find_awaited(LogoutResponse(A, "_r", ended=True)) is not None


def test_two_tabs_ask_once() -> None:
    """A tab with an older state does not overwrite the request that another tab sent."""
    begun = logout((A, ParticipantState.OPEN))
    sent = begun.record_request(begun.participants[0], "_q", NOW)
    assert sent.record_request(begun.participants[0], "_r", NOW) == sent
