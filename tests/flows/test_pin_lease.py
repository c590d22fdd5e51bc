"""The lease of a borrower's PIN: one worker has it, and the end of one is no end of another's."""

from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.errors import LibraryUnavailable, StoreUnavailable
from broker.core.lookup_hmacs import LookupHmacs
from broker.flows.pin_lease import pin_lease

HOUR: Final = timedelta(hours=1)
INSTANT: Final = timedelta(microseconds=1)
KEY: Final = LookupHmacs("k1", b"k" * 32)


def lease(world: Any, number: str = "7") -> Any:
    """Lease the making of a borrower's PIN for an hour."""
    return pin_lease(world.store, KEY, number, world.now + HOUR, world.now)


def is_free(world: Any, number: str = "7") -> bool:
    """Try whether the PIN of a borrower can be made now."""
    try:
        with lease(world, number):
            return True
    except LibraryUnavailable:
        return False


def test_one_pin_of_a_borrower_is_made_at_a_time(world: Any) -> None:
    """Another borrower's may be; when the lease is over so may the next."""
    with lease(world):
        assert not is_free(world)
        assert is_free(world, "8")
        assert not is_free(world)
    assert is_free(world)


def test_a_lease_ends_with_what_failed_under_it(world: Any) -> None:
    """The person who tries again need not wait for its end."""
    with pytest.raises(KeyError), lease(world):
        raise KeyError
    assert is_free(world)


def test_a_lease_ends_at_its_end(world: Any) -> None:
    """Whatever became of the worker that had it."""
    with lease(world):
        world.now += HOUR - INSTANT
        assert not is_free(world)
        world.now += INSTANT
        assert is_free(world)


def test_the_end_of_one_lease_leaves_another_s_alone(world: Any) -> None:
    """Who is done after its lease had ended does not end that of the worker who has it by now."""
    slow = lease(world)
    with slow:
        world.now += HOUR
        present = lease(world)
        present.__enter__()
    assert not is_free(world)
    present.__exit__(None, None, None)
    assert is_free(world)


def test_a_lease_that_cannot_be_dropped_ends_by_itself(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The letter is out: a store that fails just then must not have it sent again."""

    def fail(*_: Any) -> None:
        raise StoreUnavailable("down")

    with lease(world):
        monkeypatch.setattr(type(world.store), "drop", fail)
    monkeypatch.undo()
    assert not is_free(world)
    world.now += HOUR
    assert is_free(world)
