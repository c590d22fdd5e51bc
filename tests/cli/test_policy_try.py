"""``broker policy try`` as a newcomer and a program meet it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli.main import broker
from broker.demo.run.demo_folder import Setting

ROOT = Path(__file__).resolve().parents[2]
STUDENT = ("--upstream", "wayf", "--as", "student@au.dk")
AFFILIATE = ("--upstream", "wayf", "--as", "affiliate@au.dk")
NUMBER = "1403044004"
Try = Callable[..., Result]
_WALKER = """\
affiliation: walker
precedence: 5
label: {en: Walk-in, da: Gæst}
owner: identity@library.example
review_by: 2027-06-30
match: [{upstream: library, borrower_category: [WALKER]}]
release:
  e-resources: {need: []}
examples:
  - name: a walker reads
    login: {upstream: library, borrower: true, borrower_category: WALKER}
    service: e-resources
    expect: {effect: permit, affiliation: walker, releases: []}
"""
_NOTHING = """examples:
  - {name: nobody, login: {upstream: wayf}, service: my-loans, expect: {effect: deny}}
"""


@pytest.fixture
def try_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Try:
    """Try a login in a folder that holds the shipped policies, and no configuration unless one is given."""
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    monkeypatch.chdir(tmp_path)
    for name in [each for each in os.environ if each.startswith("BROKER_")]:
        monkeypatch.delenv(name)

    def ran(*words: str, **environ: str) -> Result:
        result = CliRunner().invoke(broker, ("policy", "try", *words), env=environ, prog_name="broker")
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    return ran


def test_the_result_is_printed_in_lines(try_login: Try) -> None:
    """The affiliation, what is asked, the borrower, what leaves and stays, each with its line; what was made up."""
    result = try_login(*STUDENT, "--cpr", "real", "--age", "22", "--service", "my-loans", "--without", "mail")
    lines = result.stdout.splitlines()

    assert result.exit_code == 0
    assert lines[0] == "my-loans, as student (student.yaml:10)"
    assert lines[1] == "  shows     consent (student.yaml:24)"
    assert lines[2] == "  asks      mailbox (mail) (student.yaml:24)"
    assert lines[3] == "  borrower  STUDENT created for 12 months, upgrades TEMP, PRIVATE (student.yaml:15)"
    assert lines[4].startswith("  writes    surname, firstname")
    assert lines[5].startswith("  looks up  address set_if_empty (student.yaml:")
    assert lines[6].startswith("  receives  borrower_number, cpr (masked; encrypted), gn, sn")
    assert "\nmade up: assurance low, gn" in result.stdout
    assert lines[-1].endswith(", policies")
    assert max(map(len, lines)) <= 120
    assert "ideal" not in result.stdout
    assert result.stderr == "no configuration: every service of the policies counts as configured\n"


def test_a_refusal_names_its_rule(try_login: Try) -> None:
    """The output has the line of the rule."""
    result = try_login(*AFFILIATE, "--service", "my-loans")

    assert "refused: national_eid_required, private.yaml:16" in result.stdout


def test_a_login_that_matches_no_file_shows_the_nearest_conditions(try_login: Try) -> None:
    """The output has the attribute, the values and the line of each."""
    result = try_login("--upstream", "wayf", "--as", "student@health.au.dk", "--service", "my-loans").stdout
    assert "nearest   student.yaml:10 value_not_matched   eduPersonScopedAffiliation: student@au.dk\n" in result
    many = (
        "nearest   employee.yaml:10 value_not_matched   eduPersonScopedAffiliation: employee@au.dk, staff@au.dk, facul"
    )
    assert many in result


def test_a_number_that_does_not_count_is_not_said_to_be_missing(try_login: Try) -> None:
    """An affiliate's number counts as not sent, and the output says why."""
    path = Path("policies/hospital.yaml")
    path.write_text(path.read_text().replace("[employee@clin.au.dk], assurance", "[affiliate@clin.au.dk], assurance"))
    path.write_text(path.read_text().partition("examples:")[0] + _NOTHING)
    person = ("--upstream", "wayf", "--as", "affiliate@clin.au.dk", "--cpr", "real", "--service", "my-loans")
    result = try_login(*person)
    assert "refused: cpr_required, hospital.yaml:18\n" in result.stdout, result.output
    said = "the CPR number does not count: the login is self-asserted, or its university calls the person no student"
    assert said in " ".join(result.stdout.split())


def test_a_number_that_its_institution_may_not_assert_is_explained(try_login: Try, setting: Setting) -> None:
    """It counts as not sent, and the cause stands in the configuration, where no policy file shows it."""
    by_pin = "{upstream: library, borrower_category: [WALKER]}"
    by_wayf = "{upstream: wayf, schacHomeOrganization: [ku.dk], eduPersonScopedAffiliation: [faculty@ku.dk]}"
    policy = _WALKER.replace(by_pin, by_wayf).partition("examples:")[0] + _NOTHING
    Path("policies/walker.yaml").write_text(policy)
    person = ("--from", "policies", "--upstream", "wayf", "--as", "faculty@ku.dk", "--service", "e-resources")
    said = "note: a CPR number of this institution counts as not sent: it has no may_assert in broker.toml\n"
    environ = {"BROKER_CONFIG": str(setting.config)}
    silent = try_login(*person, "--cpr", "real", **environ)
    assert said in silent.stdout, silent.output
    assert "refused: cpr_required" in silent.stdout
    assert said not in try_login(*person, "--cpr", "none", **environ).stdout
    assert said not in try_login(*STUDENT, "--cpr", "real", **environ).stdout


@pytest.mark.parametrize(
    ("words", "service", "expected"),
    [
        (STUDENT, "e-resources", {"effect": "permit", "affiliation": "student"}),
        ((*STUDENT, "--cpr", "replacement"), "my-loans", {"effect": "deny", "reason": "replacement_number"}),
        ((*STUDENT, "--borrower", "other"), "my-loans", {"steps": ["Ask", "Issue"]}),
        (
            (*STUDENT, "--borrower", "PRIVATE", "--keep-category"),
            "my-loans",
            {"steps": ["OfferUpgrade", "Ask", "Issue"]},
        ),
        (("--upstream", "nemid", "--proof", "kaldemail"), "e-resources", {"affiliation": "hospital"}),
        (("--upstream", "nemid", "--intent", "hospital"), "my-loans", {"affiliation": "private"}),
        (("--upstream", "library", "--borrower", "STUDENT"), "myprint", {"affiliation": "student"}),
        (("--persona", "dan"), "my-loans", {"affiliation": "hospital"}),
        (("--persona", "per"), "my-loans", {"reason": "several_borrowers"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_way_to_describe_a_login_is_played(
    try_login: Try, words: tuple[str, ...], service: str, expected: dict[str, object]
) -> None:
    """By facts, by a person of the demo: one engine, one answer, printed for programs."""
    result = try_login(*words, "--service", service, "--json")
    assert result.exit_code == 0, result.stderr
    (row,) = json.loads(result.stdout)["services"]

    assert {name: row[name] for name in expected} == expected


def test_a_sign_up_is_played_at_the_service_that_makes_borrowers(try_login: Try) -> None:
    """A sign-up releases nothing; with a service named, the same person logs in there."""
    assert "the sign-up is done; nothing is sent" in try_login("--persona", "dorte").stdout
    assert "as private" in try_login("--persona", "dorte", "--service", "my-loans").stdout


def test_another_folder_is_tried_without_a_trace(try_login: Try) -> None:
    """--from plays by a proposed set; its digest and folder are named."""
    shutil.copytree("policies", "proposed")
    changed = Path("proposed/student.yaml")
    changed.write_text(changed.read_text(encoding="utf-8").replace("12 months", "6 months"), encoding="utf-8")

    assert "for 6 months" in try_login(*STUDENT, "--service", "my-loans", "--from", "proposed").stdout
    assert sorted(path.name for path in Path().iterdir()) == ["policies", "proposed"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name a login: --upstream or --persona"),
        (("--upstream", "wafy"), "there is no upstream 'wafy': did you mean 'wayf'?"),
        ((*STUDENT, "--service", "my-loan"), "there is no service 'my-loan': did you mean 'my-loans'?"),
        ((*STUDENT, "--intent", "studnet"), "there is no affiliation 'studnet': did you mean 'student'?"),
        ((*STUDENT, "--proof", "kalemail"), "there is no proof 'kalemail': did you mean 'kaldemail'?"),
        (("--persona", "asto"), "there is no persona 'asto': did you mean 'asta'?"),
        (("--upstream", "wayf", "--as", "student"), "--as is an affiliation with its scope"),
        ((*STUDENT, "--attribute", "mail"), "--attribute is NAME=VALUE"),
        (("--persona", "asta", "--age", "3"), "--persona is a whole login: it goes without --age"),
        (("--upstream", "\x1b[2Jwayf"), r"there is no upstream '\x1b[2Jwayf'"),
        ((*STUDENT, "--intent", "\u202estudent"), r"there is no affiliation '\u202estudent'"),
    ],
)
def test_a_typing_error_gets_one_sentence(try_login: Try, words: tuple[str, ...], said: str) -> None:
    """Exit 2, one sentence that says what to write; what a terminal would act on is shown escaped."""
    result = try_login(*words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


@pytest.mark.parametrize("option", ["--cpr", "--as", "--persona", "--attribute", "--proof", "--borrower", "--upstream"])
@pytest.mark.parametrize("number", [NUMBER, f"{NUMBER[:6]}-{NUMBER[6:]}", f"cpr={NUMBER}"])
def test_a_number_is_refused_and_not_repeated(try_login: Try, option: str, number: str) -> None:
    """Each option rejects a CPR number: the kind of number is enough."""
    result = try_login(option, number)

    assert result.exit_code == 2
    assert "looks like a CPR number" in result.stderr
    assert NUMBER[6:] not in result.stderr


def test_names_and_scopes_of_a_configuration_count(try_login: Try, setting: Setting) -> None:
    """Its services, methods, institutions and maps: what no institution may say is not believed."""
    environ = {"BROKER_CONFIG": str(setting.config)}
    printed = try_login(*STUDENT, "--service", "my-loans", **environ)
    assert "controller Royal Danish Library" in " ".join(printed.stdout.split())
    assert "as configured" in printed.stdout
    assert printed.stderr == ""

    foreign = try_login("--upstream", "wayf", "--as", "student@sdu.dk", "--service", "my-loans", **environ)
    assert "refused" in foreign.stdout
    mistyped = try_login(*STUDENT, "--attribute", "displyName=Asta", **environ)
    assert "there is no attribute 'displyName': did you mean 'displayName'?" in mistyped.stderr
    elsewhere = try_login("--upstream", "library", "--borrower", "STUDENT", "--service", "e-resources", **environ)
    assert elsewhere.stdout.startswith("e-resources does not offer library\ne-resources, as ")
    told = try_login("--upstream", "library", "--borrower", "STUDENT", "--json", **environ).stdout
    offered = {row["service"]: row["offered"] for row in json.loads(told)["services"]}
    assert (offered["e-resources"], offered["my-loans"]) == (False, True)
