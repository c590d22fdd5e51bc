"""The circuit breaker: only silence opens it, and a status request closes it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.adapters.library_systems.koha.koha_library import KohaSettings
from broker.core.errors import CallNotSent, LibrarySilent, LibraryUnavailable
from broker.core.lookup_hmacs import LookupHmacs
from broker.use_cases.library_system.guarded_library import GuardedLibrary
from tests.use_cases.memory_library import AASE_CPR

HMACS = LookupHmacs("i1", b"k" * 32)


def silence(world: Any, breaker: GuardedLibrary, times: int = 3) -> None:
    """Let calls go unanswered."""
    for _ in range(times):
        world.fail_next(LibrarySilent("no answer"))
        with pytest.raises(LibrarySilent):
            breaker.find(AASE_CPR, world.now)


@pytest.fixture
def breaker(world: Any) -> GuardedLibrary:
    """Return a closed breaker over the library system."""
    return GuardedLibrary(world.library, world.store, HMACS, lambda: world.now)


def test_silence_stops_the_calls_until_a_status_request_is_answered(world: Any, breaker: GuardedLibrary) -> None:
    """The trial call is a status request and concerns no person."""
    silence(world, breaker)
    assert breaker.is_open
    world.library.calls.clear()
    with pytest.raises(CallNotSent):
        breaker.find(AASE_CPR, world.now)
    assert world.library.calls == []
    world.now += timedelta(seconds=11)
    assert breaker.find(AASE_CPR, world.now) == ()
    assert world.library.calls == ["read", "find"]
    assert not breaker.is_open


def test_the_status_request_is_sent_to_a_real_connector(world: Any) -> None:
    """A connector refuses a number that it never gives without a call, which would look like an answer."""
    sent: list[str] = []
    keys = {"url": "http://127.0.0.1:1", "client_id": "broker", "client_secret": "demo"}
    settings = KohaSettings.read({**keys, "library_id": "AUL", "card_number": "cpr"})
    library = settings.open(lambda call, *_: sent.append(call))
    breaker = GuardedLibrary(library, world.store, HMACS, lambda: world.now)
    world.now = datetime.now(UTC)
    deadline = world.now + timedelta(seconds=20)
    for _ in range(3):
        with pytest.raises(LibraryUnavailable):
            breaker.find(AASE_CPR, deadline)
    assert breaker.is_open
    sent.clear()
    world.now += timedelta(seconds=11)
    with pytest.raises(LibraryUnavailable):
        breaker.find(AASE_CPR, deadline)
    assert sent == ["read"]
