"""Findings of ``broker check`` about services that need more than the policies release."""

import re
from pathlib import Path
from typing import Final

import pytest

from broker.app.assembly import assemble
from broker.cli.check.checks import find_all, find_service_faults
from broker.configuration.settings.config import load

FORMAT: Final = "<NameIDFormat>urn:oasis:names:tc:SAML:{}</NameIDFormat>"
EMAIL: Final = "1.1:nameid-format:emailAddress"
TRANSIENT: Final = "2.0:nameid-format:transient"
UNSPECIFIED: Final = "1.1:nameid-format:unspecified"
WANTED: Final = (
    '<RequestedAttribute Name="{}" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri" isRequired="{}"/>'
)
CONSUMING: Final = (
    '<AttributeConsumingService index="1"><ServiceName xml:lang="en">Print</ServiceName>{}</AttributeConsumingService>'
)
HOME_ORGANISATION: Final = "urn:oid:1.3.6.1.4.1.25178.1.2.9"
DISPLAY_NAME: Final = "urn:oid:2.16.840.1.113730.3.1.241"


def findings(folder: Path, service: str = "myprint") -> list[str]:
    """Give what is found of one service."""
    environ = {"BROKER_STORE__URL": f"sqlite:{folder.parent / 'broker.db'}"}
    parts = assemble(load(folder / "broker.toml", environ))
    found = list(find_service_faults(parts))
    assert set(found) <= set(find_all(parts))
    return [each for each in found if each.startswith(f"services.{service}:")]


def describe_service(folder: Path, *, formats: str = "", attributes: str = "", service: str = "myprint") -> None:
    """Write NameIDFormats and RequestedAttributes into the metadata of a service."""
    (path,) = [path for path in (folder / "metadata").glob("*.xml") if f"{service}." in path.read_text()]
    xml = re.sub("<NameIDFormat>.*?</NameIDFormat>", "", path.read_text())
    xml = re.sub(r"(<AssertionConsumerService)", rf"{formats}\1", xml, count=1)
    if attributes:
        xml = xml.replace("</SPSSODescriptor>", f"{CONSUMING.format(attributes)}</SPSSODescriptor>")
    path.write_text(xml)


def test_the_shipped_policies_give_what_the_demo_asks(folder: Path) -> None:
    """A sound set-up has no finding."""
    for service in ("my-loans", "myprint", "e-resources"):
        assert findings(folder, service) == []


def test_another_nameid_format_than_the_policys_is_told_with_its_line(folder: Path) -> None:
    """Else the first person learns it after the login."""
    describe_service(folder, formats=FORMAT.format(EMAIL))
    found = findings(folder)
    assert len(found) >= 3
    told = re.compile(
        r"services\.myprint: its metadata wants the NameID format emailAddress,"
        r" and [a-z]+\.yaml:[0-9]+ gives persistent"
    )
    assert all(map(told.fullmatch, found))


@pytest.mark.parametrize("other", [UNSPECIFIED, "2.0:nameid-format:persistent"])
def test_a_list_that_leaves_room_is_no_finding(folder: Path, other: str) -> None:
    """A format that the policy gives, or any at all, beside one that it does not."""
    describe_service(folder, formats=FORMAT.format(TRANSIENT) + FORMAT.format(other))
    assert findings(folder) == []


def test_a_required_attribute_that_no_policy_releases_is_told(folder: Path) -> None:
    """By our name for it; one that is released, and one that is only welcome, is not."""
    wanted = WANTED.format(HOME_ORGANISATION, "true") + WANTED.format(DISPLAY_NAME, "true")
    describe_service(folder, attributes=wanted + WANTED.format("urn:oid:2.5.4.11", "false"))
    assert findings(folder) == [
        "services.myprint: its metadata requires the attribute schacHomeOrganization, which no policy releases to it"
    ]


def test_a_required_attribute_that_no_map_can_name_is_told(folder: Path) -> None:
    """With the file where a row would have to stand."""
    describe_service(folder, attributes=WANTED.format("urn:oid:1.2.3.4", "true"))
    (told,) = findings(folder)
    assert told.startswith("services.myprint: its metadata requires the attribute urn:oid:1.2.3.4, for which")
    assert told.endswith("attribute_maps/library.yaml has no row")


def test_a_service_that_no_policy_lets_anybody_into_is_told(folder: Path) -> None:
    """It has its table and its descriptor, and everybody would be refused at the first login."""
    table = '[services.catalogue]\nentity_id = "https://catalogue.demo.example"\nlabel = {en = "Books", da = "Bøger"}\n'
    with (folder / "broker.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{table}")
    told = ["services.catalogue: no policy has a release for it, so that nobody can log in"]
    assert findings(folder, "catalogue") == told


def change_service(folder: Path, *, metadata: tuple[str, str] = ("", ""), line: str = "") -> None:
    """Replace a pattern in the metadata of myprint, and add a line to its table."""
    (path,) = [path for path in (folder / "metadata").glob("*.xml") if "myprint." in path.read_text()]
    path.write_text(re.sub(*metadata, path.read_text(), flags=re.DOTALL))
    config = folder / "broker.toml"
    config.write_text(config.read_text().replace("[services.myprint]\n", f"[services.myprint]\n{line}\n"))


@pytest.mark.parametrize(
    ("pattern", "line", "expected"),
    [
        ("<EncryptionMethod[^>]*>", "", "its metadata lists no encryption algorithm, so that it gets AES-128-GCM"),
        ("<EncryptionMethod[^>]*>", 'encryption = "gcm"', None),
        (
            '<KeyDescriptor use="encryption">.*?</KeyDescriptor>',
            'encryption = "cbc"',
            'encryption = "cbc": its metadata',
        ),
        ('<KeyDescriptor use="encryption">.*?</KeyDescriptor>', "", None),
    ],
)
def test_an_uncertain_encryption_is_named(folder: Path, pattern: str, line: str, expected: str | None) -> None:
    """A product that cannot read AES-GCM would fail at the first login, with a green log here."""
    change_service(folder, metadata=(pattern, ""), line=line)
    found = findings(folder)
    assert [each.startswith(f"services.myprint: {expected}") for each in found] == ([True] if expected else [])
