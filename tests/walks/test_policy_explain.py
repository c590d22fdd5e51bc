"""``broker policy explain``: yesterday's refusal, by the reference on its page, after ten edits."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.cli import broker
from broker.demo.people.personas import persona
from broker.use_cases.login.support_traces import SupportTraces
from broker.use_cases.policies.set_in_force import Move, Proposal, SetInForce
from tests.plugins.house import Clock, House, mark

ROOT = Path(__file__).resolve().parents[2]
Explain = Callable[..., Result]


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """Give a copy of the shipped policies, to edit."""
    return Path(shutil.copytree(ROOT / "policies", tmp_path / "policies"))


@pytest.fixture
def environment(policies: Path) -> dict[str, str]:
    """Let the broker of the house go by the copy."""
    return {"BROKER_POLICIES": str(policies)}


@pytest.fixture
def explain(house: House, tmp_path: Path, environment: dict[str, str]) -> Explain:
    """Run the command as an administrator of the house would."""

    def ran(*words: str) -> Result:
        environ = {
            "BROKER_CONFIG": str(house.setting.config),
            "BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}",
            "BROKER_AUDIT__FOLDER": str(tmp_path / "audit"),
            **environment,
        }
        result = CliRunner().invoke(broker, ("policy", "explain", *words), env=environ, prog_name="broker")
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    return ran


def refused(house: House, name: str, service: str = "my-loans") -> str:
    """Let a person of the demo be refused, and give the reference that they read out."""
    page = house.person().log_in(name, persona(name).way, service)
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
    house: House, policies: Path, explain: Explain, clock: Clock
) -> None:
    """The rule as it was written then, and what the policies in force would make of the login now."""
    reference = refused(house, "finn")
    then = house.parts.policies.current.digest[:12]
    first = explain(reference).stdout
    assert f"private.yaml:17 (age: 18) of set {then}, in force" in first
    assert "in force now: refused: too_young, private.yaml:17 (age: 18)" in first

    clock.ahead = timedelta(days=1)
    for age in range(17, 7, -1):
        edit(policies, "private.yaml", f"age: {age + 1}", f"age: {age}")
        text = (policies / "private.yaml").read_text(encoding="utf-8")
        begin, _, _ = text.partition("\nexamples:")
        example = "{name: a person, login: {upstream: nemid, assurance: high, cpr: real, age: 40}, service: my-loans, "
        only = f"\nexamples:\n  - {example}expect: {{effect: permit}}}}\n"
        (policies / "private.yaml").write_text(begin + only, encoding="utf-8")
        house.parts.policies.refresh(clock.now())
    last = explain(*reference.lower().split()).stdout
    assert "at my-loans by nemid: too_young;" in last
    assert f"private.yaml:17 (age: 18) of set {then}, replaced since" in last
    assert "in force now: permitted" in last


def put_in_force(house: House, policies: Path, move: Move, why: str) -> None:
    """Put the files of the folder in force, as the record of the store and for the broker of the house."""
    files = {path.name: path.read_bytes() for path in policies.glob("*.yaml")}
    record = SetInForce(house.parts.store)
    now = house.clock.now()
    assert record.move(record.live(now), Proposal(files, move, "kirsten@broker", why, {}), now)
    house.parts.policies.refresh(now)


def test_who_replaced_the_rule_is_said_with_when_and_why(
    house: House, policies: Path, explain: Explain, clock: Clock
) -> None:
    """Also where the set has been back since; while it is in force nobody has; and no terminal obeys a reason."""
    put_in_force(house, policies, Move.FIRST, "")
    reference = refused(house, "finn")
    then = house.parts.policies.current.digest
    private = (policies / "private.yaml").read_text(encoding="utf-8")
    for day, (move, why) in enumerate([(Move.APPLIED, "age 18"), (Move.APPLIED, "age 15 from\x1b[2J January")], 1):
        assert f"of set {then[:12]}, in force" in explain(reference).stdout
        clock.ahead = timedelta(days=2 * day)
        edit(policies, "private.yaml", "identity@", f"identity{day}@")
        put_in_force(house, policies, move, why)
        replaced = f"{house.clock.now():%Y-%m-%d %H:%M} UTC"
        shown = why.replace("\x1b", "\\x1b")
        assert f'of set {then[:12]}, replaced {replaced} (kirsten@broker: "{shown}");' in explain(reference).stdout
        row = json.loads(explain(reference, "--json").stdout)["replaced"]
        assert (row["who"], row["why"], row["how"]) == ("kirsten@broker", why, "applied")
        clock.ahead += timedelta(days=1)
        (policies / "private.yaml").write_text(private, encoding="utf-8")
        put_in_force(house, policies, Move.ROLLED_BACK, "")
    assert json.loads(explain(reference, "--json").stdout)["replaced"] is None
    (policies / "private.yaml").write_text(private.replace("identity@", "other@"), encoding="utf-8")
    put_in_force(house, policies, Move.SAVED, "")
    assert "(kirsten@broker, saved);" in explain(reference).stdout


def test_a_refusal_says_its_facts_and_no_value(house: House, explain: Explain) -> None:
    """Kinds, names, age, affiliations: for programs too; of the person's own values none is stored or printed."""
    reference = refused(house, "gry")
    printed = explain(reference)
    row: dict[str, Any] = json.loads(explain(reference, "--json").stdout)
    trace = SupportTraces(house.parts.store).find(reference, house.clock.now())

    assert "cpr replacement" in printed.stdout
    assert "eduPersonScopedAffiliation student@au.dk" in printed.stdout
    assert row["refused"]["rule"] == "cpr: real"
    assert row["now"]["reason"] == "replacement_number"
    own = {*persona("gry").attributes["mail"], *persona("gry").attributes["cn"], persona("gry").cpr or ""}
    for text in (printed.stdout, json.dumps(row), str(trace)):
        assert not [value for value in own if value in text]


@pytest.mark.parametrize(
    ("name", "service", "said"),
    [
        ("mia", "my-loans", "no_affiliation;  no line of set"),
        ("olga", "my-loans", "company_identity;  no line of set"),
        ("alma", "myprint", "no_library_account;  the policies let them in, by student.yaml:42"),
        ("lars", "my-loans", "national_eid_required;  private.yaml:17 (upstream: nemid)"),
    ],
)
def test_each_kind_of_refusal_is_told_apart(house: House, explain: Explain, name: str, service: str, said: str) -> None:
    """No file matched, nothing was trusted, the account was missing, a rule refused."""
    printed = explain(refused(house, name, service)).stdout

    assert said in printed
    assert "in force now: refused: " in printed


def test_an_unknown_reference_is_a_sentence(house: House, explain: Explain) -> None:
    """Exit 1; a stranger's reference says that nothing was kept; a number is refused and not repeated."""
    unknown = explain("BCDF", "GHJK")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert "no page of the last thirty days had this reference" in unknown.stderr
    stranger = house.ports.stranger_reference("/login/<name>", "transaction_gone")
    assert "of strangers nothing is kept" in explain(stranger).stdout
    number = explain("1403044004")
    assert (number.exit_code, "4004" in number.stderr) == (2, False)
