"""What the policies expect of the library system's set-up, and a fault that is found in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from broker.core.policy.model import BorrowerRule, PolicySet


@dataclass(frozen=True, slots=True)
class ExpectedSetup:
    """The borrower categories that a policy set names.

    Each leads to the first line of a policy file that names it (``student.yaml:12``).
    """

    categories: Mapping[str, str]

    @classmethod
    def of(cls, policies: PolicySet) -> Self:
        """Return what the borrower rules of all policies name, upgrades and lowerings included."""
        categories: dict[str, str] = {}
        for rule in (policy.borrower for policy in policies.policies):
            for category in categories_of(rule) if rule else ():
                categories.setdefault(category, str(rule.place) if rule else "")
        return cls(categories)


@dataclass(frozen=True, slots=True)
class SetupFault:
    """One fault: the setting in the library system's own name, and a sentence that says all.

    ``setting`` is a name of the set-up, never a value that a person has.
    """

    setting: str
    sentence: str

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence


@dataclass(frozen=True, slots=True)
class SetupTrial:
    """What trial borrowers have shown, and sentences about what they could not show."""

    faults: tuple[SetupFault, ...]
    not_proven: tuple[str, ...]


def categories_of(rule: BorrowerRule) -> tuple[str, ...]:
    """Return every category that the rule makes, moves or lowers, each as often as it is named."""
    lowered = rule.lowers.categories if rule.lowers else ()
    return (rule.category, *rule.upgrades, *lowered)
