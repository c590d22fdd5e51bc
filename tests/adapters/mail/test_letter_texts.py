"""What the letters say, in both languages."""

import re
from dataclasses import fields
from typing import get_args

import pytest

from broker.adapters.mail.letter_texts import LETTERS, LetterTexts
from broker.adapters.translations.catalogue import translate
from broker.core.entities import Text
from broker.core.letters import (
    ChangedPinLetter,
    ClaimCodeLetter,
    ConnectedAccountLetter,
    LetterContent,
    LoginCodeLetter,
    MailboxCodeLetter,
    PinLinkLetter,
    WelcomeLetter,
)

NAME = "AU Library {0} 100%"
TEXTS = LetterTexts(Text(NAME, NAME), "https://login.example/pin", "the desk, 87 15 00 00")
NAMELESS = LetterTexts(None, "https://login.example/pin", "")
EVERY_LETTER: tuple[LetterContent, ...] = (
    MailboxCodeLetter(code="0042 1789", asker="Ann", minutes=30),
    ClaimCodeLetter("0042 1789", "Ann"),
    LoginCodeLetter("0042 1789", "26 November 2026", "a desk"),
    PinLinkLetter("https://login.example/pin?link=1", "26 November 2026"),
    WelcomeLetter("https://login.example/pin?link=1"),
    ChangedPinLetter(),
    ConnectedAccountLetter(),
)
COMMON = {"library", "signed", "pin_url", "questions", "asked"}


@pytest.mark.parametrize(
    ("language", "phrases"),
    [
        ("da", ("Koden er: 0042 1789", "Ann Holm er ved at logge ind", "i 30 minutter", "Giv ikke koden til nogen")),
        ("en", ("The code is: 0042 1789", "Ann Holm is logging in", "for 30 minutes", "give the code to nobody")),
        ("de", ("Koden er: 0042 1789",)),
    ],
)
def test_the_letter_of_a_proof(language: str, phrases: tuple[str, ...]) -> None:
    """Code, who asked, how long, what to do if it was not you; the subject, which servers log, has no code."""
    letter = MailboxCodeLetter(code="0042 1789", asker="Ann Holm", minutes=30)
    message = TEXTS.worded(letter, language)
    assert all(part in message.text for part in (*phrases, TEXTS.contact))
    assert "0042" not in message.subject
    assert "\n" not in message.subject


@pytest.mark.parametrize(("language", "who"), [("da", "En person er ved"), ("en", "Somebody is logging in")])
def test_a_letter_says_somebody_where_there_is_no_name(language: str, who: str) -> None:
    """Without a name the letter says plainly that it has none."""
    letter = MailboxCodeLetter(code="1", asker="12", minutes=1)
    assert who in TEXTS.worded(letter, language).text


def test_a_name_in_a_letter_is_no_address() -> None:
    """What an upstream calls a person is cut to a name before a stranger is mailed it."""
    letter = MailboxCodeLetter(code="1", asker="Win\r\nhttps://evil.example <b>", minutes=1)
    assert "\nWin https evil example b is logging in at" in TEXTS.worded(letter, "en").text


@pytest.mark.parametrize(
    ("language", "library", "other"), [("da", "biblioteket", "library"), ("en", "library", "bibl")]
)
def test_a_library_without_a_name_is_called_the_library(language: str, library: str, other: str) -> None:
    """In the letter's own language, at the start of the line with a capital, and nobody is told to contact nobody."""
    messages = [NAMELESS.worded(letter, language) for letter in EVERY_LETTER]
    for message in messages:
        whole = message.subject + message.text
        assert library in whole
        assert other not in whole.lower().replace("https://login.example/pin", "")
        assert [line for line in whole.splitlines() if line.endswith(" ")] == []  # "contact" and nobody
        assert message.text.splitlines()[-1] in {"Biblioteket", "The library"}
    assert "Spørgsmål?" not in messages[0].text
    assert "Questions?" not in messages[0].text
    assert "Questions? Contact the desk, 87 15 00 00\n\nKind" in TEXTS.worded(WelcomeLetter("l"), "en").text


def test_every_letter_has_its_text() -> None:
    """A letter without a text would fail when its PIN is already set."""
    assert set(LETTERS) == set(get_args(LetterContent)) == set(map(type, EVERY_LETTER))


@pytest.mark.parametrize("language", ["en", "da"])
@pytest.mark.parametrize("letter", EVERY_LETTER, ids=lambda letter: type(letter).__name__)
def test_a_letter_names_all_that_it_carries_and_nothing_else(letter: LetterContent, language: str) -> None:
    """Each value of a letter stands in its text, in both languages, and no placeholder is without a value."""
    subject, text = (translate(message, language) for message in LETTERS[type(letter)])
    named = set(re.findall(r"%\((\w+)\)s", subject + text))
    carried = {field.name for field in fields(letter)}
    assert named - COMMON == carried
    assert "%" not in re.sub(r"%\(\w+\)s", "", subject + text)
