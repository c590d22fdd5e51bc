"""What is remembered of who holds a name, and what of a login speaks for another holder."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True, repr=False)
class PersonLink:
    """What one name of a person leads to.

    ``person`` is the random id, ``number`` the borrower, ``cpr`` the pseudonym of the CPR that came
    with the name (None: none ever did), ``confirmed`` when the two last came together; without a
    CPR, when the name last came. ``asserted`` and ``born`` are what a name without a CPR was last
    said to be (of ``Asserted``), ``uuid`` the pseudonym of the cprUuid that came with it.
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
    """What this login says of who holds a name: it may speak against a link, and never makes or finds one.

    ``number`` is the pseudonym of the number (None: none came), ``real`` False for a replacement or
    constructed one, ``born`` the pseudonym of the date of birth, ``uuid`` that of the cprUuid.
    ``sure``: of somebody who may be found by them.
    """

    number: str | None = None
    real: bool = True
    born: str | None = None
    uuid: str | None = None
    sure: bool = False


def strange(link: PersonLink, asserted: Asserted | None) -> bool:
    """Say whether another cprUuid came than the link's: the register gives one to nobody else, and never a second."""
    return (
        asserted is not None
        and asserted.uuid is not None
        and link.uuid not in {None, asserted.uuid}
    )


def against(link: PersonLink, asserted: Asserted | None) -> bool:
    """Say whether number or cprUuid of this login are another person's than the link's.

    Who had a CPR never goes back to a replacement or constructed number, so those speak against one
    too. Who has one of those may get a CPR, or another of them, with the same date of birth.
    """
    if asserted is None or strange(link, asserted):
        return asserted is not None
    if asserted.number is None:
        return False
    if link.cpr:
        return asserted.number != link.cpr
    if link.born and asserted.born and link.born != asserted.born:
        return True
    return link.asserted not in {None, asserted.number}


def agrees(linked: str, link: PersonLink | None, carries: Callable[[str], bool]) -> bool:
    """Say whether the borrower that a name leads to is the CPR's too: its link has no other, and it carries the CPR."""
    return (link is None or link.number in {None, linked}) and carries(linked)


def noted(link: PersonLink, asserted: Asserted | None) -> PersonLink:
    """Give the link with what a login said that did not speak against it.

    A name that leads to a CPR's borrower learns a cprUuid only of who may be found by it: what
    anybody may have typed must not part the borrower from the name.
    """
    if asserted is None:
        return link
    if asserted.uuid and (asserted.sure or link.cpr is None):
        link = replace(link, uuid=asserted.uuid)
    if link.cpr or asserted.number is None:
        return link
    return replace(link, asserted=asserted.number if asserted.real else None, born=asserted.born)
