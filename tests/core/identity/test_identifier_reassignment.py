"""What of a login speaks for another holder of a name, and what of it is remembered."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from broker.core.identity.identifier_reassignment import (
    Asserted,
    PersonLink,
    borrower_agrees,
    contradicts,
    with_evidence,
)
from broker.core.serialization import dump, load

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
BARE = PersonLink("p", None, None, NOW)
OF_CPR = PersonLink("p", "7", "cpr", NOW)
UUID, OTHER = Asserted(uuid="u1", sure=True), Asserted(uuid="u2", sure=True)
WEAK = replace(UUID, sure=False)


@pytest.mark.parametrize("link", [BARE, OF_CPR], ids=["without a CPR", "of a CPR"])
@pytest.mark.parametrize(
    ("known", "asserted", "speaks"),
    [
        (None, UUID, False),
        ("u1", UUID, False),
        ("u1", OTHER, True),
        ("u1", replace(OTHER, sure=False), True),
        ("u1", Asserted("cpr"), False),
        ("u1", Asserted("cpr", uuid="u2"), True),
        ("u1", None, False),
    ],
)
def test_another_cpr_uuid_speaks_against_a_link(
    link: PersonLink, known: str | None, asserted: Asserted | None, *, speaks: bool
) -> None:
    """However weakly it was asserted, and whatever number came with it; none says nothing."""
    assert contradicts(replace(link, uuid=known), asserted) == speaks


@pytest.mark.parametrize(
    ("link", "asserted", "learned"),
    [
        (BARE, UUID, "u1"),
        (BARE, WEAK, "u1"),
        (OF_CPR, UUID, "u1"),
        (OF_CPR, WEAK, None),
        (replace(OF_CPR, uuid="u1"), Asserted("cpr"), "u1"),
        (replace(OF_CPR, uuid="u1"), None, "u1"),
    ],
)
def test_a_link_learns_a_cpr_uuid(link: PersonLink, asserted: Asserted | None, learned: str | None) -> None:
    """One that leads to a CPR's borrower only of who may be found by it."""
    assert with_evidence(link, asserted).uuid == learned


@pytest.mark.parametrize(
    ("link", "asserted", "speaks"),
    [
        (OF_CPR, Asserted("cpr"), False),
        (OF_CPR, Asserted("other"), True),
        (OF_CPR, Asserted("replacement", real=False), True),  # who had a CPR never goes back
        (OF_CPR, Asserted(born="day"), False),
        (replace(OF_CPR, asserted="other", born="other day"), Asserted("cpr", born="day"), False),
        (BARE, Asserted("cpr"), False),
        (replace(BARE, asserted="cpr"), Asserted("cpr"), False),
        (replace(BARE, asserted="cpr"), Asserted("other"), True),
        (replace(BARE, asserted="cpr", born="day"), Asserted("cpr", born="other day"), True),
        (replace(BARE, born="day"), Asserted("other", born="day"), False),
        (replace(BARE, born="day"), Asserted("other", born="other day"), True),
        (replace(BARE, born="day"), Asserted("other"), False),
        (BARE, Asserted("other", born="day"), False),
        (replace(BARE, born="day"), Asserted(born="other day"), False),  # a date without a number is nobody's
        (replace(BARE, asserted="cpr"), None, False),
    ],
)
def test_another_number_speaks_against_a_link(link: PersonLink, asserted: Asserted | None, *, speaks: bool) -> None:
    """Than its CPR, or where it has none than the number or the date of birth that came with the name last."""
    assert contradicts(link, asserted) is speaks


@pytest.mark.parametrize(
    ("link", "asserted", "number", "born"),
    [
        (BARE, Asserted("cpr", born="day"), "cpr", "day"),
        (BARE, Asserted("cpr"), "cpr", None),
        (BARE, Asserted("made up", real=False, born="day"), None, "day"),
        (replace(BARE, asserted="old", born="day"), Asserted("new", real=False, born="day"), None, "day"),
        (replace(BARE, asserted="old", born="day"), Asserted(born="other"), "old", "day"),
        (OF_CPR, Asserted("cpr", born="day"), None, None),
        (OF_CPR, Asserted("cpr", real=False, born="day"), None, None),
        (BARE, None, None, None),
    ],
)
def test_a_link_without_a_cpr_remembers_the_number_that_came(
    link: PersonLink, asserted: Asserted | None, number: str | None, born: str | None
) -> None:
    """A real one, with its date of birth; of a number that is replaced one day only the date stays true."""
    after = with_evidence(link, asserted)
    assert (after.asserted, after.born) == (number, born)
    assert replace(after, asserted=link.asserted, born=link.born) == link


@pytest.mark.parametrize(
    ("link", "carried", "same"),
    [
        (None, ("7",), True),
        (None, (), False),
        (PersonLink("p", None, "cpr", NOW), ("7",), True),
        (PersonLink("p", "7", "cpr", NOW), ("7",), True),
        (PersonLink("p", "7", "cpr", NOW), (), False),
        (PersonLink("p", "8", "cpr", NOW), ("7", "8"), False),
    ],
)
def test_name_and_cpr_lead_to_one_borrower(link: PersonLink | None, carried: tuple[str, ...], *, same: bool) -> None:
    """The one that the name leads to must carry the CPR, and the CPR must lead to no other."""
    assert borrower_agrees("7", link, carried.__contains__) is same


def test_nobody_is_sure_or_disputed_unless_it_is_written() -> None:
    """A link begins undisputed; evidence begins as real and as of somebody who may not be found by it."""
    assert (BARE.disputed, Asserted().sure, Asserted().real) == (False, False, True)


def test_a_cpr_uuid_alone_changes_nothing_that_a_number_said() -> None:
    """What the number was that came last is remembered still."""
    link = replace(BARE, asserted="cpr", born="day")
    assert with_evidence(link, UUID) == replace(link, uuid="u1")


def test_a_link_of_before_there_were_cpr_uuids_in_links_still_reads() -> None:
    """A record without the field is a link that has learned none yet."""
    old = dump(OF_CPR).replace(b',"uuid":null', b"")
    assert b"uuid" not in old
    assert load(PersonLink, old) == OF_CPR
