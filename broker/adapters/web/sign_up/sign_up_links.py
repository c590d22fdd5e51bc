"""Addresses of the sign-up pages, and the names that their texts may link to."""

import re
from collections.abc import Collection, Mapping
from typing import Final

START: Final = "start"
SIGN_UP: Final = "/sign-up"
BEGIN: Final = "/sign-up/begin"
FAQ: Final = "/sign-up/faq"
PIN: Final = "/pin"
CHOICES: Final = "/my-choices"

ANCHORS: Final = (
    "account", "who", "login", "no-cpr", "my-loans", "open-account", "hospital",
    "advantages", "rights", "pin", "profile", "wayf", "eid",
)  # fmt: skip
# Names of the library's own pages, whose addresses are in sign_up.links.
_LINK: Final = re.compile("[a-z_]+")
# Addresses that are not configurable: they belong to Region Midtjylland.
FIXED: Final[Mapping[str, str]] = {"bsk": "https://bsk.rm.dk"}


def is_library_page(target: str) -> bool:
    """Return whether ``target`` can be a name of sign_up.links."""
    return _LINK.fullmatch(target) is not None


def list_targets(pages: Collection[str]) -> tuple[str, ...]:
    """Return what a text may link to, apart from the library's own pages.

    ``pages`` are the names of the pages of the tree.
    """
    anchors = tuple(f"faq#{anchor}" for anchor in ANCHORS)
    return (*FIXED, *pages, "faq", *anchors, "pin", "choices")
