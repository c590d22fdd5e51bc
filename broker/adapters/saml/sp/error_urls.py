"""errorURLs, the pages for people whom a service could not let in: ours, and an upstream's.

Source: REFEDS "SAML Metadata errorURL Attribute" 1.0; docs/reference/saml-profiles.md#50.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import quote

_PARTS: Final = {"code": "CODE", "ts": "TS", "rp": "RP", "tid": "TID", "ctx": "CTX"}


def published_error_url(base_url: str) -> str:
    """Return the address of our page, with the placeholders that services fill in."""
    parameters = [f"{name}=ERRORURL_{part}" for name, part in _PARTS.items()]
    return f"{base_url}/error?" + "&".join(parameters)


def filled_error_url(template: str, given: Mapping[str, str], at: datetime) -> str:
    """Return an upstream's address with the placeholders filled in and escaped.

    ``given`` are CODE, RP, TID and CTX, which holds names of attributes and never values.
    """
    values = {**given, "TS": str(int(at.timestamp()))}
    filled = template
    for part, value in values.items():
        filled = filled.replace(f"ERRORURL_{part}", quote(value, safe=""))
    return filled
