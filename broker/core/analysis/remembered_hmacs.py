"""Keyed hashes of played logins: nearly all of them are asked for again at the next login."""

from dataclasses import dataclass, field
from typing import Final

from broker.core.lookup_hmacs import LookupHmacs

# Then all are forgotten: what one institution's logins need are some hundred.
_MOST: Final = 4_096


@dataclass(frozen=True, slots=True, repr=False)
class RememberedHmacs(LookupHmacs):
    """The hashes under a key that keeps nothing secret, of persons that are made up.

    Never for live logins: the parts, which may be a person's, stay in memory.
    """

    _known: dict[tuple[str, ...], str] = field(default_factory=dict, compare=False)

    def of(self, label: str, *parts: str) -> str:
        """Return the same as of a key that remembers nothing."""
        asked = (label, *parts)
        known = self._known.get(asked)
        if known is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            known = LookupHmacs.of(self, label, *parts)
            self._known[asked] = known
        return known
