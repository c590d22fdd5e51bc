"""Addresses of pages for people whom a service could not let in: ours as published, an upstream's filled in.

Source: REFEDS "SAML Metadata errorURL Attribute" 1.0; saml_profiles.md row 50.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import quote

_PARTS: Final = {"code": "CODE", "ts": "TS", "rp": "RP", "tid": "TID", "ctx": "CTX"}


def published_error_url(base_url: str) -> str:
    """Give the address of our page, with the placeholders that services fill in."""
    return f"{base_url}/error?" + "&".join(
        f"{name}=ERRORURL_{part}" for name, part in _PARTS.items()
    )


def filled_error_url(template: str, given: Mapping[str, str], at: datetime) -> str:
    """Give an upstream's address with the placeholders filled in, each escaped.

    ``given`` says CODE, RP, TID and CTX, which holds names of attributes and never values.
    """
    for part, value in {**given, "TS": str(int(at.timestamp()))}.items():
        template = template.replace(f"ERRORURL_{part}", quote(value, safe=""))
    return template
