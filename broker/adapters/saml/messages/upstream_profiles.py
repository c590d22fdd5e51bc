"""What is particular to a profile of upstream, in its messages and in ours to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from broker.core.entities import Profile, Upstream
from broker.core.login.transaction import SKEW


@dataclass(frozen=True, slots=True)
class ProfileTraits:
    """What is particular to one profile.

    ``skew`` is how far clocks may differ, ``fresh`` how long beyond that a Response may lie before
    it comes. ``hub``: institutions stand behind it. ``nsis``: it is asked for NSIS levels and for a
    person, and the level comes in an attribute. ``strict``: one encrypted Assertion, signed itself,
    with one AttributeStatement and a NameID.
    """

    skew: timedelta = SKEW
    fresh: timedelta = timedelta(minutes=5)
    hub: bool = False
    nsis: bool = False
    strict: bool = False

    @property
    def longer(self) -> timedelta:
        """Return how much longer than SKEW, added to all, a message must be remembered as spent."""
        return self.skew - SKEW


_PLAIN: Final = ProfileTraits()
# OIO-GE-01 allows three to five minutes; the reference implementation of the profile takes five,
# and a Response that is older for none (docs/reference/nemlog-in.md#clock).
_TRAITS: Final[Mapping[Profile, ProfileTraits]] = {
    "wayf": ProfileTraits(hub=True),
    "saml": _PLAIN,
    "oiosaml3": ProfileTraits(skew=timedelta(minutes=5), fresh=timedelta(), nsis=True, strict=True),
}


def traits_of(upstream: Upstream) -> ProfileTraits:
    """Return the traits of an upstream's profile."""
    return _TRAITS.get(upstream.profile, _PLAIN)
