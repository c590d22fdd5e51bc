"""The client address and network of a request, and proxies that ``serve.proxies`` omits."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from flask import Request, has_request_context, request

from broker.core.events.broker_events import BrokerEvent, EventKind, EventPort

# Prefix lengths of the network that one subscriber may have, by IP version. Limits count the
# network as one caller, because the subscriber can change the address within it at no cost
# (RFC 6177 for IPv6).
_SUBSCRIBER: Final = {4: 24, 6: 48}
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
# Some proxies write the caller's port too.
_PORT: Final = re.compile(r"(?:(?P<four>[0-9.]+)|\[(?P<six>[0-9a-fA-F:.]+)\])(?::[0-9]{1,5})?")
_UNKNOWN: Final = "unknown"
# ProxyFix sets this key. It is installed only if serve.proxies is above 0.
_PROXIES_COUNTED: Final = "werkzeug.proxy_fix.orig"
_REQUEST_ID: Final = re.compile(r"[0-9a-f-]{16,40}")
_SILENCE_BEFORE_NEXT_REPORT: Final = timedelta(hours=1)
Networks = tuple[IPv4Network | IPv6Network, ...]


def is_within(request: Request, networks: Networks) -> bool:
    """Return whether the request comes from one of these networks."""
    address = _parse_address(request.remote_addr or "") if networks else None
    return address is not None and any(address in network for network in networks)


def find_address(request: Request) -> str:
    """Return the address of the request; "unknown" if it has none.

    The application sets ``remote_addr`` from the number of proxies configured.
    """
    return str(_parse_address(request.remote_addr or "") or _UNKNOWN)


def find_network(request: Request) -> str:
    """Return the subscriber's network.

    It is "unknown" if there is no address, because the server listens on a Unix socket.
    """
    return _find_network(request.remote_addr or "")


def find_present_network() -> str:
    """Return the subscriber's network of the present request; "unknown" outside a request."""
    return find_network(request) if has_request_context() else _UNKNOWN


def find_request_id(request: Request) -> str | None:
    """Return the id that the proxy gave this request.

    Return None if ``serve.proxies`` is 0: the client itself could have written the id.
    """
    given = request.headers.get("X-Request-ID", "")
    is_counted = _PROXIES_COUNTED in request.environ
    return given if is_counted and _REQUEST_ID.fullmatch(given) else None


def is_from_this_machine(request: Request) -> bool:
    """Return whether the request comes from this machine and was not forwarded by a proxy."""
    return request.remote_addr in _LOOPBACK and not _is_forwarded(request)


def is_from_uncounted_proxy(request: Request) -> bool:
    """Return whether a forwarding header arrives although ``serve.proxies`` is 0.

    The header is from a proxy that is not counted, or from the caller itself.
    """
    return _is_forwarded(request) and _PROXIES_COUNTED not in request.environ


@dataclass(slots=True)
class UncountedProxies:
    """Detects that ``serve.proxies`` should not be 0, from the requests to one worker.

    Behind an uncounted proxy every caller has the address of the proxy, and all callers share one
    limit.
    """

    now: Callable[[], datetime]
    tell: EventPort
    seen: datetime | None = None

    def report_if_uncounted(self) -> None:
        """Report an uncounted proxy, unless another such request came within the last hour."""
        if not is_from_uncounted_proxy(request):
            return
        before = self.seen
        self.seen = self.now()
        if before is None or self.seen - before > _SILENCE_BEFORE_NEXT_REPORT:
            self.tell(BrokerEvent(EventKind.PROXY_UNCOUNTED, {"setting": "serve.proxies"}))

    def notes(self) -> dict[str, str]:
        """Return the sentence for ``readyz``, if such a request came within the last hour."""
        if self.seen is None or self.now() - self.seen > _SILENCE_BEFORE_NEXT_REPORT:
            return {}
        sentence = (
            "X-Forwarded-For arrives while serve.proxies is 0: set it to the number of proxies "
            "in front, or every caller counts as the proxy"
        )
        return {"proxies": sentence}


def _is_forwarded(request: Request) -> bool:
    sent = request.environ
    return "HTTP_X_FORWARDED_FOR" in sent or "HTTP_FORWARDED" in sent


@lru_cache(maxsize=1024)
def _find_network(written: str) -> str:
    address = _parse_address(written)
    if address is None:
        return _UNKNOWN
    return str(ip_network(f"{address}/{_SUBSCRIBER[address.version]}", strict=False))


def _parse_address(written: str) -> IPv4Address | IPv6Address | None:
    with_port = _PORT.fullmatch(written)
    if with_port:
        written = with_port["four"] or with_port["six"]
    try:
        address = ip_address(written)
    except ValueError:
        return None
    mapped: IPv4Address | None = getattr(address, "ipv4_mapped", None)
    return mapped or address
