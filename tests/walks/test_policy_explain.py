"""``broker policy explain``: yesterday's refusal, by the reference on its page, after ten edits."""

import json
import re
import subprocess
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli.main import broker
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import Setting
from broker.use_cases.login.support_traces import SupportTraces
from tests.plugins.deployment import Clock, Deployment, mark
from tests.plugins.policy_copies import copy_site

Explain = Callable[..., Result]


@pytest.fixture
def policies(setting: Setting, tmp_path: Path) -> Path:
    """Return a copy of the shipped policies, to edit."""
    return copy_site(setting, tmp_path) / "policies"


@pytest.fixture
def environment(policies: Path) -> dict[str, str]:
    """Let the broker of the deployment go by the copy."""
    return {"BROKER_SITE": str(policies.parent)}


@pytest.fixture
def run(deployment: Deployment, tmp_path: Path, environment: dict[str, str]) -> Explain:
    """Run a command as an administrator of the deployment would."""

    def ran(*words: str) -> Result:
        environ = {
            "BROKER_CONFIG": str(deployment.setting.config),
            "BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}",
            "BROKER_STATE": str(tmp_path / "state"),
            **environment,
        }
        result = CliRunner().invoke(broker, words, env=environ, prog_name="broker")
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    return ran


@pytest.fixture
def explain(run: Explain) -> Explain:
    """Run ``broker policy explain``."""
    return partial(run, "policy", "explain")


@pytest.fixture
def check(run: Explain) -> Explain:
    """Run ``broker check``."""
    return partial(run, "check")


def refuse_login(deployment: Deployment, name: str, service: str = "my-loans") -> str:
    """Let a person of the demo be refused, and give the reference that they read out."""
    page = deployment.person().log_in(name, persona(name).upstream, service)
    assert mark(page)[0] == "refuse"
    reference = re.search(
        r"[BCDFGHJKLMNPQRSTVWXZ0-9]{4} ?[BCDFGHJKLMNPQRSTVWXZ0-9]{4}(?=</)", page.get_data(as_text=True)
    )
    assert reference
    return reference[0]


def edit(policies: Path, file: str, old: str, new: str) -> None:
    """Change a policy file."""
    path = policies / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_yesterdays_refusal_is_explained_after_ten_edits(
    deployment: Deployment, policies: Path, explain: Explain, clock: Clock
) -> None:
    """The rule as it was written then, and what the policies in force would make of the login now."""
    reference = refuse_login(deployment, "finn")
    then = deployment.parts.policies.current.digest[:12]
    first = explain(reference).stdout
    assert f"private.yaml:16 of set {then}, in force" in first
    assert "in force now:\nmy-loans, as private (private.yaml:11)\n  refused: too_young, private.yaml:16\n" in first

    clock.ahead = timedelta(days=1)
    for age in range(17, 7, -1):
        edit(policies, "private.yaml", f"age: {age + 1}", f"age: {age}")
        text = (policies / "private.yaml").read_text(encoding="utf-8")
        begin, _, _ = text.partition("\nexamples:")
        example = "{name: a person, login: {upstream: nemid, assurance: high, cpr: real, age: 40}, service: my-loans, "
        only = f"\nexamples:\n  - {example}expect: {{effect: permit}}}}\n"
        (policies / "private.yaml").write_text(begin + only, encoding="utf-8")
        deployment.parts.policies.refresh(clock.now())
    last = explain(*reference.lower().split()).stdout
    assert "at my-loans by nemid: too_young\n" in last
    assert f"private.yaml:16 of set {then}, no longer in force" in last
    assert "in force now:\nmy-loans, as private (private.yaml:11)\n  shows     consent" in last


def test_a_login_that_succeeded_is_found_by_its_reference(
    deployment: Deployment, check: Explain, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log line of the assertion names it; the audit log says what was decided and released, and by which line."""
    person = deployment.person()
    person.agree(person.log_in("asta"))
    (issued,) = (line for line in capsys.readouterr().out.splitlines() if '"event": "issued"' in line)
    reference = json.loads(issued)["reference"]
    row = json.loads(check("--reference", reference, "--json").stdout)
    (released,) = (event for event in row["events"] if event["event"] == "released")
    assert (row["refused"], released["service"]) == ([], "my-loans")
    assert released["policy"].startswith("student.yaml:")
    assert "event=released" in check("--reference", reference).stdout

    refused = refuse_login(deployment, "finn")
    found = check("--reference", refused).stdout
    assert "too_young" in found.splitlines()[0]
    assert "event=refused" in found
    assert "no login on this machine" in check("--reference", "bcdf ghjk").stderr
    assert "must not stand in a command" in check("--reference", "140304-4004").stderr


def git(folder: Path, *words: str) -> None:
    """Run Git in a folder."""
    said = ("-c", "user.name=Kirsten", "-c", "user.email=kirsten@library.example")
    subprocess.run(["git", "-C", str(folder), *said, *words], check=True, capture_output=True)


def test_the_set_that_refused_is_read_from_git(
    deployment: Deployment, policies: Path, explain: Explain, clock: Clock
) -> None:
    """With the commit, and what the login comes to by it; nothing is read while that set is in force."""
    git(policies, "init", "-q")
    git(policies, "add", "-A")
    git(policies, "commit", "-q", "-m", "Begin")
    reference = refuse_login(deployment, "finn")
    assert "policies that decided then" not in explain(reference, "--git").stdout
    edit(policies, "private.yaml", "identity@", "other@")
    git(policies, "commit", "-q", "-a", "-m", "Another address")
    deployment.parts.policies.refresh(clock.now())
    plain = explain(reference)
    assert "no longer in force" in plain.stdout
    assert "policies that decided then" not in plain.stdout
    assert plain.stderr == "--git tries the login with the policies that decided\n"
    outcome = "refused: too_young, private.yaml:16"
    found = explain(reference, "--git")
    assert re.search(
        rf'policies that decided then \(commit \w{{12}} of [\d-]+, "Begin"\):\n.*\n  {re.escape(outcome)}', found.stdout
    )
    assert found.stderr == ""


def test_a_refusal_says_its_facts_and_no_value(deployment: Deployment, explain: Explain) -> None:
    """Kinds, names, age, affiliations; of the person's own values none is stored or printed."""
    reference = refuse_login(deployment, "gry")
    printed = explain(reference)
    trace = SupportTraces(deployment.parts.store).find(reference, deployment.clock.now())

    assert "cpr replacement" in printed.stdout
    assert "eduPersonScopedAffiliation student@au.dk" in printed.stdout
    assert "refused: replacement_number" in printed.stdout
    own = {*persona("gry").attributes["mail"], *persona("gry").attributes["cn"], persona("gry").cpr or ""}
    for text in (printed.stdout, str(trace)):
        assert not [value for value in own if value in text]


def test_an_unknown_reference_is_a_sentence(deployment: Deployment, explain: Explain) -> None:
    """Exit 1; a stranger's reference says that nothing was kept; a number is refused and not repeated."""
    unknown = explain("BCDF", "GHJK")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert "no page of the last thirty days had this reference" in unknown.stderr
    stranger = deployment.ports.make_stranger_reference("/login/<name>", "transaction_gone")
    assert "nothing is stored about visitors who are not" in explain(stranger).stdout
    number = explain("1403044004")
    assert (number.exit_code, "4004" in number.stderr) == (2, False)
