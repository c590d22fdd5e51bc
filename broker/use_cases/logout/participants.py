"""The participants of a logout: services and upstreams, with the names that they know."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.core.entities import Service, Upstream
from broker.core.logout.sessions import NameID, Session
from broker.core.logout.single_logout import MOST_ASKED, LogoutPeer, Participant, ParticipantState


@dataclass(frozen=True, slots=True)
class Participants:
    """Makes participants from sessions.

    ``can_reach`` says whether the metadata of a peer has an address for a LogoutRequest.
    """

    services: Mapping[str, Service]
    upstreams: Mapping[str, Upstream]
    can_reach: Callable[[LogoutPeer, datetime], bool]

    def is_upstream_asked(self, session: Session) -> bool:
        """Return whether a logout of this session may reach its upstream."""
        upstream = self.upstreams.get(session.upstream)
        return upstream is not None and not upstream.local and upstream.logout != "never"

    def list_services(self, sessions: Iterable[Session], now: datetime) -> Iterator[Participant]:
        """Yield a participant for each NameID at each service, with its SessionIndexes.

        At most 20 are asked. The others count as unreachable.
        """
        groups: dict[tuple[str, str], list[Session]] = defaultdict(list)
        for session in sessions:
            names = (session.service, session.name_id.value)
            groups[names].append(session)
        for number, own in enumerate(groups.values()):
            asked = number < MOST_ASKED and self._reaches_service(own[0], now)
            yield Participant(
                LogoutPeer("service", own[0].service),
                own[0].name_id,
                tuple(session.index for session in own),
                ParticipantState.OPEN if asked else ParticipantState.UNREACHABLE,
            )

    def _reaches_service(self, session: Session, now: datetime) -> bool:
        service = self.services.get(session.service)
        # Another service may have the name now. It must not learn about this person.
        if service is None or service.entity_id != session.entity_id:
            return False
        return self.can_reach(LogoutPeer("service", session.service), now)

    def list_upstreams(self, sessions: Sequence[Session], now: datetime) -> Iterator[Participant]:
        """Yield each upstream once, with the NameID that it sent last.

        An upstream has one session, however many logins used it.
        """
        still_open = [session for session in sessions if not session.upstream_ended]
        for name in dict.fromkeys(session.upstream for session in still_open):
            upstream = self.upstreams.get(name)
            if upstream is not None and not upstream.local:
                given = [session for session in still_open if session.upstream == name]
                yield self._upstream_participant(upstream, given, now)

    def _upstream_participant(
        self, upstream: Upstream, given: Sequence[Session], now: datetime
    ) -> Participant:
        newest = given[-1]
        # Another upstream may have the name now. It must not get this NameID.
        name_id = newest.upstream_name_id if newest.is_from(upstream) else None
        indexes = [each.upstream_index for each in given if each.upstream_name_id == name_id]
        return Participant(
            LogoutPeer("upstream", upstream.name),
            name_id or NameID(""),
            tuple(dict.fromkeys(index for index in indexes if index)),
            self._upstream_state(upstream, name_id, now),
            always=upstream.logout == "always",
        )

    def _upstream_state(
        self, upstream: Upstream, name_id: NameID | None, now: datetime
    ) -> ParticipantState:
        if upstream.logout == "never":
            return ParticipantState.KEPT
        # Without a NameID the request would name nobody.
        peer = LogoutPeer("upstream", upstream.name)
        if name_id is None or not self.can_reach(peer, now):
            return ParticipantState.UNREACHABLE
        return ParticipantState.OPEN
