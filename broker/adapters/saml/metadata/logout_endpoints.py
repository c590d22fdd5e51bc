"""Reads the SingleLogoutService of a role descriptor: where a peer takes LogoutRequests, and where their answers."""

from dataclasses import dataclass
from typing import Final, Literal

from lxml import etree

from broker.adapters.saml.gate.names import MD, POST, REDIRECT
from broker.adapters.saml.metadata.addresses import web_address

_SLO: Final = f"{{{MD}}}SingleLogoutService"


@dataclass(frozen=True, slots=True)
class LogoutEndpoint:
    """The endpoint that is used of a peer: requests go to ``location``, responses to ``response``."""

    binding: Literal["redirect", "post"]
    location: str
    response: str


def single_logout(element: etree._Element) -> LogoutEndpoint | None:
    """Give the first endpoint by HTTP-Redirect, or else by HTTP-POST; None where there is no sound one.

    One that could run as script or be read on the way is passed over: a peer is worth having
    without logout too.
    """
    found = element.findall(_SLO)
    wanted: tuple[tuple[Literal["redirect", "post"], str], ...] = (
        ("redirect", REDIRECT),
        ("post", POST),
    )
    for name, binding in wanted:
        for each in found:
            location = each.get("Location", "")
            response = each.get("ResponseLocation", location)
            sound = web_address(location, secure=True) and web_address(response, secure=True)
            if each.get("Binding") == binding and sound:
                return LogoutEndpoint(name, location, response)
    return None
