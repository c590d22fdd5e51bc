"""``broker policy suggest``: a draft holds what is known, asks what is not, and is used only once it is answered."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.cli import broker
from broker.demo.run.demo_folder import Setting
from broker.files.policies.policy_layout import formatted

SERVICE = "booking"  # connected, and in no policy yet
TRANSIENT = "<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:transient</md:NameIDFormat>"
MAIL = "urn:oid:0.9.2342.19200300.100.1.3"
HOME = "urn:oid:1.3.6.1.4.1.25178.1.2.9"
CPR = "urn:oid:1.3.6.1.4.1.25178.1.2.15"
NUMBER = "urn:oid:0.9.2342.19200300.100.1.1"
SUBJECT = "urn:oasis:names:tc:SAML:attribute:subject-id"


def wanted(name: str, *, required: bool = True, friendly: str = "") -> str:
    """Write a RequestedAttribute."""
    return f'<md:RequestedAttribute Name="{name}" FriendlyName="{friendly}" isRequired="{str(required).lower()}"/>'


@pytest.fixture
def folder(setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a sound configuration, which the environment names."""
    folder = tmp_path / "site"
    shutil.copytree(setting.folder, folder, ignore=shutil.ignore_patterns("broker.db*", "state"))
    xml = (folder / "metadata" / "e-resources.xml").read_text()
    (folder / "metadata" / "booking.xml").write_text(xml.replace("e-resources.demo", "booking.demo"))
    config = folder / "broker.toml"
    table = '[services.booking]\nentity_id = "https://booking.demo.example"\n'
    table += 'methods = ["wayf", "nemid"]\nlabel = { en = "B", da = "B" }\n\n[sign_up]'
    config.write_text(config.read_text().replace("[sign_up]", table))
    monkeypatch.setenv("BROKER_CONFIG", str(folder / "broker.toml"))
    return folder


def ask(folder: Path, *attributes: str, formats: str = "") -> None:
    """Write what the service asks for into its metadata."""
    path = folder / "metadata" / "booking.xml"
    named = '<md:AttributeConsumingService index="1"><md:ServiceName xml:lang="en">E</md:ServiceName>'
    asked = f"{named}{''.join(attributes)}</md:AttributeConsumingService>"
    xml = path.read_text().replace("</md:SPSSODescriptor>", f"{asked}</md:SPSSODescriptor>")
    path.write_text(xml.replace("<md:AssertionConsumerService", f"{formats}<md:AssertionConsumerService", 1))


def run(*words: str) -> Result:
    """Run a command on policies."""
    result = CliRunner().invoke(broker, ["policy", *words], prog_name="broker")
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def suggested(*words: str) -> Any:
    """Give the draft for programs."""
    result = run("suggest", "--service", SERVICE, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def paste(folder: Path, entry: str) -> Path:
    """Put an entry below release: in a file that has none for the service."""
    path = folder / "policies" / "private.yaml"
    path.write_text(path.read_text().replace("\nrelease:\n", f"\nrelease:\n{entry}\n"))
    return path


def test_a_draft_passes_once_its_questions_are_answered(folder: Path) -> None:
    """Pasted as it is, check names each question and nothing else; answered, it is well, and in the usual layout."""
    ask(folder, wanted(MAIL), wanted(HOME, required=False))
    entry = run("suggest", "--service", SERVICE).stdout.rstrip("\n")
    path = paste(folder, entry)
    refused = run("check", "--no-analysis")
    assert refused.exit_code == 78
    told = refused.stderr.splitlines()
    assert len(told) == entry.count("FILL IN") == 9
    assert all(" is to be filled in (" in line for line in told)
    assert "policies/private.yaml:34: release.1.borrower is to be filled in (none, need or make)" in told
    assert any("release.1.attributes.mail.why.en is to be filled in (why booking needs mail, " in x for x in told)
    text = path.read_text()
    for question, answer in (
        ("none, need or make", "none"),
        ("consent, .*?", "public_task"),
        ("transient; .*?", "transient"),
    ):
        text = re.sub(f"'FILL IN: {question}'", answer, text)
    path.write_text(re.sub("'FILL IN: .*?'", "words", text))
    answered = run("check", "--no-analysis")
    assert answered.exit_code == 0, answered.stderr
    assert formatted(path.read_bytes(), "private.yaml") == path.read_text()


def test_what_is_asked_for_is_named_as_policies_name_it(folder: Path) -> None:
    """By the service's map: its Name on the wire, else the readable one; with what is to be known of it."""
    ask(
        folder,
        wanted(NUMBER),
        wanted("mail", friendly="mail", required=False),
        wanted(CPR),
        wanted("urn:mace:dir:attribute-def:sn", friendly="sn"),
        formats=TRANSIENT,
    )
    draft = suggested()
    assert [(each["name"], each["required"]) for each in draft["attributes"]] == [
        ("borrower_number", True),
        ("mail", False),
        ("cpr", True),
        ("sn", True),
    ]
    remarks = {each["name"]: each["remarks"] for each in draft["attributes"]}
    assert remarks["borrower_number"] == ["or uid, under the same name on the wire"]
    assert remarks["mail"] == ["not required", f"leaves as {MAIL}, which is not what was asked for"]
    assert draft["name_id"] == "transient"
    assert "    borrower: 'FILL IN: make or need'\n" in draft["entry"]
    assert "      cpr: {mask: true, why: {en: " in draft["entry"]
    assert draft["remarks"] == []


def test_what_nobody_can_give_is_named_and_not_drafted(folder: Path) -> None:
    """What no map knows, what is made under a scope that is not set, what no way to log in brings."""
    config = folder / "broker.toml"
    booking = 'booking.demo.example"\nmethods = '
    config.write_text(config.read_text().replace(f'{booking}["wayf", "nemid"]', f'{booking}["library"]'))
    hostile = "urn:x&#10;  - service: my-loans"
    ask(folder, wanted(hostile, friendly="shoeSize"), wanted(SUBJECT), wanted(MAIL, required=False))
    draft = suggested()
    assert [(each["name"], each["why"]) for each in draft["not_given"]] == [
        ("urn:x\n  - service: my-loans", "attribute_maps/library.yaml has no row for it"),
        (SUBJECT, "subject-id is made under idp.scope, which is not set"),
        (MAIL, "no way to log in at booking gives mail"),
    ]
    lines = draft["entry"].splitlines()
    assert lines[5] == "    attributes: {}"
    assert all(line.startswith("    # ") for line in lines[6:])
    assert len(lines) == 9


def test_a_cpr_number_that_nobody_may_assert_is_not_to_be_had(folder: Path) -> None:
    """What an institution sends without being asked to counts as not sent."""
    config = folder / "broker.toml"
    text = config.read_text().replace('may_assert = ["cpr"]', "may_assert = []")
    config.write_text(text.replace('may_assert = ["cpr", "alumni_cpr"]', "may_assert = []"))
    ask(folder, wanted(CPR))
    (missing,) = suggested()["not_given"]
    assert missing["why"] == "no way to log in at booking gives cpr"


def test_a_service_that_asks_for_nothing_is_told(folder: Path) -> None:
    """The draft is there all the same, and says whom to ask."""
    result = run("suggest", "--service", "https://booking.demo.example")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"  - service: {SERVICE}\n")
    assert "its metadata asks for no attribute: ask whoever runs it" in result.stderr
    already = run("suggest", "--service", "myprint")
    assert "note: student.yaml:42 has an entry for it already\n" in already.stderr
    assert folder.is_dir()


def test_a_newcomers_slips_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A typo, a service without metadata, no configuration: each in a sentence."""
    typo = run("suggest", "--service", "bokking")
    assert (typo.exit_code, "did you mean 'booking'?" in typo.stderr) == (2, True)
    (folder / "metadata" / "booking.xml").unlink()
    without = run("suggest", "--service", SERVICE)
    assert without.exit_code == 78
    assert without.stderr.startswith("services.booking: has no metadata in force")
    monkeypatch.delenv("BROKER_CONFIG")
    unset = run("suggest", "--service", SERVICE)
    assert (unset.exit_code, unset.stderr.partition(":")[0]) == (78, "BROKER_CONFIG")
