"""What a person lacks to enrol, and may do at all, worked out from the facts of their class."""

from dataclasses import dataclass
from typing import Final

from broker.core.analysis.modelled_matching import Deciding, ModelledSet
from broker.core.analysis.sources import Source
from broker.core.analysis.value_kinds import Standing
from broker.core.entities import Assurance, Names
from broker.core.identity.rights import NOT_REAL, Right, has_right, missing_cpr_reason
from broker.core.policy.model import Requirement

_REAL: Final = "real"


@dataclass(frozen=True, slots=True)
class Known:
    """What an assertion shows of the person beside whom they belong to.

    ``withheld``: an affiliation was held back.
    """

    standing: Standing
    withheld: bool
    level: Assurance | None
    cpr: str
    age: int | None

    def numbered(self, cpr: str, age: int | None) -> "Known":
        """Return the same of a person with this kind of CPR number, and the age with it."""
        return Known(self.standing, self.withheld, self.level, cpr, age)


@dataclass(frozen=True, slots=True)
class Rights:
    """What all logins have in common that one policy treats alike, whatever service they go to.

    ``lacking`` are the reasons why the person may not enrol alone, ``number`` is what is said of a
    CPR number. ``in_person`` and ``findable`` say what a real number permits: to write to a
    borrower, and to find it.
    """

    lacking: Names
    in_person: bool
    findable: bool
    number: str
    lowers: bool

    @property
    def whatever_lacks(self) -> object:
        """Return the rights that count where nothing is required."""
        return (self.in_person, self.findable, self.number, self.lowers)

    @property
    def can_request(self) -> bool:
        """Return whether the login can have a request for a borrower at all."""
        return self.findable and self.number == _REAL


def rights(modelled: ModelledSet, deciding: Deciding, known: Known, source: Source) -> Rights:
    """Return the rights of a login that ``deciding`` stands for; of no affiliation, the fewest."""
    policy = modelled.policy(deciding)
    ground = source.find_cpr_ground(known.standing, known.level)
    findable = ground is not None
    in_person = ground is not None and has_right(ground, Right.WRITE_BORROWER)
    if policy is None:
        return Rights((), in_person, findable, _number(known), lowers=False)
    rule = policy.borrower.lowers if policy.borrower else None
    left = known.standing is not Standing.IDENTIFIED and not known.withheld
    return Rights(
        lacking=_lacking(policy.require, known, source.upstream),
        in_person=in_person,
        findable=findable,
        number=_number(known),
        lowers=deciding.highest and left and rule is not None and source.upstream in rule.by,
    )


def _lacking(require: Requirement, known: Known, upstream: str) -> Names:
    lacking: dict[str, None] = {}
    if require.upstream and upstream not in require.upstream:
        lacking["national_eid_required"] = None
    if require.assurance is not None and (known.level or 0) < require.assurance:
        lacking["assurance_too_low"] = None
    if require.cpr and known.cpr != _REAL:
        lacking[missing_cpr_reason(known.cpr)] = None
    code = _age_code(require.age, known)
    if code:
        lacking[code] = None
    return tuple(lacking)


def _age_code(required: int | None, known: Known) -> str | None:
    if required is None:
        return None
    if known.age is None:
        return "cpr_required"  # the age is read from the number
    return "too_young" if known.age < required else None


def _number(known: Known) -> str:
    """Return the kind of the CPR number; one that is invalid is none."""
    return known.cpr if known.cpr in {_REAL, *NOT_REAL} else "none"
