"""PINs that are not the first ones tried."""

import pytest

from broker.core import pins


@pytest.mark.parametrize(
    "pin", ["0000", "7777", "1234", "4321", "0123", "7890", "8901", "9012", "0987", "2109", "1212", "1987", "2004"]
)
def test_patterns_are_guessable(pin: str) -> None:
    """Pairs, runs in either direction and round the corner, and years are never drawn."""
    assert pins.guessable(pin)


@pytest.mark.parametrize("pin", ["5837", "0047", "1243", "9071"])
def test_others_are_not(pin: str) -> None:
    """What follows no pattern may be drawn, leading noughts included."""
    assert not pins.guessable(pin)


def test_most_pins_are_left() -> None:
    """The patterns take little of the ten thousand, and a person's number a dozen more."""
    assert sum(not pins.guessable(f"{number:04}") for number in range(10_000)) > 9_600


@pytest.mark.parametrize("pin", ["3112", "1120", "1208", "2085", "0856", "8567", "5678", "1231", "0831", "0812"])
def test_a_number_suggests_its_pieces_and_its_dates(pin: str) -> None:
    """Any four digits in a row, and day, month and year in any pairing."""
    assert pin in pins.suggested_by("3112085678")


def test_what_is_to_be_avoided_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawn pattern and a drawn piece of the number are both thrown away."""
    drawn = iter([1234, 1120, 47])
    monkeypatch.setattr("secrets.randbelow", lambda _below: next(drawn))
    assert pins.new_pin({"1120"}.__contains__) == "0047"


def test_pins_are_drawn_from_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The draw is over ten thousand numbers of the system's secure randomness."""
    drawn = {10_000: 5837}
    monkeypatch.setattr("secrets.randbelow", drawn.__getitem__)
    assert pins.new_pin(lambda _pin: False) == "5837"
