"""Logs in with a real browser, so that scripts, content security policies and cross-site cookies are tested too."""

import pytest
from playwright.sync_api import Browser

from tests.interop.parties.pages import CPR, page
from tests.interop.parties.world import World

pytestmark = pytest.mark.slow  # ``make test`` runs only tests/walks/test_connect.py of the tests with real products


def test_a_browser_logs_in_at_mod_shib_by_lasso(chromium: Browser, interop: World) -> None:
    """Chromium follows every redirect and self-posting form, mod_shib shows its page, and the console has no error."""
    window = chromium.new_context(locale="en-GB")
    window.set_default_timeout(15_000)
    view = window.new_page()
    faults: list[str] = []
    view.on(
        "console", lambda each: faults.append(f"{each.location['url']}: {each.text}") if each.type == "error" else None
    )
    view.goto(page(interop, "shib"))
    view.click("button[name=upstream][value=lasso]")
    view.click("button[name=persona][value=karla]")
    view.click("text=Continue")
    view.wait_for_selector("main[data-step=ask], pre#seen")
    if view.query_selector("main[data-step=ask]"):
        view.click("button[name=answer][value=yes]")
    view.wait_for_selector("pre#seen")
    assert view.url == page(interop, "shib")
    assert f"schacPersonalUniqueID={CPR}" in view.inner_text("pre#seen").splitlines()
    window.close()
    assert [each for each in faults if "/favicon.ico: " not in each] == []
