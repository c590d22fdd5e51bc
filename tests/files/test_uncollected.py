"""Work that makes many objects: done without looking for garbage, which is looked for again afterwards."""

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from broker.files.uncollected import uncollected


@pytest.fixture(params=[True, False])
def collects(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Give whether garbage was collected before, and leave it as it was."""
    was = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if was else gc.disable)()


@pytest.mark.parametrize("missing", [None, ModuleNotFoundError("the demo's extra")])
def test_garbage_is_collected_again_after_the_work(*, collects: bool, missing: Exception | None) -> None:
    """Whatever is missing: a server that never collected would grow for ever."""
    with suppress(ModuleNotFoundError), uncollected():
        assert not gc.isenabled()
        if missing:
            raise missing
    assert gc.isenabled() is collects


def test_garbage_is_collected_again_whoever_ends_last() -> None:
    """Of several threads that load at once none leaves it to another: the report of a server, and its reload."""
    interval = sys.getswitchinterval()
    begin = threading.Barrier(4)

    def load_often() -> None:
        begin.wait()
        for _ in range(150_000):
            with uncollected():
                pass

    threads = [threading.Thread(target=load_often) for _ in range(4)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
        enabled = gc.isenabled()
        gc.enable()
    assert enabled
