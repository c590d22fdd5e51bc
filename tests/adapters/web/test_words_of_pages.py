"""The words of every page of a borrower: easy to read, and the same word for a thing on each page."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from flask import Flask
from lxml import html

from broker.adapters.web.pages.failure_texts import FORM_ERRORS
from broker.adapters.web.pages.reason_texts import REASONS
from tests.adapters.web.readability import english_grade, lix
from tests.plugins.reason_pages import render_reason
from tests.plugins.signup_pages import PATHS, usual_site

pytestmark = pytest.mark.long("renders every page in both languages")

TERMS = Path(__file__).parents[3] / "docs" / "texts.md"
BLOCKS = {"h1", "h2", "h3", "p", "li", "dt", "dd", "label", "button", "summary", "legend", "th", "td"}
LANGUAGES = ["da", "en"]
# Only pages of people who are logged in or on the way to it: staff pages have words of their own.
LIMITS = {"da": (lix, 35), "en": (english_grade, 8)}


@pytest.fixture(scope="module")
def pages(app: Flask, looked_at: tuple[str, ...]) -> Mapping[tuple[str, str], str]:
    """Return the source of every page by its name and language."""
    found = {}
    for language in LANGUAGES:
        for name in looked_at:
            found[name, language] = app.test_client().get(f"/{name}?lang={language}").text
        for code in sorted(set(REASONS) - set(FORM_ERRORS)):
            with app.test_request_context(f"/?lang={language}"):
                found[code, language] = render_reason(code)
        for path in PATHS:
            found[path, language] = usual_site().test_client().get(f"{path}?lang={language}").text
    return found


def read_blocks(source: str) -> list[str]:
    """Return the texts of the paragraphs, items, headings and buttons of a page."""
    main = html.document_fromstring(source).find(".//main")
    assert main is not None
    blocks = [each for each in main.iter(*BLOCKS) if not any(True for _ in each.iterdescendants(*BLOCKS))]
    return [" ".join(" ".join(map(str, each.itertext())).split()) for each in blocks]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_easy_to_read(pages: Mapping[tuple[str, str], str], language: str) -> None:
    """LIX at most 35 in Danish, school grade at most 8 in English, of the sentences of each page.

    Headings, labels and buttons are no sentences, and would make the pages look easier than they are.
    """
    measure, most = LIMITS[language]
    hard = {}
    for (name, spoken), source in pages.items():
        sentences = " ".join(text for text in read_blocks(source) if text[-1:] in {".", "?", "!", ":"})
        if spoken == language and sentences and measure(sentences) > most:
            hard[name] = round(measure(sentences), 1)
    assert hard == {}
    assert len(pages) > 200


def test_one_list_of_what_to_bring(pages: Mapping[tuple[str, str], str]) -> None:
    """Every page that names the papers names the same ones, in the same words."""
    others = {"da": r"(?<!gule )(?<!gult )sundhedskort|[Bb]illed", "en": r"(?<!yellow )health insurance card|photo ID"}
    found = {}
    for (name, language), source in pages.items():
        if other := re.findall(others[language], " ".join(read_blocks(source))):
            found[name, language] = other
    assert found == {}


def read_terms() -> list[str]:
    """Return the replaced words of the table of terms."""
    rows = TERMS.read_text().partition("| thing | English | Danish | replaces |\n")[2].partition("\n\n")[0]
    cells = [row.strip("|").split("|")[3].strip() for row in rows.splitlines()[1:]]
    return [word.strip() for cell in cells for word in cell.split(",")]


def test_no_page_uses_a_replaced_word(pages: Mapping[tuple[str, str], str]) -> None:
    """The pages use the words of the table in docs/texts.md, in both languages."""
    replaced = read_terms()
    assert len(replaced) > 20
    pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, replaced))})(?![\w-])", re.IGNORECASE)
    found = {(name, *pattern.findall(" ".join(read_blocks(source)))) for (name, _), source in pages.items()}
    assert [each for each in found if len(each) > 1] == []
