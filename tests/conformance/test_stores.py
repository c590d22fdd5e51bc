"""The contract of the Store port, tested with every store: SQLite, Redis, a Redis cluster, and each encrypted."""

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from broker.core.ports import Kept, Key, Store, Write, lease_key

# Far from the clocks of the servers: a store must use only the caller's ``now``.
NOW = datetime(2031, 3, 30, 1, 59, 59, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(minutes=30)
LEASE = timedelta(seconds=20)
AWKWARD = ("g", "a/b", "a", "{a}", "}{", "æøå:*?[x]", "a b", "%2F", "1.0123456789abcdef")


def make_kept(
    value: bytes = b"value", version: str = "1", until: datetime = LATER, due: datetime | None = None
) -> Kept:
    """Return a record."""
    return Kept(value, version, until, due)


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize(
    "record",
    [
        make_kept(),
        make_kept(b""),
        make_kept(bytes(range(256)) * 40),
        make_kept(version="v 1/{}="),
        make_kept(until=datetime.max.replace(tzinfo=UTC)),
        make_kept(due=NOW),
        make_kept(due=LATER + timedelta(microseconds=1)),
    ],
)
def test_a_record_is_read_as_it_was_written(store: Store, record: Kept, *, durable: bool) -> None:
    """The bytes and the times, to the microsecond, are unchanged."""
    key = Key("mail", "g", "n")
    assert store.put(key, record, None, NOW, durable=durable)
    assert store.get(key, NOW) == record


def test_similar_keys_are_separate(store: Store) -> None:
    """Keys are separate even if their joined parts are equal or contain the store's separators."""
    keys = [Key("reference", group, name) for group in AWKWARD for name in ("", *AWKWARD)]
    for key in keys:
        assert store.put(key, make_kept(repr(key).encode()), None, NOW)
    for key in keys:
        assert store.get(key, NOW) == make_kept(repr(key).encode())
    for group in AWKWARD:
        listed = {key for key, _ in store.list("reference", group, NOW)}
        assert listed == {key for key in keys if key.group == group}


@pytest.mark.parametrize("durable", [False, True])
def test_put_compares_the_version_before_it_writes(store: Store, *, durable: bool) -> None:
    """A put succeeds if the stored version is the expected or the new one; otherwise it changes nothing."""
    table = [  # stored version, expected version, new version, success
        (None, None, "2", True),
        (None, "1", "2", False),
        ("1", "1", "2", True),
        ("1", "0", "2", False),
        ("1", None, "2", False),
        ("1", "", "2", False),
        ("2", None, "2", True),
        ("2", "1", "2", True),
    ]
    for number, (present, was, version, stands) in enumerate(table):
        key = Key("transaction", f"g{number}")
        if present is not None:
            store.put(key, make_kept(b"old", present), None, NOW)
        assert store.put(key, make_kept(b"new", version), was, NOW, durable=durable) is stands, number
        found = store.get(key, NOW)
        assert (found and found.version) == (version if stands else present), number
        if found and present == "1":
            assert found.value == (b"new" if stands else b"old"), number


def test_get_many_returns_the_same_as_get(store: Store) -> None:
    """Records have the order of the keys. Absent and expired records are None, and repeated keys are repeated."""
    keys = [Key("reference", group, name) for group in AWKWARD for name in ("", "n")]
    for key in keys[::2]:
        store.put(key, make_kept(repr(key).encode()), None, NOW)
    store.put(keys[1], make_kept(until=NOW + SECOND), None, NOW)
    asked = [*keys, keys[0], Key("session", "g")]
    assert store.get_many(asked, NOW + SECOND) == [store.get(key, NOW + SECOND) for key in asked]
    assert store.get_many([], NOW) == []


ELSEWHERE = [Key("session", "g", "n"), Key("reference", "h"), Key("transaction", "a/b"), Key("transaction", "g", "n")]
WITH_IT = [Key("transaction", "g", "n"), Key("transaction", "g", "m")]


@pytest.mark.parametrize("others", [[], WITH_IT, ELSEWHERE])
@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize(
    ("present", "was", "stands"), [(None, None, True), ("1", "1", True), ("1", "0", False), ("1", None, False)]
)
def test_other_records_are_written_only_if_the_first_write_succeeds(
    *, store: Store, others: list[Key], durable: bool, present: str | None, was: str | None, stands: bool
) -> None:
    """With one hash tag or several, all records with their queue and list entries are written, or none."""
    first = Key("transaction", "g")
    if present is not None:
        store.put(first, make_kept(b"old", present), None, NOW)
    writes = [Write(key, make_kept(b"other", "o", due=NOW), None) for key in others]
    told = store.put_many(Write(first, make_kept(b"new", "2"), was), writes, NOW, durable=durable)
    assert told is stands
    found = store.get(first, NOW)
    assert (found and found.value) == (b"new" if stands else present and b"old")
    expected = make_kept(b"other", "o", due=NOW) if stands else None
    assert store.get_many(others, NOW) == [expected] * len(others)
    for key in others:
        assert (key in dict(store.list(key.kind, key.group, NOW))) is stands
        assert (store.claim(key.kind, key.group, "c", NOW + LEASE, NOW) is not None) is stands


@pytest.mark.parametrize("others", [WITH_IT, ELSEWHERE])
def test_an_existing_other_record_is_left_unchanged(store: Store, others: list[Key]) -> None:
    """The first record and the remaining others are written."""
    store.put(others[0], make_kept(b"theirs", "9"), None, NOW)
    writes = [Write(key, make_kept(b"ours", "o"), None) for key in others]
    assert store.put_many(Write(Key("transaction", "g"), make_kept(), None), writes, NOW)
    assert [found and found.value for found in store.get_many(others, NOW)] == [
        b"theirs",
        *[b"ours"] * (len(others) - 1),
    ]


@pytest.mark.parametrize("others", [WITH_IT, ELSEWHERE])
def test_a_repeated_call_completes_an_interrupted_write(store: Store, others: list[Key]) -> None:
    """If the writer died after the first record, the second call writes the others."""
    first = Write(Key("transaction", "g"), make_kept(b"new", "2"), "1")
    store.put(first.key, make_kept(b"old", "1"), None, NOW)
    assert store.put(first.key, first.kept, first.was, NOW)
    writes = [Write(key, make_kept(b"other", "o"), None) for key in others]
    for _ in range(2):
        assert store.put_many(first, writes, NOW)
        assert store.get_many(others, NOW) == [make_kept(b"other", "o")] * len(others)


def test_an_expired_record_is_absent(store: Store) -> None:
    """From ``until`` on, get, list, claim and put ignore the record; a microsecond earlier they find it."""
    key, record = Key("mail", "g", "n"), make_kept(until=NOW + SECOND, due=NOW)
    store.put(key, record, None, NOW)
    before = NOW + SECOND - timedelta(microseconds=1)
    assert store.get(key, before) == record
    assert store.get(key, NOW + SECOND) is None
    assert list(store.list("mail", "g", NOW + SECOND)) == []
    assert list(store.list("mail", None, NOW + SECOND)) == []
    assert store.claim("mail", None, "c", LATER, NOW + SECOND) is None
    assert store.claim("mail", "g", "c", LATER, NOW + SECOND) is None
    assert not store.put(key, make_kept(version="2"), "1", NOW + SECOND)
    assert store.put(key, make_kept(version="2"), None, NOW + SECOND)


def test_drop_removes_records_and_counters(store: Store) -> None:
    """A dropped record leaves the queue too, a dropped counter restarts, and dropping a missing key does nothing."""
    key = Key("mail", "g", "n")
    store.drop(key)
    store.put(key, make_kept(due=NOW), None, NOW)
    store.count(key, 3, LATER, NOW)
    store.drop(key)
    assert store.get(key, NOW) is None
    assert [*store.list("mail", "g", NOW), *store.list("mail", None, NOW)] == []
    assert store.claim("mail", None, "c", LATER, NOW) is None
    assert store.count(key, 1, LATER, NOW) == 1


def test_list_returns_the_records_of_a_group_or_kind(store: Store) -> None:
    """The list has each unexpired record of the group or kind once, and no other kind."""
    keys = {Key("code", f"g{number % 7}", str(number)) for number in range(150)}
    for key in keys:
        store.put(key, make_kept(key.name.encode()), None, NOW)
    longer = cast("Any", "receipts")  # a kind whose name begins with another kind
    store.put(Key(longer, "g1", "x"), make_kept(), None, NOW)
    store.put(Key("code", "g1", "gone"), make_kept(until=NOW + SECOND), None, NOW)
    listed = list(store.list("code", None, NOW + SECOND))
    assert sorted(listed) == sorted((key, make_kept(key.name.encode())) for key in keys)
    assert {key for key, _ in store.list("code", "g1", NOW + SECOND)} == {key for key in keys if key.group == "g1"}
    assert len(list(store.list("code", "g1", NOW + SECOND))) == sum(key.group == "g1" for key in keys)


def test_claim_returns_the_earliest_due_record(store: Store) -> None:
    """Records are claimed in due order, never early and without a change. An expired lease is free again."""
    for number in (4, 1, 3, 2, 9):
        store.put(Key("mail", f"g{number}", "n"), make_kept(b"%d" % number, due=NOW + number * SECOND), None, NOW)
    store.put(Key("mail", "idle"), make_kept(), None, NOW)
    store.put(Key("session", "g0"), make_kept(due=NOW), None, NOW)
    at = NOW + 4 * SECOND
    for number in (1, 2, 3, 4):
        claimed = store.claim("mail", None, f"c{number}", at + LEASE, at)
        assert claimed == (Key("mail", f"g{number}", "n"), make_kept(b"%d" % number, due=NOW + number * SECOND))
        assert store.get(claimed[0], at) == claimed[1]
    assert store.claim("mail", None, "c5", at + LEASE, at) is None
    later = at + LEASE
    again = [store.claim("mail", None, f"d{number}", later + LEASE, later) for number in range(6)]
    assert [claim and claim[0].group for claim in again] == ["g1", "g2", "g3", "g4", "g9", None]


def test_a_claim_of_a_group_ignores_other_groups(store: Store) -> None:
    """The earliest record of the group is claimed, even if other groups have earlier records."""
    for group, number in (("g", 2), ("g", 1), ("gg", 0), ("", 0)):
        store.put(Key("mail", group, str(number)), make_kept(due=NOW - 9 * SECOND + number * SECOND), None, NOW)
    claims = [store.claim("mail", "g", "c", NOW + LEASE, NOW) for _ in range(3)]
    assert [claim and claim[0].name for claim in claims] == ["1", "2", None]


@pytest.mark.parametrize("name", ["", "n"])
def test_a_lease_is_a_separate_record(store: Store, name: str) -> None:
    """A lease is read, listed and dropped like any record, under its own kind and group."""
    for group in AWKWARD:
        key = Key("mail", group, name)
        store.put(key, make_kept(due=NOW), None, NOW)
        assert store.claim("mail", group, "c", NOW + LEASE, NOW)
        lease = lease_key(key)
        assert store.get(lease, NOW) == Kept(b"", "c", NOW + LEASE)
        assert store.get(lease, NOW + LEASE) is None
        listed = [*store.list("lease", None, NOW), *store.list("lease", lease.group, NOW)]
        assert listed == 2 * [(lease, Kept(b"", "c", NOW + LEASE))]
        assert [found for found, _ in store.list("mail", group, NOW)] == [key]
        store.drop(lease)
        assert [*store.list("lease", None, NOW), *store.list("lease", lease.group, NOW)] == []
        assert store.claim("mail", group, "d", NOW + LEASE, NOW)
        store.drop(lease)


def test_only_the_current_token_renews_or_ends_a_lease(store: Store) -> None:
    """An old token neither renews nor ends the lease."""
    key = Key("mail", "g", "n")
    lease = lease_key(key)
    store.put(key, make_kept(due=NOW), None, NOW)
    assert store.claim("mail", None, "c", NOW + LEASE, NOW)
    at = NOW + LEASE - SECOND
    assert store.put(lease, Kept(b"", "d", at + LEASE), "c", at)
    assert not store.put(lease, Kept(b"", "e", at + LEASE), "c", at)
    assert store.claim("mail", "g", "f", LATER, NOW + LEASE) is None
    assert store.put(lease, Kept(b"", "e", at), "d", at)
    assert store.claim("mail", None, "f", at + LEASE, at)
    assert not store.put(lease, Kept(b"", "g", LATER), "e", at)
    assert not store.put(lease, Kept(b"", "g", LATER), "f", at + LEASE)


def test_a_lease_survives_a_write_to_its_record(store: Store) -> None:
    """A later write is claimed after the lease ends. A record without ``due`` leaves the queue."""
    key = Key("mail", "g")
    store.put(key, make_kept(due=NOW), None, NOW)
    store.claim("mail", None, "c", NOW + LEASE, NOW)
    assert store.put(key, make_kept(b"later", "2", due=NOW), "1", NOW)
    assert store.claim("mail", None, "d", LATER, NOW) is None
    assert store.put(lease_key(key), Kept(b"", "e", NOW), "c", NOW)
    assert store.claim("mail", None, "d", NOW + LEASE, NOW) == (key, make_kept(b"later", "2", due=NOW))
    assert store.put(key, make_kept(b"done", "3"), "2", NOW)
    assert store.claim("mail", None, "f", LATER, NOW + LEASE) is None


def test_count_adds_and_expires(store: Store) -> None:
    """A counter returns its sum, keeps its first ``until``, restarts at zero afterwards, and is not a record."""
    key, until = Key("counter", "g", "n"), NOW + 10 * SECOND
    assert [store.count(key, by, until, NOW) for by in (1, 5, -2, 0)] == [1, 6, 4, 4]
    assert store.count(key, 1, LATER, NOW + 9 * SECOND) == 5
    assert store.count(key, 1, LATER, until) == 1
    assert store.count(key, 1, LATER, until + SECOND) == 2
    assert store.count(Key("counter", "g"), 1, LATER, NOW) == 1
    assert store.get(key, NOW) is None
    assert list(store.list("counter", None, NOW)) == []


def _run_concurrently(work: Callable[[int], object], threads: int = 8) -> list[object]:
    """Run ``work`` in threads that start at the same time; return their results."""
    gate = threading.Barrier(threads)

    def begin(number: int) -> object:
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))


def test_concurrent_threads_lose_no_change(store: Store) -> None:
    """Eight threads increment a record by compare-and-set, and a counter; no increment is lost."""
    key = Key("transaction", "g")
    store.put(key, make_kept(b"0", "start"), None, NOW)

    def add(_: int) -> None:
        for _ in range(12):
            store.count(Key("counter", "g"), 1, LATER, NOW)
            stands = False
            while not stands:
                found = store.get(key, NOW)
                assert found is not None
                more = make_kept(b"%d" % (int(found.value) + 1), secrets.token_hex(8))
                stands = store.put(key, more, found.version, NOW)

    _run_concurrently(add)
    found = store.get(key, NOW)
    assert found is not None
    assert found.value == b"96"
    assert store.count(Key("counter", "g"), 0, LATER, NOW) == 96


def test_concurrent_claims_never_share_a_record(store: Store) -> None:
    """During a lease no other claim returns the record, and every due record is claimed."""
    keys = {Key("mail", f"g{number}") for number in range(40)}
    for key in keys:
        store.put(key, make_kept(due=NOW), None, NOW)

    def take(_: int) -> list[Key]:
        taken = []
        while claimed := store.claim("mail", None, secrets.token_hex(8), NOW + LEASE, NOW):
            taken.append(claimed[0])
        return taken

    taken = [key for part in _run_concurrently(take, 4) for key in part]  # type: ignore[attr-defined]
    assert sorted(taken) == sorted(keys)


@pytest.mark.parametrize("others", [WITH_IT, ELSEWHERE])
def test_only_one_of_many_concurrent_batches_is_written(store: Store, others: list[Key]) -> None:
    """Eight threads write other records under the same keys; those of the winner are stored."""

    def write_batch(number: int) -> bool:
        mine = make_kept(b"%d" % number, f"v{number}")
        return store.put_many(
            Write(Key("transaction", "g"), mine, None), [Write(key, mine, None) for key in others], NOW
        )

    told = _run_concurrently(write_batch)
    assert sum(map(bool, told)) == 1
    winner = make_kept(b"%d" % told.index(True), f"v{told.index(True)}")
    assert store.get_many([Key("transaction", "g"), *others], NOW) == [winner] * (len(others) + 1)


def test_a_new_store_has_no_faults(store: Store) -> None:
    """``faults`` is empty for a correctly configured store."""
    assert list(store.faults()) == []
