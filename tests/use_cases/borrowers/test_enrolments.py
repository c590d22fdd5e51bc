"""The wish, how it is carried out, and what becomes of it when others are down."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier, Semaphore
from typing import Any

import pytest

from broker.core.audit_events import AuditEventKind
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import EnrolmentOutcome, EnrolmentState
from broker.core.errors import LibraryRefused, LibraryUnavailable, MailUnavailable
from broker.core.ports import lease_of
from broker.use_cases.records import dump
from broker.use_cases.worker_loop import run_worker_loop

CPR = "0101990000"


def failing(error: Exception) -> Any:
    """Give a hook that raises."""

    def fail() -> None:
        raise error

    return fail


def gives_up(world: Any, call: str, error: Exception) -> Any:
    """Fail each call of a kind for a day and more; give the enrolment."""
    for _ in range(40):
        world.hooks.before[call] = failing(error)
        world.live.step()
        world.now += timedelta(hours=1)
    world.hooks.before.clear()
    return world.live.stored(CPR)


def test_a_finished_enrolment_keeps_no_cpr(world: Any) -> None:
    """Number, category, expiry and outcome stay; the CPR is in neither the record nor its key."""
    world.live.want(world.wish())
    enrolment = world.settle()
    assert (enrolment.number, enrolment.category, enrolment.expires) == ("1", "STUD", world.wish().expires)
    assert (enrolment.outcome, enrolment.wish, enrolment.pin_avoids) == (EnrolmentOutcome.CREATED, None, ())
    assert all(
        CPR not in str(key) and CPR.encode() not in kept.value
        for key, kept in world.store.list("enrolment", None, world.now)
    )


def test_while_a_pin_is_owed_the_record_keeps_no_cpr_either(world: Any) -> None:
    """The borrower is there, so the number to find it by has done its work."""
    world.post.down = True
    world.live.want(world.wish())
    enrolment = world.live.step()
    assert (enrolment.state, enrolment.number, enrolment.pin_owed) == (EnrolmentState.DONE, "1", True)
    assert CPR.encode() not in dump(enrolment)


def test_neither_a_key_nor_a_row_nor_a_repr_shows_the_cpr(world: Any) -> None:
    """What staff, logs and the store's index see is a pseudonym or nothing."""
    enrolment = world.live.want(world.wish())
    assert CPR not in f"{world.live.person_key(CPR)}{enrolment!r}{enrolment.wish!r}{list(world.cases.rows())}"


def test_twenty_at_once_are_one_borrower_and_one_mail(world: Any) -> None:
    """Twenty first logins of one person, each with a loop beside it, make one create and one PIN mail."""
    barrier = Barrier(20)

    def login(_: int) -> None:
        barrier.wait()
        world.live.want(world.wish())
        while world.live.step():
            pass

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(login, range(20)))
    assert world.settle().state is EnrolmentState.DONE
    assert (world.hooks.calls.count("create"), len(world.library.borrowers), len(world.post.sent)) == (1, 1, 1)


def test_a_later_wish_replaces_the_earlier_under_the_same_mark(world: Any) -> None:
    """The mark stays, so that what was made under the earlier wish is still recognised; the wish is the later one."""
    first = world.live.want(world.wish())
    second = world.live.want(world.wish(category="EMPL"))
    assert (second.id, second.wish.category) == (first.id, "EMPL")
    assert world.settle().category == "EMPL"


def test_a_wish_that_comes_while_a_worker_is_at_it_does_not_start_another(world: Any) -> None:
    """It starts the moment that the work is done: two that set PINs at once would break the promise about them."""
    stepped: list[Any] = []

    def again() -> None:
        world.live.want(world.wish(category="EMPL", upgrades=("STUD",)))
        stepped.append(world.live.step())

    world.hooks.after["set_pin"] = again
    world.live.want(world.wish())
    world.live.step()
    assert stepped == [None]
    enrolment = world.live.step()
    assert (enrolment.category, len(world.post.sent)) == ("EMPL", 1)
    assert world.post.sent[0].pin == world.library.pins["1"]


def test_the_same_wish_again_changes_nothing(world: Any) -> None:
    """A reload of the waiting page is no second wish."""
    first = world.live.want(world.wish())
    assert world.live.want(world.wish()) == first
    assert world.records.read(world.live.person_key(CPR)).due == world.now


def test_a_wish_whose_pause_is_long_is_tried_at_once_when_the_person_comes_back(world: Any) -> None:
    """A library that was down for a day is asked again as soon as somebody waits for it."""
    world.live.want(world.wish())
    for _ in range(8):
        world.hooks.before["find"] = failing(LibraryUnavailable("down"))
        world.live.step()
        world.now += timedelta(hours=4)
    world.hooks.before["find"] = failing(LibraryUnavailable("down"))
    world.live.step()
    assert world.live.step() is None
    assert world.live.want(world.wish()).reason is None
    assert world.live.step().state is EnrolmentState.DONE


def test_a_library_that_is_down_for_thirty_days_ends_the_wish_and_its_cpr(world: Any) -> None:
    """Given up after 30 days: listed so, the CPR erased, the mark kept."""
    wanted = world.live.want(world.wish())
    for _ in range(800):
        world.hooks.before["find"] = failing(LibraryUnavailable("down"))
        if world.live.step() and world.live.stored(CPR).state is EnrolmentState.GIVEN_UP:
            break
        world.now += timedelta(hours=1)
    enrolment = world.live.stored(CPR)
    assert (enrolment.state, enrolment.wish, enrolment.id) == (EnrolmentState.GIVEN_UP, None, wanted.id)
    assert timedelta(days=30) <= world.now - wanted.wanted_at < timedelta(days=30, hours=4)


def test_a_wish_that_nobody_carries_out_expires_with_its_cpr(world: Any) -> None:
    """Even where no loop runs, no CPR outlives the month by more than a day."""
    world.live.want(world.wish())
    world.now += timedelta(days=31, seconds=1)
    assert world.live.stored(CPR) is None


def test_two_matches_are_a_case_that_keeps_what_staff_need(world: Any) -> None:
    """Nothing is made or changed; the wish stays 30 days, and a retry after a merge carries it out."""
    kept = Borrower("8", "PRIV", world.wish().expires, fields={"surname": "Prøvesen"})
    for each in (kept, replace(kept, number="9")):
        world.library.add(CPR, each)
    world.live.want(world.wish())
    enrolment = world.settle()
    assert (enrolment.state, enrolment.reason, enrolment.wish.cpr) == (EnrolmentState.CASE, "several_borrowers", CPR)
    assert not {"create", "change", "set_pin"} & set(world.hooks.calls)
    del world.library.cprs["9"]
    assert world.cases.retry(enrolment.id)
    assert (world.settle().outcome, world.library.borrowers["8"].category) == (EnrolmentOutcome.UPGRADED, "STUD")


def test_a_refusal_of_the_library_is_a_case(world: Any) -> None:
    """What another try will not mend is for staff."""
    world.hooks.before["create"] = failing(LibraryRefused("no such category"))
    world.live.want(world.wish())
    enrolment = world.live.step()
    assert (enrolment.state, enrolment.reason) == (EnrolmentState.CASE, "library_refused")
    assert world.live.step() is None


@pytest.mark.parametrize("at", ["RCPT", "DATA"])
def test_a_mail_that_fails_is_tried_again_with_a_new_pin(world: Any, at: str) -> None:
    """The login goes on with the number; the PIN that is mailed in the end is the one that works."""
    world.hooks.before[at] = failing(MailUnavailable("450"))
    world.live.want(world.wish())
    first = world.live.step()
    assert (first.state, first.reason, first.pin_owed) == (EnrolmentState.DONE, "mail_unavailable", True)
    enrolment = world.settle()
    assert (enrolment.pin_owed, len(world.post.sent)) == (False, 1)
    assert world.post.sent[0].pin == world.library.pins["1"]


def test_no_pin_is_set_before_the_recipient_is_accepted(world: Any) -> None:
    """A PIN that nobody can be told would lock the person out."""
    world.post.down = True
    world.live.want(world.wish())
    world.settle()
    assert world.library.pins == {}


def test_a_day_after_the_first_try_only_a_pointer_is_mailed(world: Any) -> None:
    """By then the person may have made a PIN: theirs is not changed, and no mail holds one."""
    world.post.down = True
    world.live.want(world.wish())
    world.live.step()
    world.now += timedelta(hours=24)
    world.post.down = False
    enrolment = world.settle()
    (sent,) = world.post.sent
    assert (sent.pin, world.library.pins, enrolment.pin_owed) == (None, {}, False)
    assert "https://login.example/pin" in sent.text


def test_a_pin_is_not_mailed_again_when_a_later_wish_is_carried_out(world: Any) -> None:
    """An upgrade of the borrower we made is no reason to change its PIN."""
    world.live.want(world.wish())
    world.settle()
    world.live.want(world.wish(affiliation="employee", category="EMPL", upgrades=("STUD",)))
    assert world.settle().outcome is EnrolmentOutcome.UPGRADED
    assert len(world.post.sent) == 1


def test_a_pin_that_was_given_up_is_not_set_at_a_later_wish(world: Any) -> None:
    """The desk has given one meanwhile: a changed wish is no reason to set another over it."""
    wanted = world.live.want(world.wish())
    assert gives_up(world, "set_pin", LibraryRefused("too simple")).pin_given_up == "pin_refused"
    world.library.pins["1"] = "4071"
    world.live.want(world.wish(affiliation="employee", category="EMPL", upgrades=("STUD",)))
    assert world.settle().outcome is EnrolmentOutcome.UPGRADED
    assert (world.library.pins, world.post.sent) == ({"1": "4071"}, [])
    assert world.cases.retry(wanted.id)
    world.live.step()
    assert [sent.pin for sent in world.post.sent] == [world.library.pins["1"]]


@pytest.mark.parametrize("later", ["employee", "student"])
def test_a_pin_that_is_owed_stays_owed_under_a_later_wish(world: Any, later: str) -> None:
    """Another wish while the mail is down loses no PIN, and a case or the end of the wish mails none."""
    world.post.down = True
    world.live.want(world.wish())
    world.live.step()
    world.live.want(world.wish(affiliation=later, fields=()))
    world.post.down = False
    assert world.settle().pin_owed is False
    assert [each.pin for each in world.post.sent] == [world.library.pins["1"]]


@pytest.mark.parametrize("end", [EnrolmentState.CASE, EnrolmentState.GIVEN_UP])
def test_an_enrolment_that_ends_otherwise_mails_no_pin(world: Any, end: EnrolmentState) -> None:
    """Where staff must look, or nothing came of it, no PIN is set."""
    world.post.down = True
    world.live.want(world.wish())
    world.live.step()
    world.live.want(world.wish(affiliation="employee"))
    world.post.down = False
    if end is EnrolmentState.CASE:
        world.library.add(CPR, Borrower("9", "PRIV"))
        world.now += timedelta(hours=4)
    else:
        world.now += timedelta(days=30)
    world.hooks.calls.clear()
    enrolment = world.live.step()
    assert (enrolment.state, enrolment.pin_owed, "read" in world.hooks.calls) == (end, False, False)
    assert (world.library.pins, world.post.sent) == ({}, [])


def test_no_mail_holds_the_cpr(world: Any) -> None:
    """A mail travels and is kept where we do not know."""
    world.live.want(world.wish())
    world.settle()
    assert all(CPR not in f"{sent}" and CPR[:6] not in f"{sent}" for sent in world.post.sent)


@pytest.mark.parametrize("pin", ["0101", "1990", "9900", "0000"])
def test_a_pin_that_the_persons_number_suggests_is_drawn_again(
    world: Any, pin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pieces of the number are avoided after the number itself is erased."""
    drawn = iter([int(pin), 5837])
    monkeypatch.setattr("secrets.randbelow", lambda below: next(drawn) if below == 10_000 else 0)
    monkeypatch.setattr("broker.core.borrowers.pins.guessable", lambda _pin: False)
    world.live.want(world.wish())
    world.settle()
    assert world.library.pins == {"1": "5837"}


def test_observe_records_what_would_be_written_and_nothing_else(world: Any) -> None:
    """No CPR, no values, thirty days, and never to be carried out, not even after the mode has changed."""
    observing = world.enrolments("observe")
    enrolment = observing.want(world.wish())
    assert (enrolment.state, enrolment.outcome, enrolment.would) == (
        EnrolmentState.OBSERVED,
        EnrolmentOutcome.CREATED,
        ("surname", "email"),
    )
    ((_, kept),) = world.store.list("enrolment", None, world.now)
    assert not any(word in kept.value for word in (CPR.encode(), "Prøvesen".encode(), b"example.org"))
    assert (kept.due, kept.until) == (None, world.now + timedelta(days=30))
    assert (world.cases.retry(enrolment.id), world.settle(), world.library.borrowers) == (False, None, {})


def test_what_observe_wrote_is_read_in_observe_mode_only(world: Any) -> None:
    """The person's own enrolment is another, and is not read in its place."""
    observed = world.enrolments("observe").want(world.wish())
    assert world.live.stored(CPR) is None
    wanted = world.live.want(world.wish())
    assert (world.enrolments("observe").stored(CPR), world.live.stored(CPR)) == (observed, wanted)


def test_a_wish_and_what_became_of_it_are_on_the_trail(world: Any, trail: Any) -> None:
    """Wanted, made and mailed, each once, under the enrolment's id; the same wish again is no event."""
    enrolments = replace(world.live, ports=replace(world.ports, trail=trail))
    wanted = enrolments.want(world.wish())
    enrolments.want(world.wish())
    while enrolments.step():
        pass
    kinds = (AuditEventKind.ENROLMENT_WANTED, AuditEventKind.ENROLMENT_MADE, AuditEventKind.PIN_MAILED)
    person = wanted.person
    assert [(each.kind, each.about, each.person) for each in trail.events] == [
        (kind, wanted.id, person) for kind in kinds
    ]


def test_a_mail_that_fails_for_thirty_days_is_owed_no_more(world: Any) -> None:
    """The borrower stays, staff see why its PIN never left, and no more is tried."""
    world.post.down = True
    world.live.want(world.wish())
    world.live.step()
    world.now += timedelta(days=31)
    ended = world.live.step()
    assert (ended.state, ended.pin_owed, ended.pin_mailed) == (EnrolmentState.DONE, False, None)
    assert (ended.pin_given_up, ended.promises_pin) == ("mail_unavailable", False)
    assert world.records.read(world.live.person_key(CPR)).due is None
    assert world.cases.show(ended.id)["state"] == "pin_given_up"


@pytest.mark.parametrize("moved", [False, True])
def test_a_mailed_pin_is_that_of_one_borrower(world: Any, moved: bool) -> None:
    """It stands while the borrower is the same, and not for another that the desk moved the person to."""
    world.live.want(world.wish())
    mailed = world.settle().pin_mailed
    if moved:
        world.library.cprs.clear()
        world.library.borrowers.clear()
        world.library.add(CPR, Borrower("8", "STUD", world.wish().expires))
    world.live.want(world.wish(category="EMPL", upgrades=("STUD",)))
    enrolment = world.settle()
    assert enrolment.category == "EMPL"
    assert enrolment.pin_mailed == (None if moved else mailed)


def test_a_create_without_effect_is_retried_and_then_a_case(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer of a create proves nothing: the matches are counted, and the third time staff look."""
    monkeypatch.setattr(world.library, "_create", lambda wish, mark: Borrower("1", wish.category, mark=mark))
    world.live.want(world.wish())
    world.live.step()
    assert world.live.stored(CPR).state is EnrolmentState.WANTED
    world.settle()
    enrolment = world.settle()
    assert (enrolment.state, enrolment.reason) == (EnrolmentState.CASE, "library_refused")
    assert world.hooks.calls.count("create") == 3
    assert not world.post.sent


def test_a_wish_accepted_live_waits_through_the_other_modes(world: Any) -> None:
    """Observe and frozen carry nothing out, and lose nothing."""
    world.live.want(world.wish())
    for mode in ("observe", "frozen"):
        assert world.enrolments(mode).step() is None
    world.enrolments("observe").want(world.wish())
    assert world.settle().outcome is EnrolmentOutcome.CREATED


def test_frozen_refuses_the_wish_and_writes_nothing(world: Any) -> None:
    """The person is told that the library system cannot be written to now."""
    with pytest.raises(LibraryUnavailable):
        world.enrolments("frozen").want(world.wish())
    assert list(world.store.list("enrolment", None, world.now)) == []


def test_a_wish_without_a_number_enrols_nobody(world: Any) -> None:
    """Two nameless wishes would share one key."""
    with pytest.raises(LibraryRefused):
        world.live.want(world.wish(cpr=None))


def test_waiting_ends_with_the_work_the_patience_or_the_first_failure(world: Any) -> None:
    """At most five seconds, and not even those when the library has just failed."""
    key, begun = world.live.person_key(CPR), world.now
    world.live.want(world.wish())
    assert world.live.wait(key, 5).state is EnrolmentState.WANTED
    assert world.now - begun == timedelta(seconds=5)
    world.hooks.before["find"] = failing(LibraryUnavailable("down"))
    world.live.step()
    assert world.live.wait(key, 5).reason == "library_unavailable"
    assert world.now - begun == timedelta(seconds=5)
    world.settle()
    assert world.live.wait(key, 5).state is EnrolmentState.DONE


@pytest.mark.parametrize(("seconds", "state"), [(3599, EnrolmentState.DONE), (3600, EnrolmentState.WANTED)])
def test_a_wish_that_was_just_carried_out_is_not_wished_again(world: Any, seconds: int, state: EnrolmentState) -> None:
    """Two windows of one login are one wish; after the time that its word is believed the library is asked anew."""
    world.live.want(world.wish())
    world.live.step()
    world.now += timedelta(seconds=seconds)
    assert world.live.want(world.wish()).state is state
    assert world.live.stored(CPR).state is state


def test_another_wish_is_wished_however_fresh_the_last(world: Any) -> None:
    """What was just carried out is not what is wanted now."""
    world.live.want(world.wish())
    world.live.step()
    assert world.live.want(world.wish(category="EMPL")).state is EnrolmentState.WANTED


def test_the_same_wish_does_not_shorten_a_short_pause(world: Any) -> None:
    """A reload while the library rests a few seconds asks it no sooner, and keeps why it failed."""
    world.live.want(world.wish())
    world.hooks.before["find"] = failing(LibraryUnavailable("down"))
    world.live.step()
    before = world.records.read(world.live.person_key(CPR))
    assert world.live.want(world.wish()).reason == "library_unavailable"
    assert world.records.read(world.live.person_key(CPR)) == before


def test_every_call_ends_before_the_lease(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose library or mail server never answers has stopped when another may begin, five seconds later."""
    lasts: dict[str, timedelta] = {}
    lease = lease_of(world.live.person_key(CPR))

    def watch(port: Any, name: str) -> None:
        call = getattr(port, name)

        def called(*given: Any) -> Any:
            (deadline,) = [each for each in given if isinstance(each, datetime)]
            lasts[name] = deadline - world.now
            held = world.store.get(lease, world.now)
            assert held.until - deadline >= timedelta(seconds=5)
            world.now = deadline - timedelta(seconds=1)
            return call(*given)

        monkeypatch.setattr(port, name, called)

    for name in ("find", "read", "marked", "create", "change", "set_pin", "check_pin"):
        watch(world.library, name)
    watch(world.post, "address")
    for category in ("STUD", "EMPL"):
        world.live.want(world.wish(category=category, upgrades=("STUD",)))
        world.settle()
    world.library.cprs.clear()  # staff took the number out
    world.live.want(world.wish(affiliation="employee"))
    world.settle()
    assert lasts.pop("address") == timedelta(seconds=45)
    assert set(lasts) == {"find", "read", "marked", "create", "change", "set_pin", "check_pin"}
    assert set(lasts.values()) == {timedelta(seconds=15)}


def test_without_a_free_seat_nobody_waits(world: Any) -> None:
    """Waiting never takes more than its half of the threads, and gives each seat back."""
    seats = Semaphore(1)
    seated = replace(world.live, waiting_slots=seats)
    seated.want(world.wish())
    begun = world.now
    with seats:
        assert seated.wait(world.live.person_key(CPR), 5).state is EnrolmentState.WANTED
    assert world.now == begun
    seated.wait(world.live.person_key(CPR), 1)
    assert seats.acquire(blocking=False)


def test_the_loop_outlives_what_nobody_planned(world: Any) -> None:
    """One broken enrolment is told and left to its lease; the others get their turn."""
    world.live.want(world.wish())
    world.hooks.before["find"] = failing(KeyError("surprise"))
    told: list[Exception] = []
    turns = iter([False, False, True])
    run_worker_loop((world.live.step,), _Never(), lambda: next(turns), 0, told.append)
    assert [type(each) for each in told] == [KeyError]
    assert world.settle().state is EnrolmentState.DONE


class _Never:
    """An event for a loop that need not sleep."""

    def set(self) -> None:
        """Wake nobody."""

    def clear(self) -> None:
        """Forget nothing."""

    def wait(self, timeout: float) -> bool:
        """Return at once."""
        del timeout
        return True
