"""The broker uses its best algorithm that the peer's metadata lists, and no other.

Source: docs/reference/saml-profiles.md#10.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.saml.metadata import metadata_folder
from broker.adapters.saml.metadata.wanted_entities import WantedIds
from broker.adapters.saml.xml_security import http_bindings, safe_parser, signature
from broker.adapters.saml.xml_security.xml_names import RESPONSE
from broker.core.errors import NO_PASSIVE, MessageRefused
from tests.plugins.saml_parties import (
    HUB,
    LOANS,
    NOW,
    Parties,
    idp_entity,
    key_descriptor,
    read_folder,
    redirect_url,
    sp_entity,
)

MORE, ENC, ENC11 = (
    "http://www.w3.org/2001/04/xmldsig-more#",
    "http://www.w3.org/2001/04/xmlenc#",
    "http://www.w3.org/2009/xmlenc11#",
)
ALG = "urn:oasis:names:tc:SAML:metadata:algsupport"


def methods(*algorithms: str) -> str:
    """Return EncryptionMethod elements."""
    return "".join(f'<md:EncryptionMethod Algorithm="{each}"/>' for each in algorithms)


def support(signing: list[str], digests: list[str]) -> str:
    """Return the algorithm support extension."""
    listed = [("DigestMethod", each) for each in digests] + [("SigningMethod", each) for each in signing]
    inner = "".join(f'<alg:{name} Algorithm="{each}"/>' for name, each in listed)
    return f'<md:Extensions xmlns:alg="{ALG}">{inner}</md:Extensions>'


def fault(parties: Parties, folder: Path, after: str = "", extensions: str = "") -> str:
    """Return the reason why a service with this metadata is skipped."""
    entity = sp_entity(LOANS, key_descriptor(parties.service.certificate, after=after), before=extensions)
    (folder / "loans.xml").write_text(entity)
    found = metadata_folder.read(folder, WantedIds(services=frozenset((LOANS,))))
    assert found.metadata.services == {}
    return "; ".join(map(str, found.faults[LOANS]))


def service(parties: Parties, folder: Path, after: str = "", extensions: str = "", *, around: str = "") -> Any:
    """Return the parties with an IdP role for a service with this metadata."""
    entity = sp_entity(LOANS, key_descriptor(parties.service.certificate, after=after), before=extensions)
    entity = entity.replace("<md:SPSSODescriptor", around + "<md:SPSSODescriptor", 1)
    (folder / "loans.xml").write_text(entity)
    read = read_folder(folder, set(), {LOANS})
    return replace(parties, idp=replace(parties.idp, metadata=read))


def list_used_algorithms(parties: Parties, folder: Path, **lists: Any) -> dict[str, set[str]]:
    """Return the algorithms of a Response to a service with this metadata; the service verifies and decrypts it."""
    here = service(parties, folder, **lists)
    form = here.idp.respond(here.request, here.disclosure(), here.authentication(), here.make_ids())
    root, plain = here.open_response(form)
    found = {
        each: {str(at.get("Algorithm")) for at in root.iter(f"{{*}}{each}")}
        for each in ("SignatureMethod", "DigestMethod")
    }
    found["within"] = {str(at.get("Algorithm")) for at in plain.iter("{*}SignatureMethod")}
    found["encrypted"] = {str(at.get("Algorithm")) for at in root.iter("{*}EncryptionMethod")}
    refused = safe_parser.parse(here.message(here.idp.refuse(here.request, NO_PASSIVE, "_r1", NOW)), RESPONSE)
    found["refusal"] = {str(at.get("Algorithm")) for at in refused.iter("{*}SignatureMethod")}
    return found


MGF1P = f"{ENC}rsa-oaep-mgf1p"
SEALED = [
    ((), {f"{ENC11}aes128-gcm", MGF1P}),
    ((f"{ENC11}aes128-gcm", MGF1P), {f"{ENC11}aes128-gcm", MGF1P}),
    ((f"{ENC}aes128-cbc", f"{ENC11}aes128-gcm"), {f"{ENC11}aes128-gcm", MGF1P}),
    ((f"{ENC11}aes256-gcm", f"{ENC11}aes128-gcm"), {f"{ENC11}aes128-gcm", MGF1P}),
    ((f"{ENC}aes128-cbc", MGF1P), {f"{ENC}aes128-cbc", MGF1P}),
    ((f"{ENC}aes256-cbc",), {f"{ENC}aes256-cbc", MGF1P}),
    ((f"{ENC11}rsa-oaep",), {f"{ENC11}aes128-gcm", f"{ENC11}rsa-oaep"}),
    ((f"{ENC}rsa-1_5", MGF1P), {f"{ENC11}aes128-gcm", MGF1P}),
]


@pytest.mark.profile(10, 11)
@pytest.mark.parametrize(("listed", "taken"), SEALED)
def test_row_10_encryption_uses_an_algorithm_that_the_service_lists(
    parties: Parties, tmp_path: Path, listed: tuple[str, ...], taken: set[str]
) -> None:
    """The broker uses its best listed algorithm, also if the service lists a weaker one first."""
    assert list_used_algorithms(parties, tmp_path, after=methods(*listed))["encrypted"] == taken


@pytest.mark.profile(10, 11)
@pytest.mark.parametrize("listed", [(f"{ENC}tripledes-cbc",), (f"{ENC11}aes192-gcm",), (f"{ENC}rsa-1_5",)])
def test_row_10_a_service_with_only_weak_encryption_is_skipped(
    parties: Parties, tmp_path: Path, listed: tuple[str, ...]
) -> None:
    """A service that lists none of the broker's algorithms is reported before the first login."""
    assert "or no EncryptionMethod at all" in fault(parties, tmp_path, after=methods(*listed))


@pytest.mark.profile(10, 11)
@pytest.mark.parametrize("size", ["256", "384", "512"])
@pytest.mark.parametrize("place", ["extensions", "around"])
def test_row_10_signatures_use_an_algorithm_that_the_service_lists(
    parties: Parties, tmp_path: Path, size: str, place: str
) -> None:
    """Response, Assertion and error use the only algorithm that the role or the entity of the service lists."""
    digest = f"{MORE}sha384" if size == "384" else f"{ENC}sha{size}"
    lists = {place: support([f"{MORE}rsa-sha{size}"], [digest])}
    found = list_used_algorithms(parties, tmp_path, **lists)
    assert found["SignatureMethod"] == found["within"] == found["refusal"] == {f"{MORE}rsa-sha{size}"}
    assert found["DigestMethod"] - {"http://www.w3.org/2000/09/xmldsig#sha1"} == {digest}


@pytest.mark.profile(10, 11)
@pytest.mark.parametrize(
    ("signing", "digests"),
    [
        (["http://www.w3.org/2000/09/xmldsig#rsa-sha1"], []),
        ([f"{MORE}ecdsa-sha256"], []),
        ([], ["http://www.w3.org/2000/09/xmldsig#sha1"]),
    ],
)
def test_row_10_a_service_with_only_unsupported_signatures_is_a_fault(
    parties: Parties, tmp_path: Path, signing: list[str], digests: list[str]
) -> None:
    """The broker never uses SHA-1, and has RSA keys only, whatever the service lists."""
    assert "none of which we write" in fault(parties, tmp_path, extensions=support(signing, digests))
    both = support([*signing, f"{MORE}rsa-sha256"], [*digests, f"{ENC}sha256"])
    found = list_used_algorithms(parties, tmp_path, extensions=both)
    assert found["SignatureMethod"] == {f"{MORE}rsa-sha256"}


@pytest.mark.profile(10)
def test_row_10_requests_use_an_algorithm_that_the_upstream_lists(parties: Parties, tmp_path: Path) -> None:
    """A hub that lists RSA-SHA512 only receives requests with that signature, and can verify them."""
    entity = idp_entity(HUB, support([f"{MORE}rsa-sha512"], []), key_descriptor(parties.hub.certificate))
    (tmp_path / "hub.xml").write_text(entity)
    read = read_folder(tmp_path, {HUB}, set())
    upstreams = {"wayf": parties.upstreams["wayf"]}
    role = replace(parties.sp, metadata=read, upstreams=upstreams)
    query = redirect_url(role.ask("wayf", "_q1", parties.request, NOW)).partition("?")[2]
    signed = http_bindings.inflate_redirect(query, "SAMLRequest").signed
    assert signed is not None
    assert signed.sigalg == f"{MORE}rsa-sha512"
    ours = [signature.VerifyKey.load(parties.ring.sp.signing.certificate)]
    signature.verify_bytes(signed.octets, signed.signature, signed.sigalg, ours)
    with pytest.raises(MessageRefused):
        signature.verify_bytes(signed.octets, signed.signature, f"{MORE}rsa-sha256", ours)
