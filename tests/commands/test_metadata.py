"""``broker metadata``: what is shown of each party, what a refresh does, and what is found wrong."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.adapters.saml.gate.signature import VerifyKey
from broker.cli import broker
from broker.demo.people.personas import AU
from broker.demo.run.demo_folder import HUB, SERVICES, Setting
from tests.plugins.fed_broker import SCOPE, Fed
from tests.plugins.feed_server import publishing
from tests.plugins.saml_parties import idp_entity, key_descriptor

pytestmark = pytest.mark.server

Run = Callable[..., Result]


@pytest.fixture
def fed(setting: Setting, tmp_path: Path) -> Iterator[Fed]:
    """Give a broker that follows a feed with the hub in it."""
    folder = tmp_path / "demo"
    shutil.copytree(setting.folder, folder, ignore=shutil.ignore_patterns("broker.db*", "last-good", "metadata/wayf"))
    with publishing() as publisher:
        found = Fed(replace(setting, folder=folder), publisher)
        found.publish()
        found.follow()
        yield found


@pytest.fixture
def run(fed: Fed, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command with that broker's configuration."""
    monkeypatch.setenv("BROKER_CONFIG", str(fed.setting.config))

    def ran(*words: str) -> Result:
        result = CliRunner().invoke(broker, ("metadata", *words), prog_name="broker")
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    return ran


def rows(result: Result) -> dict[tuple[str, str], dict[str, Any]]:
    """Give the rows of ``show --json`` by kind and entityID, a feed's by its name."""
    return {(row["kind"], row.get("entity_id", row["name"])): row for row in json.loads(result.stdout)}


def test_each_party_is_shown_with_where_it_is_from(run: Run, fed: Fed) -> None:
    """Source, end, keys and scopes: what one holds against what the federation has published."""
    shown = rows(run("show", "--json"))
    hub = shown[("upstream", HUB)]
    assert (hub["from"], hub["until"] is not None) == ("wayf", True)
    assert hub["keys"] == [VerifyKey.of(fed.setting.hub.certificate.encode()).fingerprint]
    assert (shown[("institution", AU)]["from"], shown[("institution", AU)]["scopes"]) == ("wayf", ["au.dk"])
    loans = shown[("service", SERVICES["my-loans"][2])]
    assert (loans["from"], loans["until"]) == ("folder", None)
    assert f"entity_id={HUB}  from=wayf" in run("show").stdout


def test_a_fingerprint_is_what_openssl_says_of_the_key(run: Run, fed: Fed, tmp_path: Path) -> None:
    """Else nobody could compare it."""
    (tmp_path / "hub.pem").write_text(fed.setting.hub.certificate)
    command = f"openssl x509 -in {tmp_path}/hub.pem -noout -pubkey | openssl pkey -pubin -outform der | sha256sum"
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout.split()[0]
    assert rows(run("show", "--json"))[("upstream", HUB)]["keys"] == [said]


def test_a_refresh_takes_up_what_is_new(run: Run, fed: Fed) -> None:
    """Though it is not due; the exit code tells whether every feed was good."""
    assert run("show").exit_code == 0
    fed.publish(keys=(fed.stranger,))
    refreshed = run("refresh", "--json")
    assert (refreshed.exit_code, json.loads(refreshed.stdout)[0]["result"]) == (0, "new")
    key = VerifyKey.of(fed.stranger.certificate.encode()).fingerprint
    assert rows(run("show", "--json"))[("upstream", HUB)]["keys"] == [key]


def test_a_refresh_that_is_refused_is_told(run: Run, fed: Fed) -> None:
    """With the name of the check; what was good stays, and ``check`` finds it."""
    run("show")
    assert (run("check").exit_code, run("check").stdout) == (0, "all well\n")
    fed.publish(by=fed.stranger, keys=(fed.stranger,))
    refused = run("refresh")
    assert (refused.exit_code, "cause=feed.signature" in refused.stdout) == (1, True)
    checked = run("check", "--json")
    assert checked.exit_code == 1
    (finding,) = json.loads(checked.stdout)["findings"]
    assert "is refused (feed.signature); the last good copy lasts until" in finding
    assert rows(run("show", "--json"))[("upstream", HUB)]["from"] == "wayf"


@pytest.mark.attack(33)
def test_an_older_feed_is_told(run: Run, fed: Fed) -> None:
    """Somebody may be holding a revocation back: refresh, check, the log and what is shown say so."""
    old = fed.publish()
    fed.publish(keys=(fed.stranger,))
    run("show")
    fed.publisher.publish(old)
    refreshed = run("refresh", "--json")
    assert (refreshed.exit_code, json.loads(refreshed.stdout)[0]["result"]) == (1, "older")
    assert ("metadata_refused" in refreshed.stderr, "feed.older" in refreshed.stderr) == (True, True)
    feed = rows(run("show", "--json"))[("feed", "wayf")]
    assert (feed["entities"], feed["until"] is not None, len(feed["alarms"])) == (2, True, 1)
    assert "is refused (feed.older); the last good copy lasts until" in feed["alarms"][0]
    assert "(feed.older)" in run("show").stdout
    assert (run("check").exit_code, "(feed.older)" in run("check").stdout) == (1, True)


def test_a_broker_without_a_feed_has_nothing_to_refresh(
    run: Run, setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its folder is well."""
    folder = tmp_path / "no-feed"
    shutil.copytree(setting.folder, folder, ignore=shutil.ignore_patterns("broker.db*", "last-good"))
    monkeypatch.setenv("BROKER_CONFIG", str(replace(setting, folder=folder).config))
    refreshed = run("refresh")
    assert (refreshed.exit_code, refreshed.stdout, refreshed.stderr) == (0, "", "no feeds are configured\n")
    assert run("check").stdout == "all well\n"


def test_what_only_a_feed_knows_is_missing_until_it_answers(run: Run, fed: Fed) -> None:
    """The broker starts all the same, and says what it has not got."""
    fed.publisher.status = "503 Down"
    assert rows(run("show", "--json"))[("upstream", HUB)]["from"] == "nowhere"
    found = run("check").stdout
    assert "is refused (feed.status); there is no copy" in found
    assert f"{HUB} has no metadata in force" in found
    assert f"{AU} has no scope" in found


def test_scopes_of_the_folder_are_found_ignored_until_they_are_asked_for(run: Run, fed: Fed) -> None:
    """The finding names the setting; with it the scopes count, and are shown with where they are from."""
    path = fed.setting.folder / "metadata" / "hub.xml"
    path.write_text(idp_entity(AU, SCOPE, key_descriptor(fed.setting.hub.certificate.encode())))
    fed.publish(university=False)
    listed = f'{{ entity_id = "{AU}", scopes = "metadata" }}'
    found = run("check").stdout
    assert f"{AU} has shibmd:Scope in the metadata folder, which is ignored (au.dk): write {listed}" in found
    assert f"{AU} has no scope" in found
    text = fed.setting.config.read_text()
    assert f'entity_id = "{AU}"' in text
    fed.setting.config.write_text(text.replace(f'entity_id = "{AU}"', f'entity_id = "{AU}", scopes = "metadata"'))
    assert run("check").stdout == "all well\n"
    au = rows(run("show", "--json"))[("institution", AU)]
    assert (au["from"], au["scopes"]) == ("folder", ["au.dk"])


def test_what_ends_soon_is_found(run: Run, fed: Fed) -> None:
    """A finding fourteen days before, an alarm after; nothing else is kept from working."""
    service = SERVICES["myprint"][2]
    path = fed.setting.folder / "metadata" / "myprint.xml"
    whole = path.read_text()
    for days, told in ((13, "runs out"), (-1, "has no metadata in force")):
        end = f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
        path.write_text(whole.replace(" entityID=", f' validUntil="{end}" entityID=', 1))
        checked = run("check", "--json")
        (finding,) = json.loads(checked.stdout)["findings"]
        assert (service in finding, told in finding, end in finding) == (True, True, True)


@pytest.mark.parametrize("written", ["https://myprint.demo.example/", "http://myprint.demo.example"])
def test_nearly_the_entity_id_of_a_descriptor_is_found(run: Run, fed: Fed, written: str) -> None:
    """A slash more or another scheme is another entity: the file that holds the one meant is named."""
    text = fed.setting.config.read_text()
    fed.setting.config.write_text(text.replace("https://myprint.demo.example", written))
    found = run("check").stdout
    assert f"{written} has no metadata in force" in found
    meant = "did you mean 'https://myprint.demo.example'?"
    assert f"metadata/myprint.xml: does not hold {written} ({meant})" in found


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"old.pem"', '"none.pem"', "feeds.wayf.pins: none.pem cannot be read: No such file or directory"),
        ('"old.pem"', '"broker.toml"', "feeds.wayf.pins: broker.toml is no certificate or public key"),
        ('pins = ["old.pem", "new.pem"]', "pins = []", "feeds.wayf.pins"),
        ('pins = ["old.pem", "new.pem"]\n', "", "feeds.wayf.pins: is missing"),
        ("http://127.0.0.1", "http://metadata.example", "feeds.wayf.url: is http"),
        ("http://127.0.0.1", "ftp://127.0.0.1", "feeds.wayf.url: is no http or https address"),
        ("http://127.0.0.1", "https://user:word@127.0.0.1", "feeds.wayf.url: has a user name"),
        ("every_seconds = 1", "speaks_for = []", "feeds.wayf.speaks_for: names nothing"),
        ("every_seconds = 1", "every = 1", "feeds.wayf.every: is no key of the configuration"),
        ("every_seconds = 1", 'ca_file = "none.pem"', "feeds.wayf.ca_file: none.pem is no file"),
    ],
)
def test_a_fault_in_a_feeds_table_is_told(run: Run, fed: Fed, old: str, new: str, told: str) -> None:
    """With its place, before anything is fetched."""
    text = fed.setting.config.read_text()
    assert old in text
    fed.setting.config.write_text(text.replace(old, new))
    result = run("check")
    assert (result.exit_code, told in result.stderr) == (78, True), result.stderr
    assert fed.publisher.asked == []


def test_a_public_key_alone_is_a_pin(run: Run, fed: Fed) -> None:
    """Some publishers hand out no certificate."""
    public = VerifyKey.of(fed.pinned[0].certificate.encode()).public
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (fed.setting.folder / "old.pem").write_bytes(pem)
    assert run("check").exit_code == 0
