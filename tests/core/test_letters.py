"""What the two letters say."""

import pytest

from broker.core.letters import Letters

LETTERS = Letters("AU Library {0}", "https://login.example/pin", "the desk, 87 15 00 00")


@pytest.mark.parametrize(
    ("language", "phrase"), [("da", "Din pinkode er: 5837"), ("en", "Your PIN is: 5837"), ("de", "Din pinkode")]
)
def test_the_pin_letter(language: str, phrase: str) -> None:
    """The PIN, how to change it and whom to ask, in the language of the login, Danish for any other."""
    message = LETTERS.pin(language, "5837")
    assert all(part in message.text for part in (phrase, LETTERS.pin_url, LETTERS.contact))
    assert "5837" not in message.subject
    assert "\n" not in message.subject


@pytest.mark.parametrize(("language", "phrase"), [("da", "Lav selv en på"), ("en", "Please make one at")])
def test_the_pointer_letter(language: str, phrase: str) -> None:
    """Where to make a PIN, and none in it; braces in the library's name are left alone."""
    message = LETTERS.pointer(language)
    assert f"{phrase} https://login.example/pin" in message.text
    assert "AU Library {0}" in message.subject
