"""pysaml2 settings that the service and the identity provider share, and the pages of the services in Python."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from flask import Flask, Response, make_response, redirect
from markupsafe import escape

XMLSEC: Final = "/usr/bin/xmlsec1"
SIGNED: Final = {
    "signing_algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
}


def common(entity_id: str, key: Path) -> dict[str, Any]:
    """Return the shared settings; ``key`` is the path of the key and certificate files without the suffix."""
    pair = {"key_file": f"{key}.key", "cert_file": f"{key}.crt"}
    return {"entityid": entity_id, "xmlsec_binary": XMLSEC, "allow_unknown_attributes": True, **pair}


def make_app(service: Any) -> Flask:
    """Return a Flask app with the pages of a service."""
    app = Flask(__name__)
    app.add_url_rule("/protected/", "protected", service.show_attributes)
    app.add_url_rule("/acs", "acs", service.acs, methods=["POST"])
    app.add_url_rule("/logout", "logout", service.logout)
    app.add_url_rule("/slo", "slo", service.slo)
    return app


def redirect_to(sent: Mapping[str, Any]) -> Response:
    """Redirect the browser to the address that pysaml2 made for the Redirect binding."""
    return make_response(redirect(dict(sent["headers"])["Location"]))


def show_lines(**values: object) -> Response:
    """Return a page with one line NAME=value for each argument."""
    lines = "\n".join(f"{name}={value}" for name, value in values.items())
    return make_response(f"<title>pysaml2</title><pre id=seen>{escape(lines)}</pre>")
