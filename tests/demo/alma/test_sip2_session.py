"""What the simulated Alma answers to a self-service machine (docs/alma.md#machines)."""

from typing import Any

import pytest

from broker.demo.alma.alma_desk import AlmaDesk
from broker.demo.alma.simulated_alma import Simulation
from broker.demo.alma.sip2_session import Sip2Session
from broker.demo.circulation.loan_table import BOOKS
from broker.demo.circulation.sip2_messages import Message, read_message
from tests.demo.alma.conftest import identifier, user

CARD, PIN, CPR = "Card-A", "4711", "0101990000"
NOW = "20261126    050430"


@pytest.fixture(name="machine")
def _machine(alma: Simulation) -> Sip2Session:
    """Give a machine that has logged in, to an Alma with one user."""
    numbers = [identifier("BARCODE", CARD), identifier("CPR", CPR)]
    alma.users.create(user(user_identifier=numbers, pin_number=PIN))
    session = Sip2Session(AlmaDesk(alma.users, alma.loans), {"machine": "secret"})
    session.reply(Message("93", "00", (("CN", "machine"), ("CO", "secret"))).written())
    return session


def ask(machine: Sip2Session, code: str, fixed: str, **fields: str) -> Message:
    """Send a message and give its answer."""
    answer = machine.reply(Message(code, fixed, tuple(fields.items())).written().strip())
    assert answer is not None
    return read_message(answer.strip())


def information(machine: Sip2Session, card: str, pin: str) -> Message:
    """Ask for a patron, the loans too."""
    return ask(machine, "63", f"009{NOW}  Y       ", AO="", AA=card, AD=pin)


@pytest.mark.parametrize(
    ("card", "pin", "verdict"),
    [
        (CARD, PIN, ("Y", "Y")),
        (CPR, PIN, ("Y", "Y")),
        (CARD, "4712", ("Y", "N")),
        (CARD, "", ("Y", "N")),
        ("card-a", PIN, ("N", "N")),
        ("B-1", PIN, ("N", "N")),
    ],
)
def test_a_card_and_its_pin_are_told_apart(card: str, pin: str, verdict: tuple[str, str], machine: Sip2Session) -> None:
    """A machine hears of the card and of the PIN each; the primary id is no card, nor is one in other capitals."""
    answer = information(machine, card, pin)
    assert (answer.field("BL"), answer.field("CQ")) == verdict
    assert answer.field("AA") == card


@pytest.mark.parametrize(
    ("edited", "told"),
    [
        ({"status": "INACTIVE"}, "The user is not active."),
        ({"expiry_date": "2020-01-01Z"}, "The user has expired."),
        ({"user_block": [{"block_type": "GENERAL"}]}, "The user is blocked."),
        ({"user_role": []}, "The user has no patron role."),
    ],
)
def test_who_may_not_borrow_is_proved_and_gets_no_book(
    edited: dict[str, Any], told: str, machine: Sip2Session, alma: Simulation
) -> None:
    """A hindrance denies four rights and says why; card and PIN are right all the same, and nothing is lent."""
    alma.users.edit("B-1", **edited)
    answer = information(machine, CARD, PIN)
    assert (answer.fixed[:4], answer.field("AF")) == ("YYYY", told)
    assert (answer.field("BL"), answer.field("CQ")) == ("Y", "Y")
    lent = ask(machine, "11", f"NN{NOW}{NOW}", AO="", AA=CARD, AB=BOOKS[0])
    assert (lent.fixed[0], lent.field("AF")) == ("0", told)
    assert alma.loans.loans("B-1") == ()


def test_a_book_is_lent_once_and_then_renewed(machine: Sip2Session) -> None:
    """The second check-out of one book is a renewal: a success that lends nothing more."""
    checks = [ask(machine, "11", f"NN{NOW}{NOW}", AO="", AA=CARD, AB=BOOKS[0]).fixed[:2] for _ in range(2)]
    assert checks == ["1N", "1Y"]
    assert information(machine, CARD, PIN).every("AU") == (BOOKS[0],)


@pytest.mark.parametrize(("card", "book"), [(CARD, "No such book"), ("nobody", BOOKS[0])])
def test_what_is_unknown_is_not_lent(card: str, book: str, machine: Sip2Session) -> None:
    """An unknown book, or one for an unknown card, is refused with a sentence."""
    answer = ask(machine, "11", f"NN{NOW}{NOW}", AO="", AA=card, AB=book)
    assert answer.fixed[0] == "0"
    assert answer.field("AF")


def test_status_and_end_of_a_session_are_answered_and_nothing_else(machine: Sip2Session) -> None:
    """99 and 35 have their answers; a message that the simulation does not know is asked for again."""
    assert ask(machine, "99", "0" + "080" + "2.00").code == "98"
    assert ask(machine, "35", NOW, AO="", AA=CARD).fixed[0] == "Y"
    assert ask(machine, "23", f"009{NOW}", AO="", AA=CARD, AD=PIN).code == "96"
