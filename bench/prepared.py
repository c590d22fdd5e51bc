"""Writes what the service and the hub send in a measured login, at little cost.

The simulated parties write a whole message twice a minute. Each login gets it with new ids; the hub's Assertion is
digested and signed again. A load program that wrote each message as a whole would need as much of the processors as the
broker, and the broker would wait for it.
"""

import base64
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

from lxml import etree

from broker.adapters.saml.xml_security import http_bindings, signature, xml_names
from broker.demo.library import services
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB
from broker.demo.upstreams import wayf_hub

_RENEWED_AFTER_S: Final = 30.0
_RANDOM_ID: Final = re.compile(rb"_[0-9a-f]{16,}\b")
_REQUEST_ID: Final = re.compile(rb'\bID="([^"]+)"')

Written = TypeVar("Written")


@dataclass(slots=True)
class Renewed(Generic[Written]):
    """A message that is written again twice a minute, because its times run out."""

    write: Callable[[], Written]
    written: Written | None = None
    until: float = 0.0

    def read(self) -> Written:
        """Return the message."""
        if self.written is None or time.monotonic() > self.until:
            self.written = self.write()
            self.until = time.monotonic() + _RENEWED_AFTER_S
        return self.written


@dataclass(frozen=True, slots=True)
class _HubMessage:
    """A Response of the hub, and what its signature covers: the octets of its Assertion, and SignedInfo."""

    xml: bytes
    asked: bytes
    assertion: bytes
    signed_info: bytes


@dataclass
class PreparedService:
    """The service: it asks the broker for a login."""

    site: services.Site
    peer: services.BrokerAsIdp
    relay_state: str
    _request: Renewed[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._request = Renewed(self._write)

    def make_url(self) -> str:
        """Return the URL of a new AuthnRequest."""
        xml = _replace_ids(self._request.read(), {})
        return http_bindings.build_redirect_url(self.peer.sso, "SAMLRequest", xml, self.relay_state, None)

    def _write(self) -> bytes:
        url = services.request_url(self.site, self.relay_state, self.peer, force=False, passive=False)
        return http_bindings.inflate_redirect(urlsplit(url).query, "SAMLRequest").xml


@dataclass
class PreparedHub:
    """The hub: it reads the broker's AuthnRequest, and answers that asta has logged in."""

    key: signature.SigningKey
    _asked: wayf_hub.ReceivedAuthnRequest | None = None
    _response: Renewed[_HubMessage] = field(init=False)

    def __post_init__(self) -> None:
        self._response = Renewed(self._write)

    def answer(self, query: str) -> tuple[str, dict[str, str]]:
        """Return the broker's ACS and the fields of the form that the hub posts there."""
        self._asked = self._asked or wayf_hub.read(query)
        carried = http_bindings.inflate_redirect(query, "SAMLRequest")
        found = _REQUEST_ID.search(carried.xml)
        assert found
        xml = self._sign(self._response.read(), found[1])
        return self._asked.acs, http_bindings.build_post_fields(xml, "SAMLResponse", carried.relay_state)

    def _write(self) -> _HubMessage:
        assert self._asked
        xml = wayf_hub.response(HUB, self._asked, persona("asta"), self.key, datetime.now(UTC))
        assertion = etree.fromstring(xml).find(xml_names.ASSERTION)
        assert assertion is not None
        covered = signature.verify(assertion, [self.key.private.public_key()])
        signed_info = assertion.find(f"{xml_names.SIGNATURE}/{xml_names.SIGNED_INFO}")
        assert signed_info is not None
        canonical = etree.tostring(signed_info, method="c14n", exclusive=True, with_comments=False)
        return _HubMessage(xml, self._asked.id.encode(), covered, canonical)

    def _sign(self, written: _HubMessage, asked: bytes) -> bytes:
        """Return the Response with new ids, a new digest, and a new signature."""
        ids = {written.asked: asked}
        xml = _replace_ids(written.xml, ids)
        digest = base64.b64encode(hashlib.sha256(_replace_ids(written.assertion, ids)).digest())
        signed_info = _replace_value(_replace_ids(written.signed_info, ids), b"DigestValue", digest)
        signed = base64.b64encode(signature.sign_bytes(signed_info, self.key))
        return _replace_value(_replace_value(xml, b"DigestValue", digest), b"SignatureValue", signed)


def _replace_ids(text: bytes, ids: dict[bytes, bytes]) -> bytes:
    """Return a message with another id for each of its random ones; ``ids`` keeps which for which."""
    return _RANDOM_ID.sub(lambda found: ids.setdefault(found[0], _draw_like(found[0])), text)


def _draw_like(known: bytes) -> bytes:
    return b"_" + token_hex(len(known) // 2).encode()


def _replace_value(text: bytes, name: bytes, value: bytes) -> bytes:
    """Return ``text`` with another value in its only element of this name."""
    before, tag, rest = text.partition(name + b">")
    return before + tag + value + rest[rest.index(b"<") :]
