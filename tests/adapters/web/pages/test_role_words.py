"""The roles of a person in words, and what stands beside them."""

from collections.abc import Callable

import pytest
from flask import Flask

from broker.adapters.web.pages.consent_screen import role_in_words
from broker.core.entities import Institution, Text
from broker.core.login.steps import Ask

AU = Institution("https://au.example", scopes=("au.dk",), label=Text("Aarhus University", "Aarhus Universitet"))
NAMELESS = Institution("https://ku.example", scopes=("ku.dk",))


@pytest.mark.parametrize(
    ("value", "english", "danish"),
    [
        ("employee@au.dk", "employee at Aarhus University", "ansat på Aarhus Universitet"),
        ("Student@AU.dk", "student at Aarhus University", "studerende på Aarhus Universitet"),
        ("alum@clin.au.dk", "former student at Aarhus University (clin.au.dk)",
         "tidligere studerende på Aarhus Universitet (clin.au.dk)"),
        ("employee@evilau.dk", "employee at evilau.dk", "ansat på evilau.dk"),
        ("student@ku.dk", "student at ku.dk", "studerende på ku.dk"),
        ("alum", "former student", "tidligere studerende"),
        ("superuser@au.dk", "", ""),
        ("", "", ""),
        ("@", "", ""),
    ],
)  # fmt: skip
def test_a_role_is_said_in_words(app: Flask, value: str, english: str, danish: str) -> None:
    """The institution's name stands for its scope; what nobody knows stays as it was sent."""
    for language, expected in (("en", english), ("da", danish)):
        with app.test_request_context(f"/?lang={language}"):
            assert role_in_words(value, (NAMELESS, AU), language) == expected


def test_the_value_that_is_sent_stands_beside_the_words(app: Flask, question: Callable[..., Ask]) -> None:
    """The page still shows exactly what leaves."""
    assert question()
    source = app.test_client().get("/ask?lang=en").text
    assert "employee at Aarhus University (clin.au.dk)" in source
    assert "(employee@clin.au.dk)" in source
