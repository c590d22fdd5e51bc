"""Which address a message may be sent to."""

import ipaddress
from urllib.parse import urlsplit


def web_address(location: str, *, secure: bool = False) -> bool:
    """Say whether this is an absolute http or https address without credentials or white space.

    A ``secure`` one is https, or never leaves the machine: assertions and person data go there.
    """
    try:
        parts = urlsplit(location)
    except ValueError:
        return False
    plain = not any(each.isspace() for each in location) and "@" not in parts.netloc
    kept = parts.scheme == "https" or (
        parts.scheme == "http" and (not secure or _loopback(parts.hostname or ""))
    )
    return kept and bool(parts.hostname) and plain


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
