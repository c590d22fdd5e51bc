"""What makes a Redis unfit to keep enrolments: it may forget what it has acknowledged."""

from typing import Any, Final, NamedTuple

from redis.exceptions import ResponseError
from redis.sentinel import SentinelConnectionPool


class _Demand(NamedTuple):
    setting: str
    value: str
    why: str


# Debian's defaults lost every acknowledged write of a server that was killed (design 4b).
_DEMANDS: Final = (
    _Demand(
        "appendonly", "yes", "without it a restart forgets every write since the last snapshot"
    ),
    _Demand("appendfsync", "always", "otherwise a power cut forgets writes that were acknowledged"),
    _Demand(
        "no-appendfsync-on-rewrite",
        "no",
        "otherwise a power cut during a rewrite forgets acknowledged writes",
    ),
    _Demand(
        "maxmemory-policy",
        "noeviction",
        "any other policy throws records away when memory is short",
    ),
)


def servers(client: Any) -> tuple[str, ...]:
    """Give the hosts that the client really speaks to, as Sentinel or the Cluster told it; asks each for a PING."""
    client.ping()
    if hasattr(client, "get_nodes"):
        return tuple(node.host for node in client.get_nodes())
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        return (pool.get_master_address()[0],)  # type: ignore[no-untyped-call]
    return (pool.connection_kwargs["host"],)


def loss_faults(client: Any) -> tuple[str, ...]:
    """Say for each server that takes writes which of its settings may lose some."""
    named = {"Redis": client}
    if hasattr(client, "get_primaries"):
        named = {f"Redis {node.name}": node.redis_connection for node in client.get_primaries()}
    return tuple(
        sentence for name, server in named.items() for sentence in _server_faults(name, server)
    )


def _server_faults(name: str, server: Any) -> list[str]:
    try:
        found = server.config_get(*(demand.setting for demand in _DEMANDS))
    except ResponseError:
        return [
            f"{name} does not show its settings; allow the broker's user CONFIG GET, so that they can be checked."
        ]
    return [
        f"{name} has {demand.setting} {found.get(demand.setting, 'unset')}; set it to {demand.value}: {demand.why}."
        for demand in _DEMANDS
        if found.get(demand.setting) != demand.value
    ]
