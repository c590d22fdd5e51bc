"""A borrower whose category fell or rose is told so by mail, once for each change."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import Enrolment, EnrolmentOutcome
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.use_cases.borrowers.category_letters import CategoryLetters

CPR = "0101990000"
ADDRESS = "desk@post.example"


@pytest.fixture
def letters(world: Any) -> CategoryLetters:
    """Give the letters of a world with a private borrower of the desk's."""
    world.library.add(CPR, Borrower("8", "PRIV", email=ADDRESS, card=CPR, fields={"surname": "Prøvesen"}))
    return CategoryLetters(world.ports)


def login(world: Any, **wish: Any) -> EnrolmentOutcome | None:
    """Let the person come with a wish, and carry it out."""
    world.live.want(world.wish(**wish))
    enrolment = world.settle()
    assert isinstance(enrolment, Enrolment)
    return enrolment.outcome


def written(letters: CategoryLetters) -> int:
    """Write every letter that is due, and count them."""
    steps = 0
    while letters.step():
        steps += 1
    return steps


@pytest.mark.parametrize(
    ("category", "wish", "outcome", "subject"),
    [
        ("PRIV", {}, EnrolmentOutcome.UPGRADED, "nye lånevilkår"),
        ("EMPL", {"lowers": ("EMPL",)}, EnrolmentOutcome.LOWERED, "andre lånevilkår"),
    ],
)
def test_a_change_of_category_is_told_once(
    world: Any,
    letters: CategoryLetters,
    *,
    category: str,
    wish: dict[str, Any],
    outcome: EnrolmentOutcome,
    subject: str,
) -> None:
    """To the address that the library system has, in the language of the login, and without a PIN or number."""
    world.library.borrowers["8"] = replace(world.library.borrowers["8"], category=category)
    assert login(world, **wish) is outcome
    assert written(letters) == 1
    (mail,) = world.post.sent
    assert (mail.to, mail.pin) == (ADDRESS, None)
    assert subject in mail.subject
    assert not {CPR, "8"} & set(mail.text.split())
    login(world, **wish)
    assert written(letters) == 0


def test_nobody_writes_to_a_borrower_that_nobody_is_let_in_to(world: Any, letters: CategoryLetters) -> None:
    """The register has said that the person is dead since the letter was owed."""
    owner = world.links.of_cpr(CPR)
    world.links.by_cpr(owner)
    world.library.borrowers["8"] = replace(world.library.borrowers["8"], cpr=CPR)
    assert login(world) is EnrolmentOutcome.UPGRADED
    world.links.bar(owner, "person_dead")
    assert (written(letters), world.post.sent) == (1, [])


def test_what_leaves_the_category_alone_is_not_told(world: Any, letters: CategoryLetters) -> None:
    """A name that was filled in, or a borrower that was as wished, makes no letter."""
    world.library.borrowers["8"] = replace(world.library.borrowers["8"], category="STUD", fields={})
    assert login(world) is EnrolmentOutcome.FILLED_IN
    assert written(letters) == 0
    assert world.post.sent == []


def test_a_letter_waits_for_mail_server_and_library_system(world: Any, letters: CategoryLetters) -> None:
    """It is due again after a pause, and comes when they are back."""
    login(world)
    world.post.down = True
    assert written(letters) == 1
    world.post.down = False
    world.hooks.before["read"] = _failing
    world.now += timedelta(minutes=1)
    assert written(letters) == 1
    assert world.post.sent == []
    world.now += timedelta(minutes=2)
    assert written(letters) == 1
    assert len(world.post.sent) == 1


def test_nobody_is_told_after_two_days(world: Any, letters: CategoryLetters) -> None:
    """A letter that could not be sent so long is no news any more, and its record goes."""
    login(world)
    world.post.down = True
    for _ in range(60):
        world.now += timedelta(hours=1)
        written(letters)
    world.post.down = False
    world.now += timedelta(hours=2)
    assert written(letters) == 0
    assert list(world.store.list("letter", None, world.now)) == []


@pytest.mark.parametrize("gone", [lambda _: None, lambda borrower: replace(borrower, email=None)])
def test_without_an_address_there_is_no_letter(
    world: Any, letters: CategoryLetters, gone: Callable[[Borrower], Borrower | None]
) -> None:
    """A borrower that staff have deleted since, or that has no address, is written to no more."""
    login(world)
    after = gone(world.library.borrowers["8"])
    world.library.borrowers = {"8": after} if after else {}
    assert written(letters) == 1
    assert world.post.sent == []


def test_a_process_that_dies_over_a_change_leaves_the_letter_owed(world: Any, letters: CategoryLetters) -> None:
    """The library system has the new category: whoever carries the wish on finds nothing to change."""
    world.live.want(world.wish())
    world.hooks.after["change"] = lambda: world.hooks.before.update(put=_dying)
    with pytest.raises(_Died):
        world.settle()
    world.settle()
    assert (world.library.borrowers["8"].category, written(letters)) == ("STUD", 1)
    assert len(world.post.sent) == 1


def test_a_change_that_was_not_made_is_not_told(world: Any, letters: CategoryLetters) -> None:
    """The letter waits for it, and goes unsent where the library system refuses."""
    world.hooks.before["change"] = _refusing
    assert login(world) is None
    for _ in range(60):
        world.now += timedelta(hours=1)
        written(letters)
    assert world.post.sent == []
    assert list(world.store.list("letter", None, world.now)) == []


class _Died(BaseException):
    """The process is gone."""


def _dying() -> None:
    raise _Died


def _refusing() -> None:
    raise LibraryRefused("no such day")


def _failing() -> None:
    raise LibraryUnavailable("down")
