"""Addresses of our SAML endpoints, which our metadata publishes and received messages must name."""

from typing import Final

# Query parameters of our error page, and the placeholders that a service replaces by its values.
_ERROR_PARAMETERS: Final = {"code": "CODE", "ts": "TS", "rp": "RP", "tid": "TID", "ctx": "CTX"}


def sso_url(base_url: str) -> str:
    """Return our SingleSignOnService, for both bindings."""
    return f"{base_url}/saml/idp/sso"


def acs_url(base_url: str, upstream: str) -> str:
    """Return our AssertionConsumerService toward one upstream; no other upstream may use it."""
    return f"{base_url}/saml/sp/{upstream}/acs"


def idp_logout_url(base_url: str) -> str:
    """Return our SingleLogoutService toward services, for both bindings."""
    return f"{base_url}/saml/idp/slo"


def sp_logout_url(base_url: str, upstream: str) -> str:
    """Return our SingleLogoutService toward one upstream, for both bindings."""
    return f"{base_url}/saml/sp/{upstream}/slo"


def error_url(base_url: str) -> str:
    """Return our errorURL, the page that helps a person whom a service could not let in.

    It contains the placeholders of REFEDS "SAML Metadata errorURL Attribute" 1.0
    (docs/reference/saml-profiles.md#50).
    """
    parameters = [f"{name}=ERRORURL_{part}" for name, part in _ERROR_PARAMETERS.items()]
    return f"{base_url}/error?" + "&".join(parameters)
