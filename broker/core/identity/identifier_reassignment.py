"""What is remembered of the holder of a name, and what in a login speaks for another holder."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True, repr=False)
class PersonLink:
    """The person and the borrower that one name of a person leads to.

    ``person`` is the random id, ``number`` the borrower, ``cpr`` the pseudonym of the CPR that came
    with the name (None: none ever did), ``confirmed`` when the two last came together; without a
    CPR, when the name last came. ``asserted`` and ``born`` are what a name without a CPR was last
    asserted to be (of ``Asserted``), ``uuid`` the pseudonym of the cprUuid that came with it.
    ``disputed``: another CPR or cprUuid came with the name, and staff have not looked yet.
    ``since``: from when on the name has been this person's, where somebody held it before.
    """

    person: str
    number: str | None
    cpr: str | None
    confirmed: datetime
    asserted: str | None = None
    born: str | None = None
    disputed: bool = False
    uuid: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Asserted:
    """Evidence of a login about the holder of a name.

    It may speak against a link, and never makes or finds one. ``number`` is the pseudonym of the
    number (None: none came), ``real`` False for a replacement or constructed one, ``born`` the
    pseudonym of the date of birth, ``uuid`` that of the cprUuid. ``sure``: of somebody who may be
    found by them.
    """

    number: str | None = None
    real: bool = True
    born: str | None = None
    uuid: str | None = None
    sure: bool = False


def has_another_cpr_uuid(link: PersonLink, asserted: Asserted | None) -> bool:
    """Return whether another cprUuid came than the link's.

    The register gives a cprUuid to nobody else, and a person never a second.
    """
    if asserted is None or asserted.uuid is None or link.uuid is None:
        return False
    return link.uuid != asserted.uuid


def contradicts(link: PersonLink, asserted: Asserted | None) -> bool:
    """Return whether number or cprUuid of this login are another person's than the link's.

    Who had a CPR never goes back to a replacement or constructed number, so those speak against one
    too. Who has one of those may get a CPR, or another of them, with the same date of birth.
    """
    if asserted is None:
        return False
    if has_another_cpr_uuid(link, asserted):
        return True
    if asserted.number is None:
        return False
    if link.cpr:
        return asserted.number != link.cpr
    if link.born and asserted.born and link.born != asserted.born:
        return True
    return link.asserted not in {None, asserted.number}


def borrower_agrees(linked: str, link: PersonLink | None, carries: Callable[[str], bool]) -> bool:
    """Return whether the borrower ``linked`` that a name leads to is the CPR's too.

    It is where the CPR's ``link`` leads to no other, and the borrower ``carries`` the CPR.
    """
    if link is not None and link.number not in {None, linked}:
        return False
    return carries(linked)


def with_evidence(link: PersonLink, asserted: Asserted | None) -> PersonLink:
    """Return the link with the evidence of a login that did not speak against it.

    A name that leads to a CPR's borrower learns a cprUuid only of a person who may be found by it:
    what anybody may have typed must not part the borrower from the name.
    """
    if asserted is None:
        return link
    if asserted.uuid and (asserted.sure or link.cpr is None):
        link = replace(link, uuid=asserted.uuid)
    if link.cpr or asserted.number is None:
        return link
    number = asserted.number if asserted.real else None
    return replace(link, asserted=number, born=asserted.born)
