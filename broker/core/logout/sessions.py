"""A session: what is remembered of an assertion that was issued, so that it can be ended."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from broker.core.entities import UNSPECIFIED, Upstream


@dataclass(frozen=True, slots=True, repr=False)
class NameID:
    """A NameID to the letter: a logout must name the person by an exact copy (saml_profiles.md row 23)."""

    value: str
    format: str | None = None
    name_qualifier: str | None = None
    sp_name_qualifier: str | None = None
    sp_provided_id: str | None = None

    def means(self, other: "NameID") -> bool:
        """Return whether ``self``, as a peer wrote it, is the ``other`` that was issued: what it leaves out is implied."""
        told = (self.name_qualifier, self.sp_name_qualifier, self.sp_provided_id)
        known = (other.name_qualifier, other.sp_name_qualifier, other.sp_provided_id)
        return (
            self.value == other.value
            and (self.format or UNSPECIFIED) in {other.format or UNSPECIFIED, UNSPECIFIED}
            and all(each is None or each == was for each, was in zip(told, known, strict=True))
        )


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """An assertion that left: at which service, under which names there and at the upstream, in whose browser.

    ``browser`` and ``person`` together say what belongs together: on a shared computer two people
    use one browser.
    """

    id: str
    service: str
    entity_id: str
    name_id: NameID
    index: str
    browser: str
    person: str
    transaction: str
    upstream: str
    at: datetime
    until: datetime
    upstream_name_id: NameID | None = None
    upstream_index: str | None = None
    issuer: str | None = None  # the upstream's entityID then: its name may be another's by now
    ended: datetime | None = None

    def given_by(self, upstream: Upstream) -> bool:
        """Return whether it came from this upstream, and not from one that had its name before."""
        return self.upstream == upstream.name and self.issuer in {None, upstream.entity_id}


def session_index(assertion: str) -> str:
    """Return the SessionIndex that the assertion of this id carries."""
    return f"_{hashlib.sha256(b'session index' + bytes(1) + assertion.encode()).hexdigest()[:40]}"
