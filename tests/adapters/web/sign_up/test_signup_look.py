"""The sign-up pages in a real browser: accessible in both schemes and widths, by keyboard, and without scripts."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from playwright.sync_api import Browser

from broker.adapters.web.sign_up import sign_up_questions
from broker.demo.run.loopback_server import serve_on_loopback
from tests.plugins.page_checks import FIRST, LOOKS, Look, find_page_faults, show
from tests.plugins.ports import free_port
from tests.plugins.signup_pages import PATHS, signup_site

WRONG = "/sign-up?answer="
ENDS = [node.name for node in sign_up_questions.NODES.values() if not node.question]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Give the address of a server that shows the sign-up pages."""
    port = free_port()
    with serve_on_loopback(signup_site(f"http://127.0.0.1:{port}"), port) as url:
        yield url


@pytest.mark.parametrize(
    ("language", "looks"),
    [("da", [FIRST]), *(pytest.param(language, LOOKS, marks=pytest.mark.slow) for language in ("da", "en"))],
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


@pytest.mark.parametrize("scripts", [pytest.param(True, marks=pytest.mark.slow), False])
@pytest.mark.parametrize("end", [*ENDS[:2], *(pytest.param(end, marks=pytest.mark.slow) for end in ENDS[2:])])
def test_every_end_is_reached_by_answering(address: str, chromium: Browser, end: str, scripts: bool) -> None:
    """A person who answers gets to each of the nine ends, with the service and the language, and back again."""
    way = [sign_up_questions.NODES[end]]
    while way[0].back:
        way.insert(0, sign_up_questions.NODES[way[0].back])
    with chromium.new_context(java_script_enabled=scripts) as visit:
        page = visit.new_page()
        page.goto(f"{address}/sign-up?service=my-loans&lang=en")
        for asks, following in pairwise(way):
            answer = next(each for each, name in asks.answers.items() if name == following.name)
            page.locator(f"label[for=answer-{answer}]").click()
            page.get_by_role("button", name="Continue").click()
            page.wait_for_url(f"{address}{following.path}?service=my-loans&lang=en")
        for before in reversed(way[:-1]):
            page.get_by_role("link", name="Back", exact=True).click()
            page.wait_for_url(f"{address}{before.path}?service=my-loans&lang=en")


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
