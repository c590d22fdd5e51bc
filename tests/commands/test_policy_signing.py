"""A change that lets more through, as maker and approver sign it with the real ssh-keygen, and as others try."""

import json
import os
import pwd
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores.sqlite import SqliteStore
from broker.app import policy_guards, policy_moves
from broker.commands.policy_signing import Asked
from broker.core.ports import Key as StoreKey
from broker.demo.run.demo_folder import Setting
from broker.files.settings.config import load
from broker.use_cases.policies.second_person import Statement
from tests.adapters.test_ssh_signatures import Key, key
from tests.commands.test_policy_apply import Desk, kept_as_last_good

pytestmark = pytest.mark.server  # ssh-keygen itself

MANY = timedelta(days=40)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Key]:
    """Give keys of the maker, of the approver, of the maker's other machine, and of a stranger."""
    folder = tmp_path_factory.mktemp("keys")
    return {name: key(folder, name) for name in ("kirsten", "mads", "other", "stranger")}


@pytest.fixture
def desk(setting: Setting, tmp_path: Path, keys: dict[str, Key]) -> Desk:
    """Give a desk with one small policy, over an empty store, where two people may sign."""
    ignored = shutil.ignore_patterns("broker.db*", "last-good", "audit")
    folder = Path(shutil.copytree(setting.folder, tmp_path / "demo", ignore=ignored))
    for path in (folder / "policies").glob("*.yaml"):
        if path.name != "student.yaml":
            path.unlink()
    path = folder / "policies" / "student.yaml"
    path.write_text("  - name:".join(path.read_text().split("  - name:")[:2]))
    lines = [f"kirsten {keys['kirsten'].public}", f"kirsten {keys['other'].public}", f"mads {keys['mads'].public}"]
    (folder / "signers").write_text("\n".join(lines))
    (folder / "broker.toml").write_text(
        (folder / "broker.toml").read_text() + '\n[policy]\nlive = "apply"\nsigners = "signers"\n'
    )
    return Desk(folder)


def widen(desk: Desk) -> None:
    """Let the service of electronic resources receive more."""
    path = desk.folder / "policies" / "student.yaml"
    path.write_text(path.read_text().replace("'student@*', 'member@*'", "'student@*', 'member@*', 'alum@*'"))


def statement(desk: Desk) -> str:
    """Give what a plan asks two people to sign."""
    found = desk.run("plan", "--no-analysis", "--json")
    return str(json.loads(found.stdout)["second_person"]["statement"])


def signed(*paths: Path) -> list[str]:
    """Give the options for signatures."""
    return [word for path in paths for word in ("--signed", str(path))]


def begun(desk: Desk) -> str:
    """Put the first set in force, signed by two."""
    return str(desk.said("apply", "--base", "none", "--why", "begin", "--alone")["digest"])


def test_what_a_plan_prints_is_typed_by_two_and_applies_it(desk: Desk, keys: dict[str, Key], tmp_path: Path) -> None:
    """Each line as it stands, but for the key; the history has both, and the trail."""
    first = begun(desk)
    widen(desk)
    planned = desk.run("plan")
    assert planned.exit_code == 3
    lines = planned.stdout.splitlines()
    needs = "  needs a second person: WIDER at e-resources, student: + eduPersonScopedAffiliation: alum@*"
    assert [line.startswith(needs) for line in lines].count(True) == 1
    apply = lines[-1].split()[2:]
    refused = desk.run(*apply[: apply.index("--signed")])
    assert (refused.exit_code, len(desk.said("history"))) == (1, 1)
    assert refused.stderr.splitlines()[:-1] == lines[-4:-1]
    assert refused.stderr.splitlines()[-1].startswith("policy: needs a second person: WIDER at e-resources")
    for line, name in zip(lines[-3:-1], ("kirsten", "mads"), strict=True):
        typed = line.replace("~/.ssh/id_ed25519", str(keys[name].path))
        subprocess.run(("sh", "-c", typed), check=True, cwd=tmp_path, capture_output=True)
    words = [str(tmp_path / word) if word.endswith(".sig") else word for word in apply]
    done = desk.run(*words)
    assert (done.exit_code, done.stdout) == (0, f"{desk.digest[:12]} is in force (change 2)\n")
    row = desk.said("history")[0]
    assert [name.split()[0] for name in row["approved_by"]] == ["kirsten", "mads"]
    assert trail(desk)[-1]["approved_by"] == row["approved_by"]
    assert desk.said("rollback", "--why", "back within thirty days")["digest"] == first


@pytest.mark.parametrize(
    ("wider", "everything", "lines"), [(3, False, 4), (4, False, 2), (52, False, 2), (52, True, 53)]
)
def test_what_stands_above_in_many_lines_is_counted(
    capsys: pytest.CaptureFixture[str], wider: int, lines: int, *, everything: bool
) -> None:
    """What gets wider, unless it is asked for; what else needs two is said, and programs read every reason."""
    reasons = (*(f"WIDER at my-loans, student: + {number}" for number in range(wider)), "signers of the configuration")
    wanted = Asked(reasons, Statement("https://broker.example", "none", 1, "0" * 64, "0" * 64))
    wanted.show(everything=everything)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  needs a second person: ")]
    assert len(said) == lines
    assert (f"  needs a second person: {wider} changes WIDER above" in said) is (lines == 2)
    assert "  needs a second person: signers of the configuration" in said
    assert wanted.facts()["reasons"] == reasons


def trail(desk: Desk) -> list[dict[str, object]]:
    """Give the events of the trail."""
    (path,) = (desk.folder / "state" / "audit").glob("*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_person_alone_is_an_alarm(desk: Desk) -> None:
    """On the trail and in the history; where none is needed, being alone is none."""
    begun(desk)
    done = desk.run("rollback", desk.digest[:12], "--why", "x", "--alone")
    assert done.exit_code == 1
    assert [(line["event"], line.get("reason")) for line in trail(desk)][-1] == ("policies_applied", "alone")
    assert desk.said("history")[0]["alone"] is True
    desk.edit("a comment")
    assert not desk.said("apply", "--base", desk.base, "--why", "x", "--alone")["alone"]
    desk.environment["BROKER_SERVICES__MY_LOANS__METHODS"] = '["wayf"]'
    done = desk.run("apply", "--base", desk.base, "--why", "x", "--alone")
    assert (done.exit_code, done.stderr) == (0, "one person alone made it, where two should have: an alarm\n")


def test_a_site_that_is_not_what_it_was_needs_a_second_person(desk: Desk, keys: dict[str, Key]) -> None:
    """How it was is not known; a service that is gone lets nothing through."""
    begun(desk)
    desk.environment["BROKER_SERVICES__MY_LOANS__METHODS"] = '["wayf"]'
    refused = desk.run("apply", "--base", desk.base, "--why", "x")
    assert "services.my-loans of the configuration is not what it was, and nothing shows how that was" in refused.stderr
    text = statement(desk)
    paths = [keys[name].sign(text) for name in ("kirsten", "mads")]
    assert desk.said("apply", "--base", desk.base, "--why", "x", *signed(*paths))["moved"]


@pytest.mark.parametrize(
    ("signers", "said"),
    [
        (("kirsten",), "maker and approver sign, and 1 signature was given: give --signed twice"),
        (("kirsten", "mads", "other"), "maker and approver sign, and more were given: give --signed twice"),
        (("kirsten", "kirsten"), "are signed by one key, SHA256:"),
        (("kirsten", "other"), "are signed by keys of one person as policy.signers has them: kirsten and kirsten"),
        (("kirsten", "stranger"), "is signed by a key that policy.signers has not"),
    ],
)
def test_signatures_that_are_not_two_people_s_are_refused(
    desk: Desk, keys: dict[str, Key], signers: tuple[str, ...], said: str
) -> None:
    """Nothing is changed, and the sentence says what to do."""
    text = statement(desk)
    paths = signed(*(keys[name].sign(text) for name in signers))
    result = desk.run("apply", "--base", "none", "--why", "x", *paths)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert said in result.stderr
    assert desk.said("history") == []


def test_a_maker_under_two_names_of_one_key_is_one_person(desk: Desk, keys: dict[str, Key]) -> None:
    """By the key; and where each name has a key of its own, and one key both names, by the names."""
    both = f"kirsten {keys['kirsten'].public}\nmads {keys['kirsten'].public}\n"
    (desk.folder / "signers").write_text(both)
    text = statement(desk)
    path = keys["kirsten"].sign(text)
    again = shutil.copy(path, path.with_name("again.sig"))
    result = desk.run("apply", "--base", "none", "--why", "x", *signed(path, Path(again)))
    assert "are signed by one key" in result.stderr
    (desk.folder / "signers").write_text(f"{both}mads {keys['mads'].public}\n")
    text = statement(desk)
    paths = signed(*(keys[name].sign(text) for name in ("kirsten", "mads")))
    result = desk.run("apply", "--base", "none", "--why", "x", *paths)
    assert "are signed by keys of one person as policy.signers has them: kirsten and mads" in result.stderr
    assert desk.said("history") == []


@pytest.mark.parametrize(
    "lines",
    [
        ("kirsten@old {kirsten}", "kirsten {kirsten}", "kirsten@new {other}", "kirsten {other}"),
        ("kirsten@old,kirsten {kirsten}", "kirsten@new,kirsten {other}"),
        ("Kirsten {kirsten}", "kirsten {other}"),
    ],
)
def test_two_keys_of_one_person_are_one_person(desk: Desk, keys: dict[str, Key], lines: tuple[str, ...]) -> None:
    """By any name that the list has for both, on any of its lines, in capitals or not."""
    public = {name: each.public for name, each in keys.items()}
    (desk.folder / "signers").write_text("\n".join(lines).format(**public))
    text = statement(desk)
    paths = signed(*(keys[name].sign(text) for name in ("kirsten", "other")))
    result = desk.run("apply", "--base", "none", "--why", "x", *paths)
    assert "are signed by keys of one person as policy.signers has them" in result.stderr
    assert desk.said("history") == []


def test_a_signature_is_not_good_over_another_base(desk: Desk, keys: dict[str, Key]) -> None:
    """Nor over the same base when that is in force again: what was refused once is not slipped in later."""
    first = begun(desk)
    widen(desk)
    wider = desk.digest
    text = statement(desk)
    paths = signed(*(keys[name].sign(text) for name in ("kirsten", "mads")))
    narrow = desk.folder / "narrow"
    shutil.copytree(desk.folder / "policies", narrow)
    (narrow / "student.yaml").write_text((narrow / "student.yaml").read_text().replace(", 'alum@*'", "") + "# 2\n")
    second = desk.said("apply", "--from", str(narrow), "--base", first[:12], "--why", "a comment")["digest"]
    replayed = desk.run("apply", "--base", second[:12], "--why", "x", *paths)
    assert "is damaged, or of another change" in replayed.stderr
    desk.said("rollback", "--why", "back")
    again = desk.run("apply", "--base", first[:12], "--why", "x", *paths)
    assert "is damaged, or of another change" in again.stderr
    assert desk.said("history")[0]["digest"] == first[:12]
    assert wider not in {row["digest"] for row in desk.said("history")}


def test_a_rollback_to_what_was_in_force_long_ago_needs_a_second_person(
    desk: Desk, keys: dict[str, Key], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may let through what has been taken away since; within thirty days it is how an alarm is ended, alone."""
    path = desk.folder / "policies" / "student.yaml"
    narrow = path.read_text()
    widen(desk)
    first = statement(desk)
    paths = signed(*(keys[name].sign(first) for name in ("kirsten", "mads")))
    wide = desk.said("apply", "--base", "none", "--why", "begin", *paths)["digest"]
    path.write_text(narrow)
    desk.applied()
    assert desk.said("rollback", wide[:12], "--why", "within thirty days")["moved"]
    desk.edit("and a comment")
    desk.applied()
    later = datetime.now(UTC) + MANY
    monkeypatch.setattr(policy_moves, "now", lambda: later)
    refused = desk.run("rollback", wide[:12], "--why", "x")
    assert refused.exit_code == 1
    text = re.findall("'(policies of [^']+)'", refused.stderr)[0]
    assert desk.said("history")[0]["number"] == 4
    paths = signed(*(keys[name].sign(text) for name in ("mads", "kirsten")))
    assert desk.said("rollback", wide[:12], "--why", "x", *paths)["digest"] == wide


def test_over_a_set_that_is_lost_a_second_person_is_needed(desk: Desk) -> None:
    """Nothing shows that the proposal is no wider, also where this machine had it in force once."""
    kept_as_last_good(desk)
    old = shutil.copytree(desk.folder / "policies", desk.folder / "old")
    desk.edit("one")
    first = begun(desk)
    SqliteStore(desk.folder / "state" / "broker.db").drop(StoreKey("policy", f"set/{first}", "0000"))
    desk.edit("two")
    for words in ((), ("--from", str(old))):
        refused = desk.run("apply", *words, "--base", first[:12], "--why", "x")
        assert "the set in force is not to be had, and nothing shows that this one is no wider" in refused.stderr


def test_what_decides_on_a_machine_is_put_into_an_empty_store_by_one(desk: Desk) -> None:
    """It lets no more through than it did; anything else needs a second person."""
    kept_as_last_good(desk)
    path = desk.folder / "policies" / "student.yaml"
    text = path.read_text()
    desk.edit("one")
    refused = desk.run("apply", "--base", "none", "--why", "x")
    assert "no set is in force that could show that this one is no wider" in refused.stderr
    path.write_text(text)
    assert desk.said("apply", "--base", "none", "--why", "x")["moved"]


def test_where_nobody_may_sign_one_is_enough(desk: Desk, keys: dict[str, Key]) -> None:
    """A check says so; a signature there is refused, for nothing says whose counts."""
    desk.environment["BROKER_POLICY__SIGNERS"] = "[]"
    planned = desk.run("plan", "--no-analysis")
    assert "second person" not in planned.output
    path = keys["kirsten"].sign()
    refused = desk.run("apply", "--base", "none", "--why", "x", *signed(path, path))
    assert refused.stderr == "policy: policy.signers is not set, so that no signature counts: set it\n"
    assert desk.said("apply", "--base", "none", "--why", "x")["moved"]


@pytest.mark.parametrize(
    ("signers", "said"),
    [
        ([], "policy.signers is not set: one person alone can put policies in force that release more"),
        (
            ["kirsten {kirsten}", "mads {kirsten}"],
            (
                "policy.signers has fewer than two keys: nobody can be the second person"
                " (a line each, as kirsten@library.example ssh-ed25519 AAAA..., or a file of them)"
            ),
        ),
        (["kirsten {kirsten}", "mads {mads}"], None),
        (
            ["kirsten@* {kirsten}", "# not mads", "*@library {mads}"],
            "lines 1 (kirsten@*) and 3 (*@library): one name fits both, so that they count as one person's",
        ),
        (
            ["*@library {kirsten}", "*@library {mads}"],
            "lines 1 (*@library) and 2 (*@library): one name fits both, so that they count as one person's",
        ),
        (["kirsten@* {kirsten}", "kirs*@library {kirsten}", "mads,m?@library {mads}"], None),
        (["kirsten {kirsten}", "kirsten {other}", "mads {mads}"], None),
        ("nowhere", "(make it, a line for each who may sign: docs/policies-in-force.md)"),
    ],
)
def test_a_check_finds_who_may_sign(
    desk: Desk, keys: dict[str, Key], signers: list[str] | str, said: str | None
) -> None:
    """None, one person only, or a list that is not there."""
    named: object = signers
    if isinstance(signers, list):
        named = [line.format(**{name: each.public for name, each in keys.items()}) for line in signers]
    environment = {"BROKER_POLICY__SIGNERS": named if isinstance(named, str) else json.dumps(named)}
    found = list(policy_guards.of_signers(load(desk.folder / "broker.toml", environment)))
    assert (len(found), said is None or said in found[0]) == (0 if said is None else 1, True)


def test_a_machine_without_ssh_keygen_is_found_and_refuses(
    desk: Desk, keys: dict[str, Key], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With what to install; a signature that cannot be verified does not count."""
    path = keys["kirsten"].sign()
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = policy_guards.of_signers(load(desk.folder / "broker.toml", {}))
    assert found.endswith("is not on this machine (install openssh-client)")
    result = desk.run("apply", "--base", "none", "--why", "x", *signed(path, path))
    assert (result.exit_code, result.stderr) == (78, f"{found}\n")


@pytest.mark.parametrize("written", ["5", "[5]", '[""]', '["a\\nb"]', "{a = 1}", "true"])
def test_a_list_of_signers_that_is_none_is_one_fault(desk: Desk, written: str) -> None:
    """Which names the key, and what it must be."""
    toml = desk.folder / "broker.toml"
    toml.write_text(toml.read_text().replace('signers = "signers"', f"signers = {written}"))
    result = desk.run("plan")
    said = f"{toml}:policy.signers: must be the path of a file, or a list of its lines (see docs/configuration.md)\n"
    assert (result.exit_code, result.stderr) == (78, said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--signed", "nowhere.sig"), "does not exist"),
        (("--signed", "."), "is a directory"),
        (("--alone", "--signed", "{toml}"), "--alone says that there is no second person"),
    ],
)
def test_a_wrong_call_is_a_usage_error(desk: Desk, words: tuple[str, ...], said: str) -> None:
    """Before anything is read."""
    given = [word.format(toml=desk.folder / "broker.toml") for word in words]
    result = desk.run("apply", "--base", "none", "--why", "x", *given)
    assert (result.exit_code, said in result.stderr) == (2, True)


def test_what_gets_wider_is_seen_while_a_service_publishes_nothing(desk: Desk) -> None:
    """A CPR number to a service without a key, for it may publish one the next hour; a plan says what is amiss."""
    descriptor = desk.folder / "metadata" / "e-resources.xml"
    descriptor.unlink()
    begun(desk)
    path = desk.folder / "policies" / "student.yaml"
    head, tail = path.read_text().split("  - service: e-resources")
    masked = "    attributes:\n      cpr: {mask: true, why: {en: a, da: b}}\n"
    path.write_text(head + "  - service: e-resources" + tail.replace("    attributes:\n", masked, 1))
    planned = desk.run("plan")
    assert "  needs a second person: WIDER at e-resources, student: + cpr" in planned.stdout
    assert "warning: https://e-resources.demo.example has no metadata in force\n" in planned.stderr
    refused = desk.run("apply", "--base", desk.base, "--why", "x")
    assert "needs a second person: WIDER at e-resources, student: + cpr" in refused.stderr


def test_what_was_done_alone_is_not_done_alone_again_without_an_alarm(desk: Desk) -> None:
    """Once it is taken back, to put it in force again takes what it took the first time."""
    begun(desk)
    # The first set was forced as well: another is agreed on, with nothing wider.
    desk.edit("a comment")
    assert not desk.said("apply", "--base", desk.base, "--why", "x")["alone"]
    widen(desk)
    wide = desk.said("apply", "--base", desk.base, "--why", "x", "--alone")["digest"]
    assert not desk.said("rollback", "--why", "taken away")["alone"]
    refused = desk.run("rollback", wide[:12], "--why", "again, unseen")
    assert "needs a second person: WIDER at e-resources, student" in refused.stderr
    assert desk.said("rollback", wide[:12], "--why", "again", "--alone")["alone"]


def test_a_list_of_signers_that_is_changed_and_used_at_once_is_an_alarm(desk: Desk, keys: dict[str, Key]) -> None:
    """Two keys of one's own could have been put there; an emptied one asks for nobody and is told all the same."""
    begun(desk)
    path = desk.folder / "signers"
    before = path.read_text()
    path.write_text(f"a {keys['kirsten'].public}\nb {keys['stranger'].public}\n")
    widen(desk)
    text = statement(desk)
    paths = signed(*(keys[name].sign(text) for name in ("kirsten", "stranger")))
    assert desk.said("apply", "--base", desk.base, "--why", "x", *paths)["alone"]
    path.write_text("")
    desk.edit("a comment")
    assert desk.said("apply", "--base", desk.base, "--why", "x")["alone"]
    path.write_text(before)
    desk.edit("another")
    refused = desk.run("apply", "--base", desk.base, "--why", "x")
    assert "the set in force does not decide on this machine: somebody put it there alone" in refused.stderr


def test_a_rollback_does_not_wash_a_changed_site(desk: Desk) -> None:
    """The set is known, and the site that it comes back to is not."""
    begun(desk)
    desk.edit("a comment")
    second = desk.said("apply", "--base", desk.base, "--why", "x")["digest"]
    desk.edit("another")
    desk.said("apply", "--base", desk.base, "--why", "x")
    desk.environment["BROKER_SERVICES__MY_LOANS__METHODS"] = '["wayf"]'
    refused = desk.run("rollback", second[:12], "--why", "x")
    assert "services.my-loans of the configuration is not what it was" in refused.stderr


def trail_changes(desk: Desk) -> list[str]:
    """Give what the last event of the trail says that differed."""
    said = trail(desk)[-1]["changes"]
    assert isinstance(said, list)
    return said


def test_a_rollback_says_which_site_rules_it_breaks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """To a set of lately it is done all the same, and told on the trail; to an older one it is refused."""
    desk.environment["BROKER_POLICY__SIGNERS"] = "[]"
    (desk.folder / "policy_properties.yaml").unlink(missing_ok=True)
    widen(desk)
    wide = desk.said("apply", "--base", "none", "--why", "x")["digest"]
    path = desk.folder / "policies" / "student.yaml"
    path.write_text(path.read_text().replace(", 'alum@*'", ""))
    desk.applied()
    when = "{eduPersonScopedAffiliation: 'alum@*'}"
    expect = "{never_releases: [eduPersonScopedAffiliation]}"
    rule = f"- name: no alum\n  service: e-resources\n  when: {when}\n  expect: {expect}\n"
    (desk.folder / "policy_properties.yaml").write_text(rule)
    done = desk.run("rollback", wide[:12], "--why", "x")
    assert done.exit_code == 0
    assert "warning: policy_properties.yaml:1: 'no alum' does not hold: e-resources releases" in done.stderr
    assert any("'no alum' does not hold" in line for line in desk.said("history")[0]["breaks"])
    assert any("'no alum' does not hold" in line for line in trail_changes(desk))
    (desk.folder / "policy_properties.yaml").unlink()
    desk.applied()
    later = datetime.now(UTC) + MANY
    monkeypatch.setattr(policy_moves, "now", lambda: later)
    (desk.folder / "policy_properties.yaml").write_text(rule)
    refused = desk.run("rollback", wide[:12], "--why", "x")
    assert (refused.exit_code, "'no alum' does not hold" in refused.stderr) == (78, True)


def test_who_it_was_is_no_word_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sudo's name counts for root alone, and where there is such a user."""
    own = pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setenv("SUDO_USER", "mads\nroot")
    assert policy_moves.who().split("@")[0] == own
    monkeypatch.setenv("SUDO_USER", "daemon")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert policy_moves.who().startswith("daemon@")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert policy_moves.who().split("@")[0] == own
