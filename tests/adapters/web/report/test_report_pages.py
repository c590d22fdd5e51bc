"""The pages of the report: complete files in both languages, in which no configured text becomes markup."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
from lxml import html

from broker.adapters.translations.catalogue import translate
from broker.adapters.web.report import report_pages
from broker.core.policy.model import RegisterRule
from tests.plugins.sample_report import NASTY, build_sample_report

pytestmark = pytest.mark.long("analyses a site for the report")

LANGUAGES = ("da", "en")
STEMS = ("report", "service-my-loans", "service-myprint", "service-e-resources", "service-unheard-of")
NAMES = [f"{stem}-{language}.html" for stem in STEMS for language in LANGUAGES]


@cache
def write_files() -> Mapping[str, str]:
    """Give the pages by the names of their files, made once."""
    return dict(report_pages.files(build_sample_report(), LANGUAGES))


def find(name: str, path: str) -> list[str]:
    """Return what a path finds on a page."""
    found = html.document_fromstring(write_files()[name]).xpath(path)
    assert isinstance(found, list)
    return [str(each) for each in found]


def test_there_is_a_page_for_all_and_one_for_each_owner() -> None:
    """In each language, the service's name in the file's."""
    assert sorted(write_files()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_needs_no_other(name: str) -> None:
    """No script, no form, nothing fetched; one heading of the first level and none left out; links lead somewhere."""
    text = write_files()[name]
    assert re.findall(r"<(?:script|link|img|iframe|form|object)|\son[a-z]+=|javascript:|@import|url\(", text) == []
    levels = [int(each) for each in re.findall("<h([1-6])", text)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = find(name, "//@id")
    assert len(ids) == len(set(ids))
    for link in find(name, "//@href"):
        assert link in write_files() or link[1:] in ids, link


@pytest.mark.parametrize("name", NAMES)
def test_configured_text_is_escaped(name: str) -> None:
    """Labels, answers and reasons stand as they are written."""
    assert NASTY not in write_files()[name]
    assert "<script" not in write_files()[name]
    assert ("&lt;script&gt;" in write_files()[name]) is any(stem in name for stem in ("report", "myprint"))


def test_the_page_of_all_says_what_was_decided_and_what_is_missing() -> None:
    """Digest and day, and that an answer is missing, in the page's language."""
    report = build_sample_report()
    for language in LANGUAGES:
        text = write_files()[f"report-{language}.html"]
        wanted = [report.digest[:12], "2026-11-26", "datafordeler", translate("Not written.", language)]
        assert [each for each in wanted if each not in text] == []


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            RegisterRule("always"),
            "Student at Aarhus University: whether their number still holds, and the address for ",
        ),
        (RegisterRule(), "Student at Aarhus University: whether their number still holds; asked when the account is m"),
        (None, ""),
    ],
)
def test_the_register_of_persons_is_a_receiver_with_its_purpose(rule: RegisterRule | None, said: str) -> None:
    """For each affiliation whose people are looked up: what is asked for, and when."""
    report = build_sample_report()
    students = [each for each in report.disclosures.borrowers if each.policy.affiliation == "student"]
    asked = tuple(replace(each, rule=replace(each.rule, register=rule)) for each in students)
    changed = replace(report, disclosures=replace(report.disclosures, borrowers=asked))
    page = dict(report_pages.files(changed, ("en",)))["report-en.html"]
    assert students
    assert (said in page, "whether their number still holds" in page) == (True, rule is not None)
