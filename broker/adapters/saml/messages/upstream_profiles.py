"""How the messages of the upstream profiles (WAYF, plain SAML, OIOSAML 3) differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from broker.core.entities import Profile, Upstream
from broker.core.login.transaction import SKEW


@dataclass(frozen=True, slots=True)
class ProfileTraits:
    """The rules of one profile.

    ``skew`` is how far clocks may differ, ``fresh`` how much older a Response may be.
    ``hub``: the upstream is a hub for several institutions. ``nsis``: requests name an NSIS level
    and a person, and the level comes in an attribute. ``strict``: one encrypted and signed
    Assertion with one AttributeStatement and a NameID.
    """

    skew: timedelta = SKEW
    fresh: timedelta = timedelta(minutes=5)
    hub: bool = False
    nsis: bool = False
    strict: bool = False

    @property
    def replay_margin(self) -> timedelta:
        """Return how much longer a replay must be refused than with the usual SKEW."""
        return self.skew - SKEW


_PLAIN: Final = ProfileTraits()
# OIO-GE-01 allows three to five minutes; the reference implementation of the profile takes five,
# and accepts no older Response (docs/reference/nemlog-in.md#clock).
_TRAITS: Final[Mapping[Profile, ProfileTraits]] = {
    "wayf": ProfileTraits(hub=True),
    "saml": _PLAIN,
    "oiosaml3": ProfileTraits(skew=timedelta(minutes=5), fresh=timedelta(), nsis=True, strict=True),
}


def traits_of(upstream: Upstream) -> ProfileTraits:
    """Return the traits of an upstream's profile."""
    return _TRAITS.get(upstream.profile, _PLAIN)
