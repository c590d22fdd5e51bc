"""Where a record lies in Redis: its group falls into one of sixteen shards of its kind, and a shard is a hash tag.

A shard holds its records, the index of each group's names and the queue of what is due, so that
queue and record change together, in a Cluster too; a claim over the whole kind looks at sixteen
queue heads.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import quote, unquote
from zlib import crc32

from broker.core.ports import Key

SHARDS: Final = 16  # part of the layout: another number would look for every record elsewhere
_LAYOUT: Final = (
    "broker1"  # named in every key, so that a later layout finds and moves what this one wrote
)


class RedisKeys(NamedTuple):
    """The Redis keys of one record, all under one hash tag, and its name within the shard and the group."""

    record: str
    names: str
    due: str
    counter: str
    member: str
    name: str


def place(key: Key) -> RedisKeys:
    """Give where ``key`` lies; braces and slashes in its parts are escaped, for they would move it to another tag."""
    shard, group, name = (
        tag(key.kind, crc32(key.group.encode()) % SHARDS),
        quote(key.group, ""),
        quote(key.name, ""),
    )
    member = f"{group}/{name}"
    return RedisKeys(
        f"{shard}:r:{member}",
        f"{shard}:g:{group}",
        f"{shard}:due",
        f"{shard}:c:{member}",
        member,
        name,
    )


def tag(kind: str, shard: int) -> str:
    """Give what the keys of one shard begin with."""
    return f"{_LAYOUT}:{{{quote(kind, '')}/{shard}}}"


def tags(kind: str) -> Iterator[str]:
    """Give what the keys of each shard of a kind begin with."""
    return (tag(kind, shard) for shard in range(SHARDS))


def records(kind: str) -> str:
    """Give the SCAN pattern of every record of a kind."""
    return f"{_LAYOUT}:{{{quote(kind, '')}/*}}:r:*"


def key_of(kind: str, member: bytes) -> Key:
    """Give back the key whose record has this name within its shard."""
    group, _, name = member.decode().partition("/")
    return Key(kind, unquote(group), unquote(name))
