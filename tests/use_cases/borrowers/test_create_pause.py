"""Creates that a fault in the set-up refuses are paused to one trial a minute, a category."""

from datetime import timedelta
from typing import Any

import pytest

from broker.core.errors import LibraryUnavailable
from broker.use_cases.borrowers.create_pause import PEOPLE, TRIAL_EVERY, CreatePause
from broker.use_cases.records import read_together

SETTING = "category_id STUD"
MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def pause(world: Any) -> CreatePause:
    """Give the pauses of a world whose clock is set."""
    return CreatePause(world.store, lambda: world.now)


def admit(pause: CreatePause, category: str) -> None:
    """Let a create be sent, by the pause as it is read now."""
    pause.admit(category, read_together(pause.store, [pause.key(category)], pause.now()))


def shut(pause: CreatePause, category: str = "STUD") -> bool:
    """Say whether a create is held back."""
    try:
        admit(pause, category)
    except LibraryUnavailable:
        return True
    return False


def met(pause: CreatePause, *people: str) -> None:
    """Let people meet the fault."""
    for person in people:
        pause.refused("STUD", person, SETTING)


def test_one_person_alone_pauses_nobody(pause: CreatePause) -> None:
    """However often two people are refused, a third one's create is sent."""
    met(pause, *["a", "b"] * 5)
    assert not shut(pause)


def test_three_people_pause_the_creates_of_their_category(pause: CreatePause) -> None:
    """Their number is what counts; creates of another category go on."""
    met(pause, "a", "b", "c")
    with pytest.raises(LibraryUnavailable, match=f"creates are paused: {SETTING}") as caught:
        admit(pause, "STUD")
    assert caught.value.setting == SETTING
    assert not shut(pause, "EMPL")


def test_one_trial_is_sent_a_minute(world: Any, pause: CreatePause) -> None:
    """The minute runs from the last refusal or trial, whichever worker sent it."""
    met(pause, "a", "b", "c")
    world.now += TRIAL_EVERY - MOMENT
    assert shut(pause)
    world.now += MOMENT
    assert not shut(pause)
    assert shut(pause)
    world.now += TRIAL_EVERY
    assert not shut(CreatePause(world.store, lambda: world.now))
    assert shut(pause)


def test_of_two_workers_one_sends_the_trial(world: Any, pause: CreatePause) -> None:
    """Two that read the pause at once do not both send."""
    met(pause, "a", "b", "c")
    world.now += TRIAL_EVERY
    others: list[bool] = []
    world.hooks.before["put"] = lambda: others.append(shut(CreatePause(world.store, lambda: world.now)))
    assert shut(pause)
    assert others == [False]


def test_a_create_that_goes_through_lifts_the_pause(pause: CreatePause) -> None:
    """The set-up is mended: everybody's create is sent again."""
    met(pause, "a", "b", "c")
    pause.lifted("STUD")
    pause.lifted("EMPL")
    assert not shut(pause)
    met(pause, "d", "e")
    assert not shut(pause)


def test_a_pause_holds_no_more_people_than_it_needs(world: Any, pause: CreatePause) -> None:
    """A thousand refused people make no record of a thousand pseudonyms, and it ends by itself."""
    met(pause, *map(str, range(1000)))
    (record,) = pause._records.list("pause", None, world.now)
    assert len(record.value.people) == PEOPLE
    world.now += timedelta(days=1, seconds=1)
    assert not shut(pause)
