"""The report in a real browser: accessible in both schemes, whole on a narrow screen, and on paper."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from broker.adapters.web.report import report_pages
from tests.plugins.page_looks import FIRST, LOOKS, Look, amiss
from tests.plugins.reported import reported


@pytest.mark.parametrize(
    ("language", "looks"),
    [("da", [FIRST]), *(pytest.param(language, LOOKS, marks=pytest.mark.slow) for language in ("da", "en"))],
)
def test_the_report_is_accessible_and_whole(
    chromium: Browser, tmp_path: Path, language: str, looks: Sequence[Look]
) -> None:
    """No rule of WCAG 2.2 AA that a program can check is broken, it fits, and asks nobody for anything."""
    for name, text in report_pages.files(reported(), (language,)):
        (tmp_path / name).write_text(text)
    asked: list[str] = []
    page = chromium.new_page()
    page.on("request", lambda request: asked.append(request.url))
    names = (f"report-{language}.html", f"service-my-loans-{language}.html")
    for name in names:
        page.goto(f"file://{tmp_path / name}")
        assert amiss(page, name, looks, leads_on=False) == []
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
