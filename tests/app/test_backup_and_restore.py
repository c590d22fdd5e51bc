"""Backup, loss and restore of the store with the commands of docs/operations.md, and a person who was deleted between."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.app.assembly import Parts, assemble, now
from broker.app.readiness import STORE_LOST, fit_to_serve, notes
from broker.cli.check.checks import find_restored_persons
from broker.cli.main import broker
from broker.configuration.settings.config import load
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.demo.run.demo_folder import Setting
from broker.use_cases.personal_data.stored_data import NoPerson
from tests.plugins.redis_server import RedisServer
from tests.plugins.source_files import ROOT, text_of
from tests.plugins.stored_persons import ASTA, KARLA, RecordWriter, list_keys, list_person_keys

Run = Callable[..., tuple[int, str]]
TWO_ANCHORS = 130  # lines of the audit log, so that a restored store lacks the last two


def read_commands(anchor: str) -> list[str]:
    """Give the indented lines below an anchor of the operations page, up to the next heading."""
    section = text_of(ROOT / "docs" / "operations.md").split(f'<a id="{anchor}"></a>')[1]
    body = re.split(r"\n#+ ", section.removeprefix("\n### Restoring the store"))[0]
    return [line.strip() for line in re.findall(r"^ {4,}(.+)$", body, re.MULTILINE)]


@pytest.fixture
def environ(setting: Setting, tmp_path: Path) -> dict[str, str]:
    """Give the environment of a broker whose state is in ``tmp_path``."""
    return {"BROKER_CONFIG": str(setting.config), "BROKER_STATE": str(tmp_path)}


def open_broker(environ: dict[str, str]) -> Parts:
    """Open the broker as a process that starts now."""
    return assemble(load(Path(environ["BROKER_CONFIG"]), environ))


@pytest.fixture
def run(environ: dict[str, str], tmp_path: Path) -> Run:
    """Run a line of the document: exit code and output."""

    def ran(line: str, port: int = 0, typed: str = "") -> tuple[int, str]:
        if line.startswith("broker "):
            result = CliRunner().invoke(broker, shlex.split(line)[1:], env=environ, input=typed)
            return result.exit_code, result.output
        for name, value in (("STATE", tmp_path), ("REDIS", tmp_path / "redis"), ("redis-cli", f"redis-cli -p {port}")):
            line = line.replace(name, str(value))
        done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return ran


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """Give a Redis that this test may stop."""
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis").start()
    yield server
    server.kill()


def check_restore(
    environ: dict[str, str],
    run: Run,
    back_up: Callable[[], None],
    lose: Callable[[], None],
    restore: Callable[[], None],
) -> None:
    """Back up two persons beside the backup of yesterday, delete one, lose the store and restore it."""
    parts = open_broker(environ)
    back_up()
    for who in (ASTA, KARLA):
        RecordWriter(parts, who).write_all()
    mine, theirs = list_person_keys(parts, ASTA), list_person_keys(parts, KARLA)
    back_up()
    assert run("broker person forget --yes", typed=ASTA.cpr)[0] == 0
    for _ in range(TWO_ANCHORS):
        parts.audit_log.add(AuditEvent(AuditEventKind.LOGOUT_DONE, now()))
    lose()
    assert STORE_LOST in run("broker audit verify")[1]
    restore()
    parts = open_broker(environ)
    fit_to_serve(parts)
    assert mine <= list_keys(parts)
    assert "--replay" in next(find_restored_persons(parts))
    commands = [line for line in read_commands("restore") if line.startswith("broker ")]
    assert [run(line)[0] for line in commands] == [0, 1, 0]
    assert run("broker audit verify")[1].startswith("all well\n")
    assert "store" not in notes(parts)
    assert list(find_restored_persons(parts)) == []
    assert mine & list_keys(parts) == set()
    with pytest.raises(NoPerson):
        parts.stored_data.find(typed=ASTA.cpr)
    assert list_person_keys(parts, KARLA) == theirs
    record = parts.enrolment_ports.persons.read(RecordWriter(parts, KARLA).id, now())
    assert record
    assert record.value.borrower_number == KARLA.number
    assert record.value.list_receipts("my-loans")


def test_a_lost_sqlite_store_is_restored(environ: dict[str, str], tmp_path: Path, run: Run) -> None:
    """The deleted person stays deleted, the other one keeps borrower and consent, and the audit log is well."""
    environ["BROKER_STORE__URL"] = f"sqlite:{tmp_path / 'broker.db'}"

    def run_for_sqlite(anchor: str) -> None:
        (line,) = (line for line in read_commands(anchor) if "broker.db" in line)
        assert run(line) == (0, "")

    def lose() -> None:
        for path in tmp_path.glob("broker.db*"):
            path.unlink()

    check_restore(environ, run, partial(run_for_sqlite, "backup"), lose, partial(run_for_sqlite, "restore"))


@pytest.mark.server
def test_a_lost_redis_store_is_restored(environ: dict[str, str], own_redis: RedisServer, run: Run) -> None:
    """As with SQLite. The append-only file is copied while Redis runs."""
    environ["BROKER_STORE__URL"] = own_redis.url

    def run_for_redis(anchor: str) -> None:
        for line in read_commands(anchor):
            if "redis-cli" in line or "REDIS" in line:
                assert run(line, own_redis.port)[0] == 0

    def lose() -> None:
        own_redis.kill()
        shutil.rmtree(own_redis.folder / "appendonlydir")
        own_redis.start()

    def restore() -> None:
        own_redis.kill()
        run_for_redis("restore")
        own_redis.start()

    check_restore(environ, run, partial(run_for_redis, "backup"), lose, restore)
