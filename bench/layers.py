"""Assigns the CPU time of a login to layers, which are parts of the source tree.

The innermost frame of a sample that lies in the table decides the layer. The time of a library (lxml, xmlsec, sqlite3)
therefore counts for its caller, and time without such a frame for the framework. The longest match wins;
``file.py:name`` is one function or class.
"""

from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Final

WRITING: Final = "writing"
SIGNATURES: Final = "signatures"
ENCRYPTION: Final = "encryption"
VERIFICATION: Final = "verification"
XML_SECURITY: Final = "XML security and schema"
CHECKS: Final = "checks and reading"
ENCODING: Final = "encoding"
STORE: Final = "store"
RECORDS: Final = "sealing and records"
AUDIT_LOG: Final = "audit log"
POLICY: Final = "attributes and policy"
FLOW: Final = "flow"
HMACS: Final = "HMACs"
FRAMEWORK: Final = "Flask and Werkzeug"
PAGE: Final = "page and language"
LEAVING: Final = "cookies and leaving"
LOG: Final = "log and metrics"
SERVER: Final = "server"

# The layers in the order of a login, and the source files of each.
PLACES: Final[dict[str, tuple[str, ...]]] = {
    FRAMEWORK: ("broker/adapters/web/", "broker/app/"),
    ENCODING: ("broker/adapters/saml/xml_security/http_bindings.py",),
    XML_SECURITY: ("broker/adapters/saml/xml_security/",),
    VERIFICATION: (
        "broker/adapters/saml/xml_security/signature.py",
        "broker/adapters/saml/xml_security/signature_profile.py",
    ),
    CHECKS: ("broker/adapters/saml/",),
    FLOW: ("broker/use_cases/", "broker/core/", "broker/adapters/web/login/"),
    POLICY: ("broker/core/identity/", "broker/core/policy/", "broker/core/consent/", "broker/configuration/"),
    HMACS: ("broker/core/lookup_hmacs.py",),
    RECORDS: ("broker/use_cases/storage/records.py", "broker/adapters/stores/encrypted_store.py"),
    STORE: ("broker/adapters/stores/",),
    AUDIT_LOG: ("broker/adapters/audit_log/", "broker/core/events/audit_events.py"),
    WRITING: (
        "broker/adapters/saml/sp/authn_request_writer.py",
        "broker/adapters/saml/idp/response_writer.py",
        "broker/adapters/saml/sp/service_provider.py:ServiceProvider.ask",
        "broker/adapters/saml/xml_security/written_message.py",
    ),
    SIGNATURES: (
        "broker/adapters/saml/xml_security/http_bindings.py:build_signed_message",
        "broker/adapters/saml/xml_security/http_bindings.py:build_signed_form",
        "broker/adapters/saml/xml_security/signature.py:sign",
        "broker/adapters/saml/xml_security/signature.py:sign_bytes",
    ),
    ENCRYPTION: ("broker/adapters/saml/xml_security/encryption.py",),
    PAGE: (
        "broker/adapters/web/pages/",
        "broker/adapters/web/page_layout.py",
        "broker/adapters/web/templates/",
        "broker/adapters/translations/",
    ),
    LEAVING: (
        "broker/adapters/web/pages/cookies.py",
        "broker/adapters/web/pages/page_security.py",
        "broker/adapters/web/pages/cookies.py",
        "broker/adapters/web/pages/outgoing_saml.py",
        "broker/adapters/web/pages/page_security.py",
    ),
    LOG: ("broker/adapters/observability/", "broker/core/events/broker_events.py"),
}
LAYERS: Final = (*PLACES, SERVER)


def prefixes() -> Iterator[tuple[str, str]]:
    """Yield every place of the table and its layer."""
    for layer, places in PLACES.items():
        for place in places:
            yield place, layer


class LayerFinder:
    """Finds the layer of a frame; looks each code object up once."""

    def __init__(self) -> None:
        """Sort the table, the longest place first."""
        self._longest_first = sorted(prefixes(), key=lambda entry: len(entry[0]), reverse=True)
        self._known: dict[CodeType, str | None] = {}

    def layer(self, frame: FrameType | None) -> str:
        """Return the layer of the innermost frame in the table, or else the framework."""
        while frame is not None:
            code = frame.f_code
            if code not in self._known:
                self._known[code] = self._find_layer(code.co_filename, code.co_qualname)
            layer = self._known[code]
            if layer:
                return layer
            frame = frame.f_back
        return FRAMEWORK

    def _find_layer(self, file: str, name: str) -> str | None:
        for place, layer in self._longest_first:
            file_part, _, function = place.partition(":")
            is_it = not function or f"{name}.".startswith(f"{function}.")
            if is_it and f"/{file_part}" in file:
                return layer
        return None
