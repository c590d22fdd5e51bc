"""Reads SAML messages out of HTTP and writes them into it: the Redirect and POST bindings.

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
LONGEST: Final = 256 * 1024  # octets of XML, as XML security's bound
LONGEST_QUERY: Final = 64 * 1024
# Octets. The standard says 80, services send whole URLs, deep links with a query in them
# (docs/reference/interop.md#relay-state).
LONGEST_RELAY_STATE: Final = 2_000
_KNOWN: Final = ("SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding")
_UNKEPT: Final = re.compile(r"[\r\n\0]")
_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
# A query escapes these characters of base64 and of algorithm names.
_ESCAPES: Final = str.maketrans({"+": "%2B", "/": "%2F", "=": "%3D", ":": "%3A", "#": "%23"})
_WHITESPACE: Final = str.maketrans("", "", " \t\r\n")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class SignedQuery:
    """A signature of the Redirect binding over ``octets`` as they came, not yet verified."""

    octets: bytes
    sigalg: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class CarriedMessage:
    """A message of the Redirect binding, or of the POST binding, which has no signed query.

    ``xml`` has not passed XML security.
    """

    xml: bytes
    relay_state: str | None
    signed: SignedQuery | None = None


def inflate_redirect(
    query_string: str, message: MessageField, longest: int = LONGEST
) -> CarriedMessage:
    """Read the message out of a query string exactly as it came, undecoded by any framework.

    A signature is over the raw octets, so nothing is decoded and encoded again. Bounds are in
    octets. ``MessageRefused``:
    ``xml.query``, ``xml.parameter_twice``, ``xml.parameter_missing``,
    ``xml.parameter_unexpected``, ``xml.query_signature``, ``xml.base64``, ``xml.deflate``,
    ``xml.relay_state``. Source: saml-bindings 3.4.4.1.
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
    if len(query) > LONGEST_QUERY or not query.isascii() or _ESCAPE.search(query):
        raise MessageRefused("xml.query")
    raw: dict[str, str] = {}
    if not query:
        return raw
    for part in query.split("&"):
        written, _, value = part.partition("=")
        name = _decode_text(written)
        if name in raw:  # which of two is verified and which is read would differ (CVE-2025-27773)
            raise MessageRefused("xml.parameter_twice")
        if name in _KNOWN and name != written:  # the signed octets name it literally
            raise MessageRefused("xml.query")
        raw[name] = value
    return raw


def _find_signature(raw: dict[str, str], message: MessageField) -> SignedQuery | None:
    """Return the signature and the octets that it must be over, or None where there is none."""
    given = [name for name in ("Signature", "SigAlg") if name in raw]
    if not given:
        return None
    if len(given) == 1:  # half a signature is one that was taken off
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
    """Read the message out of a form; bounds and ``deflated`` as ``decode_post``."""
    relay_state = None
    if "RelayState" in form:
        relay_state = check_relay_state(form["RelayState"])
    xml = decode_post(form[message], deflated=deflated, longest=longest)
    return CarriedMessage(xml, relay_state)


def decode_post(value: str, *, deflated: bool = False, longest: int = LONGEST) -> bytes:
    """Decode the form field of the POST binding.

    White space within is what encoders and browsers put there. With ``deflated`` a DEFLATEd
    message is read too, as passport-saml posts its requests
    (docs/reference/interop.md#post-deflated); only for requests. ``MessageRefused``: ``xml.size``,
    ``xml.base64``, ``xml.deflate``. Source: saml-bindings 3.5.4.
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
    """Decode strictly: what one decoder skips and another reads makes two messages of one."""
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
    """Return a RelayState verbatim, opaque as it is.

    ``MessageRefused`` (``xml.relay_state``) if it is too long to store with a login, or if no
    header or form could carry it.
    """
    if len(value.encode("utf-8", "surrogatepass")) > LONGEST_RELAY_STATE or _UNKEPT.search(value):
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
    by: str = RSA_SHA256,
) -> str:
    """Return the URL that carries ``xml``, signed ``by`` this algorithm if there is a key.

    Source: saml-bindings 3.4.4.1.
    """
    stream = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = stream.compress(xml) + stream.flush()
    query = f"{message}={_escape_base64(deflated)}"
    if relay_state is not None:
        query += f"&RelayState={quote(check_relay_state(relay_state), safe='')}"
    if key is not None:
        query += f"&SigAlg={by.translate(_ESCAPES)}"
        signature = sign_bytes(query.encode("ascii"), key, by)
        query += f"&Signature={_escape_base64(signature)}"
    separator = "&" if "?" in destination else "?"
    return f"{destination}{separator}{query}"


def _escape_base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode().translate(_ESCAPES)


def build_post_fields(xml: bytes, message: MessageField, relay_state: str | None) -> dict[str, str]:
    """Return the fields of the self-posting form (saml-bindings 3.5.4); the page escapes them."""
    fields: dict[str, str] = {message: base64.b64encode(xml).decode()}
    if relay_state is not None:
        fields["RelayState"] = check_relay_state(relay_state)
    return fields


def build_signed(
    root: etree._Element,
    field: MessageField,
    destination: str,
    key: SigningKey,
    by: SigningAlgorithms,
    *,
    by_post: bool,
    relay_state: str | None = None,
) -> str | PostForm:
    """Return the form, or the HTTP-Redirect URL, whose signature covers the query only."""
    if by_post:
        return build_signed_form(root, field, destination, key, by, relay_state=relay_state)
    xml = etree.tostring(root, encoding="utf-8")
    return build_redirect_url(destination, field, xml, relay_state, key, by=by.method)


def build_signed_form(
    root: etree._Element,
    field: MessageField,
    destination: str,
    key: SigningKey,
    by: SigningAlgorithms,
    *,
    relay_state: str | None = None,
) -> PostForm:
    """Sign a message and return its HTTP-POST form."""
    sign(root, key, by)
    xml = etree.tostring(root, encoding="utf-8")
    return PostForm(destination, build_post_fields(xml, field, relay_state))
