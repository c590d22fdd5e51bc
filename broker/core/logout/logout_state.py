"""Single logout: its state, its next step, and the status in its answer.

Sources: saml-core 3.7, saml-profiles 4.4, docs/reference/saml-profiles.md#23 and #34.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, assert_never

from broker.core.errors import PARTIAL_LOGOUT, SUCCESS, UNKNOWN_PRINCIPAL, Status
from broker.core.logout.sessions import NameID, Session
from broker.core.retention import LOGOUT

# The most services that one logout asks, because the browser visits each of them. Further
# services are reported as not logged out.
MOST_ASKED: Final = 20

Side = Literal["service", "upstream"]
LogoutScope = Literal["all", "services", "none"]
# The sides that stay logged in, by the scope that the person chose.
_KEPT_SIDES: Final[dict[LogoutScope, tuple[Side, ...]]] = {
    "all": (),
    "services": ("upstream",),
    "none": ("service", "upstream"),
}


@dataclass(frozen=True, slots=True)
class LogoutPeer:
    """A service or an upstream, named as in broker.toml."""

    side: Side
    name: str


@dataclass(frozen=True, slots=True, repr=False)
class LogoutRequest:
    """A LogoutRequest after its message was verified: signed by its peer, for us, and recent."""

    peer: LogoutPeer
    id: str
    name_id: NameID
    # empty: every session of this principal with this peer (core 3.7.1)
    indexes: tuple[str, ...] = ()
    relay_state: str | None = None
    asynchronous: bool = False  # the peer wants no LogoutResponse
    # The IssueInstant plus the clock skew: a delayed request does not end logins that began later.
    latest_issue_time: datetime = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class LogoutResponse:
    """A verified LogoutResponse; ``ended`` says whether the peer ended everything."""

    peer: LogoutPeer
    in_response_to: str
    ended: bool


class ParticipantState(StrEnum):
    """The state of a session participant."""

    OPEN = "open"  # not asked yet
    ASKED = "asked"  # our LogoutRequest is under way
    ENDED = "ended"  # it answered that it ended
    FAILED = "failed"  # it answered that it could not
    SILENT = "silent"  # it did not answer, and the person continued
    UNREACHABLE = "unreachable"  # it has no single logout address
    KEPT = "kept"  # the person stays logged in there, by their choice or by configuration


@dataclass(frozen=True, slots=True, repr=False)
class Participant:
    """A participant other than the one that asked, and the LogoutRequest that was sent to it."""

    peer: LogoutPeer
    name_id: NameID
    indexes: tuple[str, ...]
    state: ParticipantState = ParticipantState.OPEN
    request: str | None = None
    always: bool = False  # by configuration it is asked without the person's choice
    sent: datetime | None = None  # when that request was written


@dataclass(frozen=True, slots=True)
class AskScope:
    """The person chooses how much is to be ended."""


@dataclass(frozen=True, slots=True)
class Send:
    """The browser takes a LogoutRequest to this participant."""

    participant: Participant


@dataclass(frozen=True, slots=True)
class Wait:
    """A participant was asked and has not answered; the person may go on without it."""

    participant: Participant


@dataclass(frozen=True, slots=True)
class Finish:
    """The logout is finished; ``remains``: the page must show what stays open."""

    status: Status
    remains: bool


LogoutStep = AskScope | Send | Wait | Finish


@dataclass(frozen=True, slots=True)
class Logout:
    """A logout in progress, bound to the browser whose cookies it came with.

    ``names_session``: the request named a session. ``leaves_others``: other sessions of the person
    stay open, because this browser cannot reach them or because they began later. ``has_chosen``:
    the person has chosen how much is ended. ``is_logged``: the end is in the audit log.
    """

    id: str
    request: LogoutRequest
    begun: datetime
    browsers: tuple[str, ...] | None = None
    groups: tuple[tuple[str, str], ...] = ()  # browser and person of each session that was named
    names_session: bool = False
    leaves_others: bool = False
    has_chosen: bool = False
    is_logged: bool = False
    participants: tuple[Participant, ...] = field(default=())

    @property
    def until(self) -> datetime:
        """Return the time at which the record expires."""
        return LOGOUT.until(self.begun)

    @property
    def reached_browsers(self) -> tuple[str, ...]:
        """Return the browser cookies by which the logout finds sessions.

        There are none before a browser has joined the logout.
        """
        return self.browsers or ()

    def skip_question(self) -> "Logout":
        """Record that the person has chosen, if there is nothing to ask them."""
        return replace(
            self, has_chosen=all(participant.always for participant in self._iterate_open())
        )

    def choose_scope(self, scope: LogoutScope) -> "Logout":
        """Record the person's choice of how much is ended; only the first choice counts."""
        if self.has_chosen:
            return self
        sides = _KEPT_SIDES[scope]
        participants = tuple(_keep(participant, sides) for participant in self.participants)
        return replace(self, has_chosen=True, participants=participants)

    def record_request(self, participant: Participant, request: str, now: datetime) -> "Logout":
        """Record the LogoutRequest that is about to be sent, unless another tab has sent one."""
        if participant not in self.participants:
            return self
        return self._set_state(participant, ParticipantState.ASKED, request, sent=now)

    def has_participant_of(self, session: Session) -> bool:
        """Return whether a session belongs to one of the participants."""
        return any(
            participant.peer.side == "service" and session.index in participant.indexes
            for participant in self.participants
        )

    def find_awaited(self, response: LogoutResponse) -> Participant | None:
        """Return the participant that a response comes from, if that request was sent to it."""
        for participant in self._iterate_asked(response.in_response_to):
            if participant.peer == response.peer:
                return participant
        return None

    def record_answer(self, participant: Participant, *, ended: bool) -> "Logout":
        """Record a participant's answer."""
        state = ParticipantState.ENDED if ended else ParticipantState.FAILED
        return self._set_state(participant, state, participant.request)

    def skip_participant(self, request: str) -> "Logout":
        """Continue without the participant that was sent ``request``."""
        return self._give_up_answer(request, ParticipantState.SILENT)

    def ask_again(self, request: str) -> "Logout":
        """Ask the participant that was sent ``request`` again.

        The browser may have been stopped before it delivered the request.
        """
        return self._give_up_answer(request, ParticipantState.OPEN)

    def _give_up_answer(self, request: str, state: ParticipantState) -> "Logout":
        asked = next(self._iterate_asked(request), None)
        if asked is None:
            return self
        return self._set_state(asked, state, request)

    def _iterate_open(self) -> Iterator[Participant]:
        for participant in self.participants:
            if participant.state is ParticipantState.OPEN:
                yield participant

    def _iterate_asked(self, request: str) -> Iterator[Participant]:
        for participant in self.participants:
            if participant.state is ParticipantState.ASKED and participant.request == request:
                yield participant

    def _set_state(
        self,
        participant: Participant,
        state: ParticipantState,
        request: str | None,
        *,
        sent: datetime | None = None,
    ) -> "Logout":
        changed = replace(participant, state=state, request=request, sent=sent or participant.sent)
        participants = tuple(
            changed if present == participant else present for present in self.participants
        )
        return replace(self, participants=participants)


def _keep(participant: Participant, sides: tuple[str, ...]) -> Participant:
    if participant.always or participant.state is not ParticipantState.OPEN:
        return participant
    if participant.peer.side not in sides:
        return participant
    return replace(participant, state=ParticipantState.KEPT)


def next_logout_step(logout: Logout) -> LogoutStep:
    """Return the next step: the person's choice, every service, the upstreams, then the answer."""
    for participant in logout.participants:
        if participant.state is ParticipantState.ASKED:
            return Wait(participant)
    still_open = (
        participant
        for participant in logout.participants
        if participant.state is ParticipantState.OPEN
    )
    following = min(still_open, key=_is_upstream, default=None)
    if following is None:
        return Finish(find_status(logout), has_open_sessions(logout))
    if not logout.has_chosen:
        return AskScope()
    return Send(following)


def _is_upstream(participant: Participant) -> bool:
    return participant.peer.side == "upstream"


def find_status(logout: Logout) -> Status:
    """Return the status of the answer: Success only if every participant's session was ended.

    An upstream's session belongs to the upstream: it does not count if it stays by choice or by
    configuration. It counts if it was to be asked and did not end, or could not be asked
    (docs/reference/saml-profiles.md#34).
    """
    if not logout.names_session:
        return UNKNOWN_PRINCIPAL
    if logout.leaves_others or not all(map(_is_over, logout.participants)):
        return PARTIAL_LOGOUT
    return SUCCESS


def _is_over(participant: Participant) -> bool:
    if participant.state is ParticipantState.ENDED:
        return True
    return _is_upstream(participant) and participant.state is ParticipantState.KEPT


def has_open_sessions(logout: Logout) -> bool:
    """Return whether a session stays open that the person did not choose to keep."""
    return any(map(_stays_open, logout.participants))


def _stays_open(participant: Participant) -> bool:
    match participant.state:
        case ParticipantState.FAILED | ParticipantState.SILENT | ParticipantState.UNREACHABLE:
            return True
        case (
            ParticipantState.OPEN
            | ParticipantState.ASKED
            | ParticipantState.ENDED
            | ParticipantState.KEPT
        ):
            return False
        case _:
            assert_never(participant.state)
