"""Builds and signs metadata feeds, valid or with the faults that a test asks for."""

from collections.abc import Callable
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any, Final

import xmlsec
from lxml import etree

from broker.adapters.saml.feeds import aggregates
from broker.adapters.saml.xml_security import signature, signature_profile, xml_times
from broker.adapters.saml.xml_security.xml_names import DS, ENTITIES, ENTITY, EXCLUSIVE, MD
from tests.plugins.saml_messages import MORE, NOW, SHA256

LARGEST: Final = 4 * 1024 * 1024
WINDOW: Final = timedelta(days=14)
_SIGNATURE: Final = """<ds:Signature xmlns:ds="{ds}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{c14n}"/>\
<ds:SignatureMethod Algorithm="{method}"/><ds:Reference URI="{uri}"><ds:Transforms>{transforms}</ds:Transforms>\
<ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/>\
</ds:Signature>"""


def build_feed(*entities: str, until: datetime | None = NOW + timedelta(days=7), more: str = "") -> str:
    """Return an unsigned feed of these entities."""
    end = f' validUntil="{xml_times.write(until)}"' if until else ""
    listed = "\n".join(entities)
    return f'<md:EntitiesDescriptor xmlns:md="{MD}" ID="_f1"{end}{more}>\n{listed}\n</md:EntitiesDescriptor>'


def sign_feed(xml: str | bytes, key: signature.SigningKey) -> bytes:
    """Sign a feed as the broker signs its own metadata."""
    root = etree.fromstring(xml.encode() if isinstance(xml, str) else xml)
    signature.sign(root, key)
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def sign_feed_with(
    xml: str,
    key: xmlsec.Key,
    *,
    method: str = MORE + "rsa-sha256",
    digest: str = SHA256,
    c14n: str = f"{EXCLUSIVE}",
    transforms: tuple[str, ...] = (signature_profile.ENVELOPED, EXCLUSIVE),
    uri: str = "#_f1",
    at: int = 0,
    change: Callable[[Any], object] = lambda _: None,
) -> bytes:
    """Sign a feed with these algorithms and transforms, then apply ``change``."""
    root = etree.fromstring(xml.encode())
    written = "".join(each if each[0] == "<" else f'<ds:Transform Algorithm="{each}"/>' for each in transforms)
    made = etree.fromstring(
        _SIGNATURE.format(ds=DS, c14n=c14n, method=method, uri=uri, transforms=written, digest=digest)
    )
    root.insert(at, made)
    signing = xmlsec.SignatureContext()
    signing.key = key
    for each in root.iter(ENTITIES, ENTITY):
        if each.get("ID"):
            signing.register_id(each, "ID")
    signing.sign(made)
    change(root)
    return etree.tostring(root, encoding="utf-8")


def trust(*keys: bytes | signature.VerifyKey, largest: int = LARGEST) -> aggregates.FeedTrust:
    """Return the trust settings of a feed that one of these keys signs."""
    loaded = tuple(each if isinstance(each, signature.VerifyKey) else signature.VerifyKey.load(each) for each in keys)
    return aggregates.FeedTrust(loaded, WINDOW, largest)


def read(octets: bytes, held: aggregates.FeedTrust, *wanted: str, now: datetime = NOW) -> aggregates.Aggregate:
    """Read a feed."""
    return aggregates.read(BytesIO(octets), held, wanted, now)
