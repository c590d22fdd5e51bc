"""Where a record lies in Redis, and the five scripts that make each change of it one change.

A group falls into one of sixteen shards of its kind, and a shard is a hash tag. It holds its
records, the index of each group's names and the queue of what is due, so that queue and record
change together, in a Cluster too; a claim over the whole kind looks at sixteen queue heads.

A record is a hash: v value, n version, u until, d due or empty. Times are microseconds as the
caller's ``now`` counts them, and only ``now`` decides what has expired; Redis's own clock cleans up
later. Every script begins with the write that Redis may refuse for want of memory, so that a
refused one has changed nothing.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import quote, unquote
from zlib import crc32

from broker.core.ports import Key, RecordKind

SHARDS: Final = 16  # part of the layout: another number would look for every record elsewhere
# Named in every key, so that a later layout finds and moves what this one wrote.
_LAYOUT: Final = "broker1"

# KEYS record, group index, due queue; ARGV value, version, until, due, was, now, milliseconds to
# keep, member, name, forgotten before, durable.
PUT: Final = """
local found = redis.call('HMGET', KEYS[1], 'n', 'u')
local present = ''
if found[1] and tonumber(found[2]) > tonumber(ARGV[6]) then present = '=' .. found[1] end
if present == '=' .. ARGV[2] then
  -- A write again, though it changes nothing: WAIT counts from its connection's last write.
  if ARGV[11] == '1' then redis.call('HSET', KEYS[1], 'n', ARGV[2]) end
  return 1
end
if present ~= ARGV[5] then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'n', ARGV[2], 'u', ARGV[3], 'd', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[7])
if ARGV[4] == '' then
  redis.call('ZREM', KEYS[3], ARGV[8])
else
  redis.call('ZADD', KEYS[3], ARGV[4], ARGV[8])
end
if ARGV[9] ~= '' then
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[9])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[10])
  if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[7]) then
    redis.call('PEXPIRE', KEYS[2], ARGV[7])
  end
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
  -- Economy only: what has expired need not travel; the reader looks at its end again.
  if found[2] and tonumber(found[3]) > tonumber(ARGV[1]) then
    table.insert(listed, {name, found[1], found[2], found[3], found[4]})
  end
end
return listed
"""

# KEYS due queue; ARGV where records begin, group's beginning or empty, now, due, version.
# Returns member, value, until; nothing where none is due; 0 where the first was gone, which asks to
# look again.
CLAIM: Final = """
local passed = 0
while true do
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[3], 'LIMIT', passed, 100)
  if #due == 0 then return false end
  for _, member in ipairs(due) do
    if string.sub(member, 1, #ARGV[2]) == ARGV[2] then
      local record = ARGV[1] .. member
      local found = redis.call('HMGET', record, 'v', 'u')
      if not found[1] or tonumber(found[2]) <= tonumber(ARGV[3]) then
        redis.call('ZREM', KEYS[1], member)
        return 0
      end
      redis.call('HSET', record, 'n', ARGV[5], 'd', ARGV[4])
      redis.call('ZADD', KEYS[1], ARGV[4], member)
      return {member, found[1], found[2]}
    end
    passed = passed + 1
  end
end
"""

# KEYS counter; ARGV by, until, now, milliseconds to keep.
COUNT: Final = """
local till = redis.call('HGET', KEYS[1], 'u')
if not till or tonumber(till) <= tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[1], 't', 0, 'u', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return redis.call('HINCRBY', KEYS[1], 't', ARGV[1])
"""


class RedisKeys(NamedTuple):
    """The Redis keys of one record, under one hash tag, and its name within shard and group."""

    record: str
    names: str
    due: str
    counter: str
    member: str
    name: str


def place(key: Key) -> RedisKeys:
    """Return where ``key`` lies.

    Braces and slashes in its parts are escaped, for they would move it to another hash tag.
    """
    number = crc32(key.group.encode()) % SHARDS
    shard = tag(key.kind, number)
    group = quote(key.group, "")
    name = quote(key.name, "")
    member = f"{group}/{name}"
    return RedisKeys(
        record=f"{shard}:r:{member}",
        names=f"{shard}:g:{group}",
        due=f"{shard}:due",
        counter=f"{shard}:c:{member}",
        member=member,
        name=name,
    )


def key_of(kind: RecordKind, member: bytes) -> Key:
    """Return the key whose record has this name within its shard."""
    group, _, name = member.decode().partition("/")
    return Key(kind, unquote(group), unquote(name))


def records(kind: RecordKind) -> str:
    """Return the SCAN pattern of every record of a kind."""
    return f"{_LAYOUT}:{{{quote(kind, '')}/*}}:r:*"


def tags(kind: RecordKind) -> Iterator[str]:
    """Yield the beginnings of the keys of a kind, shard by shard."""
    return (tag(kind, shard) for shard in range(SHARDS))


def tag(kind: RecordKind, shard: int) -> str:
    """Return the beginning of the keys of one shard."""
    return f"{_LAYOUT}:{{{quote(kind, '')}/{shard}}}"
