"""The ids of a name and of the CPR numbers that come with it, as pure rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.identity.identifier_reassignment import (
    HELD_UNSEEN,
    PersonLink,
    another_cpr,
    came_alone,
    came_with_cpr,
    came_without_cpr,
    is_stale,
    of_person,
    seen,
    without_person,
)

NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
NEW: Final = PersonLink("a", None, NOW)
OF_CPR: Final = PersonLink("a", "cpr", NOW)
DAY: Final = timedelta(days=1)


def test_a_name_that_nobody_came_by_gets_an_id() -> None:
    """Alone it is the name's own; with a number it may be the number's, and the name alone has none yet."""
    assert came_alone(None, NOW, "a") == NEW
    assert NEW.alone_id == "a"
    assert came_with_cpr(None, "cpr", NOW, "a") == OF_CPR
    assert OF_CPR.alone_id is None


def test_the_first_number_takes_the_id_along() -> None:
    """From then on the name alone has another, which no number takes."""
    with_cpr = came_with_cpr(NEW, "cpr", NOW, "x")
    assert (with_cpr.person, with_cpr.alone_id) == ("a", None)
    alone = came_alone(with_cpr, NOW, "b")
    assert (alone.person, alone.alone_id) == ("a", "b")
    assert came_alone(alone, NOW, "y") == alone
    other = came_with_cpr(alone, "other", NOW, "c")
    assert (other.person, other.alone_id) == ("c", None)
    assert came_alone(other, NOW, "d").alone_id == "d"


@pytest.mark.parametrize("link", [NEW, replace(OF_CPR, alone="b")], ids=["its own", "beside a number"])
def test_a_name_unseen_for_a_year_has_a_new_id(link: PersonLink) -> None:
    """Whoever comes by it then may be somebody else; to the day it is still theirs."""
    last = NOW + HELD_UNSEEN
    assert came_alone(link, last, "x").alone_id == link.alone_id
    assert came_alone(link, last + DAY, "x").alone_id == "x"
    assert came_with_cpr(link, "other", last + DAY, "x").person == "x"


def test_a_stale_name_that_has_had_a_number_gives_its_id_to_none() -> None:
    """A year does not make it a name that never had one; the number leads to its new holder no more."""
    stale = came_alone(OF_CPR, NOW + HELD_UNSEEN + DAY, "b")
    assert stale == PersonLink("b", None, NOW + HELD_UNSEEN + DAY, alone="b")
    assert came_with_cpr(stale, "other", stale.confirmed, "c").person == "c"


@pytest.mark.parametrize(("days", "written"), [(29, False), (30, True)])
def test_coming_is_noted_once_a_month(days: int, *, written: bool) -> None:
    """A write at every login is not worth it."""
    later = NOW + timedelta(days=days)
    for again in (seen(NEW, later), came_alone(NEW, later, "x")):
        assert again == (replace(NEW, confirmed=later) if written else NEW)
    assert (came_with_cpr(OF_CPR, "cpr", later, "x") != OF_CPR) is written


@pytest.mark.parametrize(
    ("link", "ids", "left"),
    [
        (NEW, {"a"}, None),
        (OF_CPR, {"a"}, None),
        (replace(OF_CPR, alone="b"), {"a"}, PersonLink("b", None, NOW, alone="b")),
        (replace(OF_CPR, alone="b"), {"b"}, OF_CPR),
        (replace(OF_CPR, alone="b"), {"a", "b"}, None),
        (PersonLink("b", None, NOW, alone="b"), {"b"}, None),
        (PersonLink("b", None, NOW, alone="b"), {"a"}, PersonLink("b", None, NOW, alone="b")),
    ],
)
def test_one_of_two_holders_is_forgotten(link: PersonLink, ids: set[str], left: PersonLink | None) -> None:
    """The other's id stays: it is all that leads to them."""
    assert without_person(link, ids) == left


@pytest.mark.parametrize(
    ("link", "ids", "shown"),
    [
        (OF_CPR, {"a"}, OF_CPR),
        (replace(OF_CPR, alone="b"), {"a"}, OF_CPR),
        (replace(OF_CPR, alone="b"), {"b"}, PersonLink("b", None, NOW)),
        (PersonLink("b", None, NOW, alone="b"), {"b"}, PersonLink("b", None, NOW, alone="b")),
    ],
)
def test_one_of_two_holders_is_shown_their_own(link: PersonLink, ids: set[str], shown: PersonLink) -> None:
    """Not the id or the number that is the other's."""
    assert of_person(link, ids) == shown


def test_an_account_without_its_number_is_itself() -> None:
    """Under an id that no number takes, the same each time."""
    before = came_without_cpr(OF_CPR, "b")
    assert (before.person, before.cpr, before.alone_id, before.has_own_id) == ("b", None, "b", False)
    assert came_without_cpr(before, "x") == before
    assert came_with_cpr(before, "cpr", NOW, "c").person == "c"
    assert came_without_cpr(replace(OF_CPR, alone="b"), "x").alone_id == "b"


def test_another_number_is_told() -> None:
    """The one that came before, where it is another."""
    assert another_cpr(None, "cpr") is None
    assert another_cpr(NEW, "cpr") is None
    assert another_cpr(OF_CPR, "cpr") is None
    assert another_cpr(OF_CPR, "other") == "cpr"


visits = st.tuples(st.sampled_from([None, "cpr1", "cpr2", "gone"]), st.sampled_from([0, 1, 31, 400]))


@given(st.lists(visits, max_size=12))
def test_no_id_is_shared(path: list[tuple[str | None, int]]) -> None:
    """Of two numbers, or of a number and the name alone, whatever came by the name and when."""
    link: PersonLink | None = None
    now = NOW
    numbers: dict[str, set[str]] = {}
    alone: set[str] = set()
    for drawn, (cpr, days) in enumerate(path):
        now += timedelta(days=days)
        if cpr == "gone":
            link = came_without_cpr(link, f"id{drawn}") if link else None
            continue
        if cpr is None:
            link = came_alone(link, now, f"id{drawn}")
            assert link.alone_id
            alone.add(link.alone_id)
            continue
        had_own = link is not None and link.has_own_id and not is_stale(link, now)
        before = link.alone_id if link else None
        link = came_with_cpr(link, cpr, now, f"id{drawn}")
        numbers.setdefault(cpr, set()).add(link.person)
        if had_own and before:
            assert link.person == before
            alone.discard(before)
    one, two = numbers.get("cpr1", set()), numbers.get("cpr2", set())
    assert one.isdisjoint(two)
    assert alone.isdisjoint(one | two)


moves = st.sampled_from(["alone", "number", "hands", "forget", "forget the last", "forget the one alone"])


@given(st.lists(moves, max_size=14))
def test_forgetting_one_holder_of_a_name_costs_no_other_theirs(path: list[str]) -> None:
    """A name that changes hands, each holder with a number of their own: whoever is forgotten, the others keep ids."""
    link: PersonLink | None = None
    now, holder = NOW, 0
    numbers: dict[int, str] = {}  # the id of each holder's number
    alone: dict[int, str] = {}  # the id that the holder last came by alone
    for drawn, move in enumerate(path):
        last = holder - 1
        if move == "hands":
            now, holder = now + HELD_UNSEEN + DAY, holder + 1
        elif move == "alone":
            link = came_alone(link, now, f"id{drawn}")
            assert (link.cpr, is_stale(link, now)) in {(None, False), (f"cpr{holder}", False)}
            alone[holder] = str(link.alone_id)
        elif move == "number":
            link = came_with_cpr(link, f"cpr{holder}", now, f"id{drawn}")
            numbers.setdefault(holder, link.person)
            if link.alone_id is None:
                alone.pop(holder, None)  # it has gone along with the number, or was another's by then
        elif link is not None:
            one = {"forget": numbers.get(holder), "forget the last": numbers.get(last)}.get(move, alone.get(holder))
            own = {one, link.person} if link.cpr == f"cpr{holder}" and move == "forget" else {one}
            ids = {each for each in own if each}
            kept = alone.get(holder) if alone.get(holder) not in ids else None
            link = without_person(link, ids)
            assert not link or ids.isdisjoint({link.person, link.alone})
            assert kept is None or (link is not None and link.alone_id == kept)
            alone = {each: id_ for each, id_ in alone.items() if id_ not in ids}
