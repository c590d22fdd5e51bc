"""Which changes a machine takes: by signatures, by what they let through, and by what it had before."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.use_cases.policies.second_person import was_recently_in_force
from broker.use_cases.policies.set_in_force import Move, SetChange
from broker.use_cases.policies.vouched_changes import UNSHOWN, VouchedChanges

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SIGNED = ("maker", "approver")


def unsigned(change: SetChange) -> str:
    """Say whether a change has two signatures, or was made alone as an alarm."""
    return "" if change.alone or change.signatures == SIGNED else "nobody has signed it"


def wider(one: str, other: str) -> str:
    """Say what the second of two sets lets through: each letter of its digest is something."""
    more = sorted(set(other) - set(one))
    return f"WIDER {more[0]}" if more else ""


@dataclass
class Record:
    """The history of a store, written by those who keep to the rules, and by those who do not."""

    changes: list[SetChange] = field(default_factory=list)

    def move(self, digest: str, move: Move = Move.APPLIED, *, signed: bool = False, alone: bool = False) -> None:
        """Put a set in force, a day after the one before."""
        at = NOW + len(self.changes) * DAY
        base = self.changes[-1].digest if self.changes else None
        number = len(self.changes) + 1
        signatures = SIGNED if signed else ()
        change = SetChange(number, digest, base, move, at, "kirsten", "because", {}, ())
        self.changes.append(replace(change, alone=alone, signatures=signatures))

    def against(self, held: str | None) -> str:
        """Say what a machine says of the last change, on which a set decides."""
        *earlier, last = self.changes
        return VouchedChanges(held, unsigned, wider).against(last, lambda: earlier)


def begun(*digests: str, signed: bool = False) -> Record:
    """Give a record that a start began, or two who signed, with changes that nobody signed."""
    record = Record()
    record.move("ab", Move.APPLIED if signed else Move.FIRST, signed=signed)
    for digest in digests:
        record.move(digest)
    return record


def test_what_lets_more_through_without_signatures_is_refused() -> None:
    """By a machine that has the set before it, and by one that has none; the sentence says why."""
    record = begun("abc")
    assert record.against("ab") == "nobody has signed it, and WIDER c"
    assert record.against(None) == f"nobody has signed it, and {UNSHOWN}"
    assert begun("a").against("ab") == begun("a").against(None) == ""


@pytest.mark.parametrize("signed", [True, False])
def test_two_signatures_or_an_alarm_put_it_there(*, signed: bool) -> None:
    """On every machine; what follows it and lets no more through needs neither."""
    record = begun()
    record.move("abc", signed=signed, alone=not signed)
    assert record.against("ab") == record.against(None) == ""
    record.move("bc")
    assert record.against("abc") == record.against("ab") == record.against(None) == ""


def test_what_is_put_back_within_thirty_days_needs_nobody() -> None:
    """After thirty days it does, where it lets more through; and what was put there alone at any time."""
    record = begun("a", signed=True)
    record.move("ab", Move.ROLLED_BACK)
    assert record.against("a") == record.against(None) == ""
    old = begun("a", *["a"] * 32, signed=True)
    old.move("ab", Move.ROLLED_BACK)
    assert old.against("a")
    forced = begun(signed=True)
    forced.move("abc", alone=True)
    forced.move("ab", Move.ROLLED_BACK)
    assert forced.against("abc") == forced.against(None) == ""
    forced.move("abc", Move.ROLLED_BACK)
    assert forced.against("ab")
    assert forced.against(None)


def test_a_set_that_was_smuggled_in_is_not_washed_by_a_rollback() -> None:
    """It stands in the history as if it had been in force, and nobody has agreed to it."""
    record = begun("abc", "ab")
    record.move("abc", Move.ROLLED_BACK)
    assert record.against("ab")
    assert record.against(None)


def test_what_was_taken_away_alone_is_not_given_back_without_signatures() -> None:
    """Narrowing needs nobody, and what two signed before it does not cover what is given back after it."""
    record = begun()
    record.move("abc", signed=True)
    record.move("ab")
    record.move("abc")
    assert record.against("ab")
    assert record.against(None)


def test_a_store_that_begins_anew_puts_nothing_in_force_that_lets_more_through() -> None:
    """Where a set decides already the first of a record is one like another; elsewhere somebody must begin."""
    record = Record()
    record.move("abc", Move.FIRST)
    assert record.against("ab") == "nobody has signed it, and WIDER c"
    assert record.against(None) == record.against("abc") == record.against("abcd") == ""
    record.move("abc")
    assert record.against("ab")
    record.move("abcd", Move.FIRST)
    assert record.against(None)  # nobody begins what has begun


def test_what_began_a_store_anew_is_not_put_back_without_signatures() -> None:
    """Of a machine that has refused it nobody has asked anything: a narrower set after it, and back, say no more."""
    record = Record()
    record.move("abc", Move.FIRST)
    assert record.against("ab")
    record.move("ab")
    assert record.against("ab") == record.against(None) == ""
    record.move("abc", Move.ROLLED_BACK)
    assert record.against("ab") == "nobody has signed it, and WIDER c"
    record = begun("a", "")
    record.move("a", Move.ROLLED_BACK)
    assert record.against("")


def test_a_change_that_is_missing_in_the_history_vouches_for_nothing() -> None:
    """Somebody may have taken out what narrowed the set."""
    record = begun("a", "a")
    del record.changes[1]
    assert record.against(None) == f"nobody has signed it, and {UNSHOWN}"


def test_a_long_line_without_signatures_ends() -> None:
    """Each step costs a comparison: a machine that begins asks for two people then."""
    assert begun(*["a"] * 20).against(None) == ""
    assert begun(*["a"] * 40).against(None)
    assert begun(*["a"] * 40).against("a") == ""


digests = st.sampled_from(["a", "ab", "b", "abc"])
moves = st.tuples(digests, st.sampled_from(["signed", "alone", "unsigned", "back"]))


def rightly(record: Record, digest: str, how: str) -> bool:
    """Make a change as the command does, and say whether it would: else it is written all the same."""
    last = record.changes[-1]
    if how in {"signed", "alone"}:
        record.move(digest, signed=how == "signed", alone=how == "alone")
        return True
    if how == "back":
        recent = was_recently_in_force(record.changes, digest, last.at + DAY)
        record.move(digest, Move.ROLLED_BACK)
        return recent or not wider(last.digest, digest)
    record.move(digest)
    return not wider(last.digest, digest)


@given(st.lists(moves, min_size=1, max_size=12), st.data())
def test_whoever_keeps_to_the_rules_is_followed_by_every_machine(
    drawn: list[tuple[str, str]], data: st.DataObject
) -> None:
    """By one that follows, that was away, or that begins; and who does not is not, by the one that follows."""
    record = begun(signed=True)
    for digest, how in drawn:
        last = record.changes[-1].digest
        if rightly(record, digest, how):
            away = data.draw(st.sampled_from([None, last, *(each.digest for each in record.changes)]))
            assert record.against(away) == ""
        else:
            assert record.against(last) != ""
            record.changes.pop()


def test_many_rollbacks_that_nobody_vouches_for_are_soon_refused() -> None:
    """Each leads back along two ways: a machine that begins asks about each change once, however many there are."""
    record = Record()
    record.move("ab")
    for number in range(24):
        record.move("abc" if number % 2 else "ab", Move.ROLLED_BACK)
    asked: list[int] = []

    def counted(change: SetChange) -> str:
        asked.append(change.number)
        return unsigned(change)

    *earlier, last = record.changes
    judge = VouchedChanges(None, counted, wider)
    assert judge.against(last, lambda: earlier)
    assert len(asked) < 200
