"""What a change of each key of a policy file is told as: none goes unsaid but those that decide nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from broker.core.analysis import set_differences
from broker.core.analysis.compared_logins import Analysis, Site
from broker.core.analysis.outcome_changes import changes
from broker.core.analysis.remembered_proofs import _with_fillings
from broker.core.analysis.set_differences import Row, difference
from broker.core.identity.canonical_attributes import AttributeReading, Attributes
from broker.core.login.described_login import DescribedLogin
from broker.core.policy.model import PolicySet
from broker.files.checked_files import key_patterns
from broker.files.policies import live_policies
from broker.files.policies.file_schema import PolicyShape
from tests.plugins.key_changes import CHANGES, DECIDES_NOTHING, EXAMPLE, FILES, GUEST, STUDENT
from tests.plugins.random_policies import NOW, SERVICES, SOURCES

WAYF: Final = SOURCES[0]
NEMID: Final = SOURCES[2]
LOANS: Final = SERVICES[0]


def keys() -> Iterator[str]:
    """Give every key of a policy file below which there is no other."""
    patterns = list(key_patterns(PolicyShape))
    for pattern in patterns:
        if not any(other[: len(pattern)] == pattern and other != pattern for other in patterns):
            yield ".".join(pattern)


def loaded(folder: Path, files: dict[str, str]) -> PolicySet:
    """Load policy files."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text + EXAMPLE)
    return live_policies.load(folder, NOW)


def told(row: Row) -> str:
    """Write a row as the command prints it."""
    was = "was " if row.change.was else ""
    return f"{row.change.direction} {row.service} {row.affiliation}: {row.change.text} ({was}{row.change.place})"


def edited(folder: Path, edits: list[tuple[str, str, str, str, str]]) -> list[str]:
    """Compare the files with those in which these edits were made."""
    files = dict(FILES)
    for _, affiliation, old, new, _ in edits:
        name = f"{affiliation}.yaml"
        assert files[name].count(old) == 1
        files[name] = files[name].replace(old, new)
    before = loaded(folder / "before", FILES)
    after = loaded(folder / "after", files)
    services = SERVICES if any("e-resources" in row for *_, row in edits) else (LOANS,)
    site = Site((WAYF, NEMID), services)
    return list(map(told, difference(Analysis((before, after), site, NOW)).rows))


def test_each_key_is_told_or_decides_nothing() -> None:
    """A key that the format gains is in neither table, until somebody says what a change of it means."""
    changed = {key for key, *_ in CHANGES}
    named = set(keys())
    silent = {key for key in named if any(f"{key}.".startswith(f"{each}.") for each in DECIDES_NOTHING)}
    assert changed | silent == named
    assert not changed & silent


@pytest.mark.slow
@pytest.mark.parametrize("edit", CHANGES, ids=[f"{key}-{row.partition(' ')[0]}" for key, *_, row in CHANGES])
def test_a_change_of_a_key_is_told(tmp_path: Path, edit: tuple[str, str, str, str, str]) -> None:
    """By a row with its direction, the key in words, and its line."""
    rows = edited(tmp_path, [edit])
    assert any(row.startswith(edit[-1]) for row in rows), rows


def test_a_row_says_whom_by_their_ages(tmp_path: Path) -> None:
    """Of an age that is raised, those between the two."""
    files = {name: text.replace("age: 15", "age: 18") for name, text in FILES.items()}
    sets = (loaded(tmp_path / "before", FILES), loaded(tmp_path / "after", files))
    rows = difference(Analysis(sets, Site((WAYF,), (LOANS,)), NOW)).rows
    assert {row.ages for row in rows if row.change.text == "too_young"} == {"age 15 to 17"}
    assert {row.ages for row in rows if row.change.text == "- mail"} == {"age 15 to 17"}


def test_a_row_is_offered_where_somebody_comes_to_it_without_a_choice(tmp_path: Path) -> None:
    """And then it shows such a login, in whatever order they are seen; no page offers anything here."""
    files = {name: text.replace("name_id: transient", "name_id: persistent") for name, text in FILES.items()}
    sets = (loaded(tmp_path / "before", FILES), loaded(tmp_path / "after", files))
    analysis = Analysis(sets, Site((WAYF, NEMID), (LOANS,)), NOW)
    logins = [login for login in analysis.logins() if login.outcomes[0] != login.outcomes[1]]
    assert {login.login.intent is None for login in logins} == {True, False}
    for order in (logins, logins[::-1]):
        compared = set_differences._Comparison(analysis, ())
        for login in order:
            for change in changes(*login.outcomes):
                compared.count(change, login)
        assert all(row.offered == (row.login.intent is None) for row in compared.in_order())
        assert any(row.offered for row in compared.in_order() if row.change.text.startswith("name_id"))


@pytest.mark.long("compares two policy sets class by class")
def test_under_consent_no_notice_decides(tmp_path: Path) -> None:
    """Our page asks, whatever the entry says of who tells; where it asks no more, that is told too."""
    unasked = ("", "student", "notice: ours", "notice: upstream", "")
    assert edited(tmp_path, [unasked]) == []
    (tmp_path / "told").mkdir()
    rows = edited(tmp_path / "told", [unasked, ("", "student", "basis: consent", "basis: contract", "")])
    assert "WIDER my-loans student: notice ours -> upstream (student.yaml:43)" in rows


LASTING: Final = (
    "proofs.NAME.code_valid_for",
    "proofs.NAME.remembered_for",
    "borrower.fields.NAME.set",
    "borrower.pin",
)


def test_what_outlasts_a_login_is_told_with_it(tmp_path: Path) -> None:
    """How long codes and proofs are good for, which fields are written when, and the PIN: a row each."""
    edits = [edit for edit in CHANGES if edit[0] in LASTING]
    rows = edited(tmp_path, edits)
    for *_, row in edits:
        assert row in rows
    assert len({row.partition(": ")[2] for row in rows}) == len(edits)


def compared(folder: Path, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Give the rows of two sets of files, for the university's logins at one service."""
    sets = (loaded(folder / "before", before), loaded(folder / "after", after))
    return list(map(told, difference(Analysis(sets, Site((WAYF,), (LOANS,)), NOW)).rows))


@pytest.mark.long("compares two policy sets class by class")
def test_an_affiliation_that_a_line_begins_to_name_is_withheld_no_more(tmp_path: Path) -> None:
    """It may match, and leave, by what stood before in another file, no line of which changed."""
    listed = "      eduPersonScopedAffiliation: {why: {en: x, da: x}}\n"
    student = STUDENT.replace("eduPersonScopedAffiliation: student@au.dk", "eduPersonScopedAffiliation: stu*") + listed
    guest = GUEST.replace("student@x.example", "[student@x.example, studying@au.dk]")
    before = {"student.yaml": student, "guest.yaml": GUEST}
    rows = compared(tmp_path, before, before | {"guest.yaml": guest})
    assert "WIDER my-loans nobody -> student: let in, where it was no_affiliation (student.yaml:37)" in rows
    assert "WIDER my-loans student: + eduPersonScopedAffiliation: studying@au.dk (student.yaml:51)" in rows


@pytest.mark.long("compares two policy sets class by class")
@pytest.mark.parametrize("name_id", ["", "    name_id: email\n    name_id_why: {en: x, da: x}\n"])
def test_what_a_set_begins_to_recall_of_earlier_logins_is_told(tmp_path: Path, name_id: str) -> None:
    """Once a rule can look at a proof by an upstream, what was proved before leaves, and is written, there too."""
    listed = "      kaldemail_domain: {why: {en: x, da: x}}\n"
    student = (STUDENT + listed).replace("from: [mail, proof.kaldemail]", "from: proof.kaldemail")
    student = student.replace("    notice: ours\n", f"    notice: ours\n{name_id}")
    visitor = STUDENT.replace("affiliation: student", "affiliation: visitor").replace("precedence: 20", "precedence: 5")
    visitor = visitor.replace("domains: [{", "domains: [rm.dk, {")
    looking = visitor.replace("{upstream: nemid, kaldemail", "{upstream: [nemid, wayf], kaldemail")
    before = {"student.yaml": student, "visitor.yaml": visitor}
    assert looking != visitor
    rows = compared(tmp_path, before, before | {"visitor.yaml": looking})
    assert any(row.startswith("WIDER my-loans student: + kaldemail_domain (student.yaml:5") for row in rows)
    assert "WIDER my-loans student: + field email (student.yaml:32)" in rows


def test_who_has_an_affiliation_that_was_withheld_may_have_left(tmp_path: Path) -> None:
    """What a set does not know may be the very one that the person still has: only the other set lowers."""
    guest = GUEST.replace("student@x.example", "[student@x.example, studying@au.dk]")
    rows = compared(tmp_path, {"guest.yaml": GUEST}, {"guest.yaml": guest})
    lowered = "other my-loans guest: borrower: STUDENT stays -> PRIVATE lowered for 6 months"
    assert any(row.startswith(lowered) for row in rows), rows


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        ("code_valid_for: 30m", "code_valid_for: 2h", "code_valid_for 30 minutes -> 2 hours (visitor.yaml:16)"),
        ("domains: [{", "domains: [rm.dk, {", "domains rm.dk (visitor.yaml:15)"),
    ],
)
def test_each_of_two_files_has_its_own_terms_of_a_proof(tmp_path: Path, old: str, new: str, row: str) -> None:
    """What the lower asks for is as the lower says, though both name the proof alike."""
    lower = STUDENT.replace("affiliation: student", "affiliation: visitor").replace("precedence: 20", "precedence: 15")
    before = {
        name: text.replace("{upstream: nemid, kaldemail", "{upstream: [wayf, nemid], kaldemail")
        for name, text in {"student.yaml": STUDENT, "visitor.yaml": lower}.items()
    }
    after = before | {"visitor.yaml": before["visitor.yaml"].replace(old, new)}
    rows = compared(tmp_path, before, after)
    assert any(each.startswith("WIDER my-loans nobody: ") and each.endswith(row) for each in rows), rows


def test_a_register_that_is_asked_where_a_borrower_is_only_needed_is_told(tmp_path: Path) -> None:
    """Of a borrower that is there: the look-up writes the address, whatever the entry makes."""
    rule = "  register: {address: set_if_empty}\n"
    needed = GUEST.replace("borrower: make", "borrower: need")
    sets = (
        loaded(tmp_path / "before", {"guest.yaml": needed.replace(rule, "")}),
        loaded(tmp_path / "after", {"guest.yaml": needed}),
    )
    rows = list(map(told, difference(Analysis(sets, Site((NEMID, WAYF), (LOANS,)), NOW)).rows))
    words = "+ register: address set_if_empty (guest.yaml:18)"
    assert rows == [f"WIDER my-loans guest: {words}"]


def test_a_new_affiliation_is_said_to_make_which_account(tmp_path: Path) -> None:
    """Beside what leaves: staff act by the category, and so does the library system."""
    sets = (loaded(tmp_path / "before", {"student.yaml": STUDENT}), loaded(tmp_path / "after", FILES))
    found = difference(Analysis(sets, Site((WAYF,), SERVICES), NOW))
    accounts = {each.service: each.accounts for each in found.arrivals}
    assert accounts["e-resources"] == ()
    assert accounts["my-loans"] == ("PRIVATE lowered for 6 months",)
    made = [row.change for row in found.rows if row.change.text.startswith("borrower: ")]
    assert made
    assert all(change.account for change in made)


def test_each_field_is_seen_without_what_fills_it(tmp_path: Path) -> None:
    """Each source alone, those of one field together, and all: so that many sources take no longer."""
    text = STUDENT.replace("from: [mail, proof.kaldemail]", "from: [mail, gn, proof.kaldemail]")
    policies = loaded(tmp_path / "sets", {"student.yaml": text})
    there = dict.fromkeys(("cn", "gn", "mail", "sn"), ("x",))
    reading = AttributeReading(Attributes(there), None, "real", None)
    login = DescribedLogin("nemid", reading.without_cpr())
    found = [set(there) - set(each.reading.attributes) for each in _with_fillings(login, (policies,), frozenset())]
    assert sorted(map(sorted, found)) == [[], ["gn"], ["gn", "sn"], ["sn"]]
