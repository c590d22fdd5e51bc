"""``broker policy plan``, ``apply``, ``history``, ``show`` and ``rollback``, as an administrator meets them."""

import json
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.adapters.stores.sqlite import SqliteStore
from broker.app import policy_guards, policy_operations
from broker.app.open_record import record_of
from broker.cli import broker
from broker.core.errors import StoreUnavailable
from broker.core.policy.set_digest import digest
from broker.core.ports import Key
from broker.demo.run.demo_folder import Setting
from broker.files.policies import last_good
from broker.files.policies.policy_folder import PolicyFolder
from broker.files.settings.config import load
from broker.use_cases.policies import worker_reports
from broker.use_cases.policies.set_in_force import Live, SetInForce
from broker.use_cases.policies.worker_reports import OwnReport, Waiting, WorkerReport
from tests.walks.test_full_disk import limited_files

NO_DIGEST = "0" * 12


@dataclass
class Desk:
    """An administrator at a machine."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str) -> Result:
        """Run a command."""
        environment = {"BROKER_CONFIG": str(self.folder / "broker.toml"), "BROKER_POLICY__LIVE": "apply"}
        result = CliRunner().invoke(broker, ["policy", *words], env={**environment, **self.environment})
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    def said(self, *words: str, code: int = 0) -> Any:
        """Run a command, and give what it prints for programs."""
        result = self.run(*words, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def edit(self, text: str) -> str:
        """Change the folder, and give its digest."""
        path = self.folder / "policies" / "student.yaml"
        path.write_text(path.read_text() + f"# {text}\n")
        return self.digest

    @property
    def digest(self) -> str:
        """Give the digest of the folder."""
        return digest(PolicyFolder(self.folder / "policies").files().files)

    @property
    def base(self) -> str:
        """Give the base that a plan prints."""
        result = self.run("plan", "--no-analysis", "--json")
        return str(json.loads(result.stdout)["base"])[:12]

    def applied(self, why: str = "because") -> str:
        """Put the folder in force."""
        return str(self.said("apply", "--base", self.base, "--why", why)["digest"])


@pytest.fixture
def desk(setting: Setting, tmp_path: Path) -> Desk:
    """Give a desk with a broker's folder, over an empty store."""
    ignored = shutil.ignore_patterns("broker.db*", "last-good", "audit")
    shutil.copytree(setting.folder, tmp_path / "demo", ignore=ignored)
    return Desk(tmp_path / "demo")


def test_a_plan_is_applied_and_undone(desk: Desk) -> None:
    """What plan prints last is the command that applies it; the history has each step, and show each set."""
    first = desk.applied("the beginning")
    second = desk.edit("two")
    planned = desk.run("plan", "--no-analysis")
    assert planned.exit_code == 3
    assert planned.stdout.splitlines() == [
        f"{first[:12]} -> {second[:12]}",
        "  file   student.yaml changed",
        f"broker policy apply --base {first[:12]} --set {second[:12]} --why TEXT",
    ]
    done = desk.run(*planned.stdout.splitlines()[-1].split()[2:-1], "age 15 from January")
    assert (done.exit_code, done.stdout) == (0, f"{second[:12]} is in force (change 2)\n")
    assert desk.run("plan").exit_code == 0
    assert desk.run("rollback", "--why", "too early").stdout == f"{first[:12]} is in force (change 3)\n"
    rows = desk.said("history")
    assert [(row["number"], row["how"], row["digest"], row["from"], row["why"]) for row in rows] == [
        (3, "rolled back", first[:12], second[:12], "too early"),
        (2, "applied", second[:12], first[:12], "age 15 from January"),
        (1, "applied", first[:12], None, "the beginning"),
    ]
    assert {row["who"].count("@") for row in rows} == {1}
    shown = desk.said("show", second[:8])
    assert shown["files"]["student.yaml"].endswith("# two\n")
    out = desk.folder / "out"
    assert desk.run("show", "--out", str(out)).exit_code == 0
    assert digest(PolicyFolder(out).files().files) == first
    assert desk.run("apply", "--from", str(out), "--base", first[:12], "--why", "again").stdout == (
        f"{first[:12]} is in force already: nothing is changed\n"
    )


def test_where_the_folder_itself_counts_a_plan_names_no_apply(desk: Desk) -> None:
    """It would be refused: the plan says in its place how the files come into force."""
    desk.applied()
    desk.edit("two")
    desk.environment["BROKER_POLICY__LIVE"] = "save"
    folder = shutil.copytree(desk.folder / "policies", desk.folder / "draft")
    planned = desk.run("plan", "--no-analysis", "--from", str(folder))
    assert planned.exit_code == 3
    assert planned.stdout.splitlines()[-1] == (
        f'nothing to apply: policy.live is "save", so what is saved in {desk.folder / "policies"} is in force'
    )


def test_site_rules_that_are_gone_are_told(desk: Desk) -> None:
    """By each check and by a plan, until an apply records that there are none; who never had any hears nothing."""
    rules = desk.folder / "policy_properties.yaml"
    rules.write_text((Path(__file__).parents[2] / rules.name).read_text())
    desk.applied()
    settings = load(desk.folder / "broker.toml", {})
    checked = ("check", "--no-analysis")
    gone = "policy_properties.yaml is gone: the set in force was held against site rules"
    assert gone not in desk.run(*checked).stderr
    rules.unlink()
    assert f"warning: {gone}" in desk.run(*checked).stderr
    live = live_record(desk)
    assert [gone in finding for finding in policy_guards.of_rules(settings, live)] == [True]
    assert "  site   policy_properties removed since the last apply" in desk.run("plan", "--no-analysis").stdout
    desk.environment["BROKER_POLICY__LIVE"] = "save"
    told = next(line for line in desk.run(*checked).stderr.splitlines() if gone in line)
    assert "apply" not in told
    assert told.endswith("(put it back, or save a policy file: the record of that says that there is none)")
    del desk.environment["BROKER_POLICY__LIVE"]
    desk.applied()
    assert gone not in desk.run(*checked).stderr


def live_record(desk: Desk) -> Live:
    """Give the record in force."""
    sets = record_of(load(desk.folder / "broker.toml", {}))
    assert sets
    return sets.live(datetime.now(UTC))


def test_an_empty_history_says_so(desk: Desk) -> None:
    """With what begins one; for programs it is an empty list."""
    assert desk.run("history").stdout.startswith("no set was in force yet: broker serve adds its folder, or ")
    assert desk.said("history") == []


def test_where_no_set_was_ever_in_force_nothing_is_explained(desk: Desk) -> None:
    """A folder that is at fault before the first start: no configuration to mend, and no reference either."""
    path = desk.folder / "policies" / "student.yaml"
    sound = path.read_text()
    path.write_text("version: 1\n")
    said = desk.run("explain", "bcdf", "ghjk")
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr.splitlines()[-1] == (
        "policy: no set of policies was ever in force here, so that none has refused anybody:"
        " broker check says what stands against the folder's"
    )
    path.write_text(sound)
    desk.applied()
    assert "no page of the last thirty days" in desk.run("explain", "bcdf", "ghjk").stderr


@pytest.mark.long("analyses whole policy sets")
def test_site_rules_that_go_are_told_like_a_changed_policy(desk: Desk) -> None:
    """A plan says so, and an apply is needed, though no policy has changed."""
    rules = desk.folder / "policy_properties.yaml"
    rules.write_text("- name: no mail to nobody\n  service: myprint\n  expect: {never_releases: [cpr]}\n")
    desk.applied()
    rules.unlink()
    planned = desk.run("plan", "--no-analysis")
    assert planned.exit_code == 3
    assert "  site   policy_properties removed since the last apply" in planned.stdout
    desk.applied()
    assert desk.said("history")[0]["changes"] == ["policy_properties removed"]


@pytest.mark.long("analyses whole policy sets")
def test_a_set_that_breaks_a_site_rule_is_not_applied(desk: Desk) -> None:
    """Plan, check and apply name rule, line and person; without the analysis a plan says nothing of it."""
    rules = desk.folder / "policy_properties.yaml"
    rules.write_text(
        "- name: no mail to the printers\n"
        "  when: {upstream: wayf, eduPersonScopedAffiliation: 'student@*'}\n"
        "  service: myprint\n"
        "  expect: {never_releases: [mail]}\n"
    )
    said = "policy_properties.yaml:1: 'no mail to the printers' does not hold: myprint releases mail (student.yaml:50) "
    for words in (["plan"], ["check"], ["apply", "--base", "none", "--why", "because"]):
        refused = desk.run(*words)
        assert refused.exit_code == 78
        assert f"{said}(e.g. wayf " in refused.stderr
    folder = str(desk.folder / "policies")
    compared = desk.run("diff", folder, folder)
    assert (compared.exit_code, said in compared.stderr) == (78, True)
    assert desk.run("check", "--no-analysis").exit_code == 0
    assert desk.run("plan", "--no-analysis").exit_code == 3
    text = rules.read_text()
    rules.unlink()
    first = desk.applied()
    rules.write_text(text)
    compared = desk.run("diff", first[:12], folder)
    assert (compared.exit_code, said in compared.stderr) == (78, True)


@pytest.mark.slow  # it compares all classes of logins
def test_a_plan_says_who_gets_what_else(desk: Desk) -> None:
    """The rows of a comparison stand between the files and the command."""
    desk.applied()
    path = desk.folder / "policies" / "student.yaml"
    path.write_text(path.read_text().replace("'student@*', 'member@*'", "'student@*', 'member@*', 'alum@*'"))
    planned = desk.run("plan")
    assert planned.exit_code == 3
    row = "WIDER     e-resources   student: + eduPersonScopedAffiliation: alum@*"
    lines = planned.stdout.splitlines()
    assert [line.strip().startswith(row) for line in lines].count(True) == 1
    assert lines[-1].startswith("broker policy apply --base ")


def test_of_two_plans_over_one_base_the_later_is_refused(desk: Desk) -> None:
    """By whom the other is, and why; nothing is changed, and another plan goes through."""
    base = desk.applied()[:12]
    other = shutil.copytree(desk.folder / "policies", desk.folder / "other")
    first = desk.edit("mine")
    assert desk.run("apply", "--base", base, "--why", "mine").exit_code == 0
    (other / "student.yaml").write_text((other / "student.yaml").read_text() + "# other\n")
    late = desk.run("apply", "--from", str(other), "--base", base, "--why", "other")
    assert late.exit_code == 1
    assert late.stderr.startswith(f"policy: {first[:12]} is in force since ")
    mend = "a folder made before lacks it: bring it in (broker policy show), plan again"
    assert late.stderr.endswith(f': "mine"; {mend}\n')
    assert len(desk.said("history")) == 2


def test_what_a_check_refuses_is_not_applied(desk: Desk) -> None:
    """The plan says what differs, and each fault with file and line; both exit 78."""
    base = desk.applied()[:12]
    path = desk.folder / "policies" / "student.yaml"
    path.write_text(path.read_text().replace("upstream: wayf", "upstream: wafy", 1))
    planned = desk.run("plan")
    assert planned.exit_code == 78
    assert "  file   student.yaml changed" in planned.stdout
    assert "did you mean" in planned.stderr
    refused = desk.run("apply", "--base", base, "--why", "because")
    assert refused.exit_code == 78
    assert "policies/student.yaml:" in refused.stderr
    assert len(desk.said("history")) == 1


def test_a_folder_that_is_half_copied_is_not_applied(desk: Desk) -> None:
    """An affiliation in force that it lacks is a fault until it is named to go."""
    base = desk.applied()[:12]
    (desk.folder / "policies" / "hospital.yaml").unlink()
    refused = desk.run("apply", "--base", base, "--why", "because")
    assert refused.exit_code == 78
    assert "the affiliation hospital is in force, and no file is of it any more" in refused.stderr
    assert len(desk.said("history")) == 1


def test_an_affiliation_that_its_own_file_renames_goes_too(desk: Desk) -> None:
    """The file is there, under its name; its people are refused all the same. Of a file that is renamed nobody is."""
    desk.applied()
    path = desk.folder / "policies" / "hospital.yaml"
    text = path.read_text()
    path.write_text(text.replace("affiliation: hospital\n", "affiliation: clinic\n", 1))
    refused = desk.run("plan", "--no-analysis")
    assert refused.exit_code == 78
    assert "the affiliation hospital is in force, and no file is of it any more" in refused.stderr
    path.unlink()
    path.with_name("ward.yaml").write_text(text)
    assert "no file is of it any more" not in desk.run("plan", "--no-analysis").stderr


def kept_as_last_good(desk: Desk) -> None:
    """Keep the folder as the last good set of the machine, as a worker does."""
    files = PolicyFolder(desk.folder / "policies").files().files
    last_good.promote(desk.folder / "state" / "policies", files)


def test_a_half_copied_folder_is_refused_over_a_set_that_the_store_has_lost(desk: Desk) -> None:
    """The last good set of the machine stands in for it, and the plan says so."""
    first = desk.applied()
    kept_as_last_good(desk)
    SqliteStore(desk.folder / "state" / "broker.db").drop(Key("policy", f"set/{first}", "0000"))
    (desk.folder / "policies" / "hospital.yaml").unlink()
    planned = desk.run("plan", "--no-analysis")
    assert planned.exit_code == 78
    assert planned.stdout.splitlines()[1:] == ["  file   hospital.yaml removed"]
    note = f"warning: set {first[:12]} is in force, and is not in the store: compared with {first[:12]}, the last good"
    assert planned.stderr.startswith(note)
    assert "the affiliation hospital is in force, and no file is of it any more" in planned.stderr
    shutil.rmtree(desk.folder / "state" / "policies")
    assert desk.run("plan", "--no-analysis").stderr.startswith(
        f"warning: set {first[:12]} is in force, and is not in the store: compared with nothing\n"
    )


def test_a_half_copied_folder_is_refused_over_an_empty_store(desk: Desk) -> None:
    """On a machine that has had a set in force; on a new one it is compared with nothing, and nothing is said."""
    assert desk.run("plan", "--no-analysis").stderr == ""
    kept_as_last_good(desk)
    (desk.folder / "policies" / "hospital.yaml").unlink()
    refused = desk.run("apply", "--base", "none", "--why", "because")
    assert refused.exit_code == 78
    assert "the affiliation hospital is in force, and no file is of it any more" in refused.stderr


def test_another_folder_than_was_planned_is_not_applied(desk: Desk) -> None:
    """A plan that was edited since, or that of another machine: the base alone does not tell them apart."""
    base = desk.applied()[:12]
    planned = desk.edit("planned")
    edited = desk.edit("edited since")
    refused = desk.run("apply", "--base", base, "--set", planned[:12], "--why", "x")
    what = f"policy: the folder is {edited[:12]}, and {planned[:12]} was planned"
    assert (refused.exit_code, refused.stderr) == (1, f"{what}: it was edited since, or is another; plan again\n")
    assert desk.said("history")[0]["digest"] == base
    assert desk.said("apply", "--base", base, "--set", edited, "--why", "x")["digest"] == edited


def test_a_changed_site_is_planned_as_a_changed_policy_is(desk: Desk) -> None:
    """The part is named; applying the same files records the site that they are in force for."""
    first = desk.applied()
    desk.environment["BROKER_SERVICES__MY_LOANS__METHODS"] = '["wayf"]'
    planned = desk.run("plan")
    assert planned.exit_code == 3
    assert "  site   services.my-loans changed since the last apply" in planned.stdout
    before = desk.said("history")[0]["site"]
    assert desk.applied("fewer methods") == first
    row = desk.said("history")[0]
    assert before != row["site"]
    assert row["changes"] == ["services.my-loans changed"]
    assert desk.run("plan").exit_code == 0


def test_a_set_whose_names_are_gone_is_not_rolled_back_to(desk: Desk) -> None:
    """Each fault, and what has changed in the configuration since; what only time has changed is none."""
    first = desk.applied()
    second = desk.edit("two")
    desk.applied()
    toml = desk.folder / "broker.toml"
    toml.write_text(toml.read_text().replace("upstreams.nemid", "upstreams.nemidd").replace('"nemid"', '"nemidd"'))
    refused = desk.run("rollback", "--why", "back")
    assert refused.exit_code == 78
    assert f"set {first[:12]}/private.yaml:" in refused.stderr
    assert f"set {first[:12]}: since it was in force: upstreams.nemid removed" in refused.stderr
    assert desk.said("history")[0]["digest"] == second[:12]


def test_two_who_act_on_one_alarm_do_not_undo_each_other(desk: Desk) -> None:
    """The second rollback that names no set would bring back what the first took away; by its digest it may."""
    first = desk.applied()
    second = desk.edit("two")
    desk.applied()
    assert desk.run("rollback", "--why", "an alarm").exit_code == 0
    late = desk.run("rollback", "--why", "the same alarm")
    assert (late.exit_code, "name the set that is meant" in late.stderr) == (1, True)
    assert desk.said("history")[0]["digest"] == first[:12]
    assert desk.run("rollback", second[:12], "--why", "it was sound").exit_code == 0


def test_a_set_that_is_lost_is_put_back_by_applying_it(desk: Desk) -> None:
    """Where the store has lost the set in force, the same apply makes it whole; a rollback to a lost one is refused."""
    first = desk.applied()
    store = SqliteStore(desk.folder / "state" / "broker.db")
    desk.edit("two")
    second = desk.applied()
    for name in (first, second):
        store.drop(Key("policy", f"set/{name}", "0000"))
    refused = desk.run("rollback", "--why", "back")
    assert (refused.exit_code, refused.stderr) == (
        1,
        f"policy: set {first[:12]} is not in the store any more: apply a folder that holds it\n",
    )
    assert desk.run("show").exit_code == 1
    assert not desk.said("apply", "--base", second[:12], "--why", "again")["moved"]
    assert desk.run("show").exit_code == 0


def damaged(desk: Desk, name: str) -> None:
    """Change an octet of a set where it lies in the store."""
    key = Key("policy", f"set/{name}", "0000")
    store = SqliteStore(desk.folder / "state" / "broker.db")
    now = datetime.now(UTC)
    kept = store.get(key, now)
    assert kept
    broken = kept._replace(value=kept.value[:-1] + bytes([kept.value[-1] ^ 1]), version="another")
    store.put(key, broken, kept.version, now)


def test_a_set_that_does_not_open_stops_neither_plan_nor_apply_nor_rollback(desk: Desk) -> None:
    """A rollback leads away from it, an apply of its folder mends it."""
    first = desk.applied()
    second = desk.edit("two")
    desk.applied()
    damaged(desk, second)
    assert desk.run("plan", "--no-analysis").exit_code == 0
    assert "is not whole in the store any more" in desk.run("show").stderr
    assert not desk.said("apply", "--base", second[:12], "--why", "again")["moved"]
    assert desk.run("show").exit_code == 0
    damaged(desk, second)
    assert desk.said("rollback", "--why", "back")["digest"] == first


def test_a_record_in_force_that_does_not_open_is_told_as_what_it_is(desk: Desk) -> None:
    """The store answers: what helps is the key, or a backup."""
    desk.applied()
    store = SqliteStore(desk.folder / "state" / "broker.db")
    kept = store.get(Key("policy", "live"), datetime.now(UTC))
    assert kept
    broken = kept._replace(value=kept.value[:-1] + bytes([kept.value[-1] ^ 1]), version="another")
    store.put(Key("policy", "live"), broken, kept.version, datetime.now(UTC))
    result = desk.run("plan")
    assert result.exit_code == 1
    assert result.stderr.startswith("a record of the store does not open: policy: the seal is broken (it is damaged")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("apply", "--why", "x"), 2, "Missing option '--base'"),
        (("apply", "--base", NO_DIGEST), 2, "Missing option '--why'"),
        (("apply", "--base", "HEAD", "--why", "x"), 2, "must be the digest that broker policy plan prints first"),
        (("apply", "--base", NO_DIGEST, "--set", "HEAD", "--why", "x"), 2, "the digest after the arrow"),
        (("apply", "--base", NO_DIGEST, "--why", " "), 2, "must be one line"),
        (("apply", "--base", NO_DIGEST, "--why", "a\nb"), 2, "must be one line"),
        (("apply", "--base", NO_DIGEST, "--why", "a\x1b[2Jb"), 2, "must be one line"),
        (("apply", "--base", NO_DIGEST, "--why", "x" * 301), 2, "must be one line"),
        (("apply", "--base", NO_DIGEST, "--why", "for 0101901234"), 2, "reads as a CPR number"),
        (("apply", "--from", "nowhere", "--base", NO_DIGEST, "--why", "x"), 2, "does not exist"),
        (("apply", "--base", NO_DIGEST, "--why", "x"), 1, "no set is in force yet: the base is none"),
        (("rollback", "--why", "x"), 1, "there is no set before the one in force"),
        (("rollback", "abcdef", "--why", "x"), 1, "no set of the history begins with abcdef"),
        (("show",), 1, "no set is in force yet"),
        (("show", "--out", "."), 2, ". is there already: name a new folder"),
        (("show", "../../x"), 2, "must be the beginning of a digest"),
    ],
)
def test_a_wrong_call_is_one_sentence(desk: Desk, words: tuple[str, ...], code: int, said: str) -> None:
    """With what to do, and no traceback; the number in a text is not said again."""
    result = desk.run(*words)
    assert result.exit_code == code
    assert said in result.stderr
    assert "0101901234" not in result.output
    assert "Traceback" not in result.output


def test_where_the_folder_is_in_force_nothing_is_applied(desk: Desk) -> None:
    """It says which setting, and what to write."""
    desk.environment["BROKER_POLICY__LIVE"] = "save"
    for words in (("apply", "--base", "none"), ("rollback",)):
        result = desk.run(*words, "--why", "x")
        assert result.exit_code == 78
        assert result.stderr.startswith('policy.live: is "save": the folder itself is in force')


def test_what_cannot_be_written_down_is_not_changed(desk: Desk) -> None:
    """A trail that no line can be added to: the set in force stays."""
    desk.applied()
    desk.edit("two")
    (desk.folder / "state" / "audit" / "audit.head").unlink()
    result = desk.run("apply", "--base", desk.base, "--why", "x")
    assert result.exit_code == 1
    assert "nothing is changed that cannot be written down" in result.stderr
    assert len(desk.said("history")) == 1


def test_on_a_full_disk_nothing_is_changed(desk: Desk) -> None:
    """Neither store nor trail takes a line: exit 1 with a sentence, and the next apply over the same base goes on."""
    first = desk.applied()
    second = desk.edit("two")
    with limited_files(desk.folder) as (fill, make_room):
        fill()
        full = desk.run("apply", "--base", first[:12], "--why", "x")
        make_room()
    assert full.exit_code == 1
    assert len(full.stderr.splitlines()) == 1
    assert [row["digest"] for row in desk.said("history")] == [first[:12]]
    assert desk.said("apply", "--base", first[:12], "--why", "x")["digest"] == second


def test_a_worker_that_is_late_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it lacks; the set is in force all the same, and exit 1 says that it is not everywhere."""
    first = desk.applied()
    monkeypatch.setenv("BROKER_CONFIG", str(desk.folder / "broker.toml"))
    store = policy_operations.opened().sets.store
    report = WorkerReport("idp2", 9, first, ("set 123/student.yaml:3: no upstream 'wafy'",))
    OwnReport(store, "w").tell(report, datetime.now(UTC))
    second = desk.edit("two")
    result = desk.run("apply", "--base", first[:12], "--why", "x", "--wait", "0.1")
    assert result.exit_code == 1
    assert result.stdout == f"{second[:12]} is in force (change 2)\n"
    assert result.stderr == f"late: idp2, process 9 still has {first[:12]}: {report.faults[0]}\n"


def test_a_worker_of_whom_nothing_is_heard_is_named_as_silent(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for, and not taken to have the set: exit 1 says that somebody has to look."""
    first = desk.applied()
    monkeypatch.setenv("BROKER_CONFIG", str(desk.folder / "broker.toml"))
    monkeypatch.setattr(worker_reports, "SILENT_FOR", timedelta())
    store = policy_operations.opened().sets.store
    OwnReport(store, "w").tell(WorkerReport("idp2", 9, first), datetime.now(UTC))
    second = desk.edit("two")
    result = desk.run("apply", "--base", first[:12], "--why", "x", "--wait", "30")
    assert (result.exit_code, result.stdout) == (1, f"{second[:12]} is in force (change 2)\n")
    assert result.stderr.startswith(f"silent: idp2, process 9 had {first[:12]} and has said nothing since")
    desk.edit("three")
    said = desk.said("apply", "--base", second[:12], "--why", "x", code=1)
    assert [report["pid"] for report in said["silent"]] == [9]


def away(*_: Any, **__: Any) -> Any:
    """Be a store that does not answer."""
    raise StoreUnavailable("sqlite: SQLITE_IOERR")


@pytest.mark.parametrize(
    ("kind", "method", "said"),
    [
        (SetInForce, "tell_done", "its line is not on the audit trail yet: broker work writes it"),
        (Waiting, "behind", "which workers have it is not known, for the store does not answer (sqlite: SQLITE_IOERR)"),
    ],
)
def test_a_store_that_goes_away_after_the_change_is_told_as_in_force(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, kind: type, method: str, said: str
) -> None:
    """Whoever read it as refused would apply once more, or tell the others that nothing has changed."""
    first = desk.applied()
    second = desk.edit("two")
    monkeypatch.setattr(kind, method, away)
    result = desk.run("apply", "--base", first[:12], "--why", "x")
    assert (result.exit_code, result.stdout) == (1, f"{second[:12]} is in force (change 2)\n")
    assert result.stderr == f"{second[:12]} is in force, but {said}\n"
    assert desk.said("history")[0]["digest"] == second[:12]


def test_a_store_that_goes_away_in_the_change_is_asked_what_it_has_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer may be lost, and the change made: it is in force, or nothing is changed, or nobody knows yet."""
    first = desk.applied()
    second = desk.edit("two")
    move, live = SetInForce.move, SetInForce.live

    def answer_lost(self: SetInForce, *given: Any) -> Any:
        move(self, *given)
        away()

    monkeypatch.setattr(SetInForce, "move", away)
    unchanged = desk.run("apply", "--base", first[:12], "--why", "x")
    assert (unchanged.exit_code, unchanged.stderr.partition(":")[0]) == (1, "store_unavailable")
    calls: list[int] = []

    def away_afterwards(self: SetInForce, *given: Any) -> Any:
        calls.append(1)
        return live(self, *given) if len(calls) == 1 else away()

    with monkeypatch.context() as patch:
        patch.setattr(SetInForce, "live", away_afterwards)
        unknown = desk.run("apply", "--base", first[:12], "--why", "x")
    assert "see broker policy history once the store is back" in unknown.stderr
    monkeypatch.setattr(SetInForce, "move", answer_lost)
    made = desk.run("apply", "--base", first[:12], "--why", "x")
    assert (made.exit_code, made.stdout) == (0, f"{second[:12]} is in force (change 2)\n")
