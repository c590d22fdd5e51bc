"""A demo for each file of walks and browser, in which nobody has been before."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from broker.demo.run.running_demo import Running, run_demo
from tests.plugins.demo import write_demo
from tests.plugins.visitor import Visitor, visitor


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Running]:
    """Yield a demo that no other file's tests, and none in another browser, have signed anybody up at."""
    del browser
    setting = write_demo(tmp_path_factory.mktemp("fresh") / "demo")
    with run_demo(setting) as found:
        yield found


@pytest.fixture
def visit(browser: Browser, fresh: Running) -> Iterator[Callable[..., Visitor]]:
    """Give what opens a new incognito window; at the end nobody's browser has complained of anything."""
    opened: list[Visitor] = []

    def open_one(**ways: Any) -> Visitor:
        opened.append(visitor(browser, fresh, **ways))
        return opened[-1]

    yield open_one
    for each in opened:
        each.page.context.close()
    assert [fault for each in opened for fault in each.faults] == []
