"""Chromium is started as Playwright starts it, but for what the tests turn off beside."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.plugins import chromium as plugin

SWITCH = "--disable-features="


@pytest.fixture
def lists(chromium: Browser) -> list[frozenset[str]]:
    """Give the lists of what the running browser was told to turn off, in order."""
    session = chromium.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    (number,) = (each["id"] for each in processes if each["type"] == "browser")
    session.detach()
    words = Path(f"/proc/{number}/cmdline").read_text(encoding="utf-8").split("\0")
    return [frozenset(each.removeprefix(SWITCH).split(",")) for each in words if each.startswith(SWITCH)]


def test_what_playwright_turns_off_is_off(lists: list[frozenset[str]]) -> None:
    """Its own list among ours: Chromium goes by the last one that it is given."""
    *others, last = lists
    assert others
    assert frozenset().union(*others) <= last
    assert last == {*plugin.BY_PLAYWRIGHT, *plugin.UNSEEN}
