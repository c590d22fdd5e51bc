"""How many logins a network may begin in a minute, counted in the memory of each worker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from threading import Lock
from typing import Final, NamedTuple

from flask import Request

from broker.adapters.web.client_address import ClientAddresses, is_unaccounted
from broker.core.errors import NetworkBusy
from broker.core.event_routes import BrokerEvent, EventKind, Facts, TellPort
from broker.core.minute_counts import MinuteCounts, seconds_left

# Some 3 MB of memory. Whoever has more networks than these forgets their own counts, and nobody
# else's refusal: there is no ceiling over all, which would be theirs to reach
# (docs/reference/design.md#4e).
_MOST_NAMES: Final = 20_000


class Campus(NamedTuple):
    """A network that counts as one, with a ceiling of its own."""

    network: IPv4Network | IPv6Network
    ceiling: int


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The most that may be begun in a minute: from one network, by one mark, from each campus."""

    network: int
    mark: int
    campuses: Sequence[Campus] = ()


class _Counted(NamedTuple):
    """What a request counts for: a name, its ceiling, and the setting that lets more in."""

    name: str
    ceiling: int
    setting: str


@dataclass(frozen=True, slots=True)
class BeginningLimits:
    """The counts of one worker.

    ``mark`` returns the sealed mark of an earlier login that a browser brings, or None: such
    browsers count apart, by mark and by network, so that a stranger's flood keeps none of them out.
    """

    ceilings: Ceilings
    mark: Callable[[Request], str | None]
    now: Callable[[], datetime]
    tell: TellPort
    counts: MinuteCounts = field(default_factory=lambda: MinuteCounts(_MOST_NAMES))
    lock: Lock = field(default_factory=Lock)

    def count(self, request: Request) -> None:
        """Count a login, sign-up or errand that is about to begin; NetworkBusy beyond a ceiling."""
        now = self.now()
        counted = self._network(request)
        mark = self.mark(request)
        with self.lock:
            if mark is not None and self._has_room(mark, counted, now):
                return
            came = self.counts.count(counted.name, now)
        if came <= counted.ceiling:
            return
        if came == counted.ceiling + 1:
            self._tell(counted)
        raise NetworkBusy(seconds_left(now))

    def _has_room(self, mark: str, counted: _Counted, now: datetime) -> bool:
        """Count a browser that brings a mark; False where its mark or network has had its most.

        Whoever has logged in once may copy the mark, or collect marks: neither passes for more than
        one mark's ceiling, nor all together for more than the network's own.
        """
        if self.counts.count(f"mark {mark}", now) > self.ceilings.mark:
            return False
        return self.counts.count(f"marked {counted.name}", now) <= counted.ceiling

    def _network(self, request: Request) -> _Counted:
        for campus in self.ceilings.campuses:
            if ClientAddresses.is_within(request, (campus.network,)):
                setting = "limits.campuses[].beginnings"
                return _Counted(str(campus.network), campus.ceiling, setting)
        setting = "limits.campuses"
        if is_unaccounted(request):
            # A proxy that nobody has counted: everybody behind it is one network.
            setting = "serve.proxies"
        return _Counted(ClientAddresses.network(request), self.ceilings.network, setting)

    def _tell(self, counted: _Counted) -> None:
        facts: Facts = {
            "network": counted.name,
            "beginnings_a_minute": counted.ceiling,
            "setting": counted.setting,
        }
        self.tell(BrokerEvent(EventKind.NETWORK_REFUSED, facts))
