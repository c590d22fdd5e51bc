"""The texts of the sign-up pages: every fact in both languages, and everything wrong with a folder of one's own."""

from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from broker.adapters.web.sign_up.content_files import Texts
from broker.adapters.web.sign_up.link_markup import mark_links
from broker.adapters.web.sign_up.sign_up_pages import faults
from broker.core.errors import ConfigurationFaults
from tests.plugins.signup_pages import LINKS, SETTING, usual_site, words

GOOD = """version: 1
title: {en: "Ours", da: "Vores"}
answers:
  yes: {label: {en: "Yes", da: "Ja"}}
  no: {label: {en: "No", da: "Nej"}}
"""
FACTS = (Path(__file__).parent / "facts_of_signup.txt").read_text().splitlines()
PAGES = [line for line in FACTS if line[0] == "/"]


def find_faults(folder: Path, **files: str) -> list[str]:
    """Give the faults of a folder that holds ``files``."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name.replace('__', '.')}.yaml").write_text(text)
    with pytest.raises(ConfigurationFaults) as found:
        Texts.load(folder)
    return [str(each) for each in found.value.faults]


@pytest.mark.parametrize("page", PAGES)
def test_every_fact_stands_on_its_page(page: str) -> None:
    """Each page has the required facts in their order, in both languages (R01-R47)."""
    path, spoken = page.split()
    facts = list(takewhile(lambda line: line[0] == " ", FACTS[FACTS.index(page) + 1 :]))
    shown, at = words(usual_site().test_client().get(f"{path}?lang={spoken}").text), 0
    for fact in facts:
        at = shown.find(fact.strip(), at)
        assert at >= 0, fact


def test_a_link_without_an_address_is_a_fault() -> None:
    """The check names each missing address; with all of them it reports nothing (R14, R30)."""
    texts = Texts.load()
    assert list(faults(texts, SETTING)) == []
    some = {name: link for name, link in LINKS.items() if name not in {"databases", "my_loans"}}
    told = list(faults(texts, replace(SETTING, links=some)))
    assert [each for each in told if "'databases'" in each or "'my_loans'" in each] == told
    assert len(told) == 2


def test_a_folder_replaces_the_pages_it_holds(tmp_path: Path) -> None:
    """A page of one's own stands instead of the shipped one; the others stay."""
    (tmp_path / "hospital.mitau.yaml").write_text(GOOD)
    texts = Texts.load(tmp_path)
    assert texts.pages["hospital.mitau"].title.en == "Ours"
    assert texts.pages["start"] == Texts.load().pages["start"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (', da: "Vores"', "", "2: title.da is missing"),
        ('"Vores"', '""', "2: title.da: must not be empty"),
        ('"Vores"', '"  "', "2: title.da: must not be empty"),
        ('"Vores"', '"V\\u202eores"', "2: title.da: holds a character that is not for reading"),
        ('"Vores"', '"V\\0ores"', "2: title.da: holds a character that is not for reading"),
        ('"Vores"', f'"{"v" * 161}"', "2: title.da: string should have at most 160 characters"),
        ('"Vores"', '"{eed}"', "2: title.da: unknown placeholder {eed}, known are {eid} and {library}"),
        ('"Vores"', '"[Ours](start)"', "2: title.da: holds a link, and stands where none can be"),
        ("  no: ", "  nej: ", "3: answers.no is missing"),
        ("version: 1", "version: 2", "1: version: input should be '1'"),
        ("title:", "titel:", "2: unknown key 'titel' (did you mean 'title'?)"),
        ("answers:", 'lead: {en: "[x](faq#mylons)", da: x}\nanswers:', "3: lead.en: unknown link 'faq#mylons'"),
        ("answers:", 'lead: {en: "[x](https://evil.example)", da: x}\nanswers:', "3: lead.en: a link is written"),
        ("answers:", "blocks: [{text: {en: x, da: x}, points: [{en: x, da: x}]}]\nanswers:", "3: blocks.1: must hold"),
        ("answers:", "blocks: [{steps: []}]\nanswers:", "3: blocks.1: must hold one of text, points and steps"),
        ("answers:", "actions: {begin: {label: {en: x, da: x}}}\nanswers:", "3: unknown name 'begin' in actions"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    """Each thing wrong with a page is named where it stands."""
    assert old in GOOD
    told = find_faults(tmp_path / "ours", hospital__mitau=GOOD.replace(old, new, 1))
    assert any(each.startswith(f"ours/hospital.mitau.yaml:{expected}") for each in told), told


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    """An unknown page, broken YAML and a missing answer are reported together."""
    told = find_faults(
        tmp_path / "ours", studnet__cpr=GOOD, start="{", faq="version: 1\ntitle: {en: Q, da: S}\nentries: {}"
    )
    assert any("unknown page 'studnet.cpr'" in each and "student.cpr" in each for each in told)
    assert any(each.startswith("ours/start.yaml:1: is not YAML") for each in told)
    assert sum("entries." in each and "is missing" in each for each in told) == 13


def test_a_file_that_would_not_be_read_is_a_fault(tmp_path: Path) -> None:
    """A file with a wrong name is an error: the shipped text must not appear in its place."""
    (tmp_path / "start.yml").write_text(GOOD)
    with pytest.raises(ConfigurationFaults, match=r"start\.yml:1: is not read \(a file of texts ends in \.yaml\)"):
        Texts.load(tmp_path)


def test_a_folder_that_is_none_is_a_fault(tmp_path: Path) -> None:
    """A misspelt folder is an error: the shipped texts must not appear in its place."""
    with pytest.raises(ConfigurationFaults, match="is no folder"):
        Texts.load(tmp_path / "nowhere")


@given(st.text(), st.text(max_size=5))
def test_a_text_is_never_markup(text: str, name: str) -> None:
    """Only our own links in a text become elements, whatever the text and the name of the national eID contain."""
    made = mark_links(text, {"eid": name, "library": name}, lambda _target: None, "da")
    assert "<" not in made
    assert str(mark_links("{eid}", {"eid": text}, lambda _target: None, "da")) == str(escape(text))
