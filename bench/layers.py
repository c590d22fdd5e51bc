"""Where the CPU time of a login goes: the rooms of the broker by layer, and the table that says which is which.

A layer is a part of the source tree: the innermost frame of a sample that lies in a room of the table says whose the
moment is. What a library spends (lxml, xmlsec, sqlite3) is so the room's that called it, and what no room called is
the framework's. The longest match wins; ``room.py:name`` is one function or class of a room.
"""

from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Final

WRITING: Final = "writing"
SIGNATURES: Final = "signatures"
ENCRYPTION: Final = "encryption"
VERIFICATION: Final = "verification"
GATE: Final = "gate and schema"
CHECKS: Final = "checks and reading"
ENCODING: Final = "encoding"
STORE: Final = "store"
RECORDS: Final = "sealing and records"
AUDIT_LOG: Final = "trail"
POLICY: Final = "attributes and policy"
FLOW: Final = "flow"
HMACS: Final = "HMACs"
FRAMEWORK: Final = "Flask and Werkzeug"
PAGE: Final = "page and language"
LEAVING: Final = "cookies and leaving"
LOG: Final = "log and metrics"
SERVER: Final = "server"

# The layers in the order in which a login passes them, and the rooms of each.
ROOMS: Final[dict[str, tuple[str, ...]]] = {
    FRAMEWORK: ("broker/adapters/web/", "broker/app/"),
    ENCODING: ("broker/adapters/saml/xml_security/http_bindings.py",),
    GATE: ("broker/adapters/saml/xml_security/",),
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
        "broker/adapters/saml/xml_security/outgoing_message.py",
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
LAYERS: Final = (*ROOMS, SERVER)


def prefixes() -> Iterator[tuple[str, str]]:
    """Yield every place of the table and its layer."""
    for layer, places in ROOMS.items():
        for place in places:
            yield place, layer


class Rooms:
    """The table, asked by frame; each code object is looked up once."""

    def __init__(self) -> None:
        """Begin with nothing looked up."""
        self._longest_first = sorted(prefixes(), key=lambda entry: len(entry[0]), reverse=True)
        self._known: dict[CodeType, str | None] = {}

    def layer(self, frame: FrameType | None) -> str:
        """Return the layer of the innermost frame that lies in a room; where none does, the framework's."""
        while frame is not None:
            code = frame.f_code
            if code not in self._known:
                self._known[code] = self._of(code.co_filename, code.co_qualname)
            layer = self._known[code]
            if layer:
                return layer
            frame = frame.f_back
        return FRAMEWORK

    def _of(self, file: str, name: str) -> str | None:
        for place, layer in self._longest_first:
            room, _, function = place.partition(":")
            is_it = not function or f"{name}.".startswith(f"{function}.")
            if is_it and f"/{room}" in file:
                return layer
        return None
