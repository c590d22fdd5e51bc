"""Faults around the broker: `broker check` names each in one line with what to correct, and shows no password."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from broker.cli.main import broker
from broker.demo.run.demo_folder import Setting
from tests.plugins.redis_server import KEEPING, RedisServer

PASSWORD: Final = "a-wrong-password"
STORE_FIX: Final = "see store.url and its password, whether its Redis is up, and whether the disk"
Check = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(setting: Setting, tmp_path: Path) -> Path:
    """Give a folder with a sound configuration; nobody listens at its library system and mail server."""
    shutil.copytree(setting.folder, tmp_path / "own", ignore=shutil.ignore_patterns("broker.db*", "last-good"))
    (tmp_path / "own" / "file").write_text("not a folder")
    (tmp_path / "own" / "store").mkdir()
    return tmp_path / "own"


@pytest.fixture
def check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Run `broker check` with settings in which FOLDER stands for the folder."""
    for name in [each for each in os.environ if each.startswith("BROKER_")]:
        monkeypatch.delenv(name)

    def run_check(**settings: str) -> tuple[int, str]:
        environ = {f"BROKER_{name}": value.replace("FOLDER", str(folder)) for name, value in settings.items()}
        environ |= {"BROKER_CONFIG": str(folder / "broker.toml")}
        result = CliRunner().invoke(broker, ["check"], env=environ)
        assert PASSWORD not in result.output
        # Where an earlier test has set up the log, its lines stand among those of the command.
        lines = [line for line in result.output.splitlines(keepends=True) if not line.startswith("{")]
        return result.exit_code, "".join(lines)

    return run_check


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"STATE": "FOLDER/file"}, (78, "file cannot be written to: File exists (name a folder")),
        ({"LIBRARY__URL": "https://koha.invalid"}, (1, "library: Koha: no answer: the host name is unknown (DNS) (https")),
        ({"STORE__URL": f"rediss://:{PASSWORD}@r.invalid/0"}, (1, "redis: the host name is unknown (DNS) (rediss://r.invalid/0: see store.url")),
        ({"STORE__URL": "sqlite:FOLDER/store"}, (1, f"SQLITE_CANTOPEN (sqlite:FOLDER/store: {STORE_FIX}")),
    ],
    ids=lambda case: "-".join(case) if isinstance(case, dict) else "",
)  # fmt: skip
def test_a_wrong_path_or_host_is_named(
    check: Check, folder: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], fault: tuple[int, str]
) -> None:
    """A path of another kind, a missing file, and a host that DNS does not know."""
    look_up = socket.getaddrinfo

    def fail_for_invalid(host: Any, *rest: Any, **more: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", fail_for_invalid)
    code, output = check(**settings)
    assert (code, output.count(fault[1].replace("FOLDER", str(folder)))) == (fault[0], 1), output
    assert "Traceback" not in output


@pytest.mark.server
def test_a_redis_with_another_password_or_an_evicting_one_is_named(check: Check, tmp_path: Path) -> None:
    """No password, a wrong one, and a server that drops records when its memory is full."""
    server = RedisServer(tmp_path, (*KEEPING, "--maxmemory-policy", "allkeys-lru")).start()
    try:
        _, output = check(STORE__URL=server.url, STORE__ACCEPT_LOSS="false")
        assert output.count("maxmemory-policy") == 1
        with server.client() as client:
            client.config_set("requirepass", "the-right-password")
        for user in ("", f":{PASSWORD}@"):
            _, output = check(STORE__URL=server.url.replace("//", f"//{user}"))
            assert output.count(f"redis: AuthenticationError ({server.url}: {STORE_FIX}") == 1
    finally:
        server.kill()
