"""The report in a real browser: accessible in both schemes, whole on a narrow screen, and on paper."""

from itertools import product
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from broker.adapters.web.report import report_pages
from tests.plugins.reported import reported

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FIRST = ("light", "da", 320)


@pytest.mark.parametrize(
    "look",
    [
        FIRST,
        *(
            pytest.param(look, marks=pytest.mark.slow)
            for look in product(("light", "dark"), ("da", "en"), (320, 1280))
            if look != FIRST
        ),
    ],
)
def test_the_report_is_accessible_and_whole(chromium: Browser, tmp_path: Path, look: tuple[str, str, int]) -> None:
    """No rule of WCAG 2.2 AA that a program can check is broken, it fits, and asks nobody for anything."""
    scheme, language, width = look
    for name, text in report_pages.files(reported(), (language,)):
        (tmp_path / name).write_text(text)
    asked: list[str] = []
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page.on("request", lambda request: asked.append(request.url))
    names = (f"report-{language}.html", f"service-my-loans-{language}.html")
    for name in names:
        page.goto(f"file://{tmp_path / name}")
        found = Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]}).response["violations"]
        assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.close()
    assert len(asked) == len(names)


@pytest.mark.slow
def test_on_paper_each_service_has_a_sheet(chromium: Browser, tmp_path: Path) -> None:
    """Printed, every part begins a page, and colours are those of paper in the dark scheme too."""
    text = dict(report_pages.files(reported(), ("en",)))["report-en.html"]
    (tmp_path / "report.html").write_text(text)
    page = chromium.new_page(color_scheme="dark")
    page.goto(f"file://{tmp_path / 'report.html'}")
    page.emulate_media(media="print")
    broken = page.eval_on_selector_all(".sheet", "found => found.map(each => getComputedStyle(each).breakBefore)")
    assert set(broken) == {"page"}
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.close()
