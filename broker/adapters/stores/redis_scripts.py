"""Layout of records in Redis, and the scripts that make each change atomic.

Everything of one kind has one hash tag: its records, the index of each group's names, the queue of
due records and the leases on them. So a script can change them together in a Cluster too.

A record is a Redis hash with the fields ``v`` (value), ``n`` (version), ``u`` (until) and ``d``
(due, or empty). Times are microseconds. The caller's ``now`` decides whether a record has expired;
Redis removes the record later, by its own clock. Every script begins with the write that Redis may
refuse if memory is short, so that a refused script has changed nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from broker.adapters.stores.timestamps import to_microseconds
from broker.core.ports import Key, Write
from broker.core.retention import RecordKind

# Redis removes a record this long after ``until``, because clocks differ between machines.
LEEWAY: Final = timedelta(minutes=5)
_MILLISECOND: Final = timedelta(milliseconds=1)
# Part of every key, so that a later layout can find records of this one.
_LAYOUT: Final = "broker1"

_KEYS_PER_WRITE: Final = 3
_ARGUMENTS_PER_WRITE: Final = 8

_SET_RECORD: Final = """
local function set_record(record, names, name, milliseconds, expired_before, ...)
  local fields = {...}
  redis.call('HSET', record, unpack(fields))
  redis.call('PEXPIRE', record, milliseconds)
  if name == '' then return end
  local _, _, _, _, _, ends = unpack(fields)
  redis.call('ZADD', names, ends, name)
  redis.call('ZREMRANGEBYSCORE', names, '-inf', expired_before)
  if redis.call('PTTL', names) < tonumber(milliseconds) then
    redis.call('PEXPIRE', names, milliseconds)
  end
end
"""

# KEYS for each record: record, group index, due queue. ARGV: now, expired before, durable, then
# for each record: value, version, until, due, expected version, milliseconds to keep, member, name.
# Returns 1 if the first record is stored, else 0. If it is not stored, no other one is put.
PUT: Final = f"""{_SET_RECORD}
local function put(record, names, queue,
    value, version, ends, due, expected, milliseconds, member, name)
  local found = redis.call('HMGET', record, 'n', 'u')
  local present = ''
  if found[1] and tonumber(found[2]) > tonumber(ARGV[1]) then present = '=' .. found[1] end
  if present == '=' .. version then
    -- Write the same version again, because WAIT counts from its connection's last write.
    if ARGV[3] == '1' then redis.call('HSET', record, 'n', version) end
    return 1
  end
  if present ~= expected then return 0 end
  set_record(record, names, name, milliseconds, ARGV[2],
    'v', value, 'n', version, 'u', ends, 'd', due)
  if due == '' then
    redis.call('ZREM', queue, member)
  else
    redis.call('ZADD', queue, due, member)
  end
  return 1
end
for number = 0, #KEYS / {_KEYS_PER_WRITE} - 1 do
  local key, offset = {_KEYS_PER_WRITE} * number, 3 + {_ARGUMENTS_PER_WRITE} * number
  local is_stored = put(KEYS[key + 1], KEYS[key + 2], KEYS[key + 3],
    unpack(ARGV, offset + 1, offset + {_ARGUMENTS_PER_WRITE}))
  if number == 0 and is_stored == 0 then return 0 end
end
return 1
"""

# KEYS record, group index, due queue, counter; ARGV member, name.
DROP: Final = """
redis.call('DEL', KEYS[1], KEYS[4])
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
"""

# KEYS record of the empty name, group index; ARGV now.
# Returns a list of name, value, version, until, due.
LIST: Final = """
local names = redis.call('ZRANGE', KEYS[2], 0, -1)
table.insert(names, 1, '')
local listed = {}
for _, name in ipairs(names) do
  local found = redis.call('HMGET', KEYS[1] .. name, 'v', 'n', 'u', 'd')
  -- Leave out expired records to send less. The caller checks the expiry again.
  if found[2] and tonumber(found[3]) > tonumber(ARGV[1]) then
    table.insert(listed, {name, found[1], found[2], found[3], found[4]})
  end
end
return listed
"""

# KEYS: due queue, and the prefixes of records, leases and lease indexes. ARGV: the prefix of the
# group's members or empty, now, token, until, milliseconds to keep, expired before.
# Returns member, value, version, until, due; nothing if no record is due.
CLAIM: Final = f"""{_SET_RECORD}
local function is_leased(member)
  local ends = redis.call('HGET', KEYS[3] .. member, 'u')
  return ends and tonumber(ends) > tonumber(ARGV[2])
end
local skipped = 0
while true do
  local limit = {{'LIMIT', skipped, 100}}
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], unpack(limit))
  if #due == 0 then return false end
  for place = 1, #due do
    local member = due[place]
    if string.sub(member, 1, #ARGV[1]) == ARGV[1] and not is_leased(member) then
      local found = redis.call('HMGET', KEYS[2] .. member, 'v', 'n', 'u', 'd')
      if found[2] and tonumber(found[3]) > tonumber(ARGV[2]) then
        local group, name = string.match(member, '^(.*)/(.*)$')
        set_record(KEYS[3] .. member, KEYS[4] .. group, name, ARGV[5], ARGV[6],
          'v', '', 'n', ARGV[3], 'u', ARGV[4], 'd', '')
        return {{member, found[1], found[2], found[3], found[4]}}
      end
      redis.call('ZREM', KEYS[1], member)
    else
      skipped = skipped + 1
    end
  end
end
"""

# KEYS counter; ARGV by, until, now, milliseconds to keep.
COUNT: Final = """
local till = redis.call('HGET', KEYS[1], 'u')
local expired = not till or tonumber(till) <= tonumber(ARGV[3])
if ARGV[1] == '0' then
  if expired then return 0 end
  return redis.call('HGET', KEYS[1], 't')
end
if expired then
  redis.call('HSET', KEYS[1], 't', 0, 'u', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return redis.call('HINCRBY', KEYS[1], 't', ARGV[1])
"""


class RedisKeys(NamedTuple):
    """The Redis keys of one record, under one hash tag, and its name within kind and group."""

    record: str
    names: str
    due: str
    counter: str
    member: str
    name: str


def make_keys(key: Key) -> RedisKeys:
    """Return the Redis keys of ``key``.

    Braces and slashes in its parts are escaped: they would change the hash tag.
    """
    prefix = _prefix(key)
    group = quote(key.group, "")
    name = quote(key.name, "")
    member = f"{group}/{name}"
    return RedisKeys(
        record=f"{prefix}:r:{member}",
        names=f"{prefix}:g:{group}",
        due=f"{prefix}:due",
        counter=f"{prefix}:c:{member}",
        member=member,
        name=name,
    )


def build_put(
    writes: Sequence[Write], now: datetime, *, durable: bool
) -> tuple[list[str], list[object]]:
    """Return the keys and arguments with which ``PUT`` puts ``writes``."""
    keys: list[str] = []
    arguments: list[object] = [to_microseconds(now), to_microseconds(now - LEEWAY), int(durable)]
    for key, record, expected_version in writes:
        redis_keys = make_keys(key)
        keys += (redis_keys.record, redis_keys.names, redis_keys.due)
        arguments += (
            record.value,
            record.version,
            to_microseconds(record.until),
            "" if record.due is None else to_microseconds(record.due),
            "" if expected_version is None else f"={expected_version}",
            milliseconds_to_keep(record.until, now),
            redis_keys.member,
            redis_keys.name,
        )
    return keys, arguments


def milliseconds_to_keep(until: datetime, now: datetime) -> int:
    """Return how long Redis keeps a record that ends at ``until``; PEXPIRE needs at least 1."""
    return max((until - now + LEEWAY) // _MILLISECOND, 1)


def hash_tag(key: Key) -> str:
    """Return the kind in the hash tag of ``key``: in a Cluster, it has one server."""
    # A lease has the hash tag of its record.
    return key.group.partition("/")[0] if key.kind == "lease" else key.kind


def make_claim_keys(kind: RecordKind) -> tuple[str, ...]:
    """Return the due queue of a kind and the prefixes of the keys that a claim reads."""
    prefix = _tag(kind)
    group = quote(f"{kind}/", "")  # the lease on a record has this before the record's group
    return (
        f"{prefix}:due",
        f"{prefix}:r:",
        f"{prefix}:lease:r:{group}",
        f"{prefix}:lease:g:{group}",
    )


def read_key(kind: RecordKind, member: bytes) -> Key:
    """Return the key of a record by its name within the kind."""
    group, _, name = member.decode().partition("/")
    return Key(kind, unquote(group), unquote(name))


def scan_pattern(kind: RecordKind) -> str:
    """Return the SCAN pattern of every record of a kind."""
    if kind == "lease":
        return f"{_LAYOUT}:{{*}}:lease:r:*"
    return f"{_tag(kind)}:r:*"


def _prefix(key: Key) -> str:
    tag = _tag(hash_tag(key))
    return f"{tag}:lease" if key.kind == "lease" else tag


def _tag(kind: str) -> str:
    return f"{_LAYOUT}:{{{quote(kind, '')}}}"
