"""What the environment may not do to a broker: have the secrets of its connections written to a file."""

import os
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.app.application import create_app
from broker.cli.main import main
from broker.core.errors import ConfigurationFaults


@pytest.mark.parametrize(("start", "ends"), [(main, SystemExit), (create_app, ConfigurationFaults)])
def test_no_connection_writes_its_secrets(
    start: Callable[[], object], ends: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is started, by our command line or by another server: SSLKEYLOGFILE is not followed."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "secrets"))
    monkeypatch.delenv("BROKER_CONFIG", raising=False)
    monkeypatch.setattr(sys, "argv", ["broker", "--help"])
    with pytest.raises(ends):
        start()
    assert "SSLKEYLOGFILE" not in os.environ
    assert ssl.create_default_context().keylog_filename is None
