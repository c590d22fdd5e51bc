"""Writes what the service and the hub send in a measured login, at little cost.

The simulated parties write a whole message twice a minute. Each login gets it with new ids; the hub's Assertion is
digested and signed again. A load program that wrote each message as a whole would need as much of the processors as the
broker, and the broker would wait for it.
"""

import base64
import hashlib
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from secrets import token_hex
from typing import Final
from urllib.parse import urlsplit

from lxml import etree

from broker.adapters.saml.xml_security import http_bindings, signature, xml_names
from broker.demo.library import services
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB
from broker.demo.upstreams import wayf_hub
from broker.demo.upstreams.assertion_writer import ReceivedAuthnRequest

_RENEWED_AFTER_S: Final = 30.0
_RANDOM_ID: Final = re.compile(rb"_[0-9a-f]{16,}\b")
_REQUEST_ID: Final = re.compile(rb'\bID="([^"]+)"')


@dataclass(frozen=True, slots=True)
class _HubMessage:
    """A Response of the hub, and what its signature covers: the octets of its Assertion, and SignedInfo."""

    in_response_to: bytes  # the request that was answered when the message was written
    xml: bytes
    assertion: bytes
    signed_info: bytes


@dataclass(eq=False)
class PreparedService:
    """The service: it asks the broker for a login."""

    site: services.Site
    peer: services.BrokerAsIdp
    relay_state: str

    def make_url(self) -> str:
        """Return the URL of a new AuthnRequest."""
        xml = _replace_ids(_write_request(self, time.monotonic() // _RENEWED_AFTER_S), {})
        return http_bindings.build_redirect_url(self.peer.sso, "SAMLRequest", xml, self.relay_state, None)


@dataclass(eq=False)
class PreparedHub:
    """The hub: it reads the broker's AuthnRequest, and answers that asta has logged in."""

    key: signature.SigningKey
    first: ReceivedAuthnRequest | None = None

    def answer(self, query: str) -> tuple[str, dict[str, str]]:
        """Return the broker's ACS and the fields of the form that the hub posts there."""
        self.first = self.first or wayf_hub.read(query)
        carried = http_bindings.read_redirect(query, "SAMLRequest")
        found = _REQUEST_ID.search(carried.xml)
        assert found
        written = _write_response(self, time.monotonic() // _RENEWED_AFTER_S)
        xml = self._sign(written, {written.in_response_to: found[1]})
        return self.first.acs, http_bindings.build_post_fields(xml, "SAMLResponse", carried.relay_state)

    def _sign(self, written: _HubMessage, ids: dict[bytes, bytes]) -> bytes:
        """Return the Response with new ids, a new digest, and a new signature."""
        xml = _replace_ids(written.xml, ids)
        digest = base64.b64encode(hashlib.sha256(_replace_ids(written.assertion, ids)).digest())
        signed_info = _replace_value(_replace_ids(written.signed_info, ids), b"DigestValue", digest)
        signed = base64.b64encode(signature.sign_bytes(signed_info, self.key))
        return _replace_value(_replace_value(xml, b"DigestValue", digest), b"SignatureValue", signed)


@lru_cache(maxsize=1)
def _write_request(service: PreparedService, _: float) -> bytes:
    url = services.request_url(service.site, service.relay_state, service.peer, force=False, passive=False)
    return http_bindings.read_redirect(urlsplit(url).query, "SAMLRequest").xml


@lru_cache(maxsize=1)
def _write_response(hub: PreparedHub, _: float) -> _HubMessage:
    first = hub.first  # read once, for each thread of a soak may set it
    assert first
    xml = wayf_hub.response(HUB, first, persona("asta"), hub.key, datetime.now(UTC))
    assertion = etree.fromstring(xml).find(xml_names.ASSERTION)
    assert assertion is not None
    covered = signature.verify(assertion, [signature.VerifyKey.load(base64.b64decode(hub.key.certificate))])
    signed_info = assertion.find(f"{xml_names.SIGNATURE}/{xml_names.SIGNED_INFO}")
    assert signed_info is not None
    return _HubMessage(first.id.encode(), xml, covered, etree.tostring(signed_info, method="c14n", exclusive=True))


def _replace_ids(text: bytes, ids: dict[bytes, bytes]) -> bytes:
    """Return a message with another id for each of its random ones; ``ids`` keeps which for which."""
    return _RANDOM_ID.sub(lambda found: ids.setdefault(found[0], _draw_like(found[0])), text)


def _draw_like(known: bytes) -> bytes:
    return b"_" + token_hex(len(known) // 2).encode()


def _replace_value(text: bytes, name: bytes, value: bytes) -> bytes:
    """Return ``text`` with another value in its only element of this name."""
    before, tag, rest = text.partition(name + b">")
    return before + tag + value + rest[rest.index(b"<") :]
