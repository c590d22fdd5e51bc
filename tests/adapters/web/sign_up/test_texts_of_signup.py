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
from broker.adapters.web.sign_up.sign_up_pages import list_faults
from broker.core.errors import ConfigurationFaults
from tests.plugins.signup_pages import LINKS, SETTING, signup_site, usual_site, words

GOOD = """version: 1
title: {en: "Ours", da: "Vores"}
address: /sign-up/hospital
answers:
  yes: {leads_to: hospital.login, label: {en: "Yes", da: "Ja"}}
  no: {leads_to: hospital.kaldemail, label: {en: "No", da: "Nej"}}
"""
AFFILIATIONS = {"student", "employee", "hospital", "private"}
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
    assert list(list_faults(texts, SETTING, AFFILIATIONS)) == []
    some = {name: link for name, link in LINKS.items() if name not in {"databases", "my_loans"}}
    told = list(list_faults(texts, replace(SETTING, links=some), AFFILIATIONS))
    assert [each for each in told if "'databases'" in each or "'my_loans'" in each] == told
    assert len(told) == 2


def test_an_affiliation_without_a_policy_is_a_fault() -> None:
    """A button that signs people up as what no policy knows would lead to an error page."""
    [told] = list_faults(Texts.load(), SETTING, AFFILIATIONS - {"private"})
    assert told == "private.eid signs people up as 'private', which no policy has"


def test_the_example_of_the_document_is_a_page(tmp_path: Path) -> None:
    """The page in docs/sign-up.md replaces the shipped one."""
    example = Path("docs/sign-up.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "private.eid.yaml").write_text(example)
    assert Texts.load(tmp_path).pages["private.eid"].actions.keys() == {"login_eid_private"}


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
        ('"Vores"', '"V\\u202eores"', "2: title.da: contains a control character, or one that changes the text direction"),
        ('"Vores"', '"V\\0ores"', "2: title.da: contains a control character, or one that changes the text direction"),
        ('"Vores"', f'"{"v" * 161}"', "2: title.da: string should have at most 160 characters"),
        ('"Vores"', '"{eed}"', "2: title.da: unknown placeholder {eed}, known are {eid} and {library}"),
        ('"Vores"', '"[Ours](start)"', "2: title.da: holds a link, and stands where none can be"),
        ("hospital.login", "hospital.logn", "5: answers.yes.leads_to: unknown page 'hospital.logn' did you mean"),
        ("/sign-up/hospital", "/hospital", "3: address: must be an address like"),
        ("/sign-up/hospital", "/sign-up/student", "1: address /sign-up/student is that of"),
        ("/sign-up/hospital", "/sign-up/begin", "1: address /sign-up/begin is that of the login"),
        ("version: 1", "version: 2", "1: version: input should be '1'"),
        ("title:", "titel:", "2: unknown key 'titel' (did you mean 'title'?)"),
        ("answers:", 'lead: {en: "[x](faq#mylons)", da: x}\nanswers:', "4: lead.en: unknown link 'faq#mylons'"),
        ("answers:", 'lead: {en: "[x](https://evil.example)", da: x}\nanswers:', "4: lead.en: a link is written"),
        ("answers:", "blocks: [{text: {en: x, da: x}, points: [{en: x, da: x}]}]\nanswers:", "4: blocks.1: must hold"),
        ("answers:", "blocks: [{steps: []}]\nanswers:", "4: blocks.1: must hold one of text, points and steps"),
        ("answers:", "lead: {en: '[x](faq#)', da: x}\nanswers:", "4: lead.en: unknown link 'faq#'"),
        ("answers:", "lead: {en: '[x](start#wayf)', da: x}\nanswers:", "4: lead.en: unknown link 'start#wayf'"),
        ("answers:", "actions: {a: {leads_to: pin, label: {en: x, da: x}}}\nanswers:", "1: the file: a page has"),
        ("answers:", "actions: {a: {leads_to: sign_up, label: {en: x, da: x}}}\nanswers:", "4: actions.a: a sign-up"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    """Each thing wrong with a page is named where it stands."""
    assert old in GOOD
    told = find_faults(tmp_path / "ours", hospital__mitau=GOOD.replace(old, new, 1))
    assert any(each.startswith(f"ours/hospital.mitau.yaml:{expected}") for each in told), told


def test_a_library_has_a_tree_of_its_own(tmp_path: Path) -> None:
    """New pages come in, with their addresses and Back, where an answer of an own page leads to them."""
    start = """version: 1
title: {en: "Who are you?", da: "Hvem er du?"}
address: /sign-up
answers:
  pupil: {leads_to: begun, label: {en: "A pupil", da: "Elev"}}
  other: {leads_to: private.eid, label: {en: "Somebody else", da: "En anden"}}
"""
    pupil = """version: 1
title: {en: "Log in at your school", da: "Log på på din skole"}
address: /sign-up/pupil
actions:
  begin: {leads_to: sign_up, way: university, affiliation: student, label: {en: "Log in", da: "Log på"}}
"""
    (tmp_path / "start.yaml").write_text(start)
    (tmp_path / "begun.yaml").write_text(pupil)
    client = signup_site(texts=Texts.load(tmp_path)).test_client()
    assert client.get("/sign-up?answer=pupil").headers["Location"].endswith("/sign-up/pupil")
    page = client.get("/sign-up/pupil?lang=en").text
    assert 'class="back"><a href="/sign-up?lang=en"' in page
    assert "/sign-up/begin?affiliation=student&amp;upstream=wayf" in page
    assert "Student (at" not in client.get("/sign-up?lang=en").text


def test_a_page_that_no_answer_leads_to_is_a_fault(tmp_path: Path) -> None:
    """A misspelt file name would leave the shipped page in its place."""
    told = find_faults(tmp_path / "ours", studnet__cpr=GOOD.replace("/hospital", "/pupil"))
    [fault] = told
    assert fault.startswith("ours/studnet.cpr.yaml:1: no answer leads to the page 'studnet.cpr'")
    assert "student.cpr" in fault


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
