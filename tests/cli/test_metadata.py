"""``broker metadata``: what is shown of each party, what a refresh does, and what is found wrong."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.adapters.saml.xml_security.signature import VerifyKey
from broker.cli.main import broker
from broker.demo.people.personas import AU
from broker.demo.run.demo_folder import HUB, SERVICES, Setting
from tests.cli.feed_deployment import FeedDeployment
from tests.plugins.feed_server import publishing

pytestmark = pytest.mark.server

Run = Callable[..., Result]


@pytest.fixture
def feed_deployment(setting: Setting, tmp_path: Path) -> Iterator[FeedDeployment]:
    """Give a broker that follows a feed with the hub in it."""
    folder = tmp_path / "demo"
    shutil.copytree(setting.folder, folder, ignore=shutil.ignore_patterns("broker.db*", "last-good", "metadata/wayf"))
    with publishing() as publisher:
        found = FeedDeployment(replace(setting, folder=folder), publisher)
        found.publish()
        found.follow()
        yield found


@pytest.fixture
def run(feed_deployment: FeedDeployment, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command with that broker's configuration."""
    monkeypatch.setenv("BROKER_CONFIG", str(feed_deployment.setting.config))

    def ran(*words: str) -> Result:
        result = CliRunner().invoke(broker, ("metadata", *words), prog_name="broker")
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    return ran


def rows(result: Result) -> dict[tuple[str, str], dict[str, Any]]:
    """Give the rows of ``show --json`` by kind and entityID, a feed's by its name."""
    return {(row["kind"], row.get("entity_id", row["name"])): row for row in json.loads(result.stdout)}


def test_each_party_is_shown_with_where_it_is_from(run: Run, feed_deployment: FeedDeployment) -> None:
    """Source, end, keys and scopes: what one holds against what the federation has published."""
    shown = rows(run("show", "--json"))
    hub = shown[("upstream", HUB)]
    assert (hub["from"], hub["until"] is not None) == ("wayf", True)
    assert hub["keys"] == [VerifyKey.load(feed_deployment.setting.hub.certificate.encode()).fingerprint]
    assert (shown[("institution", AU)]["from"], shown[("institution", AU)]["scopes"]) == ("wayf", ["au.dk"])
    loans = shown[("service", SERVICES["my-loans"][2])]
    assert (loans["from"], loans["until"]) == ("folder", None)
    assert f"entity_id={HUB}  from=wayf" in run("show").stdout


def test_a_refresh_takes_up_what_is_new(run: Run, feed_deployment: FeedDeployment) -> None:
    """Though it is not due; the exit code tells whether every feed was good."""
    assert run("show").exit_code == 0
    feed_deployment.publish(keys=(feed_deployment.stranger,))
    refreshed = run("refresh", "--json")
    assert (refreshed.exit_code, json.loads(refreshed.stdout)[0]["result"]) == (0, "new")
    key = VerifyKey.load(feed_deployment.stranger.certificate.encode()).fingerprint
    assert rows(run("show", "--json"))[("upstream", HUB)]["keys"] == [key]


def test_a_refresh_that_is_refused_is_told(run: Run, feed_deployment: FeedDeployment) -> None:
    """With the name of the check; what was good stays, and ``check`` finds it."""
    run("show")
    assert (run("check").exit_code, run("check").stdout) == (0, "all well\n")
    feed_deployment.publish(by=feed_deployment.stranger, keys=(feed_deployment.stranger,))
    refused = run("refresh")
    assert (refused.exit_code, "cause=feed.signature" in refused.stdout) == (1, True)
    checked = run("check", "--json")
    assert checked.exit_code == 1
    (finding,) = json.loads(checked.stdout)["findings"]
    assert "is refused (feed.signature); the last good copy lasts until" in finding
    assert rows(run("show", "--json"))[("upstream", HUB)]["from"] == "wayf"


def test_parties_known_only_from_a_feed_are_missing_until_it_answers(run: Run, feed_deployment: FeedDeployment) -> None:
    """The broker starts, and says what is missing."""
    feed_deployment.publisher.status = "503 Down"
    assert rows(run("show", "--json"))[("upstream", HUB)]["from"] == "nowhere"
    found = run("check").stdout
    assert "is refused (feed.status); there is no copy" in found
    assert f"{HUB} has no metadata in force" in found
    assert f"{AU} has no scope" in found
