"""The protected page of each product, the attributes it shows, and a login at it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.core.entities import PERSISTENT, TRANSIENT
from broker.demo.check.persona_walk import onward
from broker.demo.people.persona import Persona
from tests.interop.parties.recording_browser import RecordingBrowser
from tests.interop.parties.world import KARLA, WIRE, World

CPR: Final = "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:1111024568"


@dataclass(frozen=True, slots=True)
class Shown:
    """The attributes of Karla on a product's protected page, by the product's own names; "" is her borrower number."""

    values: Mapping[str, str]
    name_id: str  # name of the line with the NameID
    kind: str


SHOWN: Final = {
    "shib": Shown(
        {"uid": "", "schacPersonalUniqueID": CPR, "givenName": "Karla", "sn": "Dam", "mail": "karla@post.au.example"},
        "persistent-id",
        PERSISTENT,
    ),
    "mellon": Shown(
        {"MELLON_affiliation": "student@au.dk", "MELLON_organization": "au.dk"}, "MELLON_NAME_ID", TRANSIENT
    ),
    **dict.fromkeys(
        ("python", "python3", "python3-key"), Shown({"uid": "", "mail": "karla@post.au.example"}, "NAME_ID", PERSISTENT)
    ),
    **dict.fromkeys(
        ("passport", "passport-key"),
        Shown({"urn:oid:0.9.2342.19200300.100.1.1": "", WIRE["mail"]: "karla@post.au.example"}, "NAME_ID", PERSISTENT),
    ),
}


def page(interop: World, peer: str) -> str:
    """Return the address of a product's protected page."""
    return interop.origin(peer) + "/protected/"


def log_in(
    interop: World, peer: str, method: str = "wayf", address: str = "", person: Persona = KARLA
) -> RecordingBrowser:
    """Log a person in at a product and return the browser at the last page."""
    browser = RecordingBrowser()
    browser.get(address or page(interop, peer))
    onward(browser, person, method)
    return browser
