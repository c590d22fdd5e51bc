"""How many PIN mails and logins with the library account a network may ask for in an hour."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from threading import Lock
from typing import Final, NamedTuple

from flask import Request

from broker.adapters.web.client_address import ClientAddresses
from broker.core.minute_counts import MinuteCounts

_MOST_NAMES: Final = 20_000
_HOUR: Final = 3600
_PIN_REQUESTS: Final = 20
_TRIES: Final = 60
_TRIES_OF_NUMBER: Final = 10


class CampusHours(NamedTuple):
    """A network of many people, with figures of its own."""

    network: IPv4Network | IPv6Network
    pin_requests: int
    account_tries: int


@dataclass(frozen=True, slots=True)
class HourlyLimits:
    """The counts of one worker, in memory."""

    now: Callable[[], datetime]
    campuses: Sequence[CampusHours] = ()
    counts: MinuteCounts = field(default_factory=lambda: MinuteCounts(_MOST_NAMES, _HOUR))
    lock: Lock = field(default_factory=Lock)

    def count_pin_request(self, request: Request) -> bool:
        """Count a request for a PIN mail; False if it is not to be carried out."""
        campus = self._campus(request)
        most = campus.pin_requests if campus else _PIN_REQUESTS
        return self._count(f"pin {self._network(request, campus)}", most)

    def count_account_try(self, request: Request, typed: str) -> bool:
        """Count a login with number and PIN in an unknown browser; False beyond a limit."""
        campus = self._campus(request)
        network = self._network(request, campus)
        most = campus.account_tries if campus else _TRIES
        if not self._count(f"number {network} {typed.casefold()}", _TRIES_OF_NUMBER):
            return False
        return self._count(f"try {network}", most)

    def _count(self, name: str, most: int) -> bool:
        with self.lock:
            return self.counts.count(name, self.now()) <= most

    def _campus(self, request: Request) -> CampusHours | None:
        for campus in self.campuses:
            if ClientAddresses.is_within(request, (campus.network,)):
                return campus
        return None

    @staticmethod
    def _network(request: Request, campus: CampusHours | None) -> str:
        return str(campus.network) if campus else ClientAddresses.network(request)
