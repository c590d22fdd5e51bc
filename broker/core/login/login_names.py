"""The names by which a login is written down."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoginNames:
    """The names of a login in logs: codes, references and random ids, no personal value."""

    reference: str
    service: str
    upstream: str | None
    institution: str | None
    person: str | None
