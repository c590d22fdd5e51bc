"""A store belongs to the person keys that it was first used with: no process with others starts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.app import background_work, server
from broker.app.assembly import Parts, assemble
from broker.app.readiness import fit_to_serve
from broker.cli.check.checks import find_all
from broker.configuration.settings.config import load
from broker.core.errors import ConfigurationFaults
from broker.core.lookup_hmacs import LookupHmacs
from broker.demo.run.demo_folder import Setting

SENTENCE = "index.key or person.key is not the one that this store was first used with"


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.server)])
def parts(setting: Setting, tmp_path: Path, request: pytest.FixtureRequest) -> Parts:
    """Give a broker's parts over an empty store."""
    url = f"sqlite:{tmp_path / 'broker.db'}"
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
    environ = {"BROKER_STORE__URL": url, "BROKER_STORE__ACCEPT_LOSS": "true", "BROKER_STATE": str(tmp_path / "state")}
    return assemble(load(setting.config, environ))


@pytest.mark.parametrize("name", ["index", "person"])
def test_a_process_with_another_key_does_not_start(parts: Parts, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the server nor the worker; broker check says so. With the first keys all goes on."""
    fit_to_serve(parts)
    fit_to_serve(parts)
    changes: dict[str, Any] = {name: LookupHmacs("k9", b"9" * 32)}
    other = replace(parts, keys=replace(parts.keys, **changes))
    with pytest.raises(ConfigurationFaults, match=SENTENCE):
        fit_to_serve(other)
    monkeypatch.setattr("broker.app.assembly.assemble", lambda _: other)
    with pytest.raises(ConfigurationFaults, match=SENTENCE):
        server.read_checked(lambda: parts.config)
    with pytest.raises(ConfigurationFaults, match=SENTENCE):
        background_work.work(lambda: parts.config)
    assert any(SENTENCE in finding for finding in find_all(other))
    assert not any(SENTENCE in finding for finding in find_all(parts))
