"""Counts of a minute: exact within it, gone after it, and never more names than there is room for."""

from datetime import UTC, datetime, timedelta

from broker.core.window_counts import WindowCounts, seconds_left

NOW = datetime(2026, 11, 25, 12, 0, 59, tzinfo=UTC)


def test_each_name_has_its_own_count_within_a_minute() -> None:
    """And begins at nought in the next."""
    counts = WindowCounts(10)
    assert [counts.count(name, NOW) for name in "aab"] == [1, 2, 1]
    assert counts.count("a", NOW + timedelta(seconds=1)) == 1


def test_beyond_its_room_the_longest_silent_name_is_forgotten() -> None:
    """A flood from many networks needs no more memory."""
    counts = WindowCounts(3)
    for number in range(1000):
        counts.count(f"stranger {number}", NOW)
        assert counts.count("busy", NOW) == number + 1
        assert len(counts.counts) <= 3
    assert counts.count("stranger 0", NOW) == 1


def test_the_wait_is_until_the_next_minute() -> None:
    """At least a second, a minute at most."""
    assert seconds_left(NOW) == 1
    assert seconds_left(NOW.replace(second=0)) == 60
