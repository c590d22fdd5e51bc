"""How much a network may ask for in a minute or an hour, counted in the memory of each worker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from threading import Lock
from typing import Final, NamedTuple

from flask import request

from broker.adapters.web.client_address import find_network, is_from_uncounted_proxy, is_within
from broker.core.errors import NetworkBusy
from broker.core.events.broker_events import BrokerEvent, EventKind, EventPort, Facts
from broker.core.window_counts import WindowCounts, seconds_left

# About 3 MB of memory. An attacker with more networks only pushes out counts of their own networks.
# There is no limit over all networks, because one attacker could reach it for everybody
# (docs/reference/design.md#4e).
_MOST_NAMES: Final = 20_000
_HOUR: Final = 3600
_BEGINNINGS_OF_MARK: Final = 30  # a minute, by browsers with the same mark
# An hour, from one network.
_PIN_REQUESTS: Final = 20
_PIN_REQUESTS_OF_CAMPUS: Final = 400
_ACCOUNT_TRIES: Final = 60
_ACCOUNT_TRIES_OF_CAMPUS: Final = 2_000
_TRIES_OF_NUMBER: Final = 10


class Campus(NamedTuple):
    """A network of many people that counts as one, with separate limits."""

    network: IPv4Network | IPv6Network
    beginnings: int


@dataclass(frozen=True, slots=True)
class NetworkLimits:
    """The counts of one worker.

    ``beginnings`` is how many logins may begin in a minute from one network. ``mark`` returns the
    value of the cookie that a browser gets at a login (cookies.py), or None. Browsers with a mark
    have separate limits, by mark and by network, so that an attacker's flood does not lock them
    out.
    """

    beginnings: int
    campuses: Sequence[Campus]
    mark: Callable[[], str | None]
    now: Callable[[], datetime]
    tell: EventPort
    beginnings_of_mark: int = _BEGINNINGS_OF_MARK
    minutes: WindowCounts = field(default_factory=lambda: WindowCounts(_MOST_NAMES))
    hours: WindowCounts = field(default_factory=lambda: WindowCounts(_MOST_NAMES, _HOUR))
    lock: Lock = field(default_factory=Lock)

    def count_beginning(self) -> None:
        """Count a login that is about to begin.

        Raises NetworkBusy above the limit of the network.
        """
        now = self.now()
        campus = self._campus()
        network = self._network(campus)
        ceiling = campus.beginnings if campus else self.beginnings
        mark = self.mark()
        with self.lock:
            # A mark can be copied or collected. One mark counts at most up to its own limit, and
            # all marks together up to the limit of the network.
            if (
                mark is not None
                and self.minutes.count(f"mark {mark}", now) <= self.beginnings_of_mark
                and self.minutes.count(f"marked {network}", now) <= ceiling
            ):
                return
            came = self.minutes.count(network, now)
        if came <= ceiling:
            return
        if came == ceiling + 1:
            setting = "limits.campuses"
            if is_from_uncounted_proxy(request) and not campus:
                # serve.proxies omits the proxy, so that everybody behind it counts as one network.
                setting = "serve.proxies"
            facts: Facts = {"network": network, "beginnings_a_minute": ceiling, "setting": setting}
            self.tell(BrokerEvent(EventKind.NETWORK_REFUSED, facts))
        raise NetworkBusy(seconds_left(now))

    def count_pin_request(self) -> bool:
        """Count a request for a PIN mail. Return False above a limit: do not carry it out."""
        campus = self._campus()
        most = _PIN_REQUESTS_OF_CAMPUS if campus else _PIN_REQUESTS
        return self._count_hourly(f"pin {self._network(campus)}", most)

    def count_account_try(self, typed: str) -> bool:
        """Count a login with number and PIN in an unknown browser. Return False above a limit."""
        campus = self._campus()
        network = self._network(campus)
        most = _ACCOUNT_TRIES_OF_CAMPUS if campus else _ACCOUNT_TRIES
        if not self._count_hourly(f"number {network} {typed.casefold()}", _TRIES_OF_NUMBER):
            return False
        return self._count_hourly(f"try {network}", most)

    def _count_hourly(self, name: str, most: int) -> bool:
        with self.lock:
            return self.hours.count(name, self.now()) <= most

    def _campus(self) -> Campus | None:
        for campus in self.campuses:
            if is_within(request, (campus.network,)):
                return campus
        return None

    @staticmethod
    def _network(campus: Campus | None) -> str:
        return str(campus.network) if campus else find_network(request)
