"""A chosen PIN is set once and verified: a page that said "set" is right whatever was lost or late."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broker.adapters.stores import sqlite
from broker.core.borrowers.library_setup import LibraryCapability
from broker.core.errors import LibraryUnavailable, LinkGone, PinUnderWay
from tests.plugins.example_counts import scale_examples
from tests.plugins.pin_bench import NUMBER, Killed, PinBench

PIN = "5926"


@pytest.mark.parametrize("poor", ["407", "40715", "abcd", "1234", "1987", "0101", "9900"])
def test_a_poor_pin_is_refused_before_anything_is_called(desk: PinBench, poor: str) -> None:
    """Not four digits, a pattern, a year, or part of the CPR number: the PIN is as it was."""
    assert desk.pins.choose(NUMBER, poor, "en").result == "refused"
    assert desk.library.pins[NUMBER] == "4071"
    assert desk.due_mails() == []


def test_a_used_link_sets_no_second_pin(desk: PinBench) -> None:
    """Two posts of one link may both have read it before the first one holds the lease."""
    token = desk.codes.make_link(NUMBER)
    assert desk.pins.choose(NUMBER, PIN, "en", link_token=token).result == "set"
    with pytest.raises(LinkGone):
        desk.pins.choose(NUMBER, "6038", "en", link_token=token)
    assert desk.library.pins[NUMBER] == PIN


def test_a_refusal_leaves_the_pin_and_releases_the_lease(desk: PinBench) -> None:
    """The page says the reason, no notice is mailed, and the person chooses again at once."""
    desk.library.next_call = "refused"
    assert desk.pins.choose(NUMBER, PIN, "en").reason == "pin_refused"
    desk.pass_time(minutes=11)
    assert desk.due_mails() == []
    assert desk.pins.choose(NUMBER, "6038", "en").result == "set"


@pytest.mark.parametrize("call", ["lost", "done", "late 300"])
def test_a_lost_answer_is_never_called_set_and_blocks_for_ten_minutes(desk: PinBench, call: str) -> None:
    """The call may still be carried out: nobody chooses meanwhile, and the notice is mailed."""
    desk.library.next_call = call
    choice = desk.pins.choose(NUMBER, PIN, "en")
    assert choice.result == "unknown"
    assert len(desk.due_mails()) == 1
    with pytest.raises(PinUnderWay):
        desk.pins.choose(NUMBER, "6038", "en")
    assert choice.again_at is not None
    desk.pass_time(seconds=(choice.again_at - desk.clock()).total_seconds())
    assert desk.pins.choose(NUMBER, "6038", "en").result == "set"
    desk.pass_time(hours=1)
    assert desk.library.pins[NUMBER] == "6038"


def test_an_answer_without_a_right_verification_is_not_set(desk: PinBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the library system took the call proves nothing, where it can be asked."""
    monkeypatch.setattr(type(desk.library), "set_pin", lambda *_: None)
    assert desk.pins.choose(NUMBER, PIN, "en").result == "unknown"
    with pytest.raises(PinUnderWay):
        desk.pins.choose(NUMBER, PIN, "en")


def test_without_a_check_the_answer_counts(desk: PinBench) -> None:
    """Alma cannot verify a PIN."""
    desk.library.capabilities = desk.library.capabilities - {LibraryCapability.PIN_CHECKED}
    assert desk.pins.choose(NUMBER, PIN, "en").result == "set"
    assert desk.library.checks == 0


def test_a_library_that_is_not_live_is_not_written_to(desk: PinBench) -> None:
    """Observed or frozen: no PIN is set and no mail is sent."""
    object.__setattr__(desk.pins, "live", False)
    with pytest.raises(LibraryUnavailable):
        desk.pins.choose(NUMBER, PIN, "en")
    desk.pins.mail_link_to_typed_number("0101990000", "en", "now")
    assert desk.due_mails() == []


CALLS = st.sampled_from(
    [
        "answered",
        "answered",
        "answered 60",
        "ignored",
        "refused",
        "lost",
        "done",
        "late 60",
        "late 590",
        "killed",
        "killed 590",
    ]
)
PINS = st.sampled_from(["5926", "6038", "8305"])


class PinModel(RuleBasedStateMachine):
    """Choices, also two at once, lost and late answers, crashes, and time in any order."""

    def __init__(self) -> None:
        """Open an empty store."""
        super().__init__()
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / "pins.db"
        sqlite.prepare(path)
        self.desk = PinBench(path)
        self.said: str | None = None

    @rule(pin=PINS, call=CALLS)
    def choose(self, pin: str, call: str) -> None:
        """Choose a PIN while the next call is answered, ignored, lost, late, or never returns.

        The look after an answered call cannot see that the same PIN is set once more later: accepted, because a
        library system that answers has done what it was asked.
        """
        is_same = self.desk.library.pins[NUMBER] == pin
        self.desk.library.next_call = "answered" if is_same and call == "answered 60" else call
        try:
            result = self.desk.pins.choose(NUMBER, pin, "en").result
        except PinUnderWay:
            return
        except Killed:
            result = "unknown"
        finally:
            self.desk.library.next_call = "answered"
        if result == "set":
            self.said = pin
        elif result == "unknown":
            self.said = None

    @rule(pin=PINS, other=PINS, call=CALLS, other_call=CALLS)
    def choose_twice(self, pin: str, other: str, call: str, other_call: str) -> None:
        """Choose in another window, or on another machine, while the first call is under way."""

        def choose_other() -> None:
            self.desk.library.meanwhile = lambda: None
            self.choose(other, other_call)

        self.desk.library.meanwhile = choose_other
        self.choose(pin, call)
        self.desk.library.meanwhile = lambda: None

    @rule(seconds=st.sampled_from([1, 60, 300, 611]))
    def wait(self, seconds: int) -> None:
        """Let time pass; late calls are carried out."""
        self.desk.pass_time(seconds=seconds)

    @invariant()
    def set_means_set(self) -> None:
        """Keep what a page said: "set" is right until the PIN is changed."""
        if self.said is not None:
            assert self.desk.library.pins[NUMBER] == self.said

    def teardown(self) -> None:
        """Remove the store."""
        self.folder.cleanup()


TestPinModel = PinModel.TestCase
TestPinModel.settings = settings(
    max_examples=scale_examples(30), stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
