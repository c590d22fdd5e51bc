"""The parts that the SAML messages of all simulated parties share."""

from datetime import datetime
from secrets import token_hex
from typing import Any

from lxml import etree
from saml2 import SamlBase, saml

from broker.adapters.saml.xml_security import written_message, xml_names


def stamp(when: datetime) -> str:
    """Return a time as messages have it."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def header(issuer: str, now: datetime) -> dict[str, Any]:
    """Return what every message and every assertion begins with."""
    return {
        "id": f"_{token_hex(16)}",
        "version": "2.0",
        "issue_instant": stamp(now),
        "issuer": saml.Issuer(text=issuer),
    }


def encode(message: SamlBase) -> bytes:
    """Return the octets of a message."""
    return etree.tostring(written_message.tree(message), encoding="utf-8")


def read_status(root: etree._Element) -> str:
    """Return the status codes of an answer in short, the top level first."""
    codes = [str(node.get("Value")) for node in root.iter(f"{{{xml_names.SAMLP}}}StatusCode")]
    return " / ".join(code.rpartition(":")[2] for code in codes)
