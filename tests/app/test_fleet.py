"""Processes on several machines that share a store: their reports, missing keys, differences, a lost store."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.adapters.observability.metrics import Gauge
from broker.adapters.saml.keys import rotation
from broker.app import fleet_report, readiness
from broker.app.assembly import Parts, assemble, now
from broker.app.fleet_report import FleetReport, refuse_late_machines
from broker.app.readiness import describe_process, list_differences
from broker.cli.check.checks import find_all
from broker.cli.main import broker
from broker.configuration.settings.config import load
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.demo.run.demo_folder import Setting

Open = Callable[[str], Parts]


@pytest.fixture
def environ(setting: Setting, tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Give the environment of a machine of this name: its own state and keys, the store of all."""

    def make(machine: str) -> dict[str, str]:
        keys = tmp_path / machine / "keys"
        if not keys.exists():
            shutil.copytree(setting.folder / "keys", keys)
        return {
            "BROKER_CONFIG": str(setting.config),
            "BROKER_KEYS": str(keys),
            "BROKER_STATE": str(tmp_path / machine / "state"),
            "BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}",
        }

    return make


@pytest.fixture
def open_machine(setting: Setting, environ: Callable[[str], dict[str, str]]) -> Open:
    """Give what opens the broker of a machine, as a process that starts now."""
    return lambda machine: assemble(load(setting.config, environ(machine)))


def report(parts: Parts, part: str = "serve") -> None:
    """Let a process report itself now."""
    FleetReport(parts, part).step()


def test_a_process_reports_once_a_minute(open_machine: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of one machine report apart; a report replaces the last one."""
    parts = open_machine("a")
    reporting, moments = FleetReport(parts, "serve"), [now()]
    for module in (fleet_report, readiness):
        monkeypatch.setattr(module, "now", lambda: moments[-1])
    report(parts, "work")
    for seconds in (0, 59, 60, 61):
        moments.append(moments[0] + timedelta(seconds=seconds))
        reporting.step()
    found = parts.fleet.list_all(moments[-1])
    assert [(status.part, status.at) for status in found] == [("serve", moments[-2]), ("work", moments[0])]
    stopped = moments[-1] + timedelta(minutes=3)
    assert (len(parts.fleet.list_live(stopped)), len(parts.fleet.list_all(stopped))) == (0, 2)


@pytest.mark.parametrize(
    ("track", "words"),
    [
        ("store", "lacks the key of the store that another machine uses"),
        ("idp-signing", "lacks keys that serve on"),
        ("sp-encryption", "lacks keys that serve on"),
    ],
)
def test_a_machine_that_lacks_a_key_of_another_is_not_ready(open_machine: Open, track: str, words: str) -> None:
    """The machine with the new key is ready. The other one is after the keys were copied and it was reloaded."""
    first, second = open_machine("a"), open_machine("b")
    report(second)
    for _ in range(2):
        rotation.rotate(first.config.keys, now(), [track], early=True)
    first = open_machine("a")
    report(first)
    assert readiness.readiness(first)["keys"] == []
    (sentence,) = readiness.readiness(second)["keys"]
    assert words in sentence
    assert f"keys: {sentence}" in find_all(second)
    shutil.copytree(first.config.keys, second.config.keys, dirs_exist_ok=True)
    assert readiness.readiness(open_machine("b"))["keys"] == []


@pytest.mark.parametrize("track", ["store", "idp-signing", "sp-encryption"])
def test_no_step_of_a_rotation_overtakes_a_machine_that_runs(
    open_machine: Open, environ: Callable[[str], dict[str, str]], track: str
) -> None:
    """After each step every process must load the keys: otherwise the command names the process and the key."""
    words = ["keys", "rotate", "--now", "--only", track]
    for _ in range(2):
        report(open_machine("b"))
        assert CliRunner().invoke(broker, words, env=environ("a")).exit_code == 0
        refused = CliRunner().invoke(broker, words, env=environ("a"))
        assert refused.exit_code == 78
        assert f"has not loaded {track} " in refused.output
        source, target = (Path(environ(machine)["BROKER_KEYS"]) for machine in "ab")
        shutil.rmtree(target)
        shutil.copytree(source, target)
    report(open_machine("b"))
    refuse_late_machines(open_machine("a"))


def test_processes_that_differ_are_named(open_machine: Open) -> None:
    """Release, settings, policies and clock are a note and a gauge; logins go on."""
    parts, other = open_machine("a"), open_machine("b")
    status = describe_process(other, "serve")
    assert list_differences(parts) == []
    odd = replace(status, release="0.1", configuration="c", policies="p", at=now() + timedelta(minutes=1))
    parts.fleet.report(odd, now())
    found = list_differences(parts)
    for word, sentence in zip(("release", "configuration", "policies", "clock"), found, strict=True):
        assert word in sentence
    assert readiness.notes(parts)["fleet"] == "; ".join(found)
    assert Gauge("broker_processes_differ", 4) in readiness.list_gauges(parts)
    assert not any(readiness.readiness(parts).values())


def test_a_store_that_was_emptied_is_named_until_staff_accept_it(
    open_machine: Open, environ: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    """Readiness, ``broker check`` and ``broker audit verify`` say so; logins go on."""
    parts = open_machine("a")
    for _ in range(3):
        parts.audit_log.add(AuditEvent(AuditEventKind.LOGOUT_DONE, now()))
    assert "store" not in readiness.notes(parts)
    for path in tmp_path.glob("broker.db*"):
        path.unlink()
    parts = open_machine("a")
    assert readiness.notes(parts)["store"] == readiness.STORE_LOST
    assert Gauge("broker_store_lost", 1) in readiness.list_gauges(parts)
    assert not any(readiness.readiness(parts).values())
    assert f"store: {readiness.STORE_LOST}" in find_all(parts)
    verified = CliRunner().invoke(broker, ["audit", "verify"], env=environ("a"))
    assert (verified.exit_code, readiness.STORE_LOST in verified.output) == (1, True)
    assert CliRunner().invoke(broker, ["audit", "accept"], env=environ("a")).exit_code == 0
    assert "store" not in readiness.notes(open_machine("a"))
    assert CliRunner().invoke(broker, ["audit", "verify"], env=environ("a")).exit_code == 0


def test_machines_with_one_host_name_have_audit_logs_of_their_own(open_machine: Open) -> None:
    """As two containers have: neither accuses the other of a cut audit log."""
    machines = [open_machine("a"), open_machine("b")]
    for parts in machines:
        for _ in range(3):
            parts.audit_log.add(AuditEvent(AuditEventKind.LOGOUT_DONE, now()))
    names = {parts.audit_log.anchors.machine for parts in machines}
    assert len(names) == 2
    assert open_machine("a").audit_log.anchors.machine in names
    assert [parts.audit_log.is_store_lost(now()) for parts in machines] == [False, False]
    assert [len(parts.audit_log.anchors.links(now())) for parts in machines] == [1, 1]


def test_the_command_prints_one_row_for_each_process(
    open_machine: Open, environ: Callable[[str], dict[str, str]]
) -> None:
    """Exit 1 with the differences, 0 without any; no secret is shown."""
    parts = open_machine("a")
    report(parts)
    report(parts, "work")
    shown = CliRunner().invoke(broker, ["fleet", "--json"], env=environ("a"))
    assert (shown.exit_code, [row["part"] for row in json.loads(shown.stdout)]) == (0, ["serve", "work"])
    parts.fleet.report(replace(describe_process(parts, "work"), release="0.1"), now())
    shown = CliRunner().invoke(broker, ["fleet"], env=environ("a"))
    assert (shown.exit_code, "has another release: 0.1" in shown.stderr) == (1, True)
