"""Which addresses the configuration accepts; no refusal quotes one, since it may hold a password."""

import re
from ipaddress import ip_address, ip_network
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator

STORES: Final = ("sqlite:", "redis://", "rediss://", "redis+sentinel://", "redis+cluster://")
MAILS: Final = ("smtp://", "smtps://", "smtp+starttls://")


def loopback(host: str | None) -> bool:
    """Say whether ``host`` names this machine and nothing else (RFC 6761 section 6.3 for ``*.localhost``)."""
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _url(value: str) -> str:
    """Refuse what is no absolute http(s) URL, without quoting it."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is no http or https address")
    return value


def _base_url(value: str) -> str:
    """Strip the trailing slash; refuse http off this machine, because cookies and assertions would travel in clear."""
    parts = urlsplit(_url(value))
    if parts.query or parts.fragment or parts.username or parts.password is not None:
        raise ValueError(
            "has a query, fragment or user name; it is scheme, host, port and path only"
        )
    if parts.scheme == "http" and not loopback(parts.hostname):
        raise ValueError(
            "is http; only localhost, *.localhost and loopback addresses may be, all others are https"
        )
    return value.rstrip("/")


def _feed_url(value: str) -> str:
    """Refuse http off this machine: who asks for what, and an old copy brought again, are for nobody on the way."""
    parts = urlsplit(_url(value))
    if parts.username or parts.password is not None or parts.fragment:
        raise ValueError("has a user name or fragment; a feed is public")
    if parts.scheme == "http" and not loopback(parts.hostname):
        raise ValueError(
            "is http; only localhost, *.localhost and loopback addresses may be, all others are https"
        )
    return value.rstrip("/")


def _store_url(value: str) -> str:
    """Refuse unknown stores, and a Redis whose traffic would leave this machine in clear or without a password."""
    if not value.startswith(STORES) or value == "sqlite:":
        raise ValueError(f"begins with none of {', '.join(STORES)}")
    if value.startswith(("redis://", "rediss://")):
        parts = urlsplit(value)
        if not loopback(parts.hostname) and (parts.scheme != "rediss" or not parts.password):
            raise ValueError(
                "reaches Redis on another machine: that needs rediss:// and a password"
            )
    return value


def _mail_url(value: str) -> str:
    """Refuse what names no mail server."""
    if not value.startswith(MAILS) or not urlsplit(value).hostname:
        raise ValueError(
            f"is no mail server address: {', '.join(each + 'HOST:PORT' for each in MAILS)}"
        )
    return value


_LONGEST_NAME: Final = 256  # SDP-G02
_NAMED: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x20]+")
_SCOPE: Final = re.compile(
    r"(?=.{1,127}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+"
)


def _entity_id(value: str) -> str:
    """Refuse what is no absolute URI of at most 256 characters: peers refuse it too (saml_profiles.md row 3)."""
    if len(value) > _LONGEST_NAME or not _NAMED.fullmatch(value):
        raise ValueError(f"is no absolute URI of at most {_LONGEST_NAME} characters")
    return value


def _scope(value: str) -> str:
    """Refuse what is no domain in small letters, of at most 127 characters (Subject Identifier Attributes 2.3)."""
    if not _SCOPE.fullmatch(value):
        raise ValueError("is no domain in small letters, as library.example")
    return value


_SIX: Final = 6


def _network(value: str) -> str:
    """Refuse what is no network; one with host bits set is a typing mistake somewhere."""
    try:
        found = ip_network(value)
    except ValueError:
        raise ValueError("is no network; write it as 192.0.2.0/24 or 2001:db8::/56") from None
    if found.version == _SIX and found.network_address.ipv4_mapped:
        # Callers are compared as IPv4: written so, it would match nobody, and shared computers
        # would count as homes.
        raise ValueError("is an IPv4 network written as IPv6; write it as 192.0.2.0/24")
    return str(found)


EntityId = Annotated[str, AfterValidator(_entity_id)]
AttributeScope = Annotated[str, AfterValidator(_scope)]
Url = Annotated[str, AfterValidator(_url)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
FeedUrl = Annotated[str, AfterValidator(_feed_url)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
MailUrl = Annotated[str, AfterValidator(_mail_url)]
Network = Annotated[str, AfterValidator(_network)]
