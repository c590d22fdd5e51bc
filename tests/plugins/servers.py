"""Marks each test that starts a server, a browser or another program, and stops one that starts it unmarked.

``make quick`` runs the tests without the marks ``server``, ``slow`` and ``long``. A test that asks for a fixture
named below has the first by that; one that starts something itself carries ``@pytest.mark.server``.
"""

import gc
import sys
from collections.abc import Generator, Iterator
from typing import Any, Final

import pytest

FIXTURES: Final = frozenset(
    {
        "browser",
        "chromium",
        "demo",
        "firefox",
        "house",
        "interop",
        "old_house",
        "redis_cluster",
        "redis_server",
        "stage",
    }
)
# What the interpreter tells its audit hooks when another program starts, or when something is going to be listened at.
STARTS: Final = frozenset({"subprocess.Popen", "os.posix_spawn", "os.system", "socket.bind"})


class Unmarked(AssertionError):
    """A test that ``make quick`` runs starts a server or a program."""


class Watch:
    """Refuses every start while a test without a mark runs, and remembers the others."""

    def __init__(self) -> None:
        """Refuse nothing yet."""
        self.unmarked = ""  # the name of the test that may start nothing; empty where one may
        self.has_started = False  # something, since that was last looked at
        self.starts = STARTS  # of its own: it hears still when the interpreter has taken the module apart

    def hear(self, event: str, _: tuple[Any, ...]) -> None:
        """Refuse one event of the interpreter, or remember it."""
        if event not in self.starts:
            return
        self.has_started = True
        if self.unmarked:
            raise Unmarked(f"{event} in {self.unmarked}, which has neither the mark server nor slow")


WATCH: Final = Watch()


def pytest_configure() -> None:
    """Begin to watch; an audit hook stays until the interpreter ends."""
    sys.addaudithook(WATCH.hear)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that ask for a fixture which starts something, before ``-m`` chooses by the marks."""
    for item in items:
        if not FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Watch one test, its fixtures included."""
    marked = any(item.get_closest_marker(name) for name in ("server", "slow"))
    WATCH.unmarked = "" if marked else item.nodeid
    try:
        return (yield)
    finally:
        WATCH.unmarked = ""


@pytest.fixture(autouse=True, scope="module")
def _left_open() -> Iterator[None]:
    """Find what a room that starts something leaves open, as it ends: later a stranger would be blamed for it.

    It asks for nothing: whatever it asked for would be found anew for each test of the room.
    """
    yield
    if WATCH.has_started:
        WATCH.has_started = False
        gc.collect()
