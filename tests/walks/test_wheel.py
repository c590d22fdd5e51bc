"""The wheel in an environment that holds nothing else but the locked packages: no checkout is needed.

Source: docs/reference/design.md#9.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from broker.demo.run.demo_folder import Ports
from tests.plugins.demo import free_base
from tests.plugins.locked_packages import link_locked_packages
from tests.plugins.programs import run_program, wait_until
from tests.plugins.served_broker import is_ready, log_in

pytestmark = pytest.mark.server

ROOT: Final = Path(__file__).resolve().parents[2]
GUNICORN: Final = "gunicorn --worker-class gthread --threads 4 --worker-connections 4 --keep-alive 0 --bind 127.0.0.1:{port} broker.wsgi:app"
NOT_OURS: Final = ("BROKER_CONFIG", "PYTHONPATH")


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and an empty folder to work in."""

    python: Path
    folder: Path

    @property
    def environ(self) -> Mapping[str, str]:
        """Return the environment variables of a shell in which the environment is active."""
        kept = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        return kept | {"PATH": f"{self.python.parent}:{kept['PATH']}", "PYTHONPATH": ""}

    def run(self, *words: str, config: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command of the environment in the empty folder."""
        named = {"BROKER_CONFIG": config} if config else {}
        return subprocess.run(
            words, env={**self.environ, **named}, cwd=self.folder, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, install it without an index beside the locked packages, and return the interpreter."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    build = (*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    subprocess.run(build, check=True, cwd=folder)
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", "env"), check=True, cwd=folder)
    (packages,) = folder.glob("env/lib/python*/site-packages")
    link_locked_packages(packages, "requirements-demo.txt")
    (wheel,) = folder.glob("*.whl")
    interpreter = folder / "env" / "bin" / "python"
    install = (*pip, "--python", str(interpreter), "install", "--no-index", f"{wheel}[demo]")
    subprocess.run(install, check=True, cwd=folder)
    gunicorn = interpreter.with_name("gunicorn")
    gunicorn.write_text(f'#!/bin/sh\nexec {interpreter} -m gunicorn "$@"\n')
    gunicorn.chmod(0o755)
    return interpreter


@pytest.fixture
def installed_broker(python: Path, tmp_path: Path) -> Installed:
    """Return the environment and an empty folder."""
    return Installed(python, tmp_path)


@pytest.mark.full
def test_the_demo_runs_from_the_wheel(installed_broker: Installed) -> None:
    """``broker demo --check`` logs every persona in."""
    checked = installed_broker.run("broker", "demo", "--check", "--port-base", str(free_base()))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    where = installed_broker.run("python", "-c", "import broker; print(broker.__file__)").stdout
    assert Path(where).is_relative_to(installed_broker.python.parents[1])


def test_a_new_folder_lists_what_is_to_be_filled_in(installed_broker: Installed) -> None:
    """The wheel brings policies, attribute maps and site rules; check asks for the rest."""
    made = installed_broker.run("broker", "init", "library")
    assert made.returncode == 0, made.stderr
    for name in ("policies", "attribute_maps"):
        for path in (ROOT / name).iterdir():
            assert (installed_broker.folder / "library" / name / path.name).read_bytes() == path.read_bytes()
    rules = installed_broker.folder / "library" / "policy_properties.yaml"
    assert rules.read_bytes() == (ROOT / rules.name).read_bytes()
    checked = installed_broker.run("broker", "check", config="library/broker.toml")
    assert checked.returncode == 78
    assert {"is to be filled in" in line for line in checked.stderr.splitlines()} == {True}


@pytest.fixture
def commands(installed_broker: Installed) -> Iterator[tuple[Ports, str, dict[str, list[str]]]]:
    """Run what ``broker init --for demo`` prints as next up to ``broker check``; give what follows."""
    base = free_base()
    made = installed_broker.run("broker", "init", "library", "--for", "demo", "--port-base", str(base))
    _, _, after = made.stdout.partition("Next:\n")
    lines = [shlex.split(line, comments=True) for line in after.splitlines()]
    (*demo, _), (_, named), check, (*serve, _), (*work, _), (*_, library) = lines
    config = named.removeprefix("BROKER_CONFIG=")
    ports = Ports(base)
    assert library == ports.origin("library")
    options = {"cwd": installed_broker.folder, "stdout": subprocess.PIPE, "text": True}
    with run_program(demo, installed_broker.environ, **options) as world:
        assert world.stdout is not None
        while "Ctrl-C" not in (line := world.stdout.readline()):
            assert line
        checked = installed_broker.run(*check, config=config)
        assert (checked.stdout, checked.stderr, checked.returncode) == ("all well\n", "", 0)
        yield ports, config, {"serve": serve, "work": work}


def test_a_newcomer_gets_from_an_empty_folder_to_a_login(
    installed_broker: Installed, commands: tuple[Ports, str, dict[str, list[str]]]
) -> None:
    """By ``broker serve``, and by gunicorn with ``broker.wsgi:app``."""
    ports, config, typed = commands
    port, folder = ports.number("broker"), installed_broker.folder
    environ = {**installed_broker.environ, "BROKER_CONFIG": config}
    servers = (typed["serve"], shlex.split(GUNICORN.format(port=port)))
    with (
        (folder / "work.log").open("wb") as work,
        (folder / "serve.log").open("wb") as log,
        run_program(typed["work"], environ, cwd=folder, stdout=work, stderr=work),
    ):
        for serve, output in zip(servers, (log, subprocess.DEVNULL), strict=True):
            with run_program(serve, environ, cwd=folder, stdout=output, stderr=output):
                wait_until(lambda: is_ready(port))
                assert log_in(ports) == "Success"
    # Both outputs of our own commands are the log of programs: no line of gunicorn's stands among them.
    for name in ("work.log", "serve.log"):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            json.loads(line)
