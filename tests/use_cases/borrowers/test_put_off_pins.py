"""PINs whose mail is put off: the account is there at once, the mail follows, and nobody gets two."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest

from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.errors import LibraryUnavailable, MailPutOff, MailUnavailable, StoreUnavailable
from broker.core.ports import RecordUnreadable
from broker.use_cases.borrowers import put_off_pins
from broker.use_cases.borrowers.put_off_pins import PutOffPins
from broker.use_cases.borrowers.wishes_after_outage import WishesAfterOutage

CPR = "0101990000"


class Server:
    """Whether the mail server is silent, as the loops find it."""

    silent = False

    def is_silent(self) -> bool:
        """Say so."""
        return self.silent


@pytest.fixture
def server() -> Server:
    """Give a server that is silent."""
    found = Server()
    found.silent = True
    return found


@pytest.fixture
def wishes(world: Any, server: Server) -> WishesAfterOutage:
    """Give a worker of wishes, who puts mails off while the server is silent."""
    ports = replace(world.ports, puts_off_mails=server.is_silent)
    return WishesAfterOutage(replace(world.live, ports=ports).step, world.records, world.ports.now)


@pytest.fixture
def put_off(world: Any, server: Server) -> PutOffPins:
    """Give those whose mails were put off."""
    return PutOffPins(world.ports, server.is_silent, world.wake)


def enrolled(world: Any, wishes: WishesAfterOutage, put_off: PutOffPins, cpr: str = CPR) -> Enrolment:
    """Enrol while mails are put off."""
    world.live.want(world.wish(cpr=cpr))
    enrolment = wishes.step()
    assert enrolment is not None
    put_off.note(enrolment)
    return enrolment


def test_the_account_is_there_though_no_mail_is_begun(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins
) -> None:
    """The PIN stays owed, no PIN is set for it, and staff read why."""
    enrolment = enrolled(world, wishes, put_off)
    assert (enrolment.state, enrolment.pin_owed) == (EnrolmentState.DONE, True)
    assert world.cases.show(enrolment.id)["reason"] == "mail_put_off"
    assert (len(world.library.borrowers), world.library.pins, world.post.sent) == (1, {}, [])


def test_once_mails_leave_again_the_pin_is_mailed_before_its_pause_has_ended(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins, server: Server
) -> None:
    """In the order in which they were put off; the one that was mailed works, and nothing is owed any more."""
    for serial in range(3):
        enrolled(world, wishes, put_off, f"{serial:010}")
    server.silent = False
    assert [put_off.step() for _ in range(4)] == [True, True, True, False]
    assert [sent.pin for sent in world.post.sent] == [world.library.pins[number] for number in "123"]
    world.now += timedelta(days=1)
    assert wishes.step() is None


def test_who_is_put_off_again_costs_no_call_and_waits_three_minutes_and_more(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins
) -> None:
    """Hundreds that are due at once are before those who are new, and must not keep them waiting."""
    enrolled(world, wishes, put_off)
    world.now += timedelta(minutes=11)
    world.hooks.calls.clear()
    again = wishes.step()
    assert again is not None
    assert again.was_put_off_again
    assert not {"find", "read", "create", "RCPT"} & set(world.hooks.calls)
    assert world.hooks.calls.count("put") == 1
    world.now += timedelta(minutes=3)
    assert wishes.step() is None


def reasons(*enrolments: Enrolment | None) -> list[str]:
    """Give why each of them waits."""
    return [str(each.reason) for each in enrolments if each]


def test_a_mail_put_off_again_is_no_answer_of_the_library_system(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins
) -> None:
    """It was not asked: whoever waits for it keeps the pause."""
    enrolled(world, wishes, put_off)
    world.now += timedelta(minutes=11)
    world.live.want(world.wish(cpr="0000000002"))
    world.hooks.before["find"] = lambda: (_ for _ in ()).throw(LibraryUnavailable("down"))
    assert reasons(wishes.step(), wishes.step()) == ["mail_put_off", "library_unavailable"]
    world.now += timedelta(hours=1)
    world.hooks.before["find"] = lambda: (_ for _ in ()).throw(LibraryUnavailable("down"))
    world.store.list = None  # what waits is read from it after an outage
    assert sorted(reasons(wishes.step(), wishes.step())) == ["library_unavailable", "mail_put_off"]


def test_an_account_that_is_made_is_an_answer_though_its_mail_is_put_off(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins
) -> None:
    """Whoever waits for the library system is due at once."""
    world.live.want(world.wish(cpr="0000000002"))
    world.hooks.before["find"] = lambda: (_ for _ in ()).throw(LibraryUnavailable("down"))
    assert reasons(wishes.step()) == ["library_unavailable"]
    assert wishes.step() is None
    enrolled(world, wishes, put_off)
    assert reasons(wishes.step()) == ["mail_put_off"]


def test_a_later_wish_mails_the_pin_and_nobody_mails_a_second(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins, server: Server
) -> None:
    """What is remembered is looked at again before anything is done for it."""
    enrolled(world, wishes, put_off)
    server.silent = False
    world.live.want(replace(world.wish(), category="PRIV"))
    assert put_off.step()  # both are owed: the worker of wishes does both
    assert world.post.sent == []
    assert wishes.step()
    assert len(world.post.sent) == 1
    put_off.note(replace(world.live.stored(CPR), pin_owed=True, reason=MailPutOff.reason))
    assert put_off.step()
    assert len(world.post.sent) == 1


def test_what_another_is_at_is_left_to_it(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins, server: Server
) -> None:
    """One lease, whoever carries it out."""
    enrolled(world, wishes, put_off)
    server.silent = False
    lease = world.records.lease(world.live.person_key(CPR))
    assert lease
    assert [put_off.step(), put_off.step()] == [False, False]
    assert world.post.sent == []
    lease.end(world.now)
    assert [put_off.step(), put_off.step()] == [True, False]
    assert len(world.post.sent) == 1


def test_a_process_that_begins_remembers_what_the_one_before_has_put_off(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins, server: Server
) -> None:
    """Nobody waits for the end of a pause because of a restart; who is owed nothing is not among them."""
    enrolled(world, wishes, put_off)
    server.silent = False
    world.live.want(world.wish(cpr="0000000002"))
    assert wishes.step()
    world.post.sent.clear()
    again = PutOffPins(world.ports, server.is_silent, world.wake)
    again.recall()
    assert [again.step(), again.step()] == [True, False]
    assert [sent.pin for sent in world.post.sent] == [world.library.pins["1"]]


def test_the_trial_that_hangs_waits_with_the_others_and_a_call_that_fails_for_its_own_pause(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins
) -> None:
    """A library system that is down would else be asked again and again."""
    enrolled(world, wishes, put_off)
    for _ in range(3):
        world.hooks.before["RCPT"] = lambda: (_ for _ in ()).throw(MailUnavailable("late"))
        assert put_off.step()
    world.hooks.before["read"] = lambda: (_ for _ in ()).throw(LibraryUnavailable("down"))
    assert [put_off.step(), put_off.step()] == [True, False]


def test_a_failed_mail_of_a_server_that_answers_waits_for_its_pause(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins, server: Server
) -> None:
    """Of those that fail at once none is tried without a pause."""
    enrolled(world, wishes, put_off)
    server.silent = False
    world.hooks.before["RCPT"] = lambda: (_ for _ in ()).throw(MailUnavailable("RCPT answered 451"))
    assert [put_off.step(), put_off.step()] == [True, False]


def test_who_is_refused_for_a_while_after_many_put_offs_waits_no_hours(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins, server: Server
) -> None:
    """Nothing failed while the mail was put off: a greylist costs the minutes it would else."""
    enrolled(world, wishes, put_off)
    for _ in range(12):
        world.now += timedelta(hours=4)
        assert wishes.step()
    server.silent = False
    world.hooks.before["RCPT"] = lambda: (_ for _ in ()).throw(MailUnavailable("RCPT answered 451"))
    put_off.note(world.live.stored(CPR))
    assert put_off.step()
    assert world.post.sent == []
    world.now += timedelta(minutes=2)
    assert wishes.step()
    assert len(world.post.sent) == 1


def test_a_process_that_dies_at_a_trial_leaves_it_to_the_next(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins, server: Server
) -> None:
    """Its lease ends within a minute; the pause of what was put off would be hours."""
    enrolled(world, wishes, put_off)
    server.silent = False
    lease = world.records.lease(world.live.person_key(CPR))
    assert lease
    again = PutOffPins(world.ports, server.is_silent, world.wake)
    again.recall()
    world.wake.clear()
    assert not again.step()
    assert not world.wake.is_set()
    world.now += timedelta(seconds=30)
    assert again.step()
    assert len(world.post.sent) == 1


def test_people_whose_mailboxes_hang_keep_nobody_waiting_who_comes_later(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins
) -> None:
    """A relay may hang for one domain alone: the next trial is whoever came last and was not tried yet."""
    for serial in range(5):
        enrolled(world, wishes, put_off, f"{serial:010}")
    tried = [trial(world, put_off) for _ in range(2)]
    enrolled(world, wishes, put_off, "0000000005")
    tried += [trial(world, put_off) for _ in range(5)]
    assert tried == ["5", "4", "6", "3", "2", "1", "5"]


def test_whoever_was_the_trial_is_put_off_again_and_stays_behind_the_others(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins
) -> None:
    """Its own pause ends before the next trial; else the same one would be tried for ever."""
    for serial in range(2):
        enrolled(world, wishes, put_off, f"{serial:010}")
    assert trial(world, put_off) == "2"
    world.now += timedelta(minutes=2)
    again = wishes.step()
    assert again is not None
    put_off.note(again)
    assert (again.number, trial(world, put_off)) == ("2", "1")


def test_a_trial_is_made_though_another_is_at_whoever_came_last(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins
) -> None:
    """The others are looked at in the same step."""
    for serial in range(3):
        enrolled(world, wishes, put_off, f"{serial:010}")
    assert world.records.lease(world.live.person_key("0000000002"))
    assert trial(world, put_off) == "2"


def trial(world: Any, put_off: PutOffPins) -> str:
    """Let a trial hang, and give whose it was."""
    read, asked = world.library.read, list[str]()

    def noted(number: str, by: datetime) -> Any:
        asked.append(number)
        return read(number, by)

    world.hooks.before["RCPT"] = lambda: (_ for _ in ()).throw(MailUnavailable("late"))
    world.library.read = noted
    assert put_off.step()
    world.library.read = read
    (number,) = asked
    return number


@pytest.mark.parametrize("call", ["lease", "put"])
def test_a_store_that_does_not_answer_makes_nobody_forgotten(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins, server: Server, call: str
) -> None:
    """Their pause may be of hours by then, and the store is there again within the minute."""
    enrolled(world, wishes, put_off)
    server.silent = False
    for _ in range(3):
        world.hooks.before[call] = lambda: (_ for _ in ()).throw(StoreUnavailable("down"))
        with suppress(StoreUnavailable):
            put_off.step()
        world.hooks.before.clear()
    world.now += timedelta(seconds=60)
    put_off.step()
    assert len(world.post.sent) == 1


def test_a_record_that_does_not_read_is_not_tried_again_and_again(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins, server: Server
) -> None:
    """It would be told in the log every two seconds; its pause ends too."""
    enrolled(world, wishes, put_off)
    server.silent = False
    world.hooks.before["lease"] = lambda: (_ for _ in ()).throw(RecordUnreadable("damaged"))
    with pytest.raises(RecordUnreadable):
        put_off.step()
    assert not put_off.step()


def test_who_is_so_late_that_the_lease_has_ended_is_tried_again(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins, server: Server
) -> None:
    """A name server may hang beyond every deadline; nothing is written then."""
    enrolled(world, wishes, put_off)
    server.silent = False

    def another_has_it() -> None:
        world.now += timedelta(seconds=60)
        assert world.records.lease(world.live.person_key(CPR))
        raise MailUnavailable("late")

    world.hooks.before["RCPT"] = another_has_it
    assert put_off.step()
    assert world.live.stored(CPR).reason == "mail_put_off"
    world.now += timedelta(seconds=60)
    assert [put_off.step(), len(world.post.sent)] == [True, 1]


def test_a_process_that_begins_keeps_the_order(world: Any, wishes: WishesAfterOutage, put_off: PutOffPins) -> None:
    """Whoever came first has waited longest."""
    for serial in range(8):
        enrolled(world, wishes, put_off, f"{serial:010}")
        world.now += timedelta(seconds=1)
    again = PutOffPins(world.ports, lambda: False, world.wake)
    again.recall()
    while again.step():
        pass
    assert [sent.pin for sent in world.post.sent] == [world.library.pins[number] for number in "12345678"]


def test_who_is_put_off_wakes_the_loops_of_mails(world: Any, wishes: WishesAfterOutage, server: Server) -> None:
    """They sleep for half a minute else."""
    woken = Event()
    put_off = PutOffPins(world.ports, server.is_silent, woken)
    enrolled(world, wishes, put_off)
    assert woken.is_set()


def test_beyond_those_that_are_remembered_the_pauses_hold(
    world: Any, wishes: WishesAfterOutage, put_off: PutOffPins, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory has a bound, and nobody is lost by it."""
    monkeypatch.setattr(put_off_pins, "_MOST_REMEMBERED", 1)
    for serial in range(2):
        enrolled(world, wishes, put_off, f"{serial:010}")
    server.silent = False
    assert [put_off.step(), put_off.step()] == [True, False]
    world.now += timedelta(minutes=11)
    assert wishes.step()
    assert [sent.pin for sent in world.post.sent] == [world.library.pins[number] for number in "12"]
