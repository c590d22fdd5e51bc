"""The decision that an example, or a rule of the site, expects."""

from dataclasses import dataclass

from broker.core.entities import Names


@dataclass(frozen=True, slots=True)
class Expectation:
    """The decision that an example expects; a None is not checked."""

    effect: str
    reason: str | None = None
    category: str | None = None
    releases: Names | None = None
    affiliation: str | None = None
    no_borrower: bool = False  # no account is made
