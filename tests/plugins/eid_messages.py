"""OIOSAML 3 responses of NemLog-in: its attribute names, and one encrypted Assertion."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from tests.plugins.saml_parties import NOW, Change, Parties

CORE = "https://data.gov.dk/model/core/"
NSIS = "https://data.gov.dk/concept/core/nsis/"
SAID: Mapping[str, str] = {
    f"{CORE}specVersion": "OIO-SAML-3.0",
    f"{NSIS}loa": "Substantial",
    f"{CORE}eid/fullName": "Eva Storgaard",
    f"{CORE}eid/firstName": "Eva",
    f"{CORE}eid/lastName": "Storgaard",
    f"{CORE}eid/email": "eva@post.example",
    f"{CORE}eid/cprNumber": "3011681300",
    f"{CORE}eid/cprUuid": "urn:uuid:5f0c8a52-17f0-4d0e-9d0e-0c2c6f1d7a10",
}
PROFESSIONAL = f"{CORE}eid/professional/uuid/5f0c8a52-17f0-4d0e-9d0e-0c2c6f1d7a10"
STATEMENT = "{urn:oasis:names:tc:SAML:2.0:assertion}Assertion/{urn:oasis:names:tc:SAML:2.0:assertion}AttributeStatement"


def eid_attributes(**changes: str | None) -> dict[str, str]:
    """Return Eva's attributes; ``loa="Low"`` changes the attribute whose name ends in "loa", None removes it."""
    found = dict(SAID)
    for name, value in changes.items():
        wire = next((each for each in SAID if each.rpartition("/")[2] == name), name)
        if value is None:
            del found[wire]
        else:
            found[wire] = value
    return found


def statement(values: Mapping[str, str]) -> Change:
    """Return a change that replaces the attributes of a Response."""

    def change(root: Any) -> None:
        box = root.find(STATEMENT)
        del box[:]
        for name, value in values.items():
            wrapped = f"<a:AttributeValue>{escape(value)}</a:AttributeValue>"
            xml = f'<a:Attribute xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" Name="{name}">{wrapped}</a:Attribute>'
            box.append(etree.fromstring(xml))

    return change


def message(parties: Parties, *changes: Change, values: Mapping[str, str] = SAID, now: datetime = NOW) -> bytes:
    """Return a Response of NemLog-in: the Assertion is signed and encrypted to the broker, the rest is unsigned."""
    root = parties.response(statement(values), *changes, upstream="eid", now=now)
    return bytes(etree.tostring(parties.encrypt_response(root, parties.direct)))
