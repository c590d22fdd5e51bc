"""The reader of metadata/: what it takes from each descriptor, and every fault it tells, at once and with the file."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from broker.adapters.saml.metadata import metadata_folder
from broker.adapters.saml.metadata.metadata_folder import FolderContents
from broker.adapters.saml.metadata.role_descriptors import Endpoint
from broker.adapters.saml.metadata.wanted_entities import WantedIds
from broker.core.entities import Text
from broker.core.login.transaction import SKEW
from tests.plugins.saml_parties import (
    DIRECT,
    EID,
    HUB,
    LOANS,
    NOW,
    OPEN,
    PRINT,
    Parties,
    idp_entity,
    key_descriptor,
    sp_entity,
    stamp,
)

POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
GCM = '<md:EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#aes256-gcm"/>'
CBC = '<md:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#tripledes-cbc"/>'
UIINFO = """<md:Extensions><mdui:UIInfo><mdui:DisplayName xml:lang="en">My loans</mdui:DisplayName>
<mdui:DisplayName xml:lang="da">Mine lån</mdui:DisplayName><mdui:DisplayName xml:lang="de">Meine</mdui:DisplayName>
<mdui:Description xml:lang="da">Dine lån</mdui:Description>
<mdui:PrivacyStatementURL xml:lang="en">https://my-loans.example/privacy</mdui:PrivacyStatementURL>
</mdui:UIInfo></md:Extensions>"""


@pytest.fixture
def folder(parties: Parties, tmp_path: Path) -> Path:
    """Give a sound metadata folder that a test may spoil."""
    return Path(shutil.copytree(parties.folder / "metadata", tmp_path / "metadata"))


WANTED = WantedIds(frozenset((HUB, DIRECT, EID)), frozenset((LOANS, OPEN, PRINT)))


def contents(folder: Path, before: FolderContents | None = None) -> FolderContents:
    """Read the folder for everyone configured."""
    return metadata_folder.read(folder, WANTED, before)


def load(folder: Path) -> metadata_folder.Metadata:
    """Give the metadata of everyone configured."""
    return contents(folder).metadata


def faults(folder: Path) -> list[str]:
    """Give each fault as one line."""
    found = contents(folder)
    told = [*found.broken, *(fault for each in found.faults.values() for fault in each)]
    return [str(fault) for fault in dict.fromkeys(told)]


@pytest.mark.profile(8)
def test_an_upstream_is_read(parties: Parties, folder: Path) -> None:
    """Its Redirect address and every signing key; one without use is for both."""
    more = key_descriptor(parties.stranger.certificate, "signing") + key_descriptor(
        parties.service.certificate, "encryption"
    )
    (folder / "hub.xml").write_text(idp_entity(HUB, key_descriptor(parties.hub.certificate), more))
    read = load(folder).upstreams[HUB]
    publics = [each.public.public_numbers() for each in read.keys]
    owners = [each.key.private.public_key().public_numbers() for each in (parties.hub, parties.stranger)]
    assert (read.sso, publics) == (f"{HUB}/sso", owners)


def test_an_upstream_without_redirect_is_asked_by_post(parties: Parties, folder: Path) -> None:
    """Redirect is preferred; where only HTTP-POST is offered, its address is used."""
    xml = idp_entity(HUB, key_descriptor(parties.hub.certificate))
    post = f'<md:SingleSignOnService Binding="{POST}" Location="{HUB}/post"/>'
    both = xml.replace("<md:SingleSignOnService", f"{post}<md:SingleSignOnService")
    only = xml.replace("HTTP-Redirect", "HTTP-POST")
    for written, found in ((both, (f"{HUB}/sso", False)), (only, (f"{HUB}/sso", True))):
        (folder / "hub.xml").write_text(written)
        read = load(folder).upstreams[HUB]
        assert (read.sso, read.sso_by_post) == found


def test_a_service_is_read(parties: Parties, folder: Path) -> None:
    """Its ACSs, keys, flags, formats and texts; a text in one language stands in for the other."""
    formats = "<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>"
    xml = sp_entity(LOANS, key_descriptor(parties.service.certificate), formats, signs=True, before=UIINFO)
    (folder / "loans.xml").write_text(xml)
    read = load(folder).services[LOANS]
    assert read.acs == (Endpoint(f"{LOANS}/acs", 1),)
    assert len(read.keys) == 1
    assert (read.signs_requests, read.encryption_certificate is not None) == (True, True)
    assert read.name_id_formats == ("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",)
    assert read.display_name == Text(en="My loans", da="Mine lån")
    assert read.description == Text(en="Dine lån", da="Dine lån")
    assert read.privacy_statement == Text("https://my-loans.example/privacy", "https://my-loans.example/privacy")


@pytest.mark.parametrize(
    ("marks", "default"), [((None, None), 1), ((None, "true"), 2), (("false", None), 2), (("0", "false"), 1)]
)
def test_the_default_acs_is_the_standards(folder: Path, marks: tuple[str | None, ...], default: int) -> None:
    """IsDefault, else the first that is not marked as none, else the first (saml-metadata 2.2.3)."""
    written = "".join(
        f'<md:AssertionConsumerService index="{index}" Binding="{POST}" Location="{OPEN}/{index}"'
        + (f' isDefault="{mark}"/>' if mark else "/>")
        for index, mark in enumerate(marks, 1)
    )
    (folder / "open.xml").write_text(sp_entity(OPEN, acs=written))
    assert load(folder).services[OPEN].default_acs.index == default


@pytest.mark.attack(33)
@pytest.mark.parametrize("place", ["EntitiesDescriptor", "EntityDescriptor", "IDPSSODescriptor"])
@pytest.mark.parametrize(("seconds", "sound"), [(-1, False), (0, False), (1, True)])
@pytest.mark.profile(6)
def test_expired_metadata_is_refused(parties: Parties, folder: Path, place: str, seconds: int, sound: bool) -> None:
    """A validUntil counts on the descriptor and on the elements around it, with three minutes of clock skew."""
    entity = idp_entity(HUB, key_descriptor(parties.hub.certificate))
    whole = f'<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">{entity}</md:EntitiesDescriptor>'
    until = stamp(NOW + timedelta(seconds=seconds) - SKEW)
    (folder / "hub.xml").write_text(whole.replace(f"<md:{place} ", f'<md:{place} validUntil="{until}" ', 1))
    read = load(folder)
    assert (read.upstream(HUB, NOW) is not None, read.upstream(DIRECT, NOW) is not None) == (sound, True)


@pytest.mark.attack(33)
@pytest.mark.parametrize("place", ["EntitiesDescriptor", "EntityDescriptor", "IDPSSODescriptor"])
@pytest.mark.parametrize("until", ["12020-01-01T00:00:00Z", "-2020-01-01T00:00:00Z", "2020-02-30T00:00:00Z", ""])
def test_an_end_that_cannot_be_read_has_come(parties: Parties, folder: Path, place: str, until: str) -> None:
    """Passed over it would make endless what its owner ended; the schemas look at no collection around an entity."""
    entity = idp_entity(HUB, key_descriptor(parties.hub.certificate))
    whole = f'<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">{entity}</md:EntitiesDescriptor>'
    (folder / "hub.xml").write_text(whole.replace(f"<md:{place} ", f'<md:{place} validUntil="{until}" ', 1))
    assert load(folder).upstream(HUB, NOW) is None


SPOILED: list[tuple[str, Callable[[str], str], str]] = [
    ("hub", lambda xml: xml[:-9], "is no valid metadata: xml.unreadable: line 3 (is it XML, whole"),
    ("hub", lambda xml: "<!DOCTYPE x>" + xml, "take the DOCTYPE out"),
    (
        "hub",
        lambda xml: xml.replace("protocolSupportEnumeration", "protocol"),
        "https://hub.example is no valid metadata: xml.schema: IDPSSODescriptor, line 3 (validate it against",
    ),
    ("hub", lambda xml: xml.replace("md:EntityDescriptor", "md:Entity"), "is no valid metadata: xml.root"),
    ("hub", lambda xml: xml.replace("HTTP-Redirect", "SOAP"), "has no SingleSignOnService for HTTP-Redirect or"),
    (
        "hub",
        lambda xml: xml.replace("<md:KeyDescriptor>", '<md:KeyDescriptor use="encryption">'),
        "has no signing key (IDPSSODescriptor, line 3)",
    ),
    (
        "hub",
        lambda xml: xml.replace("https://hub.example/sso", "javascript://hub.example/%0aalert(1)"),
        "has the Location 'javascript://hub.example/%0aalert(1)' (SingleSignOnService, line 3)",
    ),
    ("loans", lambda xml: xml.replace("/acs", "/a b"), "has the Location"),
    ("loans", lambda xml: xml.replace("https://my-loans.example/acs", "http://my-loans.example/acs"), "https address"),
    ("loans", lambda xml: xml.replace("https://my-loans.example/acs", "http://localhost.example/"), "https address"),
    ("loans", lambda xml: xml.replace("https://my-loans.example/acs", "http://evil-localhost/"), "https address"),
    ("loans", lambda xml: xml.replace("https://my-loans.example/acs", "http://10.0.0.1/acs"), "https address"),
    ("hub", lambda xml: xml.replace("https://hub.example/sso", "http://hub.example/sso"), "https address"),
    (
        "loans",
        lambda xml: xml.replace("https://my-loans.example/acs", "https://x@my-loans.example/acs"),
        "has the Location",
    ),
    ("loans", lambda xml: xml.replace("HTTP-POST", "HTTP-Artifact"), "has no AssertionConsumerService for HTTP-POST"),
    (
        "loans",
        lambda xml: xml.replace("<md:KeyDescriptor>", '<md:KeyDescriptor use="encryption">'),
        "signs its requests but has no signing key",
    ),
    (
        "loans",
        lambda xml: xml.replace("</md:KeyDescriptor>", CBC + "</md:KeyDescriptor>"),
        "lists EncryptionMethods without AES-GCM or AES-CBC",
    ),
    ("open", lambda xml: xml.replace('index="2"', 'index="1"'), "has two AssertionConsumerServices of one index"),
]


@pytest.mark.parametrize(("name", "spoil", "what"), SPOILED)
def test_a_fault_names_its_file(folder: Path, name: str, spoil: Callable[[str], str], what: str) -> None:
    """Each fault names the file, what is wrong with it, and how to fix it."""
    path = folder / f"{name}.xml"
    path.write_text(spoil(path.read_text()))
    found = [each for each in faults(folder) if what in each]
    assert len(found) == 1
    assert found[0].startswith("metadata/" + path.name)
    assert len(load(folder).upstreams) + len(load(folder).services) == 5


def test_everything_is_told_at_once(folder: Path) -> None:
    """One run reports a duplicate, a broken and an unreadable file, and reads all other parties."""
    shutil.copy(folder / "hub.xml", folder / "again.xml")
    (folder / "open.xml").write_text("nonsense")
    (folder / "print.xml").unlink()
    (folder / "print.xml").mkdir()
    assert {each.partition(" (")[0] for each in faults(folder)} == {
        f"metadata/again.xml, metadata/hub.xml: {HUB} has several descriptors",
        "metadata/open.xml: is no valid metadata: xml.unreadable: line 1",
        "metadata/print.xml: cannot be read: Is a directory",
    }
    read = load(folder)
    assert (set(read.upstreams), set(read.services)) == ({DIRECT, EID}, {LOANS})


def test_an_encryption_key_must_be_rsa(parties: Parties, folder: Path) -> None:
    """An encryption key that is not RSA is reported when metadata is read, not at the first login."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(days=1)).sign(key, SHA256())
    descriptor = key_descriptor(made.public_bytes(Encoding.PEM), "encryption")
    signing = key_descriptor(parties.service.certificate, "signing")
    (folder / "loans.xml").write_text(sp_entity(LOANS, signing, descriptor, signs=True))
    what = "has an encryption key that is not RSA (KeyDescriptor, line 3)"
    assert faults(folder) == [f"metadata/loans.xml: {LOANS} {what} (ask for an RSA key)"]


def _broken(xml: str) -> str:
    return xml.replace("SingleSignOnService", "SingleSignOffService").replace("AssertionConsumer", "AssertionEater")


BREAKS: dict[str, Callable[[Path], object]] = {
    "no XML": lambda path: path.write_text(path.read_text()[:-5]),
    "against the schemas": lambda path: path.write_text(_broken(path.read_text())),
    "emptied": lambda path: path.write_text(""),
    "listed twice": lambda path: shutil.copy(path, path.with_name("again.xml")),
}


@pytest.mark.parametrize("name", ["hub", "loans"])
@pytest.mark.parametrize("how", BREAKS)
def test_an_edit_that_breaks_a_party_leaves_it_as_it_was(folder: Path, how: str, name: str) -> None:
    """The last good descriptor stands, and the fault says so; everybody else is as the folder has them now."""
    before = contents(folder)
    BREAKS[how](folder / f"{name}.xml")
    after = contents(folder, before)
    entity = HUB if name == "hub" else LOANS
    assert after.metadata == before.metadata
    assert set(after.faults) == {entity}
    assert contents(folder, after).metadata == before.metadata  # and at the next look too
    first = contents(folder).metadata  # a start has nothing to fall back on
    assert {HUB, DIRECT, EID} - first.upstreams.keys() == ({HUB} if name == "hub" else set())
    assert {LOANS, OPEN, PRINT} - first.services.keys() == ({LOANS} if name == "loans" else set())


@pytest.mark.attack(33)
def test_little_of_a_wrong_value_is_told(folder: Path) -> None:
    """Long values of a party are cut in logs, alarms and pages."""
    address = f"<mdui:PrivacyStatementURL xml:lang='en'>{'x' * 100_000}</mdui:PrivacyStatementURL>"
    extensions = f"<md:Extensions><mdui:UIInfo>{address}</mdui:UIInfo></md:Extensions>"
    (folder / "loans.xml").write_text(sp_entity(LOANS, before=extensions))
    (told,) = faults(folder)
    assert len(told) < 400


def test_a_change_is_taken_up_once_it_has_settled(folder: Path) -> None:
    """A file that is still being copied is not read in the middle."""
    watched = metadata_folder.MetadataFolder(folder, WANTED, None)
    assert [watched.read_changes(), watched.read_changes()] == [False, False]
    whole = (folder / "hub.xml").read_text()
    (folder / "hub.xml").write_text(whole[:50])
    assert not watched.read_changes()
    (folder / "hub.xml").write_text(whole.replace("/sso", "/sso2"))
    assert not watched.read_changes()
    assert watched.read_changes()
    assert watched.contents.metadata.upstreams[HUB].sso == f"{HUB}/sso2"
    assert watched.contents.faults == {}


def test_a_party_removed_from_the_folder_is_removed(folder: Path) -> None:
    """A party that is removed from the folder is not kept from the earlier content."""
    before = contents(folder)
    (folder / "hub.xml").unlink()
    (folder / "loans.xml").write_text((folder / "loans.xml").read_text().replace(LOANS, "https://other.example"))
    after = contents(folder, before)
    assert (set(after.metadata.upstreams), set(after.metadata.services)) == ({DIRECT, EID}, {OPEN, PRINT})
    assert after.faults == {}
