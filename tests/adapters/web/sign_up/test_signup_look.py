"""The sign-up pages in a real browser: accessible in both schemes and widths, by keyboard, and without scripts."""

from collections.abc import Iterator, Sequence

import pytest
from playwright.sync_api import Browser

from broker.demo.run.loopback_server import serve_on_loopback
from tests.plugins.page_checks import FIRST, LOOKS, Look, find_page_faults, show
from tests.plugins.ports import free_port
from tests.plugins.signup_pages import PATHS, signup_site

WRONG = "/sign-up?answer="


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Give the address of a server that shows the sign-up pages."""
    port = free_port()
    with serve_on_loopback(signup_site(f"http://127.0.0.1:{port}"), port) as url:
        yield url


@pytest.mark.parametrize(
    ("language", "looks"),
    [
        ("da", [FIRST]),
        pytest.param("da", LOOKS[1:], marks=pytest.mark.slow),
        pytest.param("en", LOOKS, marks=pytest.mark.full),
    ],
)
def test_pages_are_accessible_and_whole(address: str, chromium: Browser, language: str, looks: Sequence[Look]) -> None:
    """No rule that a program can check is broken on any page, and nothing is wider than the screen."""
    with chromium.new_context() as visit:
        page, found = visit.new_page(), []
        page.goto(f"{address}{PATHS[0]}")
        for path in (*PATHS, WRONG):
            show(page, f"{address}{path}{'&' if '?' in path else '?'}lang={language}&service=my-loans")
            found += find_page_faults(page, path, looks, leads_on=False)
    assert found == []


def test_the_keyboard_reaches_everything_in_reading_order(address: str, chromium: Browser) -> None:
    """Tab goes skip link, language, the answers as one, the button, the links; an error takes the focus first."""
    with chromium.new_context() as visit:
        page, seen = visit.new_page(), []
        page.goto(f"{address}/sign-up?lang=en")
        for _ in range(6):
            page.keyboard.press("Tab")
            seen.append(page.evaluate("(document.activeElement.innerText || document.activeElement.name).trim()"))
        assert seen == ["Skip to the content", "Dansk", "answer", "Continue", "See who needs an account",
                        "Questions and answers about signing up"]  # fmt: skip
        page.locator("#answer-student").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}/sign-up/employee?lang=en")
        page.get_by_role("button", name="Continue").press("Enter")
        page.wait_for_selector("[data-problem=answer_missing]:focus")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("#answer-yes:focus")
