"""``broker check --party``: what a product gets and what is expected of it."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli.main import broker
from broker.demo.run.demo_folder import HUB, SERVICES, Setting


def check_party(setting: Setting, tmp_path: Path, *words: str, **environment: str) -> Result:
    """Run the command in a copy of the demo's folder."""
    folder = shutil.copytree(setting.folder, tmp_path / "demo", dirs_exist_ok=True)
    given = {f"BROKER_{name}": value for name, value in environment.items()}
    given["BROKER_STORE__URL"] = f"sqlite:{tmp_path / 'broker.db'}"
    words = ("--config", str(folder / "broker.toml"), "check", "--party", *words)
    return CliRunner().invoke(broker, words, prog_name="broker", env=given)


def test_a_service_is_described(setting: Setting, tmp_path: Path) -> None:
    """Entity ID, endpoints, NameID, algorithms and attributes."""
    described = check_party(setting, tmp_path, "my-loans")
    assert (described.exit_code, described.stderr) == (0, "")
    for part in (
        f"services.my-loans is a service with the entity ID {SERVICES['my-loans'][2]}.",
        "/saml/idp/sso by HTTP-Redirect or HTTP-POST. They need no signature.",
        "We answer by HTTP-POST at http://library.localhost:48082/my-loans/acs.",
        "/my-loans/slo by HTTP-Redirect",
        "The NameID that it gets is persistent.",
        "Response and Assertion are signed with rsa-sha256.",
        "encrypted with aes128-gcm, because its descriptor lists it, and its key with rsa-oaep-mgf1p.",
        "cpr (as urn:oid:1.3.6.1.4.1.25178.1.2.15)",
    ):
        assert part in described.stdout


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        ("gcm", 'encrypted with aes128-gcm, because broker.toml says encryption = "gcm"'),
        ("cbc", 'encrypted with aes256-cbc, because broker.toml says encryption = "cbc"'),
        ("none", "It gets no CPR number, because its assertions are not encrypted."),
    ],
)
def test_a_configured_encryption_is_described(setting: Setting, tmp_path: Path, mode: str, sentence: str) -> None:
    """The report shows the same choice as the next login."""
    assert sentence in check_party(setting, tmp_path, "my-loans", SERVICES__MY_LOANS__ENCRYPTION=mode).stdout


def test_an_upstream_is_described(setting: Setting, tmp_path: Path) -> None:
    """Also as JSON, for programs."""
    described = check_party(setting, tmp_path, "wayf", "--json", UPSTREAMS__WAYF__ENCRYPTION="none")
    text = "\n".join(json.loads(described.stdout))
    for part in (
        f"upstreams.wayf is an upstream with the entity ID {HUB}.",
        "Our descriptor is at http://broker.localhost:48080/saml/sp/wayf/metadata.",
        "We send AuthnRequests to http://hub.localhost:48081/sso by HTTP-Redirect, signed with rsa-sha256.",
        "It must answer by HTTP-POST at http://broker.localhost:48080/saml/sp/wayf/acs.",
        "The Response or the Assertion must be signed with RSA-SHA256 or better",
        "Our descriptor has no encryption key",
        "By attribute_maps/wayf.yaml we read aal, ",
        "its scopes are au.dk; its CPR numbers are accepted; its assurance is at most high",
    ):
        assert part in text


def test_an_unknown_name_is_an_error_with_the_known_names(setting: Setting, tmp_path: Path) -> None:
    """The command ends as for every error of the configuration."""
    unknown = check_party(setting, tmp_path, "my-loan")
    assert unknown.exit_code == 78
    assert "no service or upstream my-loan (did you mean 'my-loans'?" in unknown.stderr
    assert "wayf" in unknown.stderr
