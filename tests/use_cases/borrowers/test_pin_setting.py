"""A PIN is set, asked back and mailed, in this order; whatever fails leaves no PIN mailed that does not work."""

from datetime import timedelta
from typing import Any, Final

import pytest

from broker.core.audit_events import AuditEventKind
from broker.core.borrowers.library_capabilities import ALL_CAPABILITIES, LibraryCapability
from broker.core.borrowers.pins import PinAnswer
from broker.core.errors import BrokerError, LibraryRefused, LibraryUnavailable, MailUnavailable, PinUnderWay
from broker.use_cases.borrowers.pin_setting import PinSetting

NUMBER: Final = "7"
INSTANT: Final = timedelta(microseconds=1)
LATE: Final = timedelta(minutes=10, seconds=15)


class Mailing:
    """Mails of one borrower, with what failed in them."""

    def __init__(self, world: Any, trail: Any) -> None:
        """Mail nothing yet."""
        self.world = world
        self.setting = PinSetting(world.store, world.ports.hmacs, world.library, lambda: world.now, trail)
        self.sent: list[str] = []

    def mail(self, **more: Any) -> str | None:
        """Mail a PIN; give the reason where it fails."""
        ends = self.world.now + timedelta(seconds=45)
        return self._reason(lambda: self.setting.mail(NUMBER, lambda _: False, self._send, ends, **more))

    def choose(self, pin: str) -> str | None:
        """Choose a PIN; give the reason where it fails."""
        return self._reason(lambda: self.setting.choose(NUMBER, pin))

    def _send(self, pin: str) -> None:
        self.world.hooks.around("DATA", lambda: self.sent.append(pin))

    @staticmethod
    def _reason(work: Any) -> str | None:
        try:
            work()
        except BrokerError as error:
            return error.reason
        return None


@pytest.fixture
def mailing(world: Any, trail: Any) -> Mailing:
    """Give the mails of a borrower whose PIN is known."""
    world.library.pins[NUMBER] = "4071"
    return Mailing(world, trail)


def failing(error: Exception) -> Any:
    """Give a hook that raises."""

    def fail() -> None:
        raise error

    return fail


def pins_tried(world: Any) -> list[str]:
    """Give the PINs that are set from now on, by then."""
    tried: list[str] = []
    set_pin = world.library.set_pin

    def noted(number: str, pin: str, by: Any) -> None:
        tried.append(pin)
        set_pin(number, pin, by)

    world.library.set_pin = noted
    return tried


def test_a_pin_is_written_down_set_asked_back_and_mailed(world: Any, mailing: Mailing) -> None:
    """In this order; then nothing of it is kept."""
    assert mailing.mail() is None
    assert world.hooks.calls == ["put", "set_pin", "check_pin", "DATA", "put"]
    assert mailing.sent == [world.library.pins[NUMBER]]
    assert list(world.store.list("pin", None, world.now)) == []


def test_a_pin_is_written_down_for_good_before_the_call(
    world: Any, mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut does not undo what the library system may still carry out; what is done leaves no PIN behind."""
    durable: list[bool] = []
    written: list[bytes] = []
    put = world.store.put

    def noted(*given: Any, **how: Any) -> bool:
        durable.append(how["durable"])
        written.append(given[1].value)
        return bool(put(*given, **how))

    monkeypatch.setattr(world.store, "put", noted)
    mailing.mail()
    assert durable == [True, True]
    assert [mailing.sent[0].encode() in value for value in written] == [True, False]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (PinAnswer.WRONG, "pin_not_set"),
        (PinAnswer.EXPIRED, "pin_expired"),
        (PinAnswer.LOCKED, "pin_locked"),
        (PinAnswer.NO_CARD_NUMBER, "pin_unproved"),
    ],
)
@pytest.mark.parametrize("deed", ["mail", "choose"])
def test_a_pin_that_would_not_work_is_neither_mailed_nor_confirmed(
    mailing: Mailing, trail: Any, monkeypatch: pytest.MonkeyPatch, *, answer: PinAnswer, reason: str, deed: str
) -> None:
    """200 proves nothing; each answer is a reason of its own, and an alarm."""
    monkeypatch.setattr(mailing.world.library, "check_pin", lambda *_: answer)
    failed = mailing.mail() if deed == "mail" else mailing.choose("5838")
    assert (failed, mailing.sent) == (reason, [])
    assert [(event.kind, event.reason, event.borrower) for event in trail.events] == [
        (AuditEventKind.PIN_UNUSABLE, reason, NUMBER)
    ]


@pytest.mark.parametrize("deed", ["mail", "choose"])
def test_a_pin_that_cannot_be_asked_back_is_set_and_not_proved(
    world: Any, mailing: Mailing, trail: Any, deed: str
) -> None:
    """The library system is not asked what it cannot say; the trail says that nobody tried the PIN."""
    world.library.capabilities = ALL_CAPABILITIES - {LibraryCapability.PIN_CHECKED}
    assert (mailing.mail() if deed == "mail" else mailing.choose("5838")) is None
    assert "check_pin" not in world.hooks.calls
    assert [(event.kind, event.borrower) for event in trail.events] == [(AuditEventKind.PIN_UNTRIED, NUMBER)]
    assert (mailing.sent or ["5838"]) == [world.library.pins[NUMBER]]


def test_a_refusal_is_an_end(world: Any, mailing: Mailing, trail: Any) -> None:
    """Another PIN may be set at once, chosen or drawn; the old one works."""
    world.hooks.before["set_pin"] = failing(LibraryRefused("too short"))
    assert (mailing.mail(), world.library.pins[NUMBER]) == ("pin_refused", "4071")
    assert [event.reason for event in trail.events] == ["pin_refused"]
    assert mailing.choose("5838") is None


def test_a_system_that_cannot_be_asked_has_proved_nothing(world: Any, mailing: Mailing) -> None:
    """A refusal to say is no yes."""
    world.hooks.before["check_pin"] = failing(LibraryRefused("no such right"))
    assert (mailing.mail(), mailing.sent) == ("pin_unproved", [])


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("set_pin", LibraryUnavailable("504")),
        ("check_pin", LibraryUnavailable("504")),
        ("DATA", MailUnavailable("no 250")),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_later_mail_holds_the_same_pin(world: Any, mailing: Mailing, call: str, error: Exception, when: str) -> None:
    """Whether what failed was carried out or not, a choice waits until it is mailed."""
    getattr(world.hooks, when)[call] = failing(error)
    drawn = pins_tried(world)
    assert mailing.mail() == error.reason  # type: ignore[attr-defined]
    assert mailing.choose("5838") == "pin_under_way"
    assert mailing.mail() is None
    assert len(set(drawn)) == 1
    assert mailing.sent[-1] == drawn[0] == world.library.pins[NUMBER]


@pytest.mark.parametrize(("after", "waits"), [(LATE - INSTANT, True), (LATE, False)])
def test_a_call_without_an_answer_is_waited_for(world: Any, mailing: Mailing, after: timedelta, *, waits: bool) -> None:
    """Ten minutes from the moment by which it was sent, though its PIN was mailed at the second try."""
    world.hooks.before["set_pin"] = failing(LibraryUnavailable("no answer"))
    mailing.mail()
    mailing.mail()
    world.now += after
    assert mailing.choose("5838") == ("pin_under_way" if waits else None)


def test_a_choice_without_an_answer_is_carried_out_later(world: Any, mailing: Mailing) -> None:
    """No mail overtakes it, and no other choice; the same one goes on."""
    world.hooks.after["set_pin"] = failing(LibraryUnavailable("no answer"))
    assert mailing.choose("5838") == "pin_unsettled"
    assert mailing.mail() == mailing.choose("6838") == "pin_under_way"
    assert mailing.setting.settle_choice(NUMBER)
    assert world.library.pins[NUMBER] == "5838"
    world.now += LATE
    assert mailing.mail() == "pin_under_way"
    assert mailing.setting.told(NUMBER, "")
    assert not mailing.setting.told(NUMBER, "")
    assert mailing.mail() is None


def test_a_choice_that_comes_to_nothing_is_told_so(world: Any, mailing: Mailing) -> None:
    """By who carries it out later; and of what was never begun nothing is told."""
    assert not mailing.setting.settle_choice(NUMBER)
    world.hooks.before["set_pin"] = failing(LibraryUnavailable("no answer"))
    mailing.choose("5838")
    world.now += LATE
    world.hooks.before["set_pin"] = failing(LibraryRefused("too short"))
    assert not mailing.setting.settle_choice(NUMBER)
    assert world.library.pins[NUMBER] == "4071"


def test_a_refused_choice_is_not_given_up_while_its_lost_call_may_come(world: Any, mailing: Mailing) -> None:
    """It would work then, and the person believe that the old PIN does."""
    world.hooks.before["set_pin"] = failing(LibraryUnavailable("no answer"))
    mailing.choose("5838")
    world.hooks.before["set_pin"] = failing(LibraryRefused("too short"))
    assert mailing.choose("5838") == "pin_unsettled"
    world.now += LATE
    world.hooks.before["set_pin"] = failing(LibraryRefused("too short"))
    assert mailing.choose("5838") == "pin_refused"
    assert mailing.choose("6838") is None


def test_a_choice_is_told_by_its_last_notice(mailing: Mailing) -> None:
    """The same PIN chosen twice is one choice; until it is told no mail overtakes it."""
    mailing.setting.choose(NUMBER, "5838", "one")
    mailing.setting.choose(NUMBER, "5838", "two")
    assert not mailing.setting.settle_choice(NUMBER, "one")
    assert not mailing.setting.told(NUMBER, "one")
    assert mailing.mail() == "pin_under_way"
    assert mailing.setting.told(NUMBER, "two")
    assert not mailing.setting.settle_choice(NUMBER, "two")
    assert mailing.mail() is None


def test_one_borrowers_pin_is_nothing_to_another(world: Any, mailing: Mailing) -> None:
    """Each has a record of their own."""
    world.hooks.before["set_pin"] = failing(LibraryUnavailable("no answer"))
    mailing.mail()
    mailing.setting.choose("8", "5838")
    assert world.library.pins["8"] == "5838"


def test_a_lease_is_held_beyond_each_call(world: Any, mailing: Mailing) -> None:
    """With the deadline of the call before it; who has lost it sets, asks and mails nothing more."""
    held: list[float] = []

    def hold(deadline: Any) -> None:
        held.append((deadline - world.now).total_seconds())
        if len(held) == 5:
            raise PinUnderWay("lost")

    assert mailing.mail(hold=hold) is None
    assert held == [15, 15, 45]
    assert mailing.mail(hold=hold) == "pin_under_way"
    assert (len(mailing.sent), world.hooks.calls.count("check_pin")) == (1, 1)
