"""The second person: what two people sign, which sets were in force lately, and what of a site is unknown."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.policy.site_record import RULES, SIGNERS, part_changes, same_part
from broker.core.ports import Key
from broker.use_cases.policies.second_person import (
    Signer,
    Statement,
    may_be_one,
    other_signers,
    unknown_parts,
    was_recently_in_force,
)
from broker.use_cases.policies.set_in_force import Live, Move, SetChange
from broker.use_cases.records import Record

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SITE = {"library": "1", "services.my-loans": "2"}


def change(number: int, digest: str, at: datetime) -> SetChange:
    """Give a change."""
    return SetChange(number, digest, None, Move.APPLIED, at, "kirsten", "because", SITE, ())


def live(number: int, digest: str) -> Live:
    """Give the record in force."""
    return Record(Key("policy", "live"), change(number, digest, NOW), "v", NOW + DAY)


def test_a_statement_is_good_for_one_change_of_one_broker_only() -> None:
    """Another base, the same base another time, another set, site or broker: each is another line."""
    statements = [
        Statement.of("https://a", live(7, "base"), "new", SITE),
        Statement.of("https://a", live(7, "other"), "new", SITE),
        Statement.of("https://a", live(9, "base"), "new", SITE),
        Statement.of("https://a", live(7, "base"), "newer", SITE),
        Statement.of("https://a", live(7, "base"), "new", SITE | {"library": "3"}),
        Statement.of("https://b", live(7, "base"), "new", SITE),
        Statement.of("https://a", None, "new", SITE),
    ]
    lines = [str(statement) for statement in statements]
    assert not any(one == other for one, other in itertools.combinations(lines, 2))
    assert lines[0].startswith("policies of https://a: change 8 puts new in the place of base, for site ")
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("days", "recent"), [((40, 20), True), ((40, 30), True), ((400, 31), False), ((40, 31), False)]
)
def test_a_set_was_in_force_until_the_next_one_was(days: tuple[int, int], recent: bool) -> None:
    """Thirty days from its end count, not from its beginning."""
    history = [change(1, "old", NOW - days[0] * DAY), change(2, "new", NOW - days[1] * DAY)]
    assert was_recently_in_force(history, "old", NOW) is recent
    assert was_recently_in_force(history, "new", NOW)
    assert not was_recently_in_force(history, "never", NOW)
    assert not was_recently_in_force([], "old", NOW)


def test_a_set_that_was_in_force_twice_counts_by_its_last_end() -> None:
    """Whichever it is in the history."""
    history = [change(number, digest, NOW - (90 - 25 * number) * DAY) for number, digest in enumerate("abac")]
    assert [was_recently_in_force(history, digest, NOW) for digest in "abc"] == [True, False, True]


def test_a_set_that_one_person_forced_was_never_agreed_on() -> None:
    """It does not come back alone without an alarm; where two have agreed on it before or since, it does."""
    first, last = change(1, "narrow", NOW - 2 * DAY), change(3, "narrow", NOW)
    agreed = change(2, "wide", NOW - DAY)
    forced = replace(agreed, alone=True)
    assert not was_recently_in_force([first, forced, last], "wide", NOW)
    assert not was_recently_in_force([first, forced], "wide", NOW)
    assert was_recently_in_force([agreed, replace(forced, number=3), replace(last, number=4)], "wide", NOW)


def test_where_an_entry_is_lost_a_set_ended_at_its_beginning() -> None:
    """Nothing shows that it was in force until the next entry that is there."""
    history = [change(1, "old", NOW - 40 * DAY), change(3, "new", NOW - 5 * DAY)]
    assert not was_recently_in_force(history, "old", NOW)


def test_a_clock_that_was_set_back_makes_no_set_recent() -> None:
    """Thirty days are counted from the last change at the latest."""
    history = [change(1, "old", NOW - 80 * DAY), change(2, "between", NOW - 60 * DAY), change(3, "new", NOW)]
    assert not was_recently_in_force(history, "old", NOW - 55 * DAY)
    assert was_recently_in_force(history, "between", NOW - 55 * DAY)


def test_parts_of_a_site_that_are_new_or_other_are_unknown() -> None:
    """One that is gone lets nothing through; who may sign decides no login."""
    assert unknown_parts(SITE, SITE) == ()
    assert unknown_parts(SITE, {"library": "1"}) == ()
    assert unknown_parts(SITE, SITE | {"library": "9", "services.new": "3"}) == ("library", "services.new")
    assert unknown_parts(SITE, SITE | {"policy.signers": "4"}) == ()


def test_a_signer_is_shown_with_the_key() -> None:
    """The history says which of a person's keys it was."""
    assert str(Signer("kirsten@library.example", "SHA256:abc")) == "kirsten@library.example SHA256:abc"


def test_a_list_of_signers_that_is_not_what_it_was_is_another() -> None:
    """Emptied too; a first list is none, for before it one person was enough."""
    before = live(1, "a")
    assert before
    listed = replace(before, value=replace(before.value, site=SITE | {"policy.signers": "4"}))
    assert not other_signers(listed, SITE | {"policy.signers": "4"})
    assert other_signers(listed, SITE | {"policy.signers": "5"})
    assert other_signers(listed, SITE)
    assert not other_signers(before, SITE | {"policy.signers": "4"})
    assert not other_signers(None, SITE)


@pytest.mark.parametrize(
    ("was", "now", "unknown"),
    [({RULES: "1"}, {}, (RULES,)), ({RULES: "1"}, {RULES: "2"}, (RULES,)), ({}, {RULES: "1"}, ())],
)
def test_site_rules_that_go_or_change_may_hold_back_less(
    was: dict[str, str], now: dict[str, str], unknown: tuple[str, ...]
) -> None:
    """Nothing shows what they held back; the first ones only hold back more."""
    assert unknown_parts(SITE | was, SITE | now) == unknown


def test_a_site_whose_digests_were_short_is_what_it_was() -> None:
    """Earlier versions recorded sixteen digits: an upgrade changes no part, and whoever changes one is seen to."""
    now = {"library": "a" * 64, SIGNERS: "b" * 64, RULES: "c" * 64}
    was = {name: digits[:16] for name, digits in now.items()}
    before = live(1, "a")
    assert before
    upgraded = replace(before, value=replace(before.value, site=was))
    assert unknown_parts(was, now) == part_changes(was, now) == ()
    assert not other_signers(upgraded, now)
    for name, digits in now.items():
        other = now | {name: digits[:15] + "d" * 49}
        assert part_changes(was, other) == (f"{name} changed",)
        assert unknown_parts(was, other) == ((name,) if name != SIGNERS else ())
        assert other_signers(upgraded, other) is (name == SIGNERS)
    assert part_changes(was, {}) == tuple(f"{name} removed" for name in sorted(now))
    assert not same_part("a" * 15, "a" * 64)


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        ("kirsten@*", "*@library", True),
        ("kirsten@*", "Kirsten@library", True),
        ("k?rsten", "ki*", True),
        ("*", "mads", True),
        ("kirsten@*", "mads@*", False),
        ("*@library", "*@post", False),
        ("kirsten", "kirste", False),
        ("!*,mads", "kirsten", False),
        ("kirsten", "!kirsten,mads", False),
        ("", "**", True),
        ("k**", "k", True),
        ("*a*b*c", "*c*b*d", False),
        ("k" * 600, "k" * 600, True),
        ("k" * 600, "k" * 599, False),
    ],
)
def test_patterns_that_one_name_fits_may_be_one_person(one: str, other: str, may: bool) -> None:
    """A key for each of them would let that person be maker and approver."""
    names, others = one.split(","), other.split(",")
    assert (may_be_one(names, others), may_be_one(others, names)) == (may, may)
