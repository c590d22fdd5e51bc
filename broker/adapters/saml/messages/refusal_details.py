"""What the log says of a refused message beside the check's name: nothing that stands in it."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from broker.adapters.saml.xml_security import xml_times

_BINDINGS: Final = "urn:oasis:names:tc:SAML:2.0:bindings:"
_KNOWN_BINDINGS: Final = frozenset(("HTTP-Redirect", "HTTP-Artifact", "SOAP", "PAOS", "URI"))
_UTC_OFFSETS: Final = ("+00:00", "-00:00")


def destination(written: str | None, own: str) -> str:
    """Return in what a Destination differs from the address ``own``, where the message came."""
    if written is None:
        return "a signed message must have a Destination (saml-bindings 3.4.5.2)"
    return f"the Destination differs from {own} in {_difference(written, own)}"


def _difference(written: str, own: str) -> str:
    if written.rstrip("/") == own:
        return "a slash too many at its end"
    if written.strip() == own:
        return "the blanks around it"
    if written.casefold() == own.casefold():
        return "upper and lower case"
    try:
        return _different_part(urlsplit(written), urlsplit(own))
    except ValueError:
        return "all: it is no address"


def _different_part(written: SplitResult, own: SplitResult) -> str:
    if written.netloc != own.netloc:
        return "host or port"
    if written.scheme != own.scheme:
        return "http for https, or https for http"
    if written.path != own.path:
        return "the path"
    return "the query"


def zone(times: Iterable[str]) -> str:
    """Return why times of a message are refused: SAML's are UTC and end in Z."""
    demand = "a time must be UTC and end in Z (saml-core 1.3.3)"
    unmarked = [time.strip() for time in times if not xml_times.marked(time)]
    if any(time.endswith(_UTC_OFFSETS) for time in unmarked):
        return f"{demand}: +00:00 is no Z"
    return f"{demand}: this one has no zone, or another"


def binding(written: str) -> str:
    """Return which ProtocolBinding a service asked for in vain."""
    name = written.removeprefix(_BINDINGS)
    if name not in _KNOWN_BINDINGS:
        name = "an unknown binding"
    return f"ProtocolBinding asks for the answer by {name}: Responses go by HTTP-POST only"
