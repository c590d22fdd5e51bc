"""Reads and writes SAML messages in HTTP: the Redirect and POST bindings.

Source: saml-bindings 3.4 and 3.5.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, unquote_to_bytes

from lxml import etree

from broker.adapters.saml.xml_security.algorithm_selection import SigningAlgorithms
from broker.adapters.saml.xml_security.signature import SigningKey, sign, sign_bytes
from broker.adapters.saml.xml_security.xml_names import RSA_SHA256
from broker.core.errors import MessageRefused
from broker.core.saml_ports import PostForm

MessageField = Literal["SAMLRequest", "SAMLResponse"]

DEFLATE: Final = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"
LONGEST: Final = 256 * 1024  # octets of XML, the same as in ``xml_structure_checks.Bounds``
LONGEST_QUERY: Final = 64 * 1024
# Octets. The standard allows 80, but services send whole URLs, even deep links with a query
# (docs/reference/interop.md#relay-state).
LONGEST_RELAY_STATE: Final = 2_000
_KNOWN_PARAMETERS: Final = (
    "SAMLRequest",
    "SAMLResponse",
    "RelayState",
    "SigAlg",
    "Signature",
    "SAMLEncoding",
)
_FORBIDDEN_IN_RELAY_STATE: Final = re.compile(r"[\r\n\0]")
_INVALID_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
# A query escapes these characters of base64 and of algorithm names.
_QUERY_ESCAPES: Final = str.maketrans({"+": "%2B", "/": "%2F", "=": "%3D", ":": "%3A", "#": "%23"})
_WHITESPACE: Final = str.maketrans("", "", " \t\r\n")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class SignedQuery:
    """A signature of the Redirect binding over ``octets`` as received, not yet verified."""

    octets: bytes
    sigalg: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class CarriedMessage:
    """A message received by the Redirect or the POST binding. Only Redirect has a signed query.

    ``xml`` has not passed XML security yet.
    """

    xml: bytes
    relay_state: str | None
    signed: SignedQuery | None = None


def read_redirect(
    query_string: str, message: MessageField, longest: int = LONGEST
) -> CarriedMessage:
    """Read the message in a query string, which must be raw and not decoded by a framework.

    The signature covers the raw octets, so nothing is decoded and encoded again. ``longest`` is in
    octets. Raises MessageRefused with ``xml.query``, ``xml.parameter_twice``,
    ``xml.parameter_missing``, ``xml.parameter_unexpected``, ``xml.query_signature``,
    ``xml.base64``, ``xml.deflate``, ``xml.size`` or ``xml.relay_state``. Source: saml-bindings
    3.4.4.1.
    """
    raw = _split_query(query_string)
    other = "SAMLResponse" if message == "SAMLRequest" else "SAMLRequest"
    if message not in raw:
        raise MessageRefused("xml.parameter_missing")
    if other in raw:
        raise MessageRefused("xml.parameter_unexpected")
    if "SAMLEncoding" in raw and _decode_text(raw["SAMLEncoding"]) != DEFLATE:
        raise MessageRefused("xml.parameter_unexpected")
    relay_state = None
    if "RelayState" in raw:
        relay_state = check_relay_state(_decode_text(raw["RelayState"]))
    packed = _decode_base64(_decode_text(raw[message]))
    xml = _inflate(packed, longest)
    return CarriedMessage(xml, relay_state, _find_signature(raw, message))


def _split_query(query: str) -> dict[str, str]:
    """Return the parameters with their values still encoded."""
    if len(query) > LONGEST_QUERY or not query.isascii() or _INVALID_ESCAPE.search(query):
        raise MessageRefused("xml.query")
    raw: dict[str, str] = {}
    if not query:
        return raw
    for part in query.split("&"):
        written, _, value = part.partition("=")
        name = _decode_text(written)
        if name in raw:  # one could be verified and the other one read (CVE-2025-27773)
            raise MessageRefused("xml.parameter_twice")
        # The name must not be escaped, because the signed octets contain it literally.
        if name in _KNOWN_PARAMETERS and name != written:
            raise MessageRefused("xml.query")
        raw[name] = value
    return raw


def _find_signature(raw: dict[str, str], message: MessageField) -> SignedQuery | None:
    """Return the signature and the octets that it must cover, or None if there is no signature."""
    present = [name for name in ("Signature", "SigAlg") if name in raw]
    if not present:
        return None
    if len(present) == 1:  # an attacker may have removed the other parameter
        raise MessageRefused("xml.query_signature")
    signed_names = [name for name in (message, "RelayState", "SigAlg") if name in raw]
    octets = "&".join(f"{name}={raw[name]}" for name in signed_names)
    algorithm = _decode_text(raw["SigAlg"])
    signature = _decode_base64(_decode_text(raw["Signature"]))
    return SignedQuery(octets.encode("ascii"), algorithm, signature)


def _decode_text(value: str) -> str:
    try:
        return unquote_to_bytes(value.replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError:
        raise MessageRefused("xml.query") from None


def read_post(
    form: Mapping[str, str], message: MessageField, longest: int, *, deflated: bool = False
) -> CarriedMessage:
    """Read the message in a form; ``longest`` and ``deflated`` as in ``decode_post``."""
    relay_state = None
    if "RelayState" in form:
        relay_state = check_relay_state(form["RelayState"])
    xml = decode_post(form[message], deflated=deflated, longest=longest)
    return CarriedMessage(xml, relay_state)


def decode_post(value: str, *, deflated: bool = False, longest: int = LONGEST) -> bytes:
    """Decode the form field of the POST binding.

    White space in it is ignored, because encoders and browsers insert it. With ``deflated``, a
    DEFLATEd message is accepted too, as passport-saml posts its requests
    (docs/reference/interop.md#post-deflated); use it for requests only. Raises MessageRefused with
    ``xml.size``, ``xml.base64`` or ``xml.deflate``. Source: saml-bindings 3.5.4.
    """
    if len(value) > longest * 3 // 2:
        raise MessageRefused("xml.size")
    octets = _decode_base64(value.translate(_WHITESPACE))
    if not deflated:
        return octets
    begins = octets.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1]
    if begins == b"<":
        return octets
    return _inflate(octets, longest)


def _decode_base64(value: str) -> bytes:
    """Decode strictly: a lenient decoder could read another message from the same text."""
    try:
        written = value.encode("ascii")
        octets = base64.b64decode(written, validate=True)
    except (ValueError, binascii.Error):
        raise MessageRefused("xml.base64") from None
    if not octets or base64.b64encode(octets) != written:  # unused bits that are not zero
        raise MessageRefused("xml.base64")
    return octets


def _inflate(octets: bytes, longest: int) -> bytes:
    """Inflate at most ``longest`` octets, all of the input and no more (CVE-2025-25293)."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        xml = stream.decompress(octets, longest + 1)
    except zlib.error:
        raise MessageRefused("xml.deflate") from None
    if len(xml) > longest:
        raise MessageRefused("xml.size")
    if not stream.eof or stream.unused_data:
        raise MessageRefused("xml.deflate")
    return xml


def check_relay_state(value: str) -> str:
    """Return a RelayState unchanged.

    Raises MessageRefused (``xml.relay_state``) if it is too long to store with a login, or if a
    header or form could not contain it.
    """
    if len(
        value.encode("utf-8", "surrogatepass")
    ) > LONGEST_RELAY_STATE or _FORBIDDEN_IN_RELAY_STATE.search(value):
        detail = f"no line break or NUL and at most {LONGEST_RELAY_STATE} octets are accepted"
        raise MessageRefused("xml.relay_state", detail)
    return value


def build_redirect_url(
    destination: str,
    message: MessageField,
    xml: bytes,
    relay_state: str | None,
    key: SigningKey | None,
    *,
    algorithm: str = RSA_SHA256,
) -> str:
    """Return the URL with the message ``xml``, signed with ``algorithm`` if there is a key.

    Source: saml-bindings 3.4.4.1.
    """
    stream = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = stream.compress(xml) + stream.flush()
    query = f"{message}={_escape_base64(deflated)}"
    if relay_state is not None:
        query += f"&RelayState={quote(check_relay_state(relay_state), safe='')}"
    if key is not None:
        query += f"&SigAlg={algorithm.translate(_QUERY_ESCAPES)}"
        signature = sign_bytes(query.encode("ascii"), key, algorithm)
        query += f"&Signature={_escape_base64(signature)}"
    separator = "&" if "?" in destination else "?"
    return f"{destination}{separator}{query}"


def _escape_base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode().translate(_QUERY_ESCAPES)


def build_post_fields(xml: bytes, message: MessageField, relay_state: str | None) -> dict[str, str]:
    """Return the fields of the self-posting form (saml-bindings 3.5.4); the page escapes them."""
    fields: dict[str, str] = {message: base64.b64encode(xml).decode()}
    if relay_state is not None:
        fields["RelayState"] = check_relay_state(relay_state)
    return fields


def build_signed_message(
    root: etree._Element,
    field: MessageField,
    destination: str,
    key: SigningKey,
    algorithms: SigningAlgorithms,
    *,
    as_post: bool,
    relay_state: str | None = None,
) -> str | PostForm:
    """Return the signed form, or the HTTP-Redirect URL, whose signature covers the query only."""
    if as_post:
        return build_signed_form(root, field, destination, key, algorithms, relay_state=relay_state)
    xml = etree.tostring(root, encoding="utf-8")
    return build_redirect_url(
        destination, field, xml, relay_state, key, algorithm=algorithms.method
    )


def build_signed_form(
    root: etree._Element,
    field: MessageField,
    destination: str,
    key: SigningKey,
    algorithms: SigningAlgorithms,
    *,
    relay_state: str | None = None,
) -> PostForm:
    """Sign a message and return its HTTP-POST form."""
    sign(root, key, algorithms)
    xml = etree.tostring(root, encoding="utf-8")
    return PostForm(destination, build_post_fields(xml, field, relay_state))
