"""A computer that others use too, in a real browser: what it asks for once more, how it ends, and what is left then."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page

from broker.demo.run.running_demo import Running, run_demo
from tests.plugins.demo import write_demo


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Yield a demo whose every computer is a shared one."""
    setting = write_demo(tmp_path_factory.mktemp("shared") / "demo")
    setting.config.write_text('shared_networks = ["127.0.0.0/8"]\n' + setting.config.read_text())
    with run_demo(setting) as found:
        yield found


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """Yield a new window."""
    window: Any = chromium.new_context(locale="en-GB")
    yield window.new_page()
    window.close()


def open_consent_page(page: Page, library: Running) -> None:
    """Log in as far as the consent page."""
    page.goto(library.setting.ports.origin("library") + "/my-loans")
    page.click("button[name=upstream][value=wayf]")
    page.click("button[name=persona][value=asta]")
    page.wait_for_selector("main[data-step=ask]")


def own(page: Page, library: Running) -> list[str]:
    """Return the names of the cookies that the browser has for the broker."""
    return sorted(str(each.get("name")) for each in page.context.cookies(library.setting.ports.origin("broker")))


def test_the_button_leaves_nothing(page: Page, library: Running) -> None:
    """Every cookie of the broker is gone. Neither Back nor a restored cookie shows a page of the person."""
    open_consent_page(page, library)
    address = page.url
    kept: Any = page.context.cookies()
    assert [name[:2] for name in own(page, library)] == ["a-", "b-"]
    assert {each.get("expires") for each in kept if str(each.get("name"))[:2] in {"a-", "b-"}} == {-1}
    page.click("button[name=answer][value=no]")
    page.wait_for_selector("main[data-step=refuse]")
    page.click("form[action$='/end'] button")
    page.wait_for_selector("main[data-step=end]")
    assert own(page, library) == []
    with pytest.raises(Error, match="CACHE_MISS"):
        page.go_back()
    page.context.add_cookies(kept)
    restored = page.context.new_page()
    restored.goto(address)
    assert restored.get_attribute("main", "data-reason") == "transaction_gone"
    assert "Ravn" not in restored.content()


def test_the_response_still_lands(page: Page, library: Running) -> None:
    """The person reads the page first, and what its button posts finds the service's own cookies in place."""
    open_consent_page(page, library)
    page.click("button[name=answer][value=yes]")
    page.wait_for_selector("main[data-step=issue]")
    page.wait_for_timeout(500)
    assert page.get_attribute("main", "data-step") == "issue"
    page.click("form[data-autopost] button")
    page.wait_for_selector("#borrower")


def test_the_whole_number_has_no_button(page: Page, library: Running) -> None:
    """The page shows the number in dots, and nothing leads to the whole one."""
    open_consent_page(page, library)
    assert page.query_selector("button[name=reveal]") is None
