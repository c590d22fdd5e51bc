"""The protected pages of the products, what they show of a person, and the way to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.core.entities import PERSISTENT, TRANSIENT
from broker.demo.check.persona_walk import onward
from broker.demo.people.persona import Persona
from tests.interop.parties.watching import Watched
from tests.interop.parties.world import KARLA, WIRE, World

CPR: Final = "urn:mace:terena.org:schac:personalUniqueID:dk:CPR:1111024568"


@dataclass(frozen=True, slots=True)
class Shown:
    """What the protected page of a product shows of Karla: values by the product's own names, "" for her number."""

    values: Mapping[str, str]
    name_id: str  # where the NameID stands
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
    """Give the address of a product's protected page."""
    return interop.origin(peer) + "/protected/"


def log_in(interop: World, peer: str, method: str = "wayf", address: str = "", person: Persona = KARLA) -> Watched:
    """Log somebody in at a product, to whatever page is the last."""
    browser = Watched()
    browser.get(address or page(interop, peer))
    onward(browser, person, method)
    return browser
