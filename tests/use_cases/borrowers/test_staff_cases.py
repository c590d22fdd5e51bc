"""What staff see and may do, and how long a failed try rests."""

from datetime import date, timedelta
from typing import Any

import pytest

from broker.core.audit_events import AuditEventKind
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import EnrolmentOutcome, EnrolmentState
from broker.core.errors import LibraryUnavailable
from broker.core.identity.mailbox_proofs import ProofOwner
from broker.core.ports import Kept, Key
from broker.use_cases.backoff import retry_delay
from broker.use_cases.borrowers.staff_cases import StaffCases
from broker.use_cases.records import dump

CPR = "0101990000"


def test_a_row_says_how_an_enrolment_stands(world: Any) -> None:
    """State, reason, number, category and times, by the id that stands in the library as the mark."""
    enrolment = world.live.want(world.wish())
    row = world.cases.show(enrolment.id)
    assert (row["state"], row["category"], row["due"]) == ("wanted", "STUD", world.now.isoformat())
    world.settle()
    (row,) = world.cases.rows()
    assert (row["id"], row["state"], row["outcome"], row["number"]) == (enrolment.id, "done", "created", "1")
    assert (row["pin_owed"], row["due"], row["expires"]) == (False, None, "2028-11-25")
    assert world.library.borrowers["1"].mark == enrolment.id


def test_what_is_finished_or_unknown_is_not_tried_again(world: Any) -> None:
    """There is nothing left to carry out, and an id that nobody has is no enrolment."""
    enrolment = world.live.want(world.wish())
    world.settle()
    assert (world.cases.retry(enrolment.id), world.cases.retry("f" * 32), world.cases.show("f" * 32)) == (
        False,
        False,
        None,
    )


def test_a_retry_does_not_start_beside_a_worker(world: Any) -> None:
    """Under a lease the retry waits for the lease to end."""
    enrolment = world.live.want(world.wish())
    world.records.claim()
    assert world.cases.retry(enrolment.id)
    assert world.live.step() is None


def test_a_retry_ends_a_long_pause(world: Any) -> None:
    """Staff who know that the library is back need not wait for the machine to find out."""

    def down() -> None:
        raise LibraryUnavailable("down")

    enrolment = world.live.want(world.wish())
    for _ in range(8):
        world.hooks.before["find"] = down
        world.live.step()
        world.now += timedelta(hours=4)
    world.hooks.before["find"] = down
    world.live.step()
    assert world.live.step() is None
    assert world.cases.retry(enrolment.id)
    assert world.settle().number == "1"


def test_a_case_comes_back_when_nothing_was_put_right(world: Any) -> None:
    """A retry looks again; it does not force."""
    for number in ("8", "9"):
        world.library.add(CPR, Borrower(number, "PRIV"))
    enrolment = world.live.want(world.wish())
    world.settle()
    assert world.cases.retry(enrolment.id)
    assert world.settle().reason == "several_borrowers"


def test_a_borrower_with_another_name_is_left_alone(world: Any) -> None:
    """Its card number happens to be the person's CPR; the person gets no account of a stranger's, and staff a case."""
    world.library.add(CPR, Borrower("8", "PRIV", born=date(1999, 1, 1), fields={"surname": "Skov", "firstname": "Ida"}))
    assert world.known(world.wish()).number is None
    world.live.want(world.wish())
    enrolment = world.settle()
    assert (enrolment.state, enrolment.reason, enrolment.number) == (EnrolmentState.CASE, "different_person", None)
    assert not {"create", "change", "set_pin"} & set(world.hooks.calls)


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 5), (1, 15), (3, 135), (7, 7200), (800, 7200)])
def test_a_failed_try_rests_longer_each_time(attempts: int, seconds: int) -> None:
    """Three times longer up to two hours, half more or less, so that not all come back in one second."""
    rests = {retry_delay(attempts) for _ in range(50)}
    assert all(timedelta(seconds=seconds * 0.5) <= rest <= timedelta(seconds=seconds * 1.5) for rest in rests)
    assert len(rests) > 1


def test_an_address_that_is_anothers_is_listed_once_and_stops_nothing(world: Any) -> None:
    """Staff see that two people proved one mailbox; neither name nor address is in it, and a retry takes it away."""
    owner, address = world.id_of(CPR), "k1.nurse-address"
    for _ in range(2):
        world.cases.taken(owner, address)
    (row,) = world.cases.rows()
    assert (row["state"], row["reason"], row["due"]) == ("case", "address_taken", None)
    assert not any(word in f"{row}" for word in (CPR, "nurse", "auh.rm.dk"))
    assert world.live.step() is None
    world.live.want(world.wish())
    assert world.settle().outcome is EnrolmentOutcome.CREATED
    first, store = Key("proof", "k1.first", "kaldemail"), world.records.store
    claim = Kept(dump(ProofOwner("k1.first", "kaldemail")), "v", world.now + timedelta(days=365))
    store.put(Key("proof", address), claim, None, world.now)
    store.put(first, claim, None, world.now)
    assert world.cases.retry(row["id"])
    assert store.get(first, world.now) is None  # nor does the one who held it prove anything by it any more
    assert [each["reason"] for each in world.cases.rows()] == [None]


def test_a_case_and_its_retry_are_on_the_trail(world: Any, trail: Any) -> None:
    """Once as long as it says the same, under the person of the CPR number; each has its own id."""
    cases, owner = StaffCases(world.records, trail), world.id_of(CPR)
    for reason in ("several_borrowers", "several_borrowers", "different_person"):
        cases.borrowers_differ(owner, reason, ("8", "9"))
    [row] = world.cases.rows()
    assert (row["state"], row["reason"]) == ("case", "different_person")
    assert cases.retry(row["id"])
    assert [(each.kind, each.reason) for each in trail.events] == [
        (AuditEventKind.ENROLMENT_CASE, "several_borrowers"),
        (AuditEventKind.ENROLMENT_CASE, "different_person"),
        (AuditEventKind.ENROLMENT_RETRIED, "different_person"),
    ]
    first, second, third = (each.about for each in trail.events)
    assert (first != second, second, third) == (True, row["id"], row["id"])
    assert {(each.person, each.at) for each in trail.events} == {(owner, world.now)}


def test_a_retry_that_cannot_be_is_not_on_the_trail(world: Any, trail: Any) -> None:
    """Nothing was done."""
    enrolment = world.live.want(world.wish())
    world.settle()
    cases = StaffCases(world.records, trail)
    assert not cases.retry(enrolment.id)
    assert not cases.retry("f" * 32)
    assert trail.events == []


@pytest.mark.parametrize("decision", ["retry", "end"])
def test_a_case_that_says_something_else_at_that_moment_is_not_decided(
    world: Any, monkeypatch: pytest.MonkeyPatch, decision: str
) -> None:
    """A login that comes between the look of a decision and its write has a case that staff have not seen."""
    cases, owner = world.cases, world.id_of(CPR)

    def comes(address: str) -> str:
        return str(cases.taken(owner, address))

    seen = comes("k1.first-address")
    plain = world.store.put
    listed: list[str] = []

    def put(*given: Any, **how: Any) -> Any:
        if not listed:
            listed.append("")
            listed[0] = comes("k1.second-address")
        return plain(*given, **how)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(world.store, "put", put)
        assert not getattr(cases, decision)(seen)
    assert [row["id"] for row in cases.rows()] == listed


def test_a_mailbox_of_another_proof_is_not_freed_by_what_staff_saw_of_the_first(world: Any) -> None:
    """The same person has proved a second address that is another's: of that nothing is decided yet."""
    owner, store = world.id_of(CPR), world.records.store
    seen, second = ("k1.nurse-address", "k1.other-address")
    claim = Kept(dump(ProofOwner("k1.first", "kaldemail")), "v", world.now + timedelta(days=365))
    store.put(Key("proof", second), claim, None, world.now)
    first_case = world.cases.taken(owner, seen)
    second_case = world.cases.taken(owner, second)
    assert not world.cases.retry(first_case)
    assert store.get(Key("proof", second), world.now)
    assert world.cases.retry(second_case)
    assert store.get(Key("proof", second), world.now) is None


@pytest.fixture
def two(world: Any) -> Any:
    """Give the case of a person whom two borrowers match."""
    for number in ("8", "9"):
        world.library.add(CPR, Borrower(number, "PRIV"))
    world.live.want(world.wish())
    return world.settle()


def test_a_case_outlives_its_wish_and_its_cpr_number(world: Any, two: Any) -> None:
    """After thirty days the wish is dropped, and staff have the case until they end it; there is nothing to retry."""
    [row] = world.cases.rows()
    assert (row["due"], row["wish_until"]) == (None, (two.wanted_at + timedelta(days=30)).isoformat())
    world.now = two.wanted_at + timedelta(days=30) - timedelta(seconds=1)
    assert world.live.step() is None
    assert world.live.stored(CPR).wish.cpr == CPR
    world.now += timedelta(seconds=1)
    world.live.step()
    case = world.live.stored(CPR)
    assert (case.state, case.reason, case.wish, case.borrowers) == (EnrolmentState.CASE, two.reason, None, ("8", "9"))
    assert not world.cases.retry(case.id)
    world.now += timedelta(days=3650)
    assert world.live.step() is None
    assert [row["id"] for row in world.cases.rows()] == [two.id]


@pytest.mark.usefixtures("two")
def test_a_case_that_no_loop_comes_by_keeps_no_cpr_number(world: Any) -> None:
    """Rather the case is lost than that the number stays."""
    world.now += timedelta(days=37)
    assert list(world.cases.rows()) == []


def test_whose_case_was_ended_begins_anew(world: Any, two: Any, trail: Any) -> None:
    """The same mark as before, so that what it made is known; until the next login nothing is done."""
    cases = StaffCases(world.records, trail)
    assert cases.end(two.id)
    [row] = cases.rows()
    assert (row["state"], row["reason"], row["borrowers"]) == ("given_up", None, None)
    assert world.live.stored(CPR).wish is None
    assert not cases.end(two.id)
    assert world.live.step() is None
    told = [(each.kind, each.reason, each.about) for each in trail.events]
    assert told == [(AuditEventKind.ENROLMENT_ENDED, "several_borrowers", two.id)]
    del world.library.cprs["9"]
    assert world.live.want(world.wish()).id == two.id
    assert world.settle().number == "8"


def test_a_listed_case_is_ended(world: Any) -> None:
    """Nothing else changes: the next login that meets the same lists it again, under another id."""
    owner = world.id_of(CPR)
    listed = world.cases.borrowers_differ(owner, "several_borrowers", ("8", "9"))
    begun = world.now
    world.now += timedelta(days=2)
    assert world.cases.borrowers_differ(owner, "several_borrowers", ("8", "9")) == listed
    assert world.cases.show(listed)["wanted_at"] == begun.isoformat()  # since when it is listed, whoever logs in since
    assert world.cases.end(listed)
    assert list(world.cases.rows()) == []
    assert world.cases.borrowers_differ(owner, "several_borrowers", ("8", "9")) != listed


def test_what_is_no_case_is_not_ended(world: Any) -> None:
    """An enrolment that is wanted or done goes its way."""
    enrolment = world.live.want(world.wish())
    assert not world.cases.end(enrolment.id)
    world.settle()
    assert not world.cases.end(enrolment.id)
    assert not world.cases.end("f" * 32)


@pytest.mark.usefixtures("two")
def test_cases_are_listed_first(world: Any) -> None:
    """Then what waits; what is done comes last."""
    world.live.want(world.wish(cpr="0202990000"))
    world.live.step()
    world.live.want(world.wish(cpr="0303990000"))
    assert [row["state"] for row in world.cases.rows()] == ["case", "wanted", "done"]


def test_several_borrowers_that_are_found_in_another_order_are_the_same_case(world: Any) -> None:
    """An id that changes with each login could be decided by nobody."""
    owner = world.id_of(CPR)
    ids = {world.cases.borrowers_differ(owner, "several_borrowers", found) for found in (("1", "2"), ("2", "1"))}
    assert len(ids) == 1
