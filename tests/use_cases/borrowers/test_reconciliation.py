"""Runs over many borrowers: all differences found, mended and gone; stopped, resumed, and bounded."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest

from broker.core.audit_events import AuditEventKind
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Enrolment, EnrolmentOutcome, EnrolmentState, Granted
from broker.core.entities import Text
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.policy.model import Policy, PolicySet, Requirement
from broker.use_cases.borrowers import reconciliation
from broker.use_cases.borrowers.category_letters import CategoryLetters
from broker.use_cases.borrowers.enrolment_records import StoredEnrolment
from broker.use_cases.borrowers.pin_use import PinUse
from broker.use_cases.borrowers.reconciliation import Bounds, Finding, Reconciliation, ReconciliationRun, Stopped
from tests.use_cases.borrowers.conftest import PRIVATE, STUDENT, KeptTrail

LATER: Final = date(2028, 11, 25)
PAST: Final = date(2026, 11, 1)
SOON: Final = date(2026, 12, 10)
AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
KINDS: Final = ("category", "expiry", "card", "mark", "leaver", "gone", "pin_unused")


def policies() -> PolicySet:
    """Give two policies: of students, and of leavers."""
    words = Text("words", "ord")
    rules = {"student": STUDENT, "private": PRIVATE}
    return PolicySet(
        tuple(
            Policy("p.yaml", name, place, words, "o", PAST, (), (), Requirement(), rule, ())
            for place, (name, rule) in enumerate(rules.items())
        ),
        "",
    )


class Population:
    """Borrowers that we made, and those that differ, by kind."""

    def __init__(self, world: Any, trail: KeptTrail) -> None:
        self.world = world
        world.ports = replace(world.ports, trail=trail)
        self.differing: dict[str, str] = {}

    def add(self, serial: int, kind: str | None = None) -> Enrolment:
        """Put a borrower on the shelf, its enrolment in the store, and between them a difference."""
        cpr = f"{serial:010}"
        ends = {"leaver": PAST, "pin_unused": SOON}.get(kind or "", LATER)
        key = self.world.live.person_key(cpr)
        mark = f"{serial:032x}"
        number = str(serial)
        granted = Granted("student", "STUD", ends, "en")
        done = Enrolment(mark, EnrolmentState.DONE, AT, None, key.group, number, "STUD", ends, granted=granted)
        done = replace(done, creates=1, pin_mailed=AT)
        self.world.records.write(StoredEnrolment(key, done, None, None), done, None)
        made = Borrower(number, "STUD", ends, mark, email="aase@example.org", cpr=cpr, card=cpr)
        differing = {
            "category": replace(made, category="PRIV"),
            "expiry": replace(made, expires=SOON),
            "card": replace(made, card=None),
            "mark": replace(made, mark=None),
        }
        if kind != "gone":
            self.world.library.add(cpr, differing.get(kind or "", made))
        if kind:
            self.differing[mark] = kind
        return done

    def run(self, *, applies: bool = True, most: int = 1_000, skipped: frozenset[str] = frozenset()) -> Reconciliation:
        """Give a run that has begun, or goes on."""
        bounds = Bounds(applies, most, skipped)
        run = Reconciliation(self.world.ports, policies(), bounds, pace=lambda: None)
        run.begin()
        return run


@pytest.fixture
def population(world: Any, trail: KeptTrail) -> Population:
    """Give nobody yet."""
    return Population(world, trail)


@pytest.fixture
def many(population: Population) -> Population:
    """Give sixty borrowers, two of each kind of difference."""
    for serial in range(1, 61):
        kind = KINDS[serial % len(KINDS)] if serial <= 2 * len(KINDS) else None
        population.add(serial, kind)
    return population


def by_id(found: Iterator[Finding]) -> dict[str, tuple[str, ...]]:
    """Give the kinds that were found, by enrolment."""
    return {each.id: tuple(str(kind) for kind in each.kinds) for each in found}


def test_all_differences_are_found_mended_and_gone(many: Population) -> None:
    """A comparison finds each and changes nothing, a mending run mends each, the next finds none."""
    before = dict(many.world.library.borrowers)
    expected = {mark: (kind,) for mark, kind in many.differing.items()}
    looked = many.run(applies=False)
    assert by_id(looked.findings()) == expected
    assert (many.world.library.borrowers, looked.ended, looked.run.compared) == (before, True, 60)
    mending = many.run()
    assert by_id(mending.findings()) == expected
    assert mending.run.mended == mending.run.found == looked.run.found
    again = many.run()
    assert (list(again.findings()), again.run.found, again.ended) == ([], {}, True)
    assert again.run.compared == 58  # those that are gone are no borrowers any more


def test_what_is_mended_is_as_it_was_granted(population: Population) -> None:
    """Category, expiry, card and mark; a leaver keeps the expiry, and no field of anybody is touched."""
    for serial, kind in enumerate(KINDS, start=1):
        population.add(serial, kind)
    list(population.run().findings())
    shelf = population.world.library.borrowers
    assert (shelf["1"].category, shelf["1"].expires) == ("STUD", LATER)
    assert shelf["2"].expires == LATER
    assert shelf["4"].mark == f"{4:032x}"
    assert (shelf["5"].category, shelf["5"].expires) == ("PRIV", PAST)
    assert all(not each.fields for each in shelf.values())


def test_each_mend_is_on_the_trail_and_under_its_lease(population: Population, trail: KeptTrail) -> None:
    """As a login's change is: wanted, then done; while a worker is at the enrolment nothing is mended."""
    done = population.add(1, "leaver")
    key = population.world.live.person_key(f"{1:010}")
    lease = population.world.records.lease(key)
    (busy,) = population.run().findings()
    assert (busy.outcome, trail.events) == ("under way", [])
    lease.end(population.world.now)
    (mended,) = population.run().findings()
    assert mended.outcome == "mended"
    assert [event.kind for event in trail.events] == [AuditEventKind.ENROLMENT_WANTED, AuditEventKind.ENROLMENT_LOWERED]
    after = population.world.records.enrolment(key)
    assert (after.id, after.outcome, after.wish) == (done.id, EnrolmentOutcome.LOWERED, None)
    assert after.granted == Granted("private", "PRIV", PAST, "en")


def test_a_leaver_is_told(population: Population) -> None:
    """By the letter of every lowered category, in the language of the login."""
    population.add(1, "leaver")
    list(population.run().findings())
    population.world.now += timedelta(minutes=1)
    assert CategoryLetters(population.world.ports).step()
    (letter,) = population.world.post.sent
    assert "you no longer have the affiliation" in letter.text


def test_whoever_never_used_the_pin_is_written_to_once(population: Population) -> None:
    """Before the end, with its day; not again by the next run, nor where it has been made longer by then."""
    population.add(1, "pin_unused")
    population.add(2, "pin_unused")
    assert len(list(population.run().findings())) == 2
    shelf = population.world.library.borrowers
    shelf["2"] = replace(shelf["2"], expires=LATER)
    letters = CategoryLetters(population.world.ports)
    while letters.step():
        pass
    (letter,) = population.world.post.sent
    assert (letter.to, "December 10, 2026" in letter.text) == ("aase@example.org", True)
    assert list(population.run().findings()) == []
    assert not letters.step()


def test_a_pin_that_was_typed_here_is_used(population: Population) -> None:
    """It is noted once, in the enrolment of the borrower's own person."""
    population.add(1, "pin_unused")
    ports = population.world.ports
    use = PinUse(population.world.store, ports.hmacs, ports.now)
    borrower = population.world.library.borrowers["1"]
    use.note(replace(borrower, cpr=None))
    use.note(replace(borrower, number="77"))
    assert len(list(population.run(applies=False).findings())) == 1
    use.note(borrower)
    puts = population.world.hooks.calls.count("put")
    use.note(borrower)
    assert population.world.hooks.calls.count("put") == puts
    assert list(population.run(applies=False).findings()) == []


def test_a_mending_run_stops_at_the_first_surprise(many: Population) -> None:
    """Where a borrower has another mark it ends; once that is mended, or skipped, it goes on there."""
    shelf = many.world.library.borrowers
    strange = many.add(70)
    shelf["70"] = replace(shelf["70"], mark="Biologi", card=None)
    stopped = many.run()
    found = list(stopped.findings())
    assert (found[-1].outcome, found[-1].kinds) == ("surprise", ("another_mark",))
    assert (stopped.ended, stopped.stopped) == (False, f"{strange.id}: another_mark")
    assert shelf["70"].card is None
    again = many.run()
    (only,) = again.findings()
    assert (only.outcome, again.resumed) == ("surprise", True)
    rest = many.run(skipped=frozenset({strange.id}))
    list(rest.findings())
    assert (rest.ended, sum(rest.run.mended.values())) == (True, 14)
    assert [each.outcome for each in many.run(applies=False).findings()] == ["surprise"]


def test_more_of_a_kind_than_expected_is_a_surprise(many: Population) -> None:
    """A policy or a whole library has changed then: not one more is mended."""
    run = many.run(most=1)
    found = list(run.findings())
    assert run.stopped is not None
    assert run.stopped.startswith("more than 1 of ")
    assert all(count <= 1 for count in run.run.mended.values())
    assert len(found) < 14


def test_a_run_goes_on_where_it_was_stopped(many: Population) -> None:
    """A silent library system stops it with its cause, and the place is kept without a name in it."""

    def down() -> None:
        raise LibraryUnavailable("down")

    run = many.run()
    findings = run.findings()
    first = next(findings)
    many.world.hooks.before["read"] = down
    found = [first, *findings]
    assert run.stopped == "library_unavailable: down"
    assert len(run.run.place) <= 4
    rest = many.run()
    assert rest.resumed
    found += rest.findings()
    assert {each.id for each in found} == set(many.differing)
    assert sum(rest.run.mended.values()) == 14


def test_what_was_compared_before_the_stop_is_not_asked_for_again(many: Population) -> None:
    """But for those whose hashes begin alike: the place is kept as four digits. Who is gone is asked for twice."""
    library = many.world.library
    read, asked = library.read, [0]

    def until_forty(number: str, deadline: datetime) -> Borrower | None:
        asked[0] += 1
        if asked[0] == 40:
            raise LibraryUnavailable("down")
        found: Borrower | None = read(number, deadline)
        return found

    library.read = until_forty
    list(many.run(applies=False).findings())
    rest = many.run(applies=False)
    list(rest.findings())
    assert (rest.ended, rest.run.share > 0.9) == (True, True)
    assert 60 < asked[0] - 2 < 60 + 4


@pytest.mark.parametrize("applies", [False, True])
@pytest.mark.parametrize("call", range(2, 16))
def test_wherever_a_run_was_stopped_nobody_is_counted_twice(
    population: Population, call: int, *, applies: bool
) -> None:
    """Stopped by the library system at any of its calls, a comparison has counted in the end what one run counts.

    A mending run may have lost the count of the one whose mend was asked for when nobody answered, and no other.
    """
    for serial in range(1, 15):
        population.add(serial, KINDS[serial % len(KINDS)])
    library, asked = population.world.library, [0]
    read = library.read

    def down_at_one(number: str, deadline: datetime) -> Borrower | None:
        asked[0] += 1
        if asked[0] == call:
            raise LibraryUnavailable("down")
        found: Borrower | None = read(number, deadline)
        return found

    library.read = down_at_one
    stopped = population.run(applies=applies)
    list(stopped.findings())
    rest = population.run(applies=applies)
    list(rest.findings())
    assert (stopped.ended, rest.resumed, rest.ended) == (False, True, True)
    once = Counter(dict.fromkeys(KINDS, 2))
    found = Counter(rest.run.found)
    assert found <= once
    assert rest.run.compared <= 14
    lost = once.total() - found.total(), 14 - rest.run.compared
    assert lost in (((0, 0), (0, 1), (1, 0), (1, 1)) if applies else ((0, 0),))


def test_more_than_are_at_hand_are_taken_in_portions(many: Population, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is compared once, however many there are."""
    monkeypatch.setattr(reconciliation, "_AT_HAND", 16)
    monkeypatch.setattr(reconciliation, "_SIDE_BY_SIDE", 5)
    heard: list[ReconciliationRun] = []
    run = many.run(applies=False)
    run.told = heard.append
    found = list(run.findings())
    assert len({each.id for each in found}) == len(found) == 14
    assert (run.run.compared, len(heard)) == (60, 15)


def test_another_kind_of_run_begins_anew(many: Population) -> None:
    """What was only compared is not taken for mended."""
    findings = many.run(applies=False).findings()
    next(findings)
    findings.close()
    mending = many.run()
    assert (mending.resumed, mending.run.compared) == (False, 0)


def test_of_two_runs_the_earlier_ends(many: Population) -> None:
    """Whoever comes later takes the place; the other says so and stops."""
    earlier = many.run(applies=False)
    many.run(applies=False)
    list(earlier.findings())
    assert (earlier.ended, earlier.stopped) == (False, "another run has begun meanwhile, and goes on")


def test_a_mend_that_does_not_hold_is_a_surprise(population: Population) -> None:
    """The library system takes it and has the same as before: one is enough to know."""
    population.add(1, "expiry")
    population.add(2, "expiry")
    shelf = population.world.library
    shelf._change = lambda change: shelf.borrowers[change.number]
    run = population.run()
    assert list(run.findings()) == []
    assert run.stopped is not None
    assert run.stopped.endswith(": expiry: mended, and the same as before")
    assert run.run.mended == {}


def test_a_mend_that_fails_stops_the_run(population: Population) -> None:
    """The sentence names it, nothing else is begun, and the next run mends it, counted once."""
    done = population.add(1, "category")

    def down() -> None:
        raise LibraryUnavailable("down")

    population.world.hooks.before["change"] = down
    run = population.run()
    assert list(run.findings()) == []
    assert run.stopped == f"{done.id}: library_unavailable: down"
    again = population.run()
    list(again.findings())
    assert (again.ended, again.run.found, again.run.mended) == (True, {"category": 1}, {"category": 1})
    assert population.world.library.borrowers["1"].category == "STUD"


def test_who_was_found_or_adopted_is_not_compared(population: Population) -> None:
    """Only what we made is kept right; the library system is not even asked about others."""
    done = population.add(1, "category")
    key = population.world.live.person_key(f"{1:010}")
    entry = population.world.records.read(key)
    population.world.records.write(entry, replace(done, granted=None), None)
    population.world.hooks.calls.clear()
    assert list(population.run().findings()) == []
    assert "read" not in population.world.hooks.calls


def test_a_borrower_that_the_library_system_refuses_is_named_and_can_be_skipped(many: Population) -> None:
    """One that cannot be read stops no comparison, and a mending run says which; the set-up is nobody's."""
    library, done = many.world.library, many.add(70)
    read, setting = library.read, [""]

    def refused(number: str, deadline: datetime) -> Borrower | None:
        if number == "70":
            raise LibraryRefused("an answer that is no borrower", setting=setting[0] or None)
        found: Borrower | None = read(number, deadline)
        return found

    library.read = refused
    comparing = many.run(applies=False)
    assert (done.id, ("refused",)) in by_id(comparing.findings()).items()
    assert comparing.ended
    mending = many.run()
    list(mending.findings())
    assert mending.stopped == f"{done.id}: refused"
    setting[0] = "library.url"
    faulty = many.run()
    list(faulty.findings())
    assert faulty.stopped == "library_refused: an answer that is no borrower"
    rest = many.run(skipped=frozenset({done.id}))
    list(rest.findings())
    assert (rest.ended, rest.run.left_out) == (True, 1)


def test_a_record_that_does_not_read_stops_nothing(many: Population) -> None:
    """It is a surprise without an id, nothing of it is written, and all others are mended."""
    many.add(70)
    key = many.world.live.person_key(f"{70:010}")
    kept = many.world.store.get(key, many.world.now)
    many.world.store.put(key, kept._replace(value=b"\x03{}", version="f" * 16), kept.version, many.world.now)
    run = many.run()
    assert [each.id for each in run.findings() if each.outcome == "surprise"] == [""]
    assert (run.ended, run.run.found["unread"], sum(run.run.mended.values())) == (True, 1, 14)


def test_a_comparison_in_between_leaves_the_place_of_a_mending_run(many: Population) -> None:
    """Each kind of run has a place of its own."""
    findings = many.run().findings()
    next(findings)
    findings.close()
    list(many.run(applies=False).findings())
    assert many.run().resumed


def test_a_surprise_that_was_put_right_is_no_finding_any_more(population: Population) -> None:
    """However often the run stopped at it before."""
    population.add(1)
    shelf = population.world.library.borrowers
    right = shelf["1"]
    shelf["1"] = replace(right, mark="B")
    for _ in range(3):
        list(population.run().findings())
    shelf["1"] = right
    run = population.run()
    list(run.findings())
    assert (run.ended, run.run.found, run.run.compared) == (True, {}, 1)


def test_a_borrower_is_gone_once_that_was_answered_twice(population: Population) -> None:
    """After a pause, and by its mark too: one answer of a proxy, or of a copy that lags, deletes nobody."""
    population.add(1)
    population.add(2, "gone")
    library = population.world.library
    read, asked, pauses = library.read, [], []

    def lagging(number: str, deadline: datetime) -> Borrower | None:
        asked.append(number)
        if asked.count("1") == 1 and number == "1":
            return None
        found: Borrower | None = read(number, deadline)
        return found

    library.read = lagging
    library.marked = lambda _mark, _deadline: ()
    run = population.run(applies=False)
    run.apart = lambda: pauses.append(list(asked))
    assert [(each.number, each.kinds) for each in run.findings()] == [("2", ("gone",))]
    assert (asked.count("1"), asked.count("2"), len(pauses)) == (2, 2, 2)


def test_a_borrower_that_its_mark_leads_to_is_not_gone(population: Population) -> None:
    """Whatever the look by its number says, however often."""
    population.add(1)
    library = population.world.library
    library.read = lambda _number, _deadline: None
    run = population.run(applies=False)
    run.apart = lambda: pytest.fail("it was found")
    assert list(run.findings()) == []


@pytest.mark.parametrize("by_account", [False, True])
def test_a_barred_person_without_a_cpr_number_is_left_and_told_by_a_kind_of_its_own(
    population: Population, *, by_account: bool
) -> None:
    """Staff take the number off the account of who has died: that stops no run, and mends nothing."""
    done = population.add(1, "card")
    population.add(2, "card")
    links, cpr = population.world.ports.links, f"{1:010}"
    links.by_cpr(links.of_cpr(cpr))
    if by_account:
        links.bar_account(links.of_borrower("1"), links.of_cpr(cpr), "dead")
    else:
        links.bar(links.of_cpr(cpr), "dead")
    shelf = population.world.library.borrowers
    shelf["1"] = replace(shelf["1"], cpr=None)
    run = population.run()
    found = {each.id: (each.outcome, each.kinds) for each in run.findings()}
    assert found[done.id] == ("left", ("barred_without_cpr",))
    assert (run.ended, run.run.found) == (True, {"barred_without_cpr": 1, "card": 1})
    assert shelf["1"].card is None


def test_a_borrower_without_a_cpr_number_is_a_surprise_where_nobody_is_barred(population: Population) -> None:
    """So is one of a barred person that has another's number by now."""
    population.add(1)
    population.add(2)
    links = population.world.ports.links
    links.by_cpr(links.of_cpr(f"{2:010}"))
    links.bar(links.of_cpr(f"{2:010}"), "dead")
    shelf = population.world.library.borrowers
    shelf["1"] = replace(shelf["1"], cpr=None)
    shelf["2"] = replace(shelf["2"], cpr=f"{3:010}")
    found = {each.number: each.kinds for each in population.run(applies=False).findings()}
    assert found == {"1": ("no_cpr",), "2": ("another_cpr",)}


def test_counts_of_what_is_mended_outlive_a_kill(many: Population) -> None:
    """They are kept with each mend, not at the end of a portion alone."""
    findings = many.run().findings()
    mended = [next(findings) for _ in range(5)]
    kept = many.run()  # what a run after a kill finds: nothing of the first is written any more
    assert sum(kept.run.mended.values()) == len(mended) - 1
    list(kept.findings())
    assert (kept.ended, sum(kept.run.mended.values())) == (True, 14 - 1)


def test_a_run_that_must_ask_no_more_stops_and_can_go_on(many: Population) -> None:
    """As where the calls of the day are nearly used up: the reason is told, the place is kept."""
    turns = [0]

    def used_up() -> None:
        turns[0] += 1
        if turns[0] > 30:
            raise Stopped("the calls of the day")

    run = many.run()
    run.pace = used_up
    found = list(run.findings())
    assert (run.ended, run.stopped, run.run.compared) == (False, "the calls of the day", 30)
    rest = many.run()
    found += rest.findings()
    assert (rest.resumed, {each.id for each in found}) == (True, set(many.differing))
