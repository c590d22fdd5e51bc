"""Our own metadata: what it says, what it leaves out, and that others can use it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from broker.adapters.saml.metadata import own_metadata
from broker.adapters.saml.xml_security import safe_parser, signature
from broker.adapters.saml.xml_security.xml_names import DS, ENTITY, MD
from broker.core.entities import PERSISTENT, TRANSIENT, Text
from tests.plugins.saml_messages import load_keys
from tests.plugins.saml_parties import BASE, IDP, NOW, SSO, Parties, stamp

SPACES = {
    "md": MD,
    "ds": DS,
    "mdui": "urn:oasis:names:tc:SAML:metadata:ui",
    "alg": "urn:oasis:names:tc:SAML:metadata:algsupport",
    "shibmd": "urn:mace:shibboleth:metadata:1.0",
}
ROLE_DESCRIPTION = own_metadata.RoleDescription(
    base_url=BASE,
    entity_id=IDP,
    display_name=Text("Library login", "Bibliotekets login"),
    description=Text("Signs you in.", "Logger dig ind."),
    organization=Text("Library", "Bibliotek"),
    technical_contact="it@library.example",
    privacy_statement=Text("https://library.example/privacy", "https://library.example/privatliv"),
)
WAYF_ID = f"{BASE}/saml/sp/wayf/metadata"


def idp(parties: Parties, **changes: Any) -> bytes:
    """Give the descriptor that services see."""
    return own_metadata.write_idp_descriptor(
        replace(ROLE_DESCRIPTION, **changes), parties.ring.idp, ["ku.dk", "au.dk", "au.dk"], NOW
    )


def sp(parties: Parties, name: str = "wayf") -> bytes:
    """Give the descriptor toward an upstream."""
    return own_metadata.write_sp_descriptor(parties.upstreams[name], ROLE_DESCRIPTION, parties.ring.sp, NOW)


def read(xml: bytes, path: str) -> list[str]:
    """Give attribute values or texts at a path."""
    root: Any = etree.fromstring(xml)
    return [str(each) for each in root.xpath(path, namespaces=SPACES)]


@pytest.mark.parametrize("role", ["idp", "sp"])
def test_a_descriptor_is_sound_and_signed(parties: Parties, role: str) -> None:
    """It passes our own XML security, schema included, and is signed by the key in it."""
    xml, keys = (idp(parties), parties.ring.idp) if role == "idp" else (sp(parties), parties.ring.sp)
    root = safe_parser.parse(xml, ENTITY)
    signature.verify(root, load_keys(keys.signing.certificate))
    assert root.get("validUntil") == stamp(NOW + timedelta(days=27))
    assert root.get("cacheDuration") == "PT6H"


@pytest.mark.profile(9)
def test_services_learn_where_to_ask(parties: Parties) -> None:
    """SSO and logout by both bindings, both NameID formats."""
    xml = idp(parties)
    assert read(xml, "@entityID") == [IDP]
    assert read(xml, "md:IDPSSODescriptor/md:SingleSignOnService/@Location") == [SSO, SSO]
    assert [each.rpartition("-")[2] for each in read(xml, "//md:SingleSignOnService/@Binding")] == ["Redirect", "POST"]
    assert read(xml, "//md:NameIDFormat/text()") == [PERSISTENT, TRANSIENT]
    assert [each.rpartition("-")[2] for each in read(xml, "//md:SingleLogoutService/@Binding")] == ["Redirect", "POST"]
    assert set(read(xml, "//md:SingleLogoutService/@Location")) == {f"{BASE}/saml/idp/slo"}
    assert read(xml, "//md:ArtifactResolutionService") == []


@pytest.mark.profile(9)
def test_scopes_are_published(parties: Parties) -> None:
    """The module mod_shib drops values whose scope is not published. No scope is a pattern.

    Source: docs/reference/interop.md#scopes.
    """
    xml = idp(parties)
    assert read(xml, "md:IDPSSODescriptor/md:Extensions/shibmd:Scope/text()") == ["au.dk", "ku.dk"]
    assert set(read(xml, "//shibmd:Scope/@regexp")) == {"false"}
    assert read(sp(parties), "//shibmd:Scope") == []


@pytest.mark.parametrize("role", ["idp", "sp"])
@pytest.mark.profile(9)
def test_people_see_our_names_in_both_languages(parties: Parties, role: str) -> None:
    """DisplayName, Description and PrivacyStatementURL, Organization, and whom to write to."""
    xml = idp(parties) if role == "idp" else sp(parties)
    for name, text in [
        ("DisplayName", ROLE_DESCRIPTION.display_name),
        ("Description", ROLE_DESCRIPTION.description),
        ("PrivacyStatementURL", ROLE_DESCRIPTION.privacy_statement),
    ]:
        assert text is not None
        assert read(xml, f"md:*/md:Extensions/mdui:UIInfo/mdui:{name}/text()") == [text.en, text.da]
        assert read(xml, f"//mdui:{name}/@xml:lang") == ["en", "da"]
    assert read(xml, "md:Organization/md:OrganizationURL/text()") == [BASE, BASE]
    assert read(xml, "md:ContactPerson/@contactType") == ["technical"]
    assert read(xml, "md:ContactPerson/md:EmailAddress/text()") == ["mailto:it@library.example"]


@pytest.mark.parametrize("role", ["idp", "sp"])
@pytest.mark.profile(10, 11)
def test_no_weak_algorithm_is_offered(parties: Parties, role: str) -> None:
    """SHA-256 and more; RSA-SHA256 first, since mod_shib signs with the first that it knows.

    Source: docs/reference/interop.md#signing-method.
    """
    xml = idp(parties) if role == "idp" else sp(parties)
    methods = [each.rpartition("#")[2] for each in read(xml, "md:Extensions/alg:SigningMethod/@Algorithm")]
    digests = [each.rpartition("#")[2] for each in read(xml, "md:Extensions/alg:DigestMethod/@Algorithm")]
    assert methods[0] == "rsa-sha256"
    assert {each.rpartition("-")[2] for each in methods} | set(digests) == {"sha256", "sha384", "sha512"}
    assert b"sha1" not in xml


@pytest.mark.parametrize(("name", "cbc"), [("wayf", False), ("kb", True), ("eid", False)])
@pytest.mark.profile(10)
def test_cbc_is_offered_only_where_it_is_needed(parties: Parties, name: str, cbc: bool) -> None:
    """GCM comes first. CBC that we would refuse is not offered, as to NemLog-in, whose Responses are unsigned."""
    offered = [each.rpartition("#")[2] for each in read(sp(parties, name), "//md:EncryptionMethod/@Algorithm")]
    middle = ["aes256-cbc", "aes128-cbc"] if cbc else []
    assert offered == ["aes256-gcm", "aes128-gcm", *middle, "rsa-oaep-mgf1p", "rsa-oaep"]


def test_encryption_none_leaves_out_the_encryption_key(parties: Parties) -> None:
    """AD FS and Entra ID encrypt as soon as they see a key. Signatures are wanted as before."""
    upstream = replace(parties.upstreams["kb"], encryption="none")
    xml = sp(replace(parties, upstreams={"kb": upstream}), "kb")
    assert read(xml, "//md:KeyDescriptor/@use") == ["signing"]
    assert read(xml, "//@WantAssertionsSigned") == ["true"]


@pytest.mark.profile(13, 14)
def test_upstreams_learn_where_to_answer(parties: Parties) -> None:
    """One ACS by POST, signed requests, signed assertions, and the NameID format that a hub takes from here."""
    xml = sp(parties)
    assert read(xml, "@entityID") == [WAYF_ID]
    assert read(xml, "//md:AssertionConsumerService/@Location") == [f"{BASE}/saml/sp/wayf/acs"]
    assert read(xml, "//md:AssertionConsumerService/@isDefault") == ["true"]
    assert set(read(xml, "//md:SingleLogoutService/@Location")) == {f"{BASE}/saml/sp/wayf/slo"}
    assert read(xml, "md:SPSSODescriptor/@AuthnRequestsSigned | //@WantAssertionsSigned") == ["true", "true"]
    assert read(xml, "//md:NameIDFormat/text()") == [TRANSIENT]
    assert read(sp(parties, "eid"), "//md:NameIDFormat/text()") == [PERSISTENT, TRANSIENT]


def test_a_privacy_notice_that_is_not_there_is_not_named(parties: Parties) -> None:
    """Every advertised address is served (SDP-MD04)."""
    assert read(idp(parties, privacy_statement=None), "//mdui:PrivacyStatementURL") == []
