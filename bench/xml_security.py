"""Measures the checks of XML security, and the cost of the largest messages that a visitor can post.

The baseline is lxml reading the same bytes with its defaults, in the same run. The login's Response is of the size that
a university sends (9 kB, Response and assertion signed, RSA-2048).
"""

import base64
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from lxml import etree

from bench.figures import Figure, Row, row
from broker.adapters.saml.keys import key_ring
from broker.adapters.saml.xml_security import safe_parser, signature, xml_times
from broker.adapters.saml.xml_security.xml_names import ASSERTION, RESPONSE, SAML, SAMLP
from broker.core.errors import MessageRefused

_LARGE: Final = 400_000
_ROUNDS: Final = 2_000
_LARGE_ROUNDS: Final = 35
_LARGE_MS: Final = 50  # that anybody may make us spend on one message
_REPEATS: Final = 7  # the quickest counts: the rest is what else the machine did
_ATTRIBUTE: Final = (
    '<saml:Attribute Name="urn:oid:1.3.6.1.4.1.5923.1.1.1.%d" FriendlyName="attribute%d"'
    ' NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri"><saml:AttributeValue>%s</saml:AttributeValue>'
    "</saml:Attribute>"
)
_RESPONSE: Final = (
    f'<samlp:Response xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="_r1" Version="2.0" IssueInstant="%(now)s"'
    ' InResponseTo="_q1" Destination="https://broker.example/saml/sp/wayf/acs">'
    "<saml:Issuer>https://hub.example</saml:Issuer><samlp:Status>"
    '<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>'
    '<saml:Assertion ID="_a1" Version="2.0" IssueInstant="%(now)s"><saml:Issuer>https://hub.example</saml:Issuer>'
    '<saml:Subject><saml:NameID>_t1</saml:NameID></saml:Subject><saml:AuthnStatement AuthnInstant="%(now)s">'
    "<saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
    "</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
    "<saml:AttributeStatement>%(attributes)s</saml:AttributeStatement></saml:Assertion></samlp:Response>"
)
_OFFENDING: Final = (
    b'<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"'
    b' xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_r1" Version="2.0" IssueInstant="no">%s</samlp:Response>'
)


def response() -> tuple[bytes, tuple[signature.VerifyKey, ...]]:
    """Return a signed Response as octets, and the keys that verify it."""
    written = "".join(_ATTRIBUTE % (number, number, "a value of some length") for number in range(18))
    root = etree.fromstring(_RESPONSE % {"now": xml_times.write(datetime.now(UTC)), "attributes": written})
    pair = key_ring.make_pair("benchmark", datetime.now(UTC), 2048)
    key = signature.SigningKey.load(pair.private, pair.certificate)
    signature.sign(next(root.iter(ASSERTION)), key)
    signature.sign(root, key)
    lines = [line for line in pair.certificate.decode().splitlines() if "CERTIFICATE" not in line]
    return etree.tostring(root), (signature.VerifyKey.load(base64.b64decode("".join(lines))),)


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """Return the CPU time of a call of ``work``, the quickest of several series."""
    series = []
    for _ in range(_REPEATS):
        began = time.process_time()
        for _ in range(max(1, rounds // _REPEATS)):
            work()
        series.append(time.process_time() - began)
    return min(series) / max(1, rounds // _REPEATS) * 1e3


def parse_outcome(raw: bytes) -> str:
    """Return the reason code for which ``raw`` is refused, or ``read``."""
    try:
        safe_parser.parse(raw, RESPONSE)
    except MessageRefused as refused:
        return refused.cause
    return "read"


def fill(unit: bytes, length: int) -> bytes:
    """Return an element of about ``length`` octets that holds ``unit`` again and again."""
    return b"<a>" + unit * ((length - 7) // len(unit)) + b"</a>"


def messages(genuine: bytes) -> dict[str, bytes]:
    """Return large messages by name: refused at the door, and of the most that is read at all."""
    most = safe_parser.Bounds().octets
    long_value = b"v" * (most - len(genuine) - 100)
    return {
        "400 kB": fill(b"<b/>", _LARGE),
        "256 kB of elements": fill(b"<b/>", most),
        "256 kB of text": fill(b"&#65;", most),
        "256 kB of attributes": b"<a " + b"".join(b'a%x="" ' % number for number in range(26_000)) + b"/>",
        "256 kB of declarations": b"<a b='" + b' xmlns="' * 999 + b" " * (most - 8_100) + b"'/>",
        "elements that offend": _OFFENDING % (b"<samlp:x/>" * (safe_parser.Bounds().nodes - 10)),
        "values that offend": _OFFENDING
        % (b'<saml:Attribute Name=" " X="1"/>' * (safe_parser.Bounds().attributes // 2 - 10)),
        "a genuine one of 256 kB": genuine.replace(b"a value of some length", long_value, 1),
    }


def rows() -> Iterator[Row]:
    """Measure a login's Response, and the largest messages."""
    genuine, trusted = response()
    assert parse_outcome(genuine) == "read"
    plain = milliseconds(lambda: etree.fromstring(genuine), _ROUNDS)
    gated = milliseconds(lambda: safe_parser.parse(genuine, RESPONSE), _ROUNDS)
    root = safe_parser.parse(genuine, RESPONSE)
    verified = milliseconds(lambda: signature.verify(root, trusted), _ROUNDS)
    yield row(
        f"a Response of {len(genuine):,} octets",
        Figure("ms by lxml alone", plain),
        Figure("ms more for the checks", gated - plain, most=1),
        Figure("ms a signature", verified),
    )
    for name, raw in messages(genuine).items():
        spent = milliseconds(lambda raw=raw: parse_outcome(raw), _LARGE_ROUNDS)  # type: ignore[misc]
        yield row(f"{name}: {parse_outcome(raw)}", Figure("ms CPU", spent, most=_LARGE_MS))
