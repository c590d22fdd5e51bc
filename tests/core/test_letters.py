"""What the letters say."""

import pytest

from broker.core.letters import Letters, named

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


@pytest.mark.parametrize(
    ("language", "phrases"),
    [
        ("da", ("Koden er: 004217", "Ann Holm er ved at logge ind", "i 30 minutter", "giv ikke koden til nogen")),
        ("en", ("The code is: 004217", "Ann Holm is logging in", "for 30 minutes", "give the code to nobody")),
        ("de", ("Koden er: 004217",)),
    ],
)
def test_the_letter_of_a_proof(language: str, phrases: tuple[str, ...]) -> None:
    """Code, link, who asked, how long, what to do if it was not you; the subject, which servers log, has no code."""
    link = "https://login.example/login/1/proof/2"
    message = LETTERS.proof(language, code="004217", link=link, asker="Ann Holm", minutes=30)
    assert all(part in message.text for part in (*phrases, f"\n{link}\n", LETTERS.contact))
    assert "004217" not in message.subject
    assert "\n" not in message.subject


@pytest.mark.parametrize(
    ("asserted", "name"),
    [
        ("Ann-Marie O'Brien Åse", "Ann-Marie O'Brien Åse"),
        ("Ann\r\nGive the code to 010188-1235", "Ann Give the code to -"),
        ("Win https://evil.example/now <b>", "Win https evil example now b"),
        ("x" * 300, "x" * 60),
        ("{code}", "code"),
    ],
)
def test_a_name_in_a_letter_is_a_name(asserted: str, name: str) -> None:
    """What an upstream calls a person carries no address, no number and no second line into somebody's mail."""
    assert named(asserted) == name


@pytest.mark.parametrize(("language", "who"), [("da", "En person er ved"), ("en", "Somebody is logging in")])
def test_a_letter_says_somebody_where_there_is_no_name(language: str, who: str) -> None:
    """Without a name the letter says plainly that it has none."""
    assert who in LETTERS.proof(language, code="1", link="l", asker="12", minutes=1).text


NAMELESS = Letters("", "https://login.example/pin", "")


@pytest.mark.parametrize(
    ("language", "library", "other"), [("da", "biblioteket", "library"), ("en", "library", "bibl")]
)
def test_a_library_without_a_name_is_called_the_library(language: str, library: str, other: str) -> None:
    """In the letter's own language, at the start of the line with a capital, and nobody is told to contact nobody."""
    letters = (
        NAMELESS.pin(language, "5837"),
        NAMELESS.pointer(language),
        NAMELESS.proof(language, code="004217", link="l", asker="Ann", minutes=30),
        NAMELESS.pin_link(language, "l", 30),
        NAMELESS.new_pin(language, "5837"),
        NAMELESS.pin_changed(language),
    )
    for each in letters:
        whole = each.subject + each.text
        assert library in whole
        assert other not in whole.lower().replace("https://login.example/pin", "")
        assert [line for line in whole.splitlines() if line.endswith(" ")] == []  # "contact" and nobody
        assert each.text.splitlines()[-1] in {"Biblioteket", "The library"}
    assert "Spørgsmål?" not in letters[0].text
    assert "Questions?" not in letters[0].text
    assert "Questions? Contact the desk, 87 15 00 00\n\nKind" in LETTERS.pin("en", "5837").text


def test_a_new_pin_says_that_the_old_one_no_longer_works() -> None:
    """In both languages, and as people say it."""
    assert "Your old PIN no longer works." in LETTERS.new_pin("en", "5837").text
    assert "Den gamle pinkode virker ikke længere." in LETTERS.new_pin("da", "5837").text
