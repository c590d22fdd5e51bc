"""pysaml2 checks with ``assert``, which ``python -O`` removes, so the broker refuses to start without assertions.

Source: docs/reference/attacks.md#34.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parent.parent.parent
START = "from broker.app.application import create_app; create_app()"
ENTRANCES = {
    "the factory": (["-c", START], {"PYTHONOPTIMIZE": "1"}),
    "wsgi.py": (["-O", "-c", "import wsgi"], {}),
    "the command line": (["-OO", "-m", "broker.cli.main", "healthcheck"], {}),
}


@pytest.mark.attack(34)
@pytest.mark.parametrize("name", ENTRANCES)
def test_the_broker_does_not_start_without_assertions(name: str) -> None:
    """Every start command and the WSGI entry point refuse to run under ``python -O``."""
    words, more = ENTRANCES[name]
    answer = subprocess.run(
        [sys.executable, *words], capture_output=True, cwd=ROOT, env={**os.environ, **more}, text=True, check=False
    )
    assert answer.returncode != 0
    assert "-O" in answer.stderr.splitlines()[-1]


@pytest.mark.attack(34, control=True)
def test_the_broker_starts_with_assertions(tmp_path: Path) -> None:
    """Control: with assertions the same start reaches the configuration, which is missing here."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    command = [sys.executable, "-c", START]
    answer = subprocess.run(
        command, capture_output=True, cwd=tmp_path, env={**environ, "PYTHONPATH": str(ROOT)}, text=True, check=False
    )
    assert "ConfigurationFaults" in answer.stderr
    assert "-O" not in answer.stderr.splitlines()[-1]
