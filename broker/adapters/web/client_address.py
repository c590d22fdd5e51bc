"""Who asks, as far as the network tells: the address behind proxies we trust, its network, and shared computers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

from flask import Request

# What one subscriber may have: limits count it as one, since addresses within cost nothing (RFC
# 6177 for IPv6).
_SUBSCRIBER: Final = {4: 24, 6: 48}


_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
# Some proxies write the caller's port too.
_PORT: Final = re.compile(r"(?:(?P<four>[0-9.]+)|\[(?P<six>[0-9a-fA-F:.]+)\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class ClientAddresses:
    """Reads ``remote_addr``, which the application has set from as many proxies as are configured."""

    shared_networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, networks: Sequence[str]) -> Self:
        """Give the reader for networks written as 192.0.2.0/24."""
        return cls(tuple(ip_network(each) for each in networks))

    def shared(self, request: Request) -> bool:
        """Say whether the computer that asks is one that several people use."""
        address = _address(request)
        return address is not None and any(address in each for each in self.shared_networks)

    @staticmethod
    def address(request: Request) -> str:
        """Give the address that asks, as it is; "unknown" where there is none."""
        address = _address(request)
        return "unknown" if address is None else str(address)

    @staticmethod
    def network(request: Request) -> str:
        """Give the subscriber's network that asks, for limits; "unknown" where there is no address (a socket file)."""
        address = _address(request)
        if address is None:
            return "unknown"
        return str(ip_network(f"{address}/{_SUBSCRIBER[address.version]}", strict=False))


def on_this_machine(request: Request) -> bool:
    """Say whether the caller is this machine itself; what a proxy on it forwards is not."""
    forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    return request.remote_addr in _LOOPBACK and not forwarded


def _address(request: Request) -> IPv4Address | IPv6Address | None:
    written = request.remote_addr or ""
    port = _PORT.fullmatch(written)
    try:
        found = ip_address(port["four"] or port["six"] if port else written)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found
