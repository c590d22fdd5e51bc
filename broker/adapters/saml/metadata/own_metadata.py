"""Our own metadata: one signed descriptor for the services' side, and one toward each upstream."""

import base64
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from saml2 import md, xmldsig
from saml2.extension import algsupport, mdui, shibmd

from broker.adapters.saml.keys.key_ring import RoleKeys
from broker.adapters.saml.keys.rotation import CACHED_FOR, VALID_FOR
from broker.adapters.saml.messages import addresses
from broker.adapters.saml.messages.upstream_profiles import traits_of
from broker.adapters.saml.xml_security import (
    signature,
    signature_profile,
    written_message,
    xml_times,
)
from broker.adapters.saml.xml_security.algorithm_selection import CBC, GCM, OAEP
from broker.adapters.saml.xml_security.xml_names import POST, REDIRECT, RSA_SHA256, SAMLP
from broker.core.entities import PERSISTENT, TRANSIENT, Text, Upstream

_GCM: Final = GCM[::-1]  # the strongest first, because hubs use the first one
_LANGUAGES: Final = ("en", "da")


@dataclass(frozen=True, slots=True)
class RoleDescription:
    """The texts and addresses in the descriptor of a role."""

    base_url: str
    entity_id: str
    display_name: Text
    description: Text
    organization: Text
    technical_contact: str  # a mail address
    privacy_statement: Text | None = None


def write_idp_descriptor(
    role: RoleDescription, keys: RoleKeys, scopes: Iterable[str], now: datetime
) -> bytes:
    """Return the signed descriptor of the IdP role.

    ``scopes`` are the scopes of all institutions: services drop values with a scope that is not
    published (docs/reference/interop.md#scopes). Sources: saml-metadata 2.4,
    docs/reference/saml-profiles.md#7 to #10.
    """
    scope_elements = [shibmd.Scope(regexp="false", text=scope) for scope in sorted(set(scopes))]
    sso = addresses.sso_url(role.base_url)
    role_descriptor = md.IDPSSODescriptor(
        protocol_support_enumeration=SAMLP,
        # Our help page for persons whom a service refused (REFEDS errorURL).
        error_url=addresses.error_url(role.base_url),
        extensions=_extensions(*scope_elements, _ui(role)),
        key_descriptor=_keys(keys, _GCM),
        single_logout_service=_slo(addresses.idp_logout_url(role.base_url)),
        name_id_format=[md.NameIDFormat(text=each) for each in (PERSISTENT, TRANSIENT)],
        single_sign_on_service=[
            md.SingleSignOnService(binding=each, location=sso) for each in (REDIRECT, POST)
        ],
    )
    return _sign(_entity(role, now, idpsso_descriptor=role_descriptor), keys)


def write_sp_descriptor(
    upstream: Upstream, role: RoleDescription, keys: RoleKeys, now: datetime
) -> bytes:
    """Return the signed descriptor of our SP role toward one upstream.

    AES-CBC is listed only for an upstream that needs it. No encryption key is listed for an
    upstream with encryption = "none". A hub takes the NameID format from here, because our requests
    name none (docs/reference/saml-profiles.md#13). For WAYF only transient is listed, for others
    persistent first.
    """
    formats = [PERSISTENT, TRANSIENT]
    if upstream.profile == "wayf":
        formats = [TRANSIENT]
    acs = addresses.acs_url(role.base_url, upstream.name)
    role_descriptor = md.SPSSODescriptor(
        protocol_support_enumeration=SAMLP,
        authn_requests_signed="true",
        want_assertions_signed="true",
        extensions=_extensions(_ui(role)),
        key_descriptor=_keys(keys, _content_algorithms(upstream)),
        single_logout_service=_slo(addresses.sp_logout_url(role.base_url, upstream.name)),
        name_id_format=[md.NameIDFormat(text=each) for each in formats],
        assertion_consumer_service=[
            md.AssertionConsumerService(binding=POST, location=acs, index="0", is_default="true")
        ],
    )
    entity = _entity(role, now, entity_id=upstream.sp_entity_id, spsso_descriptor=role_descriptor)
    return _sign(entity, keys)


def _content_algorithms(upstream: Upstream) -> tuple[str, ...]:
    """Return the algorithms with which the upstream may encrypt; none if no key is listed."""
    if upstream.encryption == "none":
        return ()
    # AES-CBC is safe only inside a signed Response. An OIOSAML 3 upstream signs only the Assertion.
    if upstream.encryption == "cbc" and not traits_of(upstream).strict:
        return (*_GCM, *CBC)
    return _GCM


def _slo(location: str) -> list[md.SingleLogoutService]:
    bindings = (REDIRECT, POST)
    return [md.SingleLogoutService(binding=binding, location=location) for binding in bindings]


def _entity(role: RoleDescription, now: datetime, **role_descriptor: Any) -> md.EntityDescriptor:
    return md.EntityDescriptor(
        id=f"_{secrets.token_hex(16)}",
        valid_until=xml_times.write(now + VALID_FOR),
        cache_duration=f"PT{CACHED_FOR // timedelta(hours=1)}H",
        extensions=_extensions(*_signature_algorithms()),
        organization=_organization(role),
        contact_person=[_technical_contact(role)],
        **{"entity_id": role.entity_id, **role_descriptor},
    )


def _signature_algorithms() -> Iterator[Any]:
    for digest in sorted(signature_profile.DIGEST_METHODS):
        yield algsupport.DigestMethod(algorithm=digest)
    # RSA-SHA256 first: mod_shib signs with the first one that it knows
    # (docs/reference/interop.md#signing-method). SHA-1 is not listed.
    others = signature_profile.SIGNATURE_METHODS - {RSA_SHA256}
    for method in (RSA_SHA256, *sorted(others)):
        yield algsupport.SigningMethod(algorithm=method)


def _organization(role: RoleDescription) -> md.Organization:
    return md.Organization(
        organization_name=_texts(md.OrganizationName, role.organization),
        organization_display_name=_texts(md.OrganizationDisplayName, role.organization),
        organization_url=_texts(md.OrganizationURL, Text(role.base_url, role.base_url)),
    )


def _technical_contact(role: RoleDescription) -> md.ContactPerson:
    address = md.EmailAddress(text=f"mailto:{role.technical_contact}")
    return md.ContactPerson(contact_type="technical", email_address=[address])


def _ui(role: RoleDescription) -> mdui.UIInfo:
    return mdui.UIInfo(
        display_name=_texts(mdui.DisplayName, role.display_name),
        description=_texts(mdui.Description, role.description),
        privacy_statement_url=_texts(mdui.PrivacyStatementURL, role.privacy_statement),
    )


def _texts(kind: Any, text: Text | None) -> list[Any]:
    if text is None:
        return []
    return [kind(text=text[language], lang=language) for language in _LANGUAGES]


def _extensions(*elements: Any) -> md.Extensions:
    return md.Extensions(extension_elements=elements)


def _keys(keys: RoleKeys, content_algorithms: Sequence[str]) -> list[md.KeyDescriptor]:
    signing = [
        md.KeyDescriptor(use="signing", key_info=_key_info(certificate))
        for certificate in keys.signing_certificates
    ]
    if not content_algorithms:
        return signing
    algorithms = (*content_algorithms, *OAEP)
    encryption = md.KeyDescriptor(
        use="encryption",
        key_info=_key_info(keys.encryption_certificate),
        encryption_method=[md.EncryptionMethod(algorithm=name) for name in algorithms],
    )
    return [*signing, encryption]


def _key_info(certificate: bytes) -> xmldsig.KeyInfo:
    der = x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
    written = xmldsig.X509Certificate(text=base64.b64encode(der).decode())
    return xmldsig.KeyInfo(x509_data=xmldsig.X509Data(x509_certificate=written))


def _sign(entity: md.EntityDescriptor, keys: RoleKeys) -> bytes:
    root = written_message.tree(entity)
    signature.sign(root, keys.load_signing_key())
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)
