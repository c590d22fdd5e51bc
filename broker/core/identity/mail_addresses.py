"""A mail address as a person types it: plain, in an accepted domain, and no personal number."""

import re
import string
from typing import Final

from broker.core.errors import AddressRefused
from broker.core.identity.cpr import looks_like_cpr

LONGEST: Final = 254  # RFC 5321 4.5.3.1.3, less the angle brackets of the path
_LONGEST_LOCAL: Final = 64  # RFC 5321 4.5.3.1.1
_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
# Required where the mailbox is a proof: local parts as mail systems assign them. An old server may
# forward an address with "%" or "!" to another mailbox, and "+" gives one mailbox many addresses.
_PERSONAL_LOCAL: Final = re.compile(r"[A-Za-z0-9._'-]+")
_LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_SCHEME: Final = "mailto:"
# Visible and invisible spaces around a pasted address.
_EDGES: Final = string.whitespace + "\u00a0\u2007\u202f\u200b\u200c\u200d\u2060\ufeff"


def normalize_address(text: str) -> str | None:
    """Return an address as it is sent, its domain in lower-case ASCII; None if it is not plain.

    Plain means: a dot-atom, an ``@`` and a domain of at least two labels (RFC 5321 4.1.2 without
    quoting and literals). So nothing in it can end a command or a header line.
    """
    local, at, domain = text.rpartition("@")
    ascii_domain = _ascii_domain(domain)
    if not at or ascii_domain is None:
        return None
    address = f"{local}@{ascii_domain}"
    if len(local) > _LONGEST_LOCAL or len(address) > LONGEST:
        return None
    if not _LOCAL.fullmatch(local):
        return None
    return address


def _ascii_domain(domain: str) -> str | None:
    """Return the domain in IDNA's ASCII and lower case; None if it is no domain of two labels."""
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    labels = ascii_domain.split(".")
    # A last label of digits is a machine's number, not a domain (RFC 3696 2).
    if len(labels) < 2 or labels[-1].isdigit():
        return None
    if not all(map(_LABEL.fullmatch, labels)):
        return None
    return ascii_domain


def check_typed_address(text: str, domains: tuple[str, ...]) -> str:
    """Return the address that a person typed, its domain in lower case.

    ``domains`` are the accepted ones, in lower-case ASCII; if there are none, any domain of at
    least two labels. With ``domains`` the local part may have only letters, digits, dots, hyphens,
    underscores and apostrophes. Raises AddressRefused, whose cause is address_empty,
    address_too_long, address_cpr, address_without_at, address_not_plain or address_other_domain
    (R17).
    """
    trimmed = _remove_scheme(text.strip(_EDGES))
    if not trimmed:
        raise AddressRefused("address_empty")
    local = trimmed.partition("@")[0]
    if len(trimmed) > LONGEST or len(local) > _LONGEST_LOCAL:
        raise AddressRefused("address_too_long")
    if looks_like_cpr(trimmed):
        raise AddressRefused("address_cpr")
    if "@" not in trimmed:
        raise AddressRefused("address_without_at")
    address = normalize_address(trimmed)
    if address is None:
        raise AddressRefused("address_not_plain")
    if not domains:
        return address
    if not _PERSONAL_LOCAL.fullmatch(address.rpartition("@")[0]):
        raise AddressRefused("address_not_plain")
    # Compare the domain as it was typed: IDNA turns full-width letters and a Kelvin sign into plain
    # letters.
    domain = trimmed.rpartition("@")[2]
    if not domain.isascii() or domain.lower() not in domains:
        raise AddressRefused("address_other_domain")
    return address


def _remove_scheme(text: str) -> str:
    if text[: len(_SCHEME)].lower() != _SCHEME:
        return text
    return text[len(_SCHEME) :].strip(_EDGES)


def fold_mailbox(address: str) -> str:
    """Return one text for all spellings of an address that lead to the same mailbox.

    The large mail systems ignore case and everything after a plus. Otherwise one mailbox would
    prove as many persons as it has spellings.
    """
    local, _, domain = address.lower().rpartition("@")
    untagged = local.partition("+")[0]
    return f"{untagged or local}@{domain}"


def mask_address(address: str) -> str:
    """Return a mail address that only its owner recognises: first letters and dots."""
    local, _, domain = address.partition("@")
    return f"{local[:1]}•••@{domain[:1]}•••"
