"""What is remembered of a name or a CPR number, and what becomes of it when the name comes again.

Institutions give a name to somebody else after a while, the state gives a CPR number to nobody
else. So a CPR number has a person id of its own, and a name alone another one
(docs/reference/design.md#names).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

# Institutions give a name to somebody else no sooner than this after it was last used.
HELD_UNSEEN: Final = timedelta(days=365)
_SEEN_EVERY: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, repr=False)
class PersonLink:
    """The person id that one name, or one CPR number, leads to.

    Of a CPR number ``person`` is its person's id, for good. Of a name it is the id of whoever came
    by it before a CPR number did; the first number takes that id along. ``cpr`` is the pseudonym of
    the number that last came with the name (None: none did), ``alone`` the id of whoever comes by
    the name alone once a number has come, ``confirmed`` when the name last came. ``barred`` is the
    reason why who comes by a CPR number, or by a library account, is not let in: its holder is
    dead, say. ``had`` is the pseudonym of the number that came with the name before ``cpr``, until
    staff have been told: it is written with ``cpr``, so that no death between the two loses it.
    """

    person: str
    cpr: str | None
    confirmed: datetime
    alone: str | None = None
    barred: str | None = None
    had: str | None = None

    @property
    def alone_id(self) -> str | None:
        """Return the id of whoever comes by the name alone; None where it has to be drawn."""
        if self.alone is not None or self.cpr is not None:
            return self.alone
        return self.person

    @property
    def has_own_id(self) -> bool:
        """Return whether no CPR number has ever come with the name: the first takes its id."""
        return self.cpr is None and self.alone is None

    def parted(self, person: str | None, new_id: str) -> "PersonLink":
        """Return the link of a number that was taken for another one of ``person``, and is none."""
        return replace(self, person=new_id) if self.person == person else self


def is_stale(link: PersonLink, now: datetime) -> bool:
    """Return whether a name has gone unseen for so long that it may be somebody else's."""
    return now - link.confirmed > HELD_UNSEEN


def seen(link: PersonLink, now: datetime, every: timedelta = _SEEN_EVERY) -> PersonLink:
    """Return the link of a name that has come again: a write at every login is not worth it."""
    if now - link.confirmed < every:
        return link
    return replace(link, confirmed=now)


def came_alone(link: PersonLink | None, now: datetime, new_id: str) -> PersonLink:
    """Return the link of a name that came without a CPR number; its ``alone_id`` is set."""
    if link is None:
        return PersonLink(new_id, None, now)
    if link.alone_id is not None and not is_stale(link, now):
        return seen(link, now)
    if link.has_own_id:
        return PersonLink(new_id, None, now, barred=link.barred)
    # No CPR number ever takes the id of a name that has had one; and of a name that went unseen
    # nothing leads to its holder of before any more.
    if is_stale(link, now):
        return PersonLink(new_id, None, now, alone=new_id, barred=link.barred)
    return replace(link, alone=new_id, confirmed=now)


def came_with_cpr(link: PersonLink | None, cpr: str, now: datetime, new_id: str) -> PersonLink:
    """Return the link of a name that came with a CPR number (a pseudonym).

    Its ``person`` is an id that this number may have, and no other number ever gets.
    """
    if link is None or is_stale(link, now):
        return PersonLink(new_id, cpr, now)
    if link.cpr == cpr:
        return seen(link, now)
    if link.has_own_id:
        return replace(link, cpr=cpr, confirmed=now)
    # The name may be somebody else's by now: what its holder had by the name alone is not theirs.
    return PersonLink(new_id, cpr, now, had=link.cpr)


def came_without_cpr(link: PersonLink, new_id: str, barred: str | None = None) -> PersonLink:
    """Return the link of a library account on which no CPR number stands any more.

    ``barred`` is why the number's holder is not let in: nor are they by the account alone.
    """
    if link.cpr is None:
        return link
    alone = link.alone or new_id
    return replace(link, person=alone, cpr=None, alone=alone, barred=barred or link.barred)


def without_person(
    link: PersonLink, ids: Collection[str], cprs: Collection[str] = ()
) -> PersonLink | None:
    """Return what a link is once the person of ``ids`` is forgotten; None where nothing is left.

    ``cprs`` are the pseudonyms of their numbers. A name that came with a CPR number and alone may
    have two holders: the other's id stays, for it is all that leads to what is kept about them.
    """
    alone = None if link.alone in ids else link.alone
    if link.person not in ids:
        had = None if link.had in cprs else link.had
        return replace(link, alone=alone, had=had)
    return PersonLink(alone, None, link.confirmed, alone=alone) if alone else None


def of_person(link: PersonLink, ids: Collection[str], cprs: Collection[str] = ()) -> PersonLink:
    """Return a link as far as it is the person's of ``ids``: whoever else had the name is left out.

    ``link`` leads to them, by ``person`` or by ``alone``; ``cprs`` are their numbers.
    """
    if link.alone in ids and link.person not in ids:
        return PersonLink(str(link.alone), None, link.confirmed)
    alone = link.alone if link.alone in ids else None
    had = link.had if link.had in cprs else None
    return replace(link, alone=alone, had=had)


def naming(link: PersonLink, cprs: Collection[str]) -> PersonLink | None:
    """Return of another's link that it had one of ``cprs``; None where it had none of them."""
    if link.had not in cprs:
        return None
    return PersonLink("", None, link.confirmed, had=link.had)


def another_cpr(link: PersonLink | None, cpr: str) -> str | None:
    """Return the CPR number (a pseudonym) that came with the name before, if it is not ``cpr``."""
    if link is None or link.cpr == cpr:
        return None
    return link.cpr
