"""Single logout, decided: which session participant is next, and what the one that asked is told in the end.

Sources: saml-core 3.7, saml-profiles 4.4, saml_profiles.md rows 23 and 34.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

from broker.core.errors import PARTIAL_LOGOUT, SUCCESS, UNKNOWN_PRINCIPAL, Status
from broker.core.logout.sessions import NameID

# Who reads the page and goes through several services needs time; a transaction has as much.
LOGOUT_LIFETIME: Final = timedelta(minutes=30)
# More hops than that no browser should make; the rest is told as not logged out.
MOST_ASKED: Final = 20

Side = Literal["service", "upstream"]
LogoutScope = Literal["all", "services", "none"]


@dataclass(frozen=True, slots=True)
class LogoutPeer:
    """A service or an upstream, named as in broker.toml."""

    side: Side
    name: str


@dataclass(frozen=True, slots=True, repr=False)
class LogoutRequest:
    """A LogoutRequest after its message was verified: by its peer's own key, for us, and fresh."""

    peer: LogoutPeer
    id: str
    name_id: NameID
    indexes: tuple[
        str, ...
    ] = ()  # none: every session of this principal with this peer (core 3.7.1)
    relay_state: str | None = None
    asynchronous: bool = False  # the peer wants no LogoutResponse


@dataclass(frozen=True, slots=True)
class LogoutResponse:
    """A verified LogoutResponse; ``ended`` says that the peer ended everything, ``unknown`` that it knows nobody so."""

    peer: LogoutPeer
    in_response_to: str
    ended: bool
    unknown: bool = False


class ParticipantState(StrEnum):
    """How a session participant stands."""

    OPEN = "open"  # not asked yet
    ASKED = "asked"  # our LogoutRequest is under way
    ENDED = "ended"  # it said so
    FAILED = "failed"  # it said that it could not
    SILENT = "silent"  # it did not answer, and the person went on
    UNREACHABLE = "unreachable"  # it has no place to be asked at
    KEPT = "kept"  # the person stays logged in there, by their own choice or the library's


@dataclass(frozen=True, slots=True, repr=False)
class Participant:
    """A session participant other than the one that asked, and the LogoutRequest it was sent."""

    peer: LogoutPeer
    name_id: NameID
    indexes: tuple[str, ...]
    state: ParticipantState = ParticipantState.OPEN
    request: str | None = None
    always: bool = False  # configured so: the person is not asked about it


@dataclass(frozen=True, slots=True)
class AskScope:
    """The person says how much is to be ended."""


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
    """Nothing is left to do; ``remains`` says that the person must be told what stays open."""

    status: Status
    remains: bool


LogoutStep = AskScope | Send | Wait | Finish


@dataclass(frozen=True, slots=True)
class Logout:
    """A logout under way, bound to the browser whose cookies b it came with.

    ``found`` is whether the request named a session, ``left`` whether it leaves others of that
    session open that this browser cannot reach, ``going`` whether the person has said how much is
    to be ended, ``told`` whether the audit trail has how it ended.
    """

    id: str
    request: LogoutRequest
    begun: datetime
    browsers: tuple[str, ...] | None = None
    groups: tuple[tuple[str, str], ...] = ()  # browser and person of each session that was named
    found: bool = False
    left: bool = False
    going: bool = False
    told: bool = False
    participants: tuple[Participant, ...] = field(default=())

    @property
    def until(self) -> datetime:
        """Return when it is forgotten."""
        return self.begun + LOGOUT_LIFETIME

    def ready(self) -> "Logout":
        """Go on at once where there is nothing that the person is asked about."""
        return replace(
            self,
            going=all(
                each.always for each in self.participants if each.state is ParticipantState.OPEN
            ),
        )

    def chosen(self, scope: LogoutScope) -> "Logout":
        """Take the person's word on how much is to be ended; it counts once."""
        if self.going:
            return self
        kept = {"all": (), "services": ("upstream",), "none": ("service", "upstream")}[scope]
        return replace(
            self, going=True, participants=tuple(_kept(each, kept) for each in self.participants)
        )

    def asked(self, participant: Participant, request: str) -> "Logout":
        """Record the LogoutRequest that is about to be sent, unless another tab has sent one meanwhile."""
        return (
            self._now(participant, ParticipantState.ASKED, request)
            if participant in self.participants
            else self
        )

    def awaits(self, response: LogoutResponse) -> Participant | None:
        """Find the participant that a response comes from: asked, by the very request that it answers."""
        return next(
            (
                each
                for each in self.participants
                if each.state is ParticipantState.ASKED
                and each.request == response.in_response_to
                and each.peer == response.peer
            ),
            None,
        )

    def answered(self, participant: Participant, *, ended: bool) -> "Logout":
        """Record what a participant answered."""
        return self._now(
            participant,
            ParticipantState.ENDED if ended else ParticipantState.FAILED,
            participant.request,
        )

    def skipped(self, request: str) -> "Logout":
        """Go on without the participant that was sent ``request``."""
        return self._unanswered(request, ParticipantState.SILENT)

    def again(self, request: str) -> "Logout":
        """Ask the participant that was sent ``request`` anew: a browser that was stopped never brought it there."""
        return self._unanswered(request, ParticipantState.OPEN)

    def _unanswered(self, request: str, state: ParticipantState) -> "Logout":
        asked = (
            each
            for each in self.participants
            if each.request == request and each.state is ParticipantState.ASKED
        )
        found = next(asked, None)
        return self._now(found, state, request) if found else self

    def _now(
        self, participant: Participant, state: ParticipantState, request: str | None
    ) -> "Logout":
        changed = replace(participant, state=state, request=request)
        return replace(
            self,
            participants=tuple(
                changed if each == participant else each for each in self.participants
            ),
        )


def _kept(participant: Participant, sides: tuple[str, ...]) -> Participant:
    if (
        participant.state is ParticipantState.OPEN
        and not participant.always
        and participant.peer.side in sides
    ):
        return replace(participant, state=ParticipantState.KEPT)
    return participant


def next_turn(logout: Logout) -> LogoutStep:
    """Say what comes next: the person's word first, then every service, then the upstreams, then the answer."""
    waiting = [each for each in logout.participants if each.state is ParticipantState.ASKED]
    if waiting:
        return Wait(waiting[0])
    still = sorted(
        (each for each in logout.participants if each.state is ParticipantState.OPEN), key=_upstream
    )
    if still:
        return Send(still[0]) if logout.going else AskScope()
    return Finish(status(logout), remains(logout))


def _upstream(participant: Participant) -> bool:
    return participant.peer.side == "upstream"


def status(logout: Logout) -> Status:
    """Return the status for the one that asked: Success only where every session participant was ended.

    An upstream's session is the upstream's: left alone by choice or by configuration it does not
    count, but one that was to be asked and did not end, or could not be asked, does
    (saml_profiles.md row 34).
    """
    if not logout.found:
        return UNKNOWN_PRINCIPAL
    over = all(
        each.state is ParticipantState.ENDED
        or (_upstream(each) and each.state is ParticipantState.KEPT)
        for each in logout.participants
    )
    return SUCCESS if over and not logout.left else PARTIAL_LOGOUT


def remains(logout: Logout) -> bool:
    """Return whether something stays open against the person's will, or that nobody has told them of."""
    return any(
        each.state
        in {ParticipantState.FAILED, ParticipantState.SILENT, ParticipantState.UNREACHABLE}
        for each in logout.participants
    )
