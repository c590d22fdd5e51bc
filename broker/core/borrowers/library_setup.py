"""The capabilities and the set-up that a library system needs, and the observer of its calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, Self

from broker.core.policy.model import BorrowerRule, PolicySet


class LibraryCallObserver(Protocol):
    """Gets every call by its kind, to count and time it."""

    def __call__(self, call: str, outcome: str, seconds: float) -> None:
        """Record that a ``call`` ("find") ended after ``seconds``.

        ``outcome`` is "done", "refused" (by the library system) or "unavailable".
        """


def ignore_call(call: str, outcome: str, seconds: float) -> None:
    """Record nothing."""


class LibraryCapability(StrEnum):
    """A capability that some library systems lack.

    docs/library-systems.md#capabilities says how the broker works without it.
    """

    UNIQUE_CPR = "unique_cpr"  # of simultaneous creates for one person, only one succeeds
    PIN_CHECKED = "pin_checked"  # it tells a right PIN from a wrong one
    SETUP_TRIED = "setup_tried"  # the categories that policies name can be tested in advance
    USER_NAMES = "user_names"  # a borrower may also log in with a user name
    FOUND_BY_BIRTH_DATE = "found_by_birth_date"  # borrowers can be searched by birth date
    LISTED = "listed"  # all borrowers can be read one after the other


ALL_CAPABILITIES: Final = frozenset(LibraryCapability)


@dataclass(frozen=True, slots=True)
class ExpectedSetup:
    """The borrower categories that a policy set names.

    ``categories`` maps each to the first line of a policy file that names it (``student.yaml:12``).
    """

    categories: Mapping[str, str]

    @classmethod
    def from_policies(cls, policies: PolicySet) -> Self:
        """Return the categories of all borrower rules, with upgrades and lowerings."""
        categories: dict[str, str] = {}
        variants = (each for policy in policies.policies for each in policy.variants)
        for rule in (policy.borrower for policy in variants):
            for category in list_categories(rule) if rule else ():
                categories.setdefault(category, str(rule.place) if rule else "")
        return cls(categories)


@dataclass(frozen=True, slots=True)
class SetupFault:
    """A fault in the set-up: the library system's name of the setting, and a sentence.

    ``setting`` is a name of the set-up, never a value that a person has.
    """

    setting: str
    sentence: str

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence


@dataclass(frozen=True, slots=True)
class SetupTrial:
    """The result of trial borrowers: faults, and sentences about what they could not show."""

    faults: tuple[SetupFault, ...]
    not_proven: tuple[str, ...]


def list_categories(rule: BorrowerRule) -> tuple[str, ...]:
    """Return every category that the rule names, with duplicates."""
    lowered = rule.lowers.categories if rule.lowers else ()
    return (rule.category, *rule.upgrades, *lowered)
