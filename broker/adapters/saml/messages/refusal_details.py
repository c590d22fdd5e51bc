"""Explanations in the log why a message was refused. They never quote the message."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from broker.adapters.saml.xml_security import xml_times

_BINDINGS: Final = "urn:oasis:names:tc:SAML:2.0:bindings:"
_KNOWN_BINDINGS: Final = frozenset(("HTTP-Redirect", "HTTP-Artifact", "SOAP", "PAOS", "URI"))
_UTC_OFFSETS: Final = ("+00:00", "-00:00")


def explain_destination(written: str | None, own: str) -> str:
    """Return how a Destination differs from ``own``, the address that received the message."""
    if written is None:
        return "a signed message must have a Destination (saml-bindings 3.4.5.2)"
    return f"the Destination differs from {own} in {_find_difference(written, own)}"


def _find_difference(written: str, own: str) -> str:
    if written.rstrip("/") == own:
        return "an extra slash at its end"
    if written.strip() == own:
        return "the spaces around it"
    if written.casefold() == own.casefold():
        return "upper and lower case"
    try:
        return _find_different_part(urlsplit(written), urlsplit(own))
    except ValueError:
        return "every part: it is no address"


def _find_different_part(written: SplitResult, own: SplitResult) -> str:
    if written.netloc != own.netloc:
        return "host or port"
    if written.scheme != own.scheme:
        return "http for https, or https for http"
    if written.path != own.path:
        return "the path"
    return "the query"


def explain_zone(times: Iterable[str]) -> str:
    """Return why the times of a message are refused."""
    demand = "a time must be UTC and end in Z (saml-core 1.3.3)"
    unmarked = [time.strip() for time in times if not xml_times.is_utc(time)]
    if any(time.endswith(_UTC_OFFSETS) for time in unmarked):
        return f"{demand}: +00:00 is not accepted"
    return f"{demand}: this time has no zone, or another one"


def explain_binding(written: str) -> str:
    """Return which unsupported ProtocolBinding a service asked for."""
    name = written.removeprefix(_BINDINGS)
    if name not in _KNOWN_BINDINGS:
        name = "an unknown binding"
    return f"ProtocolBinding asks for the answer by {name}: Responses go by HTTP-POST only"
