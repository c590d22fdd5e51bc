"""The first PIN of a borrower that we made, and what is said while there is none that works."""

from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.audit_events import AuditEventKind
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.borrowers.pins import PinAnswer
from broker.core.errors import LibraryRefused, LibraryUnavailable, MailUnavailable
from broker.core.login.transaction import AccountState
from broker.use_cases.borrowers.pin_setting import PinSetting
from tests.use_cases.conftest import AASE

CPR: Final = "0101990000"


def enrolled(world: Any) -> Enrolment:
    """Enrol once; give the enrolment."""
    world.live.want(world.wish())
    enrolment: Enrolment = world.live.step()
    return enrolment


def refuse(*_: Any) -> None:
    """Refuse as Koha does where its rules ask for eight characters."""
    raise LibraryRefused("Password length (4) is shorter than required (8)")


def without_effect(*_: Any) -> None:
    """Answer 200, and set nothing."""


BROKEN: Final = {
    "pin_refused": ("set_pin", refuse),
    "pin_not_set": ("set_pin", without_effect),
    "pin_expired": ("check_pin", lambda *_: PinAnswer.EXPIRED),
    "pin_locked": ("check_pin", lambda *_: PinAnswer.LOCKED),
    "pin_unproved": ("check_pin", lambda *_: PinAnswer.NO_CARD_NUMBER),
}


@pytest.fixture(params=BROKEN)
def reason(request: pytest.FixtureRequest, world: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the library system take no PIN that works; give the reason."""
    call, broken = BROKEN[request.param]
    monkeypatch.setattr(world.library, call, broken)
    return str(request.param)


def test_a_pin_that_does_not_work_is_a_state_with_its_cause(world: Any, reason: str) -> None:
    """No mail goes out, none is promised, and staff see why; the borrower is there and the login goes on."""
    enrolment = enrolled(world)
    assert (enrolment.state, enrolment.number, enrolment.reason) == (EnrolmentState.DONE, "1", reason)
    assert (enrolment.pin_owed, enrolment.promises_pin, world.post.sent) == (True, False, [])
    row = world.cases.show(enrolment.id)
    assert (row["state"], row["reason"], row["pin_mailed"]) == ("pin_owed", reason, None)


def test_no_page_promises_a_mail_that_may_not_come(logins: Any, reason: str) -> None:
    """The account is done, and nothing is said of a PIN."""
    assert reason
    account = logins.enrol(logins.transaction(), logins.arrived())
    assert (account.state, account.pin_mailed) == (AccountState.DONE, False)


def test_a_pin_is_tried_again_until_the_system_is_mended(
    world: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pauses, for a day; then it is mailed, and works."""
    assert enrolled(world).reason == reason
    monkeypatch.undo()
    assert world.settle().pin_mailed
    assert [sent.pin for sent in world.post.sent] == [world.library.pins["1"]]


def given_up(world: Any) -> Enrolment:
    """Try for a day and more, hour by hour; give the enrolment."""
    for _ in range(30):
        while world.live.step():
            pass
        world.now += timedelta(hours=1)
    enrolment: Enrolment = world.live.stored(CPR)
    return enrolment


def test_a_pin_is_given_up_after_a_day_and_listed(world: Any, trail: Any, reason: str) -> None:
    """Never done, and no pointer to a page that would fail in the same way; a later login tries nothing."""
    object.__setattr__(world.ports, "trail", trail)
    tried = enrolled(world)
    ended = given_up(world)
    assert (ended.pin_given_up, ended.pin_owed, ended.promises_pin) == (reason, False, False)
    row = world.cases.show(ended.id)
    assert (row["state"], row["reason"], row["due"]) == ("pin_given_up", reason, None)
    assert world.post.sent == []
    kinds = [event.kind for event in trail.events if event.kind.startswith("pin_")]
    assert kinds.count(AuditEventKind.PIN_GIVEN_UP) == 1
    assert kinds.count(AuditEventKind.PIN_UNUSABLE) == len(kinds) - 1 > 5
    assert {event.reason for event in trail.events if event.kind.startswith("pin_")} == {reason}
    world.live.question.who(CPR, AASE, world.wish())
    assert (world.live.stored(CPR).pin_given_up, world.live.step(), tried.id) == (reason, None, ended.id)


def test_staff_let_a_pin_be_tried_again(world: Any, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the mend: a retry mails a PIN that works, for a day again, and then all is done."""
    enrolled(world)
    ended = given_up(world)
    world.live.question.who(CPR, AASE, world.wish())
    assert world.cases.retry(ended.id)
    assert world.live.step().reason == reason
    monkeypatch.undo()
    assert world.settle().pin_mailed
    assert [sent.pin for sent in world.post.sent] == [world.library.pins["1"]]
    assert world.cases.show(ended.id)["state"] == "done"
    assert not world.cases.retry(ended.id)


def test_a_pin_that_is_tried_again_is_none_that_the_number_suggests(
    world: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was given up still knows what to avoid, though the number itself is erased."""
    assert reason
    enrolled(world)
    assert world.cases.retry(given_up(world).id)
    monkeypatch.undo()
    drawn = iter([101, 5837])
    monkeypatch.setattr("secrets.randbelow", lambda below: next(drawn) if below == 10_000 else 0)
    monkeypatch.setattr("broker.core.borrowers.pins.guessable", lambda _pin: False)
    world.now += timedelta(hours=1)
    assert world.settle().pin_mailed
    assert world.post.sent[-1].pin == "5837"


def test_nobody_is_mailed_a_pin_without_an_address(world: Any) -> None:
    """Nothing is set, and nothing is owed."""
    world.live.want(world.wish(pin_to=None))
    assert (world.live.step().pin_owed, world.library.pins) == (False, {})


@pytest.mark.parametrize("call", ["set_pin", "check_pin", "DATA"])
def test_each_mail_of_an_enrolment_holds_the_same_pin(world: Any, call: str) -> None:
    """However often it is tried: a call that comes late sets nothing else."""
    tried: list[str] = []
    set_pin = world.library.set_pin

    def noted(number: str, pin: str, by: Any) -> None:
        tried.append(pin)
        set_pin(number, pin, by)

    world.library.set_pin = noted

    def lost() -> None:
        raise MailUnavailable("no 250") if call == "DATA" else LibraryUnavailable("504")

    world.live.want(world.wish())
    for _ in range(4):
        world.hooks.after[call] = lost
        world.live.step()
        world.now += timedelta(minutes=10)
    assert world.settle().pin_mailed
    assert (len(tried), len(set(tried))) == (5, 1)
    assert {sent.pin for sent in world.post.sent} == {world.library.pins["1"]}


def test_a_first_pin_waits_for_a_choice_without_an_end(world: Any) -> None:
    """What the person chose is not overridden by a mail while nobody knows whether it was set."""
    world.post.down = True
    enrolled(world)
    world.post.down = False
    world.now += timedelta(minutes=1)
    setting = PinSetting(world.store, world.ports.hmacs, world.library, lambda: world.now)
    world.hooks.after["set_pin"] = _no_answer
    with pytest.raises(LibraryUnavailable):
        setting.choose("1", "5837")
    assert world.live.step().reason == "pin_under_way"
    assert world.library.pins == {"1": "5837"}
    assert world.post.sent == []


def _no_answer() -> None:
    raise LibraryUnavailable("no answer")
