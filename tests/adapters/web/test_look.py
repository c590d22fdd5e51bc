"""Every page in a real browser: accessible in both schemes, whole on a narrow screen, usable without scripts."""

import re
from collections.abc import Callable, Iterator, Sequence

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Route

from broker.adapters.web.pages.reason_texts import REASONS
from broker.demo.run.loopback_server import serve_on_loopback
from tests.plugins.page_checks import FIRST, LOOKS, Look, find_page_faults, shape, show
from tests.plugins.reason_pages import render_reason

ACS = "https://loans.library.example/acs"
SCRIPT = "**/autopost.js*"


@pytest.fixture(scope="module")
def address(site: Callable[..., Flask]) -> Iterator[str]:
    """Give the address of a server that shows every specimen."""
    with serve_on_loopback(site("http://127.0.0.1")) as url:
        yield url


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Return a function that opens a context in which the service outside answers with a short page."""
    opened = []

    def service(route: Route) -> None:
        route.fulfill(status=200, content_type="text/html", body="<title>service</title>")

    def open_one(**settings: object) -> BrowserContext:
        opened.append(chromium.new_context(**settings))  # type: ignore[arg-type]
        opened[-1].route(re.compile("^https:"), service)
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.mark.parametrize(
    ("language", "looks", "every"),
    [
        ("da", [FIRST], False),
        pytest.param("da", LOOKS[1:], False, marks=pytest.mark.slow(seconds=15)),
        pytest.param("da", [FIRST], True, marks=pytest.mark.full),
        pytest.param("da", LOOKS, True, marks=pytest.mark.full),
        pytest.param("en", LOOKS, True, marks=pytest.mark.full),
    ],
)
def test_pages_are_accessible_and_whole(
    address: str,
    visit: Callable[..., BrowserContext],
    looked_at: tuple[str, ...],
    one_of_each: tuple[str, ...],
    *,
    language: str,
    looks: Sequence[Look],
    every: bool,
) -> None:
    """No rule of WCAG 2.2 AA that a program can check is broken, each page fits, and something leads on.

    Without ``every`` the browser shows one page of each template.
    """
    names = looked_at if every else one_of_each
    context = visit()
    context.route(SCRIPT, lambda route: route.abort())  # the page is looked at before it goes on
    page, found = context.new_page(), []
    page.goto(f"{address}/{names[0]}")
    for name in names:
        show(page, f"{address}/{name}?lang={language}")
        found += find_page_faults(page, name, looks)
    assert found == []


@pytest.fixture(scope="module")
def ends(site: Callable[..., Flask]) -> Iterator[str]:
    """Give the address of a server that shows the page of every reason."""
    app = site("http://127.0.0.1")

    app.add_url_rule("/reason/<code>", view_func=render_reason)
    with serve_on_loopback(app) as url:
        yield url


@pytest.mark.slow(seconds=8)
@pytest.mark.parametrize("language", ["da", pytest.param("en", marks=pytest.mark.full)])
def test_every_reason_ends_on_a_page_that_is_accessible_and_whole(
    ends: str, visit: Callable[..., BrowserContext], language: str
) -> None:
    """The page of every reason breaks no rule that axe checks, fits the screen, and leads on.

    Axe looks at one page of those that differ in their words only: whether there are words is all that it asks of them.
    """
    page, found = visit().new_page(), []
    page.goto(f"{ends}/reason/{min(REASONS)}")
    shapes = set()
    for code in sorted(REASONS):
        page.set_viewport_size({"width": 320, "height": 800})
        source = show(page, f"{ends}/reason/{code}?lang={language}")
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found.append(f"{code} is too wide")
        without_words = shape(source, code)
        if without_words not in shapes:
            shapes.add(without_words)
            found += find_page_faults(page, code)
    assert found == []
    assert len(shapes) > 10


def test_the_posting_page_goes_on_by_itself(address: str, visit: Callable[..., BrowserContext]) -> None:
    """The script sends the form on to the service, through the content security policy."""
    page = visit().new_page()
    page.goto(f"{address}/post?lang=en", wait_until="commit")
    page.wait_for_url(ACS)
    assert page.title() == "service"


@pytest.mark.parametrize("name", ["post", "refused", "declined"])
def test_without_scripts_a_button_leads_to_the_service(
    address: str, visit: Callable[..., BrowserContext], name: str
) -> None:
    """The content security policy lets the form go to the service, and a blocked script strands nobody."""
    page = visit(java_script_enabled=False).new_page()
    page.goto(f"{address}/{name}?lang=en")
    page.locator("form[action^='https://loans'] button").click()
    page.wait_for_url(ACS)


def test_a_page_of_ours_posts_nowhere_else(address: str, visit: Callable[..., BrowserContext]) -> None:
    """A form that were turned away from us on an ordinary page is stopped by the browser."""
    page = visit().new_page()
    page.goto(f"{address}/ask?lang=en")
    page.evaluate("document.querySelector('form.answer').action = 'https://evil.example/'")
    with page.expect_event("console", lambda message: "form-action" in message.text):
        page.evaluate("document.querySelector('form.answer').submit()")
    assert page.url.startswith(address)


def test_the_keyboard_reaches_everything_in_reading_order(address: str, visit: Callable[..., BrowserContext]) -> None:
    """Tab goes skip link, language, number, boxes, the two answers, details; a problem takes the focus first."""
    page = visit().new_page()
    page.goto(f"{address}/ask?lang=en")
    seen = []
    for _ in range(9):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("(document.activeElement.innerText || document.activeElement.name).trim()"))
    assert seen == ["Skip to the content", "Dansk", "Show the whole number", "optional", "remember", "Yes, send",
                    "No, do not send", "Details: what is sent, and why",
                    "Who is responsible?"]  # fmt: skip
    page.goto(f"{address}/ask-problem?lang=en")
    page.wait_for_selector("[data-problem=token_refused]:focus")


@pytest.mark.parametrize("language", ["da", "en"])
def test_the_answers_are_in_view_on_a_phone(address: str, visit: Callable[..., BrowserContext], language: str) -> None:
    """The two buttons of the consent page are within 360x740, also with one optional attribute."""
    page = visit(viewport={"width": 360, "height": 740}).new_page()
    page.goto(f"{address}/ask?lang={language}")
    for answer in ("yes", "no"):
        box = page.locator(f"button[name=answer][value={answer}]").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 740


def test_the_whole_number_is_asked_for_by_its_own_form(address: str, visit: Callable[..., BrowserContext]) -> None:
    """The button in the table sends reveal and the token, and neither answer nor choices."""
    page = visit(java_script_enabled=False).new_page()
    page.goto(f"{address}/ask?lang=en")
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.get_by_role("button", name="Show the whole number").click()
    assert sent.value.post_data == "reveal=1&token=t%7Et"
