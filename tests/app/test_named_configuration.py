"""The environment cannot make the broker write the secrets of its TLS connections to a file."""

import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.app.application import create_app
from broker.app.assembly import open_broker
from broker.core.errors import ConfigurationFaults


@pytest.mark.parametrize("start", [create_app, open_broker])
def test_no_connection_writes_its_secrets(
    start: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a server nor a command follows SSLKEYLOGFILE."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "secrets"))
    monkeypatch.delenv("BROKER_CONFIG", raising=False)
    with pytest.raises(ConfigurationFaults):
        start()
    assert "SSLKEYLOGFILE" not in os.environ
    assert ssl.create_default_context().keylog_filename is None
