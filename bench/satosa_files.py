"""Writes SATOSA's configuration: a proxy from the demo's hub to the demo's service, signing and encrypting as we do."""

import json
from pathlib import Path
from typing import Any, Final

from broker.demo.saml.key_pair import KeyPair

_BINDING: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-"
_URI: Final = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
_ALGORITHMS: Final = {
    "signing_algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
}
# As many as our policy for students releases; the eppn stands where the borrower number does.
ATTRIBUTES: Final = {
    "eppn": "eduPersonPrincipalName",
    "givenname": "givenName",
    "surname": "sn",
    "mail": "mail",
    "cpr": "schacPersonalUniqueID",
    "affiliation": "eduPersonScopedAffiliation",
}


def write_files(folder: Path, origin: str, own: KeyPair, metadata: Path, *, encrypts: bool) -> Path:
    """Write keys and configuration (JSON, which its YAML reader takes) and return the path of the latter."""
    (folder / "own.key").write_text(own.key)
    (folder / "own.crt").write_text(own.certificate)
    keys = {"key_file": str(folder / "own.key"), "cert_file": str(folder / "own.crt")}
    path = folder / "proxy_conf.yaml"
    proxy = {
        "BASE": origin,
        "COOKIE_STATE_NAME": "SATOSA_STATE",
        "COOKIE_SECURE": False,
        "COOKIE_HTTPONLY": True,
        "STATE_ENCRYPTION_KEY": "of the benchmark, which protects nothing",
        "INTERNAL_ATTRIBUTES": {"attributes": {name: {"saml": [wire]} for name, wire in ATTRIBUTES.items()}},
        "BACKEND_MODULES": [_backend(origin, keys, str(metadata / "hub.xml"))],
        "FRONTEND_MODULES": [_frontend(origin, keys, str(metadata / "my-loans.xml"), encrypts=encrypts)],
        # By default it writes every message down, CPR numbers and all.
        "LOGGING": {
            "version": 1,
            "handlers": {"out": {"class": "logging.StreamHandler"}},
            "root": {"level": "ERROR", "handlers": ["out"]},
        },
    }
    path.write_text(json.dumps(proxy))
    return path


def _backend(origin: str, keys: dict[str, str], metadata: str) -> dict[str, Any]:
    """Return the SP role toward the hub: a service provider that signs what it asks and wants the assertion signed."""
    service = {
        "name": "yardstick",
        "endpoints": {"assertion_consumer_service": [[f"{origin}/hub/acs/post", _BINDING + "POST"]]},
        "authn_requests_signed": True,
        "want_response_signed": False,
        "want_assertions_signed": True,
        "allow_unsolicited": False,
        **_ALGORITHMS,
    }
    entity = {"entityid": f"{origin}/hub/proxy.xml", "metadata": {"local": [metadata]}, "service": {"sp": service}}
    return {
        "module": "satosa.backends.saml2.SAMLBackend",
        "name": "hub",
        "config": {"entityid_endpoint": True, "sp_config": {**entity, **keys}},
    }


def _frontend(origin: str, keys: dict[str, str], metadata: str, *, encrypts: bool) -> dict[str, Any]:
    """Return the IdP role toward services: an identity provider that signs both, and may encrypt the assertion."""
    policy = {
        "sign_response": True,
        "sign_assertion": True,
        "encrypt_assertion": encrypts,
        "name_form": _URI,
        "attribute_restrictions": None,
        "fail_on_missing_requested": False,
    }
    service = {
        "name": "yardstick",
        "endpoints": {"single_sign_on_service": []},
        "policy": {"default": policy},
        **_ALGORITHMS,
    }
    entity = {"entityid": f"{origin}/idp/proxy.xml", "metadata": {"local": [metadata]}, "service": {"idp": service}}
    return {
        "module": "satosa.frontends.saml2.SAMLFrontend",
        "name": "idp",
        "config": {
            "entityid_endpoint": True,
            "idp_config": {**entity, **keys},
            "endpoints": {"single_sign_on_service": {_BINDING + "Redirect": "sso/redirect"}},
        },
    }
