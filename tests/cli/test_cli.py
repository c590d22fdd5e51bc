"""Messages, output and exit codes of the commands, for newcomers and programs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli.main import broker
from broker.demo.run.demo_folder import Setting
from broker.demo.run.running_demo import Running
from tests.plugins.programs import run_program, wait_until

# Commands over one person.
OF_ONE = (("person", "show"), ("enrolments", "retry"))
COMMANDS = (("serve",), ("check",), ("keys", "rotate"), ("policy", "test"), ("person", "show", "x"))

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder, in an environment that says nothing of a broker but what is given."""
    monkeypatch.chdir(tmp_path)
    for name in [each for each in os.environ if each.startswith("BROKER_")]:
        monkeypatch.delenv(name)

    def ran(*words: str, **environ: str) -> Result:
        result = CliRunner().invoke(broker, words, env=environ, prog_name="broker")
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    return ran


@pytest.fixture
def folder(setting: Setting, tmp_path: Path) -> Path:
    """Give a folder with a sound configuration, to spoil; nobody listens at its library system."""
    # Without the store and the last good policies that other tests may have left.
    shutil.copytree(setting.folder, tmp_path / "demo", ignore=shutil.ignore_patterns("broker.db*", "last-good"))
    return tmp_path / "demo"


def configure(folder: Path) -> dict[str, str]:
    """Give the environment that names a folder's configuration."""
    return {"BROKER_CONFIG": str(folder / "broker.toml")}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_without_configuration_every_command_says_what_to_set(run: Run, words: tuple[str, ...]) -> None:
    """One line, on standard error, exit code 78."""
    result = run(*words)
    assert (result.exit_code, result.stdout) == (78, "")
    assert result.stderr.startswith("BROKER_CONFIG: is not set (set it to the path of a broker.toml")
    assert len(result.stderr.splitlines()) == 1


def _typo(folder: Path) -> None:
    path = folder / "broker.toml"
    path.write_text(path.read_text().replace("workers", "wrokers").replace("accept_loss", "acept_loss"))


def _open_keys(folder: Path) -> None:
    (folder / "keys").chmod(0o755)
    (folder / "keys" / "index.key").chmod(0o644)


def _no_keys(folder: Path) -> None:
    shutil.rmtree(folder / "keys")


def _policy(folder: Path) -> None:
    path = folder / "policies" / "student.yaml"
    path.write_text(path.read_text().replace("precedence", "precedense"))


def _no_store(folder: Path) -> None:
    path = folder / "broker.toml"
    path.write_text(path.read_text().replace("sqlite:state/", "sqlite:nowhere/"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_typo, ["serve.wrokers: is no key of the configuration (did you mean workers?)", "did you mean accept_loss?"]),
        (_open_keys, ["keys: is open to its group or others (chmod go= ", "keys/index.key: is open"]),
        (_no_keys, ["keys: is no folder (broker keys generate)"]),
        (_policy, ["policies/student.yaml:3: unknown key 'precedense' (did you mean 'precedence'?)"]),
        (_no_store, ["sqlite: FileNotFoundError (see [store] url: its folder must be there"]),
    ],
    ids=lambda case: case.__name__ if callable(case) else "",
)
@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_fault_is_told_with_place_and_mend(
    run: Run, folder: Path, command: str, spoil: Callable[[Path], None], said: list[str]
) -> None:
    """``check`` and ``serve`` say the same, one fault a line, on standard error; exit code 78."""
    spoil(folder)
    result = run(command, **configure(folder))
    assert (result.exit_code, result.stdout) == (78, "")
    for each in said:
        assert sum(each in line for line in result.stderr.splitlines()) == 1


@pytest.mark.parametrize("password", ["hunter2", "hun@ter2", "h@un@ter2"])
def test_check_finds_what_does_not_answer(run: Run, folder: Path, password: str) -> None:
    """A library system or a store that is down is a finding (1), not a fault of the configuration.

    The unit writes what is found into the journal: no part of a password stands in it.
    """
    down = {"BROKER_STORE__URL": f"redis://broker:{password}@127.0.0.1:1/0", **configure(folder)}
    result = run("check", **down)
    assert result.exit_code == 1
    address = "(redis://127.0.0.1:1/0: see store.url"
    assert f"store: cannot be used: redis: ConnectionError {address}" in result.stdout
    assert result.stdout.count("redis: ConnectionError") == 1
    assert "library: Koha: no answer: ConnectionError" in result.stdout
    assert json.loads(run("check", "--json", **down).stdout)["findings"] == result.stdout.splitlines()
    assert run("check", "--next", **down).stdout.splitlines() == result.stdout.splitlines()[:1]
    refused = run("serve", **down)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("store_unavailable: redis: ConnectionError (see [store] url")


def test_check_of_a_running_broker_finds_nothing(run: Run, demo: Running) -> None:
    """All well, and nothing for programs to act on; a health check agrees."""
    environ = configure(demo.setting.folder)
    # It starts beside the server, which answers sooner
    wait_until(lambda: "no broker work runs" not in run("check", **environ).stdout)
    assert (run("check", **environ).stdout, run("check", "--json", **environ).exit_code) == ("all well\n", 0)
    health = run("healthcheck", **environ)
    assert (health.stdout, health.exit_code) == ("ready\n", 0)
    assert json.loads(run("healthcheck", "--json", **environ).stdout) == {"status": "ready", "faults": []}


def test_new_keys_are_listed_without_any_configuration(run: Run) -> None:
    """The first thing a newcomer does: make keys, look at them."""
    made = run("keys", "generate", "fresh")
    assert made.exit_code == 0
    assert "keep a copy of index.key and person.key" in made.stdout
    listed = json.loads(run("keys", "list", "fresh", "--json").stdout)
    assert {each["bits"] for each in listed if each["until"]} == {3072}
    assert [each["use"] for each in listed][-4:] == ["store", "index", "person", "audit"]
    assert len(run("keys", "list", "fresh").stdout.splitlines()) == len(listed)
    unwritable = run("keys", "generate", "/proc/nothing")
    assert (unwritable.exit_code, unwritable.stderr) == (
        78,
        "/proc/nothing: cannot be used: No such file or directory\n",
    )


def test_keys_are_rotated_step_by_step(run: Run, folder: Path) -> None:
    """Each step prints what it did and what comes next; a step too early exits with 1 and changes nothing."""
    keys = str(folder / "keys")
    begun = run("keys", "rotate", keys, "--json", "--only", "idp-encryption", "--only", "store")
    assert begun.exit_code == 0, begun.stderr
    assert "reload the broker" in begun.stderr
    turns = json.loads(begun.stdout)
    assert [(each["track"], each["did"], each["next"]) for each in turns] == [
        ("idp-encryption", "start", "switch"),
        ("store", "start", "switch"),
    ]
    again = run("keys", "rotate", "--only", "store", **configure(folder))
    assert (again.exit_code, again.stderr.startswith("too early; the next step is due 20")) == (1, True)
    assert [each["slot"] for each in json.loads(run("keys", "list", keys, "--json").stdout)].count("next") == 1
    hurried = run("keys", "rotate", keys, "--json", "--now", "--only", "store")
    assert [each["did"] for each in json.loads(hurried.stdout)] == ["switch"]
    assert run("keys", "rotate", keys, "--only", "person").exit_code == 2


@pytest.mark.long("analyses the shipped policies")
def test_a_strict_check_is_well_only_without_a_warning(run: Run, folder: Path) -> None:
    """``--strict`` exits with 1 if there is a warning."""
    strict = run("policy", "check", "--strict", **configure(folder))
    assert (strict.exit_code, strict.stderr) == (0, "")
    toml = folder / "broker.toml"
    toml.write_text(toml.read_text().replace("[services.myprint]", "[services.lockers]"))
    unproved = ("policy", "check", "--no-analysis")
    warned = run(*unproved, "--strict", **configure(folder))
    assert (warned.exit_code, warned.stderr.count("no service 'myprint' is configured")) == (1, 4)
    assert run(*unproved, **configure(folder)).exit_code == 0


def test_a_failing_example_is_told_with_its_line(run: Run, folder: Path) -> None:
    """An edit that breaks what the file promises is refused before it counts."""
    path = folder / "policies" / "student.yaml"
    path.write_text(path.read_text().replace("category: STUDENT\n", "category: STUDENTS\n", 1))
    for command in ("check", "test"):
        result = run("policy", command, str(folder / "policies"))
        assert result.exit_code == 78
        assert "not STUDENT" in result.stderr
        assert result.stderr.startswith("policies/")


def test_examples_are_tried_as_on_another_day(run: Run, folder: Path) -> None:
    """Those that would fail on it are named; a domain that has ended by then proves nothing."""
    path = folder / "policies" / "hospital.yaml"
    path.write_text(path.read_text().replace("ps.rm.dk]}\n", "{name: ps.rm.dk, until: 2090-12-31}]}\n"))
    words = ("policy", "test", str(folder / "policies"))
    assert run(*words).exit_code == run(*words, "--date", "2090-12-31").exit_code == 0
    result = run(*words, "--date", "2091-01-01")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (78, "", 1)
    assert result.stderr.startswith("hospital.yaml:")
    assert "kaldemail_domain" in result.stderr


def test_enrolments_of_an_empty_store(run: Run, folder: Path) -> None:
    """The list is empty, and an unknown help code exits with 1."""
    environ = configure(folder)
    listed = run("enrolments", "list", "--json", **environ)
    assert (listed.exit_code, json.loads(listed.stdout), listed.stderr) == (0, [], "0 open\n")
    for words in (("bcdf", "ghjk"), ("BCDFGHJK",)):
        for command in OF_ONE:
            missing = run(*command, *words, **environ)
            assert (missing.exit_code, missing.stdout) == (1, "")
            assert "no page of the last 30 days has this code" in missing.stderr
    assert run("enrolments", "retry", "--all", "library_refused", **environ).stdout == "0 will be tried again\n"


def test_a_retry_names_one_enrolment_or_a_reason(run: Run, folder: Path) -> None:
    """Never both, and never nothing."""
    for words in ((), ("x", "--all", "library_refused")):
        assert run("enrolments", "retry", *words, **configure(folder)).exit_code == 2


@pytest.mark.parametrize("command", OF_ONE)
def test_a_cpr_number_finds_no_enrolment(run: Run, folder: Path, command: tuple[str, ...]) -> None:
    """A CPR number is refused before any search and is not quoted."""
    refused = run(*command, "010190-0000", **configure(folder))
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "a CPR number is no argument" in refused.stderr
    assert "0000" not in refused.stderr


def test_an_error_nobody_foresaw_is_one_line_without_its_text(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text may quote a person, and a traceback helps no administrator."""

    def broken(_: object) -> None:
        raise ValueError("1403044004")

    monkeypatch.setattr("broker.cli.check.checks.find_all", broken)
    result = run("check", **configure(folder))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("unexpected: ValueError at test_cli.py:")
    assert "1403044004" not in result.stderr


@pytest.mark.server
@pytest.mark.attack(34)
def test_python_without_assertions_is_refused() -> None:
    """Under -O checks of pysaml2 vanish (docs/reference/attacks.md#34)."""
    command = [sys.executable, "-O", "-m", "broker.cli.main", "check"]
    with run_program(command, {}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        out, err = running.communicate(timeout=180)
    assert (running.returncode, out) == (78, "")
    assert err == "broker does not run under python -O: assertions are checks in libraries it uses\n"
