"""A look-up in the register of persons that is owed, and what follows from its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from broker.core.borrowers import field_values
from broker.core.borrowers.address_fields import ADDRESS_FIELDS, address_fields
from broker.core.borrowers.registered_person import RegisteredName, RegisteredPerson, Residence
from broker.core.policy.register_rule import RegisterRule

# The reason by which nobody is let in, and staff have a case.
PERSON_DEAD: Final = "person_dead"
NAME_FIELDS: Final = ("firstname", "surname")


class LookUpReason(StrEnum):
    """Why somebody is looked up: a library must be able to say it of each look-up."""

    ENROLMENT = "enrolment"  # a borrower was found or made
    REFRESH = "refresh"  # a login after ``person_register.refresh_after``


class LookUpOutcome(StrEnum):
    """What came of a look-up; the case's reason where there is one."""

    UNCHANGED = "unchanged"
    WRITTEN = "written"
    PROTECTED = "protected"  # name and address stay with the register
    PROTECTED_THERE = "protected_address_there"  # an address of before stands in the library system
    DEAD = PERSON_DEAD
    NUMBER_CHANGED = "cpr_number_changed"
    UNDER_GUARDIANSHIP = "under_guardianship"
    UNCLEAR = "register_unclear"
    NOT_WRITTEN = "register_not_written"  # the library system refuses what the register says
    NUMBER_GIVEN = "number_given"  # staff have confirmed it, and the borrower has the new number
    NO_BORROWER = "no_borrower"  # it is gone, or another's: nobody is looked up for it
    GIVEN_UP = "given_up"  # the register did not answer for a month


CASES: Final = frozenset(
    {
        LookUpOutcome.DEAD,
        LookUpOutcome.NUMBER_CHANGED,
        LookUpOutcome.UNDER_GUARDIANSHIP,
        LookUpOutcome.UNCLEAR,
        LookUpOutcome.NOT_WRITTEN,
        LookUpOutcome.PROTECTED_THERE,
    }
)
# The register would have said if another number were in the place of the one asked about.
NUMBER_HOLDS: Final = frozenset(
    {
        LookUpOutcome.UNCHANGED,
        LookUpOutcome.WRITTEN,
        LookUpOutcome.PROTECTED,
        LookUpOutcome.PROTECTED_THERE,
        LookUpOutcome.UNDER_GUARDIANSHIP,
        LookUpOutcome.NOT_WRITTEN,
    }
)
_THERE: Final = "name and address are protected now, and an address stands in the library system"
_UNCLEAR: Final = frozenset(
    {Residence.ANNULLED, Residence.NEVER_RESIDENT, Residence.DISAPPEARED, Residence.NOT_UNDERSTOOD}
)


@dataclass(frozen=True, slots=True, repr=False)
class OwedLookUp:
    """One look-up that is owed: by which number, why, and what is done with the answer.

    ``since`` is when it was first wanted, ``attempts`` how often the register did not answer.
    ``number_now`` is the number that took the place of theirs; once staff have ``confirmed`` it the
    borrower is to get it, and the register is not asked.
    """

    cpr: str
    reason: LookUpReason
    rule: RegisterRule
    since: datetime
    attempts: int = 0
    number_now: str | None = None
    confirmed: bool = False

    def __repr__(self) -> str:
        """Show the reason only."""
        return f"OwedLookUp({self.reason.value!r})"


@dataclass(frozen=True, slots=True, repr=False)
class LookUpPlan:
    """What follows from an answer: fields to be written, and a case with its cause in words."""

    outcome: LookUpOutcome
    fields: tuple[tuple[str, str], ...] = ()
    cause: str | None = None

    @property
    def case(self) -> str | None:
        """Return the reason of the case that staff get, None for none."""
        return self.outcome.value if self.outcome in CASES else None

    def refused(self, cause: str) -> "LookUpPlan":
        """Return the plan where the library system refuses to write it: a case that says why."""
        outcome = self.outcome if self.case else LookUpOutcome.NOT_WRITTEN
        return replace(self, outcome=outcome, cause=cause)


def plan_look_up(
    person: RegisteredPerson | None,
    present: Mapping[str, str],
    rule: RegisterRule,
    *,
    protected_to_library: bool,
) -> LookUpPlan:
    """Return what follows from the register's answer for a borrower whose fields are ``present``.

    None is a number that the register does not know. A protected name and address are written only
    with ``protected_to_library``; without it an address that is there already is a case, where the
    rule is about addresses at all. No address is written of who is dead, abroad or disappeared.

    Source: docs/person-register.md#answers.
    """
    if person is None:
        return LookUpPlan(LookUpOutcome.UNCLEAR, cause="the register knows no such number")
    if person.residence is Residence.DEAD:
        return LookUpPlan(LookUpOutcome.DEAD)
    if person.residence is Residence.NUMBER_CHANGED or person.current_number is not None:
        return LookUpPlan(LookUpOutcome.NUMBER_CHANGED)
    if person.residence in _UNCLEAR:
        cause = f"the register says: {person.residence.value}"
        return LookUpPlan(LookUpOutcome.UNCLEAR, cause=cause)
    written = _written(person, present, rule, protected_to_library=protected_to_library)
    if person.under_guardianship and rule.under_guardianship == "case":
        return replace(written, outcome=LookUpOutcome.UNDER_GUARDIANSHIP)
    return written


def _written(
    person: RegisteredPerson,
    present: Mapping[str, str],
    rule: RegisterRule,
    *,
    protected_to_library: bool,
) -> LookUpPlan:
    if person.protected and not protected_to_library:
        if rule.address != "never" and _has_address(present):
            return LookUpPlan(LookUpOutcome.PROTECTED_THERE, cause=_THERE)
        return LookUpPlan(LookUpOutcome.PROTECTED)
    fields = (*_address(person, present, rule), *_name(person.name, present, rule))
    outcome = LookUpOutcome.WRITTEN if fields else LookUpOutcome.UNCHANGED
    return LookUpPlan(outcome, fields)


def _address(
    person: RegisteredPerson, present: Mapping[str, str], rule: RegisterRule
) -> tuple[tuple[str, str], ...]:
    """Return the address as one unit: half of one beside half of another leads nowhere."""
    fields = address_fields(person.address) if person.address else None
    if fields is None or rule.address == "never":
        return ()
    if rule.address == "set_if_empty" and _has_address(present):
        return ()
    if all(present.get(name, "") == text for name, text in fields.items()):
        return ()
    return tuple((name, text) for name, text in fields.items() if text or present.get(name))


def _has_address(present: Mapping[str, str]) -> bool:
    return any(present.get(name) for name in ADDRESS_FIELDS)


def _name(
    name: RegisteredName | None, present: Mapping[str, str], rule: RegisterRule
) -> tuple[tuple[str, str], ...]:
    if name is None or rule.name == "never":
        return ()
    given = " ".join(filter(None, (name.given, name.middle)))
    texts = zip(NAME_FIELDS, (given, name.surname), strict=True)
    harmless = ((field, field_values.harmless(field, text)) for field, text in texts)
    return tuple((field, text) for field, text in harmless if text and not present.get(field))
