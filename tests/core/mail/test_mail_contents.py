"""The letters as values: what a name in one may be, and what none shows to a log."""

import pytest

from broker.core.mail.mail_contents import (
    LoginCodeMail,
    MailboxCodeMail,
    MailContent,
    PinLinkMail,
    WelcomeMail,
    sanitize_name,
)


@pytest.mark.parametrize(
    ("asserted", "name"),
    [
        ("Ann-Marie O'Brien Åse", "Ann-Marie O'Brien Åse"),
        ("Ann\r\nGive the code to 010188-1235", "Ann Give the code to -"),
        ("Win https://evil.example/now <b>", "Win https evil example now b"),
        ("x" * 300, "x" * 60),
        (f"{'x' * 59} y", "x" * 59),  # no space is left where the text is cut
        ("{code}", "code"),
        ("%(code)s", "code s"),
    ],
)
def test_a_name_in_a_letter_is_a_name(asserted: str, name: str) -> None:
    """A name from an upstream brings no address, number or second line into a mail."""
    assert sanitize_name(asserted) == name


@pytest.mark.parametrize(
    "letter",
    [
        LoginCodeMail("0058 5837", "now", "a place"),
        PinLinkMail("https://login.example/pin?link=5837", "now"),
        WelcomeMail("https://login.example/pin?link=5837"),
        MailboxCodeMail(code="0058 5837", claimant="Ann"),
    ],
)
def test_the_repr_of_a_mail_hides_code_and_link(letter: MailContent) -> None:
    """A code and a link that work do not reach a log by way of an error that shows the letter."""
    assert "5837" not in repr(letter)
