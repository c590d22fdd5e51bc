"""What pysaml2 is told on either side of the broker, and how its messages go on their way."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from flask import Response, make_response, redirect
from markupsafe import escape

XMLSEC: Final = "/usr/bin/xmlsec1"
SIGNED: Final = {
    "signing_algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
}


def common(entity_id: str, key: Path) -> dict[str, Any]:
    """Give what both sides are told; ``key`` is the stem of the key and certificate files."""
    pair = {"key_file": f"{key}.key", "cert_file": f"{key}.crt"}
    return {"entityid": entity_id, "xmlsec_binary": XMLSEC, "allow_unknown_attributes": True, **pair}


def away(sent: Mapping[str, Any]) -> Response:
    """Send the browser where a message that pysaml2 packed for the Redirect binding goes."""
    return make_response(redirect(dict(sent["headers"])["Location"]))


def told(**what: object) -> Response:
    """Give a page that says what happened, as lines of NAME=value."""
    lines = "\n".join(f"{name}={value}" for name, value in what.items())
    return make_response(f"<title>pysaml2</title><pre id=seen>{escape(lines)}</pre>")
