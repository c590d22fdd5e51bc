"""The types of values in the settings. No error quotes an address: it may hold a password."""

import re
from ipaddress import IPv6Network, ip_address, ip_network
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from broker.configuration.checked_files import Shape
from broker.core.entities import Text

STORES: Final = (
    "sqlite:",
    "redis://",
    "rediss://",
    "redis+sentinel://",
    "rediss+sentinel://",
    "redis+cluster://",
    "rediss+cluster://",
)
_WEB: Final = ("http", "https")
MAILS: Final = ("smtp://", "smtps://", "smtp+starttls://")
_LONGEST_ENTITY_ID: Final = 256  # SDP-G02
_ABSOLUTE_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x20]+")
_SCOPE: Final = re.compile(
    r"(?=.{1,127}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+"
)


def loopback(host: str | None) -> bool:
    """Return whether ``host`` is this machine (RFC 6761 section 6.3 for ``*.localhost``)."""
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _url(value: str) -> str:
    """Reject a text that is not an absolute http(s) URL, without quoting it."""
    parts = urlsplit(value)
    if parts.scheme not in _WEB or not parts.hostname:
        raise ValueError("is no http or https address")
    return value


def _base_url(value: str) -> str:
    """Strip the trailing slash; reject http to other machines, which exposes the cookies."""
    if urlsplit(_feed_url(value)).query:
        raise ValueError("has a query; it is scheme, host, port and path only")
    return value.rstrip("/")


def _feed_url(value: str) -> str:
    """Strip the trailing slash; reject http to other machines.

    An attacker on the network could read which entities are queried, and replay an old copy.
    """
    parts = urlsplit(_url(value))
    if parts.fragment or parts.username or parts.password is not None:
        raise ValueError("has a fragment or user name, which no address of this kind has")
    if parts.scheme == "http" and not loopback(parts.hostname):
        raise ValueError(
            "is http; only localhost, *.localhost and loopback addresses may be, "
            "all others are https"
        )
    return value.rstrip("/")


def _store_url(value: str) -> str:
    """Reject unknown stores, and a Redis on another machine without TLS or a password."""
    if not value.startswith(STORES) or value == "sqlite:":
        raise ValueError(f"begins with none of {', '.join(STORES)}")
    if not value.startswith(("redis://", "rediss://")):
        return value
    parts = urlsplit(value)
    if loopback(parts.hostname):
        return value
    if parts.scheme != "rediss" or not parts.password:
        raise ValueError("reaches Redis on another machine: that needs rediss:// and a password")
    return value


def _bind(value: str) -> str:
    """Reject an address without a port: gunicorn would take its own."""
    try:
        parts = urlsplit(f"//{value}")
        has_port = bool(parts.port) and parts.netloc == value
    except ValueError:  # the text of this error would quote the port
        has_port = False
    if not has_port and not value.startswith("unix:"):
        raise ValueError("is no address: write HOST:PORT, or unix:FILE")
    return value


def _mail_url(value: str) -> str:
    """Reject an address that names no mail server."""
    try:
        parts = urlsplit(value)
        is_usable = bool(parts.hostname) and parts.port != 0 and not parts.username
    except ValueError:  # the text of this error would quote the port
        is_usable = False
    if not value.startswith(MAILS) or not is_usable:
        known = ", ".join(f"{scheme}HOST:PORT" for scheme in MAILS)
        raise ValueError(f"is no mail server address: {known}")
    return value


def _entity_id(value: str) -> str:
    """Reject a text that is not an absolute URI of at most 256 characters: peers reject it too.

    The limit is from the SAML profiles (docs/reference/saml-profiles.md#3).
    """
    if len(value) > _LONGEST_ENTITY_ID or not _ABSOLUTE_URI.fullmatch(value):
        raise ValueError(f"is no absolute URI of at most {_LONGEST_ENTITY_ID} characters")
    return value


def _scope(value: str) -> str:
    """Reject a text that is not a domain in lower case, of at most 127 characters.

    Source: Subject Identifier Attributes 2.3.
    """
    if not _SCOPE.fullmatch(value):
        raise ValueError("is no domain in small letters, as library.example")
    return value


def _network(value: str) -> str:
    """Reject a text that is not a network. Host bits in a network are a typing mistake."""
    try:
        network = ip_network(value)
    except ValueError:
        raise ValueError("is no network; write it as 192.0.2.0/24 or 2001:db8::/56") from None
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped:
        # The addresses of callers are compared as IPv4. The network would match nobody, and shared
        # computers would count as private ones.
        raise ValueError("is an IPv4 network written as IPv6; write it as 192.0.2.0/24")
    return str(network)


EntityId = Annotated[str, AfterValidator(_entity_id)]
AttributeScope = Annotated[str, AfterValidator(_scope)]
Url = Annotated[str, AfterValidator(_url)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
FeedUrl = Annotated[str, AfterValidator(_feed_url)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
BindAddress = Annotated[str, AfterValidator(_bind)]
MailUrl = Annotated[str, AfterValidator(_mail_url)]
Network = Annotated[str, AfterValidator(_network)]

# A name is part of a URL (/saml/sp/NAME/acs), and of an environment name with "_" for its "-".
NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

Name = Annotated[str, StringConstraints(pattern=rf"^{NAME.pattern}$")]
LinkName = Annotated[str, StringConstraints(pattern="^[a-z_]+$")]
Filled = Annotated[str, StringConstraints(min_length=1)]


def _printable(value: str) -> str:
    """Refuse a text with a line break: a mail with such a subject is never sent."""
    if not value.isprintable():
        raise ValueError("holds a line break or another character that cannot be printed")
    return value.strip()


Printed = Annotated[str, AfterValidator(_printable)]


class SettingsTable(Shape):
    """A table of broker.toml: frozen, refusing unknown keys, quoting no value in an error."""


class Wording(SettingsTable):
    """A text in both languages."""

    en: Filled
    da: Filled

    def text(self) -> Text:
        """Return the text as a value of the core."""
        return Text(self.en, self.da)


class PrintedWording(Wording):
    """A text in both languages that fits into one line."""

    en: Annotated[Printed, Field(min_length=1)]
    da: Annotated[Printed, Field(min_length=1)]


class AddressPerLanguage(Wording):
    """An address per language."""

    en: Url
    da: Url


def optional_text(wording: Wording | None) -> Text | None:
    """Return the text as a value of the core; None if none is written."""
    return wording.text() if wording else None
