"""Another category: offered, declined, agreed, lowered; and what becomes of a wish without a CPR."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import EnrolmentOutcome, EnrolmentState
from broker.core.borrowers.wanted_borrower import WishedField
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.flows.borrowers.enrolment_against_wish import EnrolmentBeforeWish

CPR = "0101990000"
OLD = date(2027, 1, 31)


@pytest.fixture
def private(world: Any) -> Borrower:
    """Put a private borrower with loans and a PIN on the shelf."""
    world.library.pins["5"] = "4071"
    borrower: Borrower = world.library.add(CPR, Borrower("5", "PRIV", OLD, fields={"surname": "Prøvesen"}))
    return borrower


def test_an_upgrade_is_told_before_it_is_wished(world: Any, private: Borrower) -> None:
    """One look says from which category; nothing is written, here or there (R40)."""
    assert world.live.known(world.wish(), None) == EnrolmentBeforeWish(None, "PRIV", "5")
    assert world.hooks.calls == ["find"]
    assert world.library.borrowers == {"5": private}


def test_an_upgrade_keeps_number_and_pin_and_is_made_once(world: Any, private: Borrower) -> None:
    """Agreed, the account is the same with another category and expiry; a repetition finds nothing to do."""
    for _ in range(2):
        world.live.want(world.wish(), None)
        enrolment = world.settle()
    assert world.library.borrowers == {"5": replace(private, category="STUD", expires=world.wish().expires)}
    assert (world.library.pins, world.post.sent) == ({"5": "4071"}, [])
    assert (enrolment.number, enrolment.category, enrolment.pin_owed) == ("5", "STUD", False)
    assert world.hooks.calls.count("change") == 1
    assert world.live.known(world.wish(), None).upgrade_from is None


def test_who_declines_keeps_the_category_and_may_be_asked_again(world: Any, private: Borrower) -> None:
    """Declining changes nothing, is no reason for a look each time, and does not hide the offer for ever."""
    declined = world.wish(upgrade=False)
    world.live.want(declined, None)
    enrolment = world.settle()
    assert (enrolment.outcome, enrolment.category) == (EnrolmentOutcome.UNCHANGED, "PRIV")
    assert world.library.borrowers == {"5": private}
    world.hooks.calls.clear()
    assert world.live.known(declined, None).enrolment.number == "5"
    assert world.hooks.calls.count("find") == 0
    assert world.live.known(world.wish(), None) == EnrolmentBeforeWish(None, "PRIV", "5")


def test_who_declines_still_gets_a_new_name(world: Any, private: Borrower) -> None:
    """What the policy sets always is no part of the category."""
    renamed = world.wish(upgrade=False, fields=(WishedField("surname", "Eksempel", "always"),))
    assert world.live.known(renamed, None) == EnrolmentBeforeWish(number="5")
    world.live.want(renamed, None)
    world.settle()
    assert world.library.borrowers == {"5": replace(private, fields={"surname": "Eksempel"})}


def test_who_agreed_while_the_library_was_down_has_agreed(world: Any, private: Borrower) -> None:
    """The next login finds nothing to offer, and does not take the person's word back."""
    del private

    def down() -> None:
        raise LibraryUnavailable("down")

    world.hooks.before["find"] = down
    world.live.want(world.wish(), None)
    world.live.step()
    assert world.live.known(world.wish(), None) == EnrolmentBeforeWish()
    world.live.want(world.wish(upgrade=False), None)
    assert world.settle().category == "STUD"


def test_who_agreed_to_one_category_has_not_agreed_to_another(world: Any, private: Borrower) -> None:
    """What was said yes to while the library was down is no yes to what a later login would make of the account."""

    def down() -> None:
        raise LibraryUnavailable("down")

    world.hooks.before["find"] = down
    world.live.want(world.wish(), None)
    world.live.step()
    world.live.want(world.wish(category="EMP", upgrade=False), None)
    assert world.settle().category == "PRIV"
    assert world.library.borrowers == {"5": private}


def test_a_library_that_does_not_answer_offers_nothing(world: Any, private: Borrower) -> None:
    """What is there is not known; a person who was not asked is not upgraded later either."""

    def down() -> None:
        raise LibraryUnavailable("down")

    world.hooks.before["find"] = down
    assert world.live.known(world.wish(), None) == EnrolmentBeforeWish()
    world.live.want(world.wish(upgrade=False), None)
    assert world.settle().category == "PRIV"
    assert world.library.borrowers == {"5": private}


def lowering(world: Any, **more: Any) -> Any:
    """Give the wish of one whom the university no longer calls a student, and whose CPR it did not vouch for."""
    given: dict[str, Any] = {"cpr": None, "affiliation": "private", "category": "PRIV", "upgrades": (), "borrower": "1"}
    return world.wish(**{**given, "lowers": ("STUD", "EMPL"), **more})


@pytest.fixture
def student(world: Any) -> str:
    """Enrol a student; give the pseudonym that the enrolment is kept under."""
    world.live.want(world.wish(), None)
    return str(world.settle().person)


def test_who_left_becomes_private_and_keeps_everything_else(world: Any, student: str) -> None:
    """R47: found by the number that the link proves, under the person's own key; number, PIN and mark stay."""
    before, pins, wish = world.library.borrowers["1"], dict(world.library.pins), lowering(world)
    assert world.live.known(wish, "1", student) == EnrolmentBeforeWish(number="1")
    assert world.live.want(wish, "1", student).person == student
    enrolment = world.settle()
    assert (enrolment.outcome, enrolment.category, enrolment.number) == (EnrolmentOutcome.LOWERED, "PRIV", "1")
    assert world.library.borrowers == {"1": replace(before, category="PRIV", expires=wish.expires)}
    assert (world.library.pins, len(world.post.sent)) == (pins, 1)
    assert world.live.known(wish, "1", student).enrolment.number == "1"


@pytest.mark.parametrize(("category", "lowers"), [("HOSP", ("STUD", "EMPL")), ("STUD", ())])
def test_nobody_else_is_lowered(world: Any, student: str, category: str, lowers: tuple[str, ...]) -> None:
    """A category that the policy does not list, and a login that may not lower, leave the account as it is."""
    kept = world.library.borrowers["1"] = replace(world.library.borrowers["1"], category=category)
    world.live.want(lowering(world, lowers=lowers), "1", student)
    assert world.settle().outcome is EnrolmentOutcome.UNCHANGED
    assert world.library.borrowers == {"1": kept}


@pytest.mark.parametrize("death", range(6))
def test_a_death_while_lowering_leaves_it_lowered_once(world: Any, student: str, death: int) -> None:
    """Whoever claims it next looks again."""
    calls = iter(range(99))

    def die(_: str) -> None:
        if next(calls) == death:
            raise KeyboardInterrupt

    world.live.want(lowering(world), "1", student)
    world.hooks.every = die
    try:
        world.live.step()
    except KeyboardInterrupt:
        pass
    finally:
        world.hooks.every = lambda _name: None
    assert world.settle().state is EnrolmentState.DONE
    assert [each.category for each in world.library.borrowers.values()] == ["PRIV"]


@pytest.mark.parametrize("cpr", [None, CPR])
def test_nobody_is_made_for_who_may_not_enrol(world: Any, student: str, cpr: str | None) -> None:
    """The borrower is gone: the link to it goes too, so that the next login is sent to enrol anew; no case."""
    world.links.person(None, student, lambda _number: True)
    world.links.remember(student, "1")
    world.library.borrowers.clear()
    world.library.cprs.clear()
    wish = lowering(world, cpr=cpr, creates=False)
    assert world.live.known(wish, "1", student) == EnrolmentBeforeWish()
    world.live.want(wish, "1", student)
    enrolment = world.settle()
    assert (enrolment.state, enrolment.reason, enrolment.wish) == (EnrolmentState.GIVEN_UP, "borrower_gone", None)
    assert world.hooks.calls.count("create") == 1
    assert world.links.number(student) is None
    world.live.want(world.wish(), None)
    assert world.settle().outcome is EnrolmentOutcome.CREATED


@pytest.mark.parametrize("changes", [{"borrower": None}, {"borrower": "1", "owner": None}])
def test_a_wish_that_names_nobody_is_refused(world: Any, student: str, changes: dict[str, Any]) -> None:
    """Without a CPR it needs the borrower and a key: two nameless wishes would share one."""
    owner = changes.pop("owner", student)
    with pytest.raises(LibraryRefused):
        world.live.want(lowering(world, **changes), None, owner)


def test_a_day_without_news_asks_nothing_for_a_known_affiliate(world: Any, student: str) -> None:
    """The number stands for the CPR in what is believed, too."""
    world.live.want(lowering(world), "1", student)
    world.settle()
    world.hooks.calls.clear()
    assert world.live.known(lowering(world), "1", student).enrolment
    assert world.hooks.calls == []
    world.now += timedelta(days=1)
    assert world.live.known(lowering(world), "1", student).enrolment
    assert world.hooks.calls.count("read") == 1


def test_a_pin_that_is_owed_is_mailed_though_the_category_is_lowered_first(world: Any) -> None:
    """To the address that came with the CPR, and never one that the CPR suggests."""
    world.post.down = True
    world.live.want(world.wish(), None)
    world.live.step()
    owed = world.live.stored(CPR)
    assert owed.pin_owed
    for _ in range(2):
        world.live.want(lowering(world, fields=(), pin_to=None), "1", owed.person)
    world.post.down = False
    lowered = world.settle()
    assert (lowered.outcome, lowered.category, lowered.pin_owed) == (EnrolmentOutcome.LOWERED, "PRIV", False)
    [mail] = world.post.sent
    assert (mail.to, mail.pin) == ("aase@example.org", world.library.pins["1"])


def test_the_pins_that_a_cpr_suggests_are_avoided_after_a_wish_without_it(world: Any) -> None:
    """A wish by a link does not know them; what was written down with the CPR stands."""
    world.post.down = True
    world.live.want(world.wish(), None)
    world.live.step()
    owed = world.live.stored(CPR)
    world.live.want(lowering(world, fields=(), pin_to=None), "1", owed.person)
    lowered = world.settle()
    assert (lowered.category, lowered.pin_owed, lowered.pin_avoids) == ("PRIV", True, owed.pin_avoids)
    assert owed.pin_avoids


def test_nobody_is_lowered_on_whose_borrower_it_is_no_longer(world: Any, student: str) -> None:
    """The desk corrected the CPR after the wish: a case, and once staff say that the link is wrong, nothing to do."""
    kept = world.library.borrowers["1"] = replace(world.library.borrowers["1"], cpr="0202990000")
    wanted = world.live.want(lowering(world), "1", student)
    enrolment = world.settle()
    assert (enrolment.state, enrolment.reason) == (EnrolmentState.CASE, "cpr_changed")
    assert world.cases.retry(wanted.id)
    assert (world.settle().state, world.settle().reason) == (EnrolmentState.GIVEN_UP, "borrower_gone")
    assert world.library.borrowers == {"1": kept}


def test_a_wish_by_a_link_hides_no_case(world: Any, student: str) -> None:
    """Two borrowers with the person's CPR are still two when the person comes without it."""
    world.library.add(CPR, Borrower("5", "PRIV"))
    world.now += timedelta(days=1)
    world.live.want(world.wish(category="EMPL"), "1")
    assert world.settle().reason == "two_borrowers"
    before = dict(world.library.borrowers)
    assert world.live.want(lowering(world), "1", student).state is EnrolmentState.CASE
    assert (world.settle().state, world.library.borrowers) == (EnrolmentState.CASE, before)
