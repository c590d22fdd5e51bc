"""Logins with the message log on: everything is kept, sealed, before anybody is let in; nothing of it lies open."""

import json
from base64 import b64decode, b64encode
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lxml import etree

from broker.adapters.observability.sealed_message_log import make_pair, read
from broker.adapters.saml.xml_security import safe_parser, signature
from broker.adapters.saml.xml_security.xml_names import ASSERTION
from broker.cli.main import broker as command
from broker.configuration.settings.config import Config
from broker.demo.people.personas import persona
from broker.demo.upstreams.nemlogin import PersonaChoice
from tests.plugins.deployment import Deployment, mark
from tests.plugins.eid_deployment import DIRECT, answer, log_in, restart_with
from tests.plugins.logout_client import LogoutClient


def turn_message_log_on(deployment: Deployment, folder: Path) -> Deployment:
    """Return the broker with the log on, its key pair made the first time."""
    if not (folder / "public.pem").exists():
        make_pair(folder / "private.pem", folder / "public.pem")
    log = {"BROKER_STATE": str(folder / "state"), "BROKER_MESSAGE_LOG__PUBLIC_KEY": f"{folder / 'public.pem'}"}
    return restart_with(deployment, {**DIRECT, **log})


@pytest.fixture
def wayf_kept(shared_deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """Keep WAYF's messages, because its simulation can end sessions."""
    monkeypatch.setattr(Config, "message_log_upstreams", lambda _: ("wayf",))
    return turn_message_log_on(shared_deployment, tmp_path)


def records(folder: Path) -> list[dict[str, Any]]:
    """Give what the holder of the private key reads."""
    found = list(read(folder / "state" / "messages", folder / "private.pem", date.min, date.max))
    assert None not in found
    return [each for each in found if each]


def test_request_and_response_are_kept_with_their_proof(shared_deployment: Deployment, tmp_path: Path) -> None:
    """The log has time, address and login, and both messages unchanged, with signatures that still verify."""
    deployment = turn_message_log_on(shared_deployment, tmp_path)
    log_in(deployment, "eva")
    asked, came = records(tmp_path)
    assert (asked["kind"], asked["outcome"], came["kind"], came["outcome"]) == (
        *("AuthnRequest", "sent"),
        *("Response", "accepted"),
    )
    assert "SigAlg=" in asked["wire"]
    assert {each["upstream"] for each in (asked, came)} == {"nemid"}
    assert {each["address"] for each in (asked, came)} == {"127.0.0.1"}
    assert (asked["request"], asked["reference"]) == (came["request"], came["reference"])
    assert len(asked["reference"]) == 8
    assert came["subject"].startswith("https://data.gov.dk/model/core/eid/person/uuid/")
    assert b64decode(came["wire"]).startswith(b"<")
    assertion = safe_parser.parse(came["assertion"].encode(), ASSERTION)
    signature.verify(assertion, [signature.VerifyKey.load(deployment.setting.nemlogin.certificate.encode())])


def test_nothing_of_a_person_lies_open_anywhere(shared_deployment: Deployment, tmp_path: Path) -> None:
    """Not in the log's folder, by any value asserted, as it is or in base64."""
    log_in(turn_message_log_on(shared_deployment, tmp_path), "eva")
    octets = b"".join(path.read_bytes() for path in (tmp_path / "state" / "messages").rglob("*") if path.is_file())
    assert octets
    for values in persona("eva").attributes.values():
        for value in values:
            # Three letters stand in so much base64 by chance.
            assert len(value) < 6 or value.encode() not in octets
    assert b"3011681300" not in octets
    assert b"PD94bWw" not in octets  # how a document begins in base64
    assert all("3011681300" not in f"{path}" for path in (tmp_path / "state" / "messages").rglob("*"))


@pytest.mark.attack(31)
def test_a_stranger_cannot_fill_the_disk_with_answers(deployment: Deployment, tmp_path: Path) -> None:
    """A stranger's large answers to own requests must not fill the log: 600 kB each made 40 MB a second."""
    deployment = turn_message_log_on(deployment, tmp_path)
    deployment.clock.ahead += timedelta(seconds=60 - deployment.clock.now().second)
    stranger = deployment.person()
    chooser = stranger.ask()
    for _ in range(15):
        acs, fields = answer(deployment, stranger.choose(chooser, "nemid"), PersonaChoice(persona("eva")))
        root = etree.fromstring(b64decode(fields["SAMLResponse"]))
        root.set("Destination", "https://elsewhere.example")
        root.set("Consent", "urn:x:" + "x" * 100_000)
        sent = stranger.deliver(acs, {"SAMLResponse": b64encode(etree.tostring(root)).decode()})
        assert mark(sent)[0] == "error"
    answers = [each for each in records(tmp_path) if each["kind"] == "Response"]
    assert len(answers) == 10
    assert all(len(each["wire"]) < 100 for each in answers)


def test_messages_with_others_are_not_kept(shared_deployment: Deployment, tmp_path: Path) -> None:
    """The duty is toward NemLog-in; WAYF's messages stay out."""
    deployment = turn_message_log_on(shared_deployment, tmp_path)
    deployment.person().log_in("asta")
    assert records(tmp_path) == []


def test_no_login_without_the_message_log(shared_deployment: Deployment, tmp_path: Path) -> None:
    """A log that cannot be written stops the login; readyz says so."""
    deployment = turn_message_log_on(shared_deployment, tmp_path)
    person = deployment.person()
    url = person.choose(person.ask(), "nemid")
    response = answer(deployment, url, PersonaChoice(persona("eva")))
    day = next((tmp_path / "state" / "messages").iterdir())
    day.unlink()
    day.mkdir()
    came = person.deliver(*response)
    assert came.status_code == 503
    assert mark(came) == ("error", "message_log_unavailable")
    day.rmdir()
    # It is not lost: the same answer is taken once it can be kept.
    assert person.deliver(*response).status_code == 303


def test_the_command_decrypts_messages_with_the_key(shared_deployment: Deployment, tmp_path: Path) -> None:
    """One login's messages by the reference that its pages show; a line that cannot be decrypted is reported."""
    deployment = turn_message_log_on(shared_deployment, tmp_path)
    log_in(deployment, "eva")
    reference = records(tmp_path)[0]["reference"]
    asked = ["messages", "read", f"{tmp_path / 'state' / 'messages'}", "--key", f"{tmp_path / 'private.pem'}"]
    shown = CliRunner().invoke(command, [*asked, "--reference", reference])
    assert [json.loads(line)["kind"] for line in shown.stdout.splitlines()] == ["AuthnRequest", "Response"]
    assert shown.exit_code == 0
    assert CliRunner().invoke(command, [*asked, "--from", "2020-01-01", "--to", "2020-12-31"]).stdout == ""
    assert CliRunner().invoke(command, [*asked, "--from", "yesterday"]).exit_code == 2
    made = CliRunner().invoke(command, ["messages", "keys", f"{tmp_path / 'b.pem'}", f"{tmp_path / 'b.pub'}"])
    assert made.exit_code == 0
    asked[-1] = f"{tmp_path / 'b.pem'}"
    other = CliRunner().invoke(command, asked)
    assert (other.exit_code, other.stdout) == (1, "")
    assert "2 lines" in other.stderr


def test_refused_messages_and_messages_of_services_are_not_logged(wayf_kept: Deployment, tmp_path: Path) -> None:
    """Strangers could fill the log with the first kind; the second kind is no message with the upstream."""
    leaver = LogoutClient(wayf_kept, wayf_kept.person())
    session = leaver.log_in()
    assert leaver.get(leaver.hub_request(leaver.hub[-1])[:-8]).status_code == 400
    leaver.press(leaver.ask("my-loans", session), "scope=none")
    assert [each["kind"] for each in records(tmp_path)] == ["AuthnRequest", "Response"]
