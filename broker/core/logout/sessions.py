"""A session: the record of an issued assertion, by which a logout can end it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from broker.core.entities import UNSPECIFIED, Upstream


@dataclass(frozen=True, slots=True, repr=False)
class NameID:
    """A NameID with all its parts. A logout must copy it exactly.

    Source: docs/reference/saml-profiles.md#23.
    """

    value: str
    format: str | None = None
    name_qualifier: str | None = None
    sp_name_qualifier: str | None = None
    sp_provided_id: str | None = None

    def is_same_as(self, other: "NameID") -> bool:
        """Return whether ``self``, as a peer wrote it, is the ``other`` that was issued.

        A part that the peer leaves out counts as equal.
        """
        if self.value != other.value:
            return False
        if (self.format or UNSPECIFIED) not in {other.format or UNSPECIFIED, UNSPECIFIED}:
            return False
        written = (self.name_qualifier, self.sp_name_qualifier, self.sp_provided_id)
        issued = (other.name_qualifier, other.sp_name_qualifier, other.sp_provided_id)
        pairs = zip(written, issued, strict=True)
        return all(part is None or part == was for part, was in pairs)


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """An issued assertion: its service, the NameIDs on both sides, its browser and its person.

    ``browser`` and ``person`` together say which sessions belong together, because two people may
    use one browser on a shared computer.
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
    issuer: str | None = None  # the entityID at that time: another upstream may have the name now
    ended: datetime | None = None
    upstream_ended: datetime | None = None  # when the upstream ended its session

    def is_from(self, upstream: Upstream) -> bool:
        """Return whether the session came from this upstream.

        An earlier upstream may have had the same name.
        """
        if self.upstream != upstream.name:
            return False
        return self.issuer in {None, upstream.entity_id}


def session_index(assertion: str) -> str:
    """Return the SessionIndex of the assertion whose id is ``assertion``."""
    digest = hashlib.sha256(b"session index\x00" + assertion.encode()).hexdigest()
    return f"_{digest[:40]}"
