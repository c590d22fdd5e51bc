"""The differences between two policy sets: each key is reported, and no random login shows more than the rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from random import Random

import pytest

from broker.configuration.checked_files import key_patterns
from broker.configuration.policies.file_schema import PolicyShape
from broker.core.entities import Service
from broker.core.errors import ConfigurationFaults
from broker.core.login.given_facts import DescribedLogin, GivenFacts, describe_login
from broker.core.login.login_simulation import simulate_login
from broker.core.login.site import Site
from broker.core.policy.model import PolicySet
from broker.core.policy_analysis.differences import Direction, Row, find_changes, find_differences
from broker.core.policy_analysis.sample_logins import Analysis
from tests.core.policy_analysis.key_changes import CHANGES, DECIDES_NOTHING, FILES, GUEST, STUDENT, load_policies
from tests.core.policy_analysis.random_logins import MAPS, SERVICES, SITE, UPSTREAMS, edit_keys, random_logins
from tests.plugins.core_values import NOW

pytestmark = pytest.mark.long("compares sets of policies by their logins")

TWO_SOURCES = {
    "wayf": replace(UPSTREAMS["wayf"], institutions=UPSTREAMS["wayf"].institutions[:1]),
    "nemid": UPSTREAMS["nemid"],
}


def keys() -> Iterator[str]:
    """Give every key of a policy file below which there is no other; need and none are as make."""
    patterns = [each for each in key_patterns(PolicyShape) if not {"need", "none"}.intersection(each)]
    for pattern in patterns:
        if not any(other[: len(pattern)] == pattern and other != pattern for other in patterns):
            yield ".".join(pattern)


def write_row(row: Row) -> str:
    """Write a row on one line."""
    was = "was " if row.change.in_old_set else ""
    values = f" {', '.join(row.values)}" if row.values else ""
    return (
        f"{row.change.direction} {row.service} {row.affiliation}: {row.change.text}{values} ({was}{row.change.place})"
    )


def compare_files(folder: Path, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Give the rows of two sets of files."""
    sets = (load_policies(folder / "before", before), load_policies(folder / "after", after))
    return list(map(write_row, find_differences(Analysis(sets, (Site(SITE.services, TWO_SOURCES, MAPS),), NOW)).rows))


def compare_edits(folder: Path, edits: list[tuple[str, str, str, str, str]]) -> list[str]:
    """Compare the files with those in which these edits were made."""
    files = dict(FILES)
    for _, affiliation, old, new, _ in edits:
        name = f"{affiliation}.yaml"
        assert files[name].count(old) == 1
        files[name] = files[name].replace(old, new)
    return compare_files(folder, FILES, files)


def test_each_key_is_reported_or_decides_nothing() -> None:
    """A new key of the format is in neither table until somebody writes down the effect of a change of it."""
    changed = {key for key, *_ in CHANGES}
    named = set(keys())
    silent = {key for key in named if any(f"{key}.".startswith(f"{each}.") for each in DECIDES_NOTHING)}
    assert changed | silent == named
    assert not changed & silent


@pytest.mark.parametrize("edit", CHANGES, ids=[f"{key}-{row.partition(' ')[0]}" for key, *_, row in CHANGES])
def test_a_change_of_a_key_is_reported(tmp_path: Path, edit: tuple[str, str, str, str, str]) -> None:
    """The row has the direction, the key in words, and the line."""
    rows = compare_edits(tmp_path, [edit])
    assert any(row.startswith(edit[-1]) for row in rows), rows


def test_under_consent_no_notice_decides(tmp_path: Path) -> None:
    """Our page asks, whatever the entry says; where it asks no more, the row says so."""
    unasked = ("", "student", "notice: ours", "notice: upstream", "")
    assert compare_edits(tmp_path, [unasked]) == []
    (tmp_path / "contract").mkdir()
    rows = compare_edits(tmp_path / "contract", [unasked, ("", "student", "basis: consent", "basis: contract", "")])
    assert "WIDER my-loans student: notice ours -> upstream (student.yaml:39)" in rows


def test_an_affiliation_that_a_line_begins_to_name_is_not_withheld(tmp_path: Path) -> None:
    """It may match, and leave, by what stood before in another file, no line of which changed."""
    listed = "      - eduPersonScopedAffiliation: {why: {en: x, da: x}}\n"
    student = STUDENT.replace("eduPersonScopedAffiliation: student@au.dk", "eduPersonScopedAffiliation: stu*") + listed
    guest = GUEST.replace("student@x.example", "[student@x.example, studying@au.dk]")
    before = {"student.yaml": student, "guest.yaml": GUEST}
    rows = compare_files(tmp_path, before, before | {"guest.yaml": guest})
    assert "WIDER my-loans nobody -> student: now let in; was refused: no_affiliation (student.yaml:34)" in rows
    assert "WIDER my-loans student: + eduPersonScopedAffiliation studying@au.dk (student.yaml:47)" in rows


def test_a_login_with_a_withheld_affiliation_lowers_nobody(tmp_path: Path) -> None:
    """An unknown affiliation may be the very one that the person still has: only the other set lowers."""
    guest = GUEST.replace("student@x.example", "[student@x.example, studying@au.dk]")
    rows = compare_files(tmp_path, {"guest.yaml": GUEST}, {"guest.yaml": guest})
    lowered = "other my-loans guest: borrower: STUDENT stays -> PRIVATE lowered"
    assert any(row.startswith(lowered) for row in rows), rows


@pytest.mark.parametrize("values", ["", "values: [new.example], "])
def test_a_new_scope_of_an_institution_is_reported(tmp_path: Path, values: str) -> None:
    """Its people were refused with a value in that scope, whether or not a policy names the scope."""
    listed = f"      - schacHomeOrganization: {{{values}why: {{en: x, da: x}}}}\n"
    policies = load_policies(tmp_path / "policies", FILES | {"student.yaml": STUDENT + listed})
    university = replace(TWO_SOURCES["wayf"].institutions[0], scopes=("au.dk", "old.example"))
    both = (university, replace(university, scopes=(*university.scopes, "new.example")))
    sites = [Site(SITE.services, {"wayf": replace(TWO_SOURCES["wayf"], institutions=(each,))}, MAPS) for each in both]
    rows = find_differences(Analysis((policies, policies), tuple(sites), NOW)).rows
    assert any(
        "WIDER my-loans nobody -> student: now let in; was refused: scope_mismatch" in write_row(row) for row in rows
    )


def test_more_trust_in_an_institution_without_scopes_is_reported(tmp_path: Path) -> None:
    """The national eID has no scopes, and an institution whose scopes stand in its metadata has none here."""
    policies = load_policies(tmp_path / "policies", FILES)
    eid = replace(TWO_SOURCES["nemid"].institutions[0], scopes=())
    both = (replace(eid, may_assert=frozenset()), eid)
    sites = [Site(SITE.services, {"nemid": replace(TWO_SOURCES["nemid"], institutions=(each,))}, MAPS) for each in both]
    rows = find_differences(Analysis((policies, policies), tuple(sites), NOW)).rows
    assert any(row.change.direction is Direction.WIDER for row in rows)


def test_a_look_up_at_an_entry_with_need_is_reported(tmp_path: Path) -> None:
    """The look-up writes the address of a borrower that is there, whatever the entry makes."""
    rule = "  register: set_if_empty\n"
    needed = GUEST.replace("    make: []", "    need: []")
    rows = compare_files(tmp_path, {"guest.yaml": needed.replace(rule, "")}, {"guest.yaml": needed})
    assert rows == ["WIDER my-loans guest: + register: address (guest.yaml:16)"]


def find_wider(analysis: Analysis, service: Service, logins: Sequence[DescribedLogin]) -> set[tuple[str, str]]:
    """Return what is wider for a login as each set reads it, by the engine and not by the sample logins."""
    both = zip(logins, analysis.sets, strict=True)
    played = [simulate_login(login, service, policies, NOW, SITE) for login, policies in both]
    changes = find_changes(tuple(played), analysis)
    return {(service.name, change.text) for change in changes if change.direction is Direction.WIDER}


def read_again(row: Row, policies: PolicySet) -> DescribedLogin:
    """Return the login of a row as a set reads it."""
    facts = GivenFacts(**{each.name: getattr(row.login, each.name) for each in fields(GivenFacts)})
    return describe_login(facts, SITE, policies, NOW)


@dataclass(slots=True)
class Counts:
    """Counts over pairs of sets: WIDER that random logins show, those without a row, and false rows."""

    shown: int = 0
    missed: int = 0
    false: int = 0

    def add(self, sets: tuple[PolicySet, PolicySet], draw: Random) -> None:
        """Hold the rows of a pair to random logins, and each row to its own login."""
        analysis = Analysis(sets, (SITE,), NOW)
        rows = [row for row in find_differences(analysis).rows if row.change.direction is Direction.WIDER]
        found = {(row.service, row.change.text) for row in rows}
        for login in random_logins(draw, 600):
            wider = find_wider(analysis, draw.choice(SERVICES), [login.read(each) for each in sets])
            self.shown += len(wider)
            self.missed += len(wider - found)
        for row in rows:
            shown = find_wider(analysis, SITE.services[row.service], [read_again(row, each) for each in sets])
            self.false += (row.service, row.change.text) not in shown


def test_changes_shown_by_random_logins_have_a_row(tmp_path: Path) -> None:
    """Of all pairs together at least 99 of 100, and each row is shown by its own login."""
    draw, counts = Random(1), Counts()
    before = load_policies(tmp_path / "before", FILES)
    for at in range(6):
        try:
            after = load_policies(tmp_path / f"after-{at}", edit_keys(draw, 1 + at % 3))
        except ConfigurationFaults:
            continue  # these changes exclude each other
        counts.add((before, after), draw)
    assert counts.shown
    assert 100 * counts.missed <= counts.shown
    assert counts.false == 0


def test_a_set_differs_in_nothing_from_itself(tmp_path: Path) -> None:
    """No row, and no login is played where no policy differs."""
    policies = load_policies(tmp_path / "policies", FILES)
    found = find_differences(Analysis((policies, policies), (SITE,), NOW))
    assert (found.rows, found.logins) == ((), 0)
