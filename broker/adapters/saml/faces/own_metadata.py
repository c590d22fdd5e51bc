"""Our own metadata: one signed descriptor for the services' side, and one toward each upstream."""

import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from saml2 import element_to_extension_element, md, xmldsig
from saml2.extension import algsupport, mdui, shibmd

from broker.adapters.saml.faces import identity_provider, service_provider, single_logout
from broker.adapters.saml.gate import signature, signature_profile, xml_times
from broker.adapters.saml.gate.xml_names import POST, REDIRECT, SAMLP, XENC, XENC11
from broker.adapters.saml.keys.key_ring import FaceKeys
from broker.adapters.saml.keys.rotation_times import CACHED_FOR, VALID_FOR
from broker.core.entities import PERSISTENT, TRANSIENT, Text, Upstream

_GCM: Final = (f"{XENC11}aes256-gcm", f"{XENC11}aes128-gcm")
_CBC: Final = (f"{XENC}aes256-cbc", f"{XENC}aes128-cbc")
_OAEP: Final = (f"{XENC}rsa-oaep-mgf1p", f"{XENC11}rsa-oaep")
_LANGUAGES: Final = ("en", "da")


@dataclass(frozen=True, slots=True)
class Front:
    """How a face presents itself: names and addresses in both languages, and whom peers write to.

    ``error_url`` is a page of ours that helps a person whom a service could not let in (REFEDS
    errorURL), if any.
    """

    base_url: str
    entity_id: str
    display_name: Text
    description: Text
    organization: Text
    organization_url: Text
    technical_contact: str  # a mail address
    privacy_statement: Text | None = None
    error_url: str | None = None


def idp(front: Front, keys: FaceKeys, scopes: Iterable[str], now: datetime) -> bytes:
    """Give the signed descriptor of the face that services see.

    ``scopes`` are those of every upstream institution: services drop values of a scope that is not
    published (interop.md). Sources: saml-metadata 2.4, saml_profiles.md rows 7-10.
    """
    scoped = [shibmd.Scope(regexp="false", text=each) for each in sorted(set(scopes))]
    sso = identity_provider.sso(front.base_url)
    role = md.IDPSSODescriptor(
        protocol_support_enumeration=SAMLP,
        error_url=front.error_url,
        extensions=_extensions(*scoped, _ui(front)),
        key_descriptor=_keys(keys, _GCM),
        single_logout_service=_slo(single_logout.service_side(front.base_url)),
        name_id_format=[md.NameIDFormat(text=each) for each in (PERSISTENT, TRANSIENT)],
        single_sign_on_service=[
            md.SingleSignOnService(binding=each, location=sso) for each in (REDIRECT, POST)
        ],
    )
    return _signed(_entity(front, now, idpsso_descriptor=role), keys)


def sp(upstream: Upstream, front: Front, keys: FaceKeys, now: datetime) -> bytes:
    """Give the signed descriptor of our face toward one upstream; AES-CBC is offered to one that needs it only.

    A hub takes the NameID format from here, since our requests name none (saml_profiles.md row 13):
    transient, unless the profile wants the persistent one.
    """
    formats = (TRANSIENT,) if upstream.profile == "wayf" else (PERSISTENT, TRANSIENT)
    acs = service_provider.acs(front.base_url, upstream.name)
    role = md.SPSSODescriptor(
        protocol_support_enumeration=SAMLP,
        authn_requests_signed="true",
        want_assertions_signed="true",
        extensions=_extensions(_ui(front)),
        key_descriptor=_keys(keys, (*_GCM, *_CBC) if upstream.cbc else _GCM),
        single_logout_service=_slo(single_logout.upstream_side(front.base_url, upstream.name)),
        name_id_format=[md.NameIDFormat(text=each) for each in formats],
        assertion_consumer_service=[
            md.AssertionConsumerService(binding=POST, location=acs, index="0", is_default="true")
        ],
    )
    return _signed(
        _entity(front, now, entity_id=upstream.sp_entity_id, spsso_descriptor=role), keys
    )


def _slo(location: str) -> list[md.SingleLogoutService]:
    return [md.SingleLogoutService(binding=each, location=location) for each in (REDIRECT, POST)]


def _entity(front: Front, now: datetime, **role: Any) -> md.EntityDescriptor:
    digests = [
        algsupport.DigestMethod(algorithm=each) for each in sorted(signature_profile.DIGEST_METHODS)
    ]
    # RSA-SHA256 first: mod_shib signs with the first that it knows (interop.md), and SHA-1 is not
    # among them.
    methods = sorted(
        signature_profile.SIGNATURE_METHODS,
        key=lambda each: (each != signature_profile.RSA_SHA256, each),
    )
    return md.EntityDescriptor(
        id=f"_{secrets.token_hex(16)}",
        valid_until=xml_times.write(now + VALID_FOR),
        cache_duration=f"PT{CACHED_FOR // timedelta(hours=1)}H",
        extensions=_extensions(
            *digests, *(algsupport.SigningMethod(algorithm=each) for each in methods)
        ),
        organization=md.Organization(
            organization_name=_texts(md.OrganizationName, front.organization),
            organization_display_name=_texts(md.OrganizationDisplayName, front.organization),
            organization_url=_texts(md.OrganizationURL, front.organization_url),
        ),
        contact_person=[
            md.ContactPerson(
                contact_type="technical",
                email_address=[md.EmailAddress(text=f"mailto:{front.technical_contact}")],
            )
        ],
        **{"entity_id": front.entity_id, **role},
    )


def _ui(front: Front) -> mdui.UIInfo:
    return mdui.UIInfo(
        display_name=_texts(mdui.DisplayName, front.display_name),
        description=_texts(mdui.Description, front.description),
        privacy_statement_url=_texts(mdui.PrivacyStatementURL, front.privacy_statement),
    )


def _texts(kind: Any, text: Text | None) -> list[Any]:
    return [kind(text=text[language], lang=language) for language in _LANGUAGES] if text else []


def _extensions(*elements: Any) -> md.Extensions:
    return md.Extensions(
        extension_elements=[element_to_extension_element(each) for each in elements]
    )


def _keys(keys: FaceKeys, contents: Iterable[str]) -> list[md.KeyDescriptor]:
    signing = [
        md.KeyDescriptor(use="signing", key_info=_key_info(each))
        for each in keys.signing_certificates
    ]
    encryption = md.KeyDescriptor(
        use="encryption",
        key_info=_key_info(keys.encryption_certificate),
        encryption_method=[md.EncryptionMethod(algorithm=each) for each in (*contents, *_OAEP)],
    )
    return [*signing, encryption]


def _key_info(certificate: bytes) -> xmldsig.KeyInfo:
    der = x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
    return xmldsig.KeyInfo(
        x509_data=xmldsig.X509Data(
            x509_certificate=xmldsig.X509Certificate(text=base64.b64encode(der).decode())
        )
    )


def _signed(entity: md.EntityDescriptor, keys: FaceKeys) -> bytes:
    root = etree.fromstring(entity.to_string())
    signature.sign(root, signature.SigningKey.of(keys.signing.private, keys.signing.certificate))
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)
