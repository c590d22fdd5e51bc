"""Texts of the mails, in both languages."""

import re
from dataclasses import fields
from typing import get_args

import pytest

from broker.adapters.mail.mail_texts import MAIL_TEXTS, LibraryMailTexts
from broker.adapters.translations.catalogue import translate
from broker.core.entities import Text
from broker.core.mail.mail_contents import (
    ChangedPinMail,
    ClaimCodeMail,
    ConnectedAccountMail,
    LoginCodeMail,
    MailboxCodeMail,
    MailContent,
    PinLinkMail,
    WelcomeMail,
)

NAME = "AU Library {0} 100%"
TEXTS = LibraryMailTexts(Text(NAME, NAME), "https://login.example/pin", "the desk, 87 15 00 00")
EVERY_LETTER: tuple[MailContent, ...] = (
    MailboxCodeMail(code="0042 1789", claimant="Ann"),
    ClaimCodeMail("0042 1789", "Ann"),
    LoginCodeMail("0042 1789", "26 November 2026", "a desk"),
    PinLinkMail("https://login.example/pin?link=1", "26 November 2026"),
    WelcomeMail("https://login.example/pin?link=1"),
    ChangedPinMail(),
    ConnectedAccountMail(),
)
COMMON = {"library", "signed", "pin_url", "questions", "asked"}


def test_a_name_in_a_letter_is_no_address() -> None:
    """A name from an upstream is reduced to letters before it is mailed to another person."""
    letter = MailboxCodeMail(code="1", claimant="Win\r\nhttps://evil.example <b>")
    assert "\nWin https evil example b is logging in at" in TEXTS.render(letter, "en").text


def test_every_letter_has_its_text() -> None:
    """A letter without a text would fail when its PIN is already set."""
    assert set(MAIL_TEXTS) == set(get_args(MailContent)) == set(map(type, EVERY_LETTER))


@pytest.mark.parametrize("language", ["en", "da"])
@pytest.mark.parametrize("letter", EVERY_LETTER, ids=lambda letter: type(letter).__name__)
def test_a_letter_names_all_that_it_carries_and_nothing_else(letter: MailContent, language: str) -> None:
    """Each value of a letter stands in its text, in both languages, and no placeholder is without a value."""
    subject, text = (translate(message, language) for message in MAIL_TEXTS[type(letter)])
    named = set(re.findall(r"%\((\w+)\)s", subject + text))
    carried = {field.name for field in fields(letter)}
    assert named - COMMON == carried
    assert "%" not in re.sub(r"%\(\w+\)s", "", subject + text)
