"""broker policy diff: edits of the shipped policies, and what the command says of each."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli import broker
from broker.commands import policy_diff
from broker.core.analysis.directed_change import Change, Direction
from broker.core.analysis.set_differences import Row
from broker.core.identity.canonical_attributes import AttributeReading, Attributes
from broker.core.login.described_login import DescribedLogin
from broker.demo.run.demo_folder import Setting
from tests.plugins.policies_document import JOBS, do

POLICIES = Path(__file__).resolve().parents[2] / "policies"
SEVERAL = re.compile(r"\((\d+) changes, ")
SURNAME = "      sn: {why: {en: x, da: x}}\n"
# The file, what is written there, what is put in its place, and the row that tells of it.
EDITS = [
    (
        "student.yaml",
        "    name_id: transient\n    attributes:\n",
        "    name_id: transient\n    attributes:\n" + SURNAME,
        "WIDER e-resources student: + sn (student.yaml:57)",
    ),
    (
        "student.yaml",
        "values: ['student@*', 'member@*']",
        "values: ['student@*', 'member@*', 'alum@*']",
        "WIDER e-resources student: + eduPersonScopedAffiliation: alum@*",
    ),
    (
        "private.yaml",
        "library-walk-in@au.dk], assurance: low",
        "library-walk-in@au.dk, member@au.dk], assurance: low",
        "WIDER myprint nobody -> private: let in, where it was no_affiliation; + borrower_number; + ",
    ),
    ("private.yaml", "age: 18, ", "age: 17, ", "WIDER my-loans private: let in, where it was too_young"),
    (
        "employee.yaml",
        "[employee@au.dk, staff@au.dk, faculty@au.dk]",
        "[employee@au.dk, faculty@au.dk]",
        "refused e-resources employee -> nobody: no_affiliation e.g. wayf au.dk staff@au.dk low",
    ),
    (
        "student.yaml",
        "expires_after: 12 months",
        "expires_after: 6 months",
        "narrower my-loans student: borrower: STUDENT created for 12 months -> STUDENT created for 6 months",
    ),
    (
        "employee.yaml",
        "upgrades: [PRIVATE, STUDENT]",
        "upgrades: [TEMP, PRIVATE]",
        "other my-loans employee: not asked: to change the category (STUDENT)",
    ),
    (
        "employee.yaml",
        "values: ['employee@*', 'staff@*', 'faculty@*', 'member@*']",
        "values: ['employee@*', 'faculty@*', 'member@*']",
        "narrower e-resources employee: - eduPersonScopedAffiliation: staff@* (was employee.yaml:",
    ),
    (
        "hospital.yaml",
        "name_id: transient",
        "name_id: persistent",
        "WIDER e-resources hospital: name_id transient -> persistent",
    ),
    (
        "hospital.yaml",
        "    legal_basis: consent",
        "    legal_basis: contract",
        "WIDER my-loans hospital: legal basis consent -> contract",
    ),
]


def diff(before: Path | str, after: Path | str, *options: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(broker, ["policy", "diff", str(before), str(after), *options])


def changed(folder: Path, file: str, old: str, new: str) -> Path:
    """Give a copy of the shipped policies with one edit, its examples as far as they still hold."""
    copy = folder / "policies"
    shutil.copytree(POLICIES, copy)
    text = (copy / file).read_text()
    assert text.count(old) == 1
    (copy / file).write_text(without_examples(text.replace(old, new)))
    return copy


def without_examples(text: str) -> str:
    """Give the file with the first of its examples only, which all edits leave true."""
    head, _, examples = text.partition("examples:\n")
    first = examples.partition("\n  - name:")[0]
    return f"{head}examples:\n{first}\n"


# By the beginning of an edit's row, who is asked again for it; for the others nobody is.
ASKED_AGAIN = {
    "WIDER e-resources student": "whoever was told at e-resources (+ ",
    "WIDER e-resources hospital": "whoever was told at e-resources (name_id, hospital.yaml:",
    "WIDER my-loans hospital": "whoever agreed at my-loans, and is now told, not asked (legal basis, hospital.yaml:",
    "refused e-resources employee": "whoever was told at e-resources (+ ",
}


@pytest.fixture(autouse=True)
def _unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROKER_CONFIG", raising=False)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "old", "new", "row"), EDITS)
def test_an_edit_is_told_by_its_row(tmp_path: Path, file: str, old: str, new: str, row: str) -> None:
    """Direction, service, affiliation, what changes, and the line; with a login that shows it; exit 3."""
    result = diff(POLICIES, changed(tmp_path, file, old, new))
    assert result.exit_code == 3, result.output
    told = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert any(line.startswith(row) and " e.g. " in line for line in told), result.stdout
    again = next((said for begin, said in ASKED_AGAIN.items() if row.startswith(begin)), "nobody")
    assert any(line.startswith("same ") and f"; asked again: {again}" in line for line in told), result.stdout


@pytest.mark.slow
def test_a_new_affiliation_is_summed_up(tmp_path: Path) -> None:
    """A line for each service; what no page offers is marked where it widens, and left out else, until asked for."""
    after = Path(shutil.copytree(POLICIES, tmp_path / "policies"))
    for block in JOBS["add-affiliation"]:
        do(after, block)
    told = diff(POLICIES, after).stdout.splitlines()
    new = [" ".join(line.split()) for line in told if line.startswith("  new ")]
    assert new[0] == "new e-resources guest: lets in; leaves schacHomeOrganization; who was nobody"
    assert {line.partition("guest: ")[2] for line in new[1:]} == {"lets nobody in; who was nobody"}
    for line in told:
        assert not ("-> guest" in line and line.startswith("  other ")), line
        assert ("intent:guest" in line) == line.endswith("(only by an address that no page has)")
    (hidden,) = [line for line in told if "lines more: --all lists" in line]
    every = diff(POLICIES, after, "--all").stdout.splitlines()
    assert not any(SEVERAL.search(line) for line in every)
    more = sum(int(many) - 1 for line in told for many in SEVERAL.findall(line))
    summed_up = sum("a line with several changes" in line for line in told)
    assert len(every) == len(told) - 1 - summed_up + more + int(hidden.split()[1])


@pytest.mark.parametrize(
    ("direction", "offered", "arrives", "account", "counts"),
    [
        (Direction.WIDER, False, True, False, True),
        (Direction.REFUSED, True, True, False, True),
        (Direction.REFUSED, False, False, False, False),
        (Direction.OTHER, True, False, False, True),
        (Direction.OTHER, True, True, False, False),
        (Direction.OTHER, False, True, True, True),
        (Direction.NARROWER, False, False, False, False),
    ],
)
def test_what_counts_is_listed(
    direction: Direction, *, offered: bool, arrives: bool, account: bool, counts: bool
) -> None:
    """What widens, and another account; else what happens to who chose what a page offers, or nothing."""
    login = DescribedLogin("wayf", AttributeReading(Attributes({}), None, "none", None).without_cpr())
    change = Change(direction, "x", account=account)
    row = Row(change, "my-loans", "student", login, 1, offered=offered, arrives=arrives)
    assert policy_diff._counts(row) is counts


@pytest.mark.slow
def test_what_a_move_changes_is_one_line(tmp_path: Path) -> None:
    """For a direction and a service, with every change and its line; people who stay have a line for each change."""
    after = Path(shutil.copytree(POLICIES, tmp_path / "policies"))
    for block in JOBS["add-scope"]:
        do(after, block)
    told = [line for line in diff(POLICIES, after).stdout.splitlines() if "e.g." in line]
    every = [line for line in diff(POLICIES, after, "--all").stdout.splitlines() if "e.g." in line]
    assert len(told) * 3 < len(every) > 80
    (one,) = (line for line in told if line.startswith("  WIDER     myprint       nobody -> student: "))
    changes = "let in, where it was no_affiliation; + borrower_number; + displayName; + mail"
    assert f": {changes}  (4 changes, student.yaml:42,48,49,50)  e.g. wayf au.dk student@health.au.dk low" in one
    assert sum(int(many) for line in told for many in SEVERAL.findall(line) or ["1"]) == len(every)


@pytest.mark.long("compares the shipped policies class by class")
def test_the_same_folder_has_no_difference() -> None:
    """Exit 0, and how many classes that holds for."""
    result = diff(POLICIES, POLICIES)
    assert result.exit_code == 0
    assert "classes of logins were compared" in result.stdout


@pytest.mark.slow
def test_programs_read_rows_with_a_login(tmp_path: Path) -> None:
    """A login in JSON is one that an example of a policy file can describe."""
    file, old, new, _ = EDITS[0]
    found = json.loads(diff(POLICIES, changed(tmp_path, file, old, new), "--json").stdout)
    assert found["wider"]
    (row,) = found["rows"]
    assert (row["direction"], row["service"], row["line"]) == ("WIDER", "e-resources", "student.yaml:57")
    assert row["login"]["upstream"] == "wayf"
    assert found["asked_again"] == [
        {"service": "e-resources", "agreed": False, "asks": False, "reason": "+ sn", "place": "student.yaml:57"}
    ]  # fmt: skip


@pytest.mark.slow
def test_what_happens_on_a_later_day_is_told_with_the_day(tmp_path: Path) -> None:
    """A domain that ends takes nothing from anybody before: each line says so, and programs read the day."""
    after = Path(shutil.copytree(POLICIES, tmp_path / "policies"))
    for block in JOBS["end-domain"]:
        do(after, block)
    rows = json.loads(diff(POLICIES, after, "--json").stdout)["rows"]
    assert {(row["after"], row["until"]) for row in rows} == {("2027-12-31", None)}
    back = json.loads(diff(after, POLICIES, "--json").stdout)["rows"]
    assert {(row["after"], row["until"]) for row in back} == {("2027-12-31", None)}
    told = diff(POLICIES, after, "--all").stdout.splitlines()
    (young,) = (line for line in told if "too_young" in line and "refused   my-loans" in line)
    assert "  under 18  after 2027-12-31  e.g. nemid substantial cpr:real age:17 proof:someone@ps.rm.dk" in young


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    """It is named, without a traceback."""
    result = diff(POLICIES, tmp_path / "polices")
    assert result.exit_code == 2
    assert "polices" in result.output


def test_a_broken_set_is_told_with_its_faults(tmp_path: Path) -> None:
    """What cannot be loaded cannot be compared: exit 78, with file and line."""
    copy = changed(tmp_path, "student.yaml", "precedence: 20", "precedense: 20")
    result = diff(POLICIES, copy)
    assert result.exit_code == 78
    assert "student.yaml" in result.output


@pytest.fixture
def configured(setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of a broker over an empty store, named by the environment."""
    ignored = shutil.ignore_patterns("broker.db*", "last-good", "audit")
    shutil.copytree(setting.folder, tmp_path / "demo", ignore=ignored)
    monkeypatch.setenv("BROKER_CONFIG", str(tmp_path / "demo" / "broker.toml"))
    return tmp_path / "demo"


@pytest.mark.slow
def test_a_service_that_is_not_configured_is_said_to_be_left_out(configured: Path, tmp_path: Path) -> None:
    """Its entry changes nothing yet: silence would read as if it had no effect."""
    after = Path(shutil.copytree(configured / "policies", tmp_path / "after"))
    for block in JOBS["add-service"]:
        do(after, block)
    result = diff(configured / "policies", after)
    assert (result.exit_code, "not compared: no service 'booking' is configured" in result.stderr) == (0, True)
    assert "not compared" not in diff(configured / "policies", configured / "policies").stderr


@pytest.mark.long("compares the shipped policies class by class")
def test_what_is_not_complete_is_no_all_well(setting: Setting, tmp_path: Path) -> None:
    """Where nothing was found and not everything compared, a script must not read that all is the same."""
    before, after = tmp_path / "before", tmp_path / "after"
    for folder, pair in ((before, "'urn:x:{0}', 'urn:y:{0}'"), (after, "'urn:y:{0}', 'urn:x:{0}'")):
        shutil.copytree(setting.folder / "policies", folder)
        values = map(pair.format, range(14))
        ways = "".join(f"  - {{upstream: wayf, eduPersonEntitlement: [{each}], assurance: low}}\n" for each in values)
        path = folder / "student.yaml"
        path.write_text(path.read_text().replace("  - {upstream: library,", f"{ways}  - {{upstream: library,", 1))
    environment = {"BROKER_CONFIG": str(setting.folder / "broker.toml")}
    result = CliRunner().invoke(broker, ["policy", "diff", str(before), str(after)], env=environment)
    assert "not complete: too many alternatives" in result.stderr
    assert "WIDER" not in result.stdout
    assert result.exit_code == 1
