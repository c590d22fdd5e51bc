"""Koha: refusals, malformed answers, lost answers and credentials."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.library_systems.koha import koha_calls
from broker.adapters.library_systems.koha.koha_library import Koha
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.demo.koha.simulated_koha import Simulation
from tests.adapters.library_systems.test_koha import register_at_desk
from tests.conformance.library_suite.values import soon

pytestmark = pytest.mark.server

CPR = "0101800000"
MARK = "a" * 32


Opened = Callable[..., Koha]


@pytest.mark.parametrize(
    "there",
    [{"userid": CPR}, {"extended_attributes": [{"type": "CPR", "value": CPR}]}],
    ids=["user name taken, 400", "attribute taken, 400"],
)
def test_a_taken_value_means_look_again(
    koha: Simulation, library: Koha, wanted: WantedBorrower, there: dict[str, object]
) -> None:
    """Each form of a uniqueness error differs from a refusal."""
    register_at_desk(koha, **there)
    assert library.create(wanted, MARK, soon()) is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"category": "NONE"}, "create: 400: category_id NONE: Given category_id does not exist$"),
        (
            {"fields": (WantedField("surname", "x", "always"), WantedField("date_of_birth", CPR, "always"))},
            "date_of_birth",
        ),
        ({"fields": (WantedField("email", "x@y.example", "always"),)}, "no surname"),
        ({"fields": (WantedField("userid", "x", "always"),)}, "Koha has no field 'userid'"),
    ],
)
def test_a_refusal_names_the_field_and_nothing_else(
    *, koha: Simulation, library: Koha, wanted: WantedBorrower, change: dict[str, object], named: str
) -> None:
    """Enough to fix a policy by, and no value of the person's."""
    with pytest.raises(LibraryRefused, match=named) as caught:
        library.create(replace(wanted, **change), MARK, soon())  # type: ignore[arg-type]  # a table of changes
    assert CPR not in str(caught.value)
    assert koha.patrons.rows() == []


def test_an_expired_token_is_renewed_once(koha: Simulation, library: Koha, wanted: WantedBorrower) -> None:
    """A 401 fetches a new token and repeats the call, which Koha had refused before any work."""
    library.find(CPR, soon())
    koha.tokens.revoke()
    assert library.create(wanted, MARK, soon()) is not None
    assert sum("oauth/token" in line for line in koha.access) == 2


@pytest.mark.parametrize(
    ("status", "error", "setting", "words"),
    [
        (403, "unauthorized_client", "library.client_id", "no API key has the id broker"),
        (403, "access_denied", "library.client_secret", "the secret is not that of the API key broker"),
        (400, "Unimplemented grant type", "RESTOAuth2ClientCredentials", "is off, or Koha's database is down"),
        (403, "other", None, "no token: 403"),
        (400, {"a": 1}, None, "no token: 400"),
    ],
)
def test_the_causes_of_a_missing_token_are_told_apart(
    *, library: Koha, url: str, status: int, error: object, setting: str | None, words: str
) -> None:
    """The error names the setting at fault and never shows the secret."""
    with responses.RequestsMock() as odd:
        odd.post(f"{url}/api/v1/oauth/token", status=status, json={"error": error})
        with pytest.raises(LibraryUnavailable) as caught:
            library.find(CPR, soon())
    assert caught.value.setting == setting
    assert words in str(caught.value)


def test_a_missing_right_is_named(opened: Opened, wanted: WantedBorrower) -> None:
    """edit_borrowers makes borrowers, but PINs and changes need the whole module.

    Source: docs/reference/koha.md#rights.
    """
    library = opened(client_id="weak")
    made = library.create(wanted, MARK, soon())
    assert made is not None
    with pytest.raises(LibraryUnavailable, match="lacks a permission: borrowers"):
        library.set_pin(made.number, "4071", soon())
    with pytest.raises(LibraryUnavailable, match="lacks a permission: borrowers"):
        library.change(Change(made.number, (), "EMPLOYEE", date(2029, 1, 1)), soon())


@pytest.mark.parametrize(
    ("pin", "words", "setting"),
    [
        ("12", "minPasswordLength: Password length … is shorter than required …", "minPasswordLength"),
        (" 4071", "[Password contains … whitespace …", None),
        ("407 ", "[Password contains … whitespace …", None),
    ],
)
def test_a_pin_that_breaks_a_rule_is_refused_unquoted(
    *, koha: Simulation, library: Koha, pin: str, words: str, setting: str | None
) -> None:
    """Koha's password rules are a refusal that names the rule's setting, and the PIN is in no text."""
    number = str(register_at_desk(koha)["patron_id"])
    with pytest.raises(LibraryRefused) as caught:
        library.set_pin(number, pin, soon())
    assert str(caught.value) == f"set_pin: 400: {words}"
    assert caught.value.setting == setting


@pytest.mark.parametrize("body", ["<h1>Not Found</h1>", '{"message": "no route"}', '["error"]', '"error"'])
def test_a_strangers_404_does_not_mean_no_such_borrower(library: Koha, url: str, body: str) -> None:
    """A proxy's own 404 must not make anyone's account vanish."""
    with responses.RequestsMock() as odd:
        odd.post(f"{url}/api/v1/oauth/token", json={"access_token": "t", "expires_in": 3600})
        odd.get(f"{url}/api/v1/patrons/5", status=404, body=body)
        with pytest.raises(LibraryUnavailable, match="404"):
            library.read("5", soon())


PERSON = {
    "surname": "Prøvesen",
    "firstname": "åse",
    "email": "aase@post.example",
    "userid": CPR,
    "cardnumber": CPR,
    "category_id": "STUDENT",
    "library_id": "AUL",
    "extended_attributes": [{"type": "CPR", "value": "010180-0000"}],
}
QUOTING = [
    ("Problem with 0101990000", "Problem with …", None),
    (
        "Given category_id does not exist",
        "category_id STUDENT: Given category_id does not exist",
        "category_id STUDENT",
    ),
    (
        "Missing mandatory extended attribute (type=FACULTY)",
        "mandatory patron attribute type FACULTY: Missing mandatory extended attribute …",
        "mandatory patron attribute type FACULTY",
    ),
    ("[Password is too weak]", "RequireStrongPassword: [Password is too weak]", "RequireStrongPassword"),
    ("Duplicate entry '0101990000' for key 'borrowers.userid'", "Duplicate entry … for key …", None),
    ("Patron Hans Hansen (010199-0000) exists", "Patron … … … exists", None),
    ("010199 0000 and 010199.0000 and 01.01.99-0000", "… and … and …", None),
    ("no room for PRØVESEN or AASE@post.example", "no room for … or …", None),
    # A number where a message has the name of a type.
    (
        "Tried to use an invalid attribute type. type=0101990000",
        "patron attribute type …: Tried to use an invalid attribute type. …",
        "patron attribute type …",
    ),
]


@pytest.mark.parametrize(("error", "words", "setting"), QUOTING)
def test_koha_says_it_in_its_own_words_and_quotes_nobody(error: str, words: str, setting: str | None) -> None:
    """One row a message that was seen, and some that were not: the name of a setting stays, a value never."""
    answer = HttpAnswer(400, json.dumps({"error": error}).encode())
    refusal = koha_calls.make_refusal(answer, "create", PERSON)
    assert str(refusal) == f"create: 400: {words}"
    assert refusal.setting == setting
    assert str(koha_calls.make_unavailable(answer, "create", PERSON)) == str(refusal)


@given(
    st.dictionaries(st.sampled_from(["surname", "email", "userid", "cardnumber"]), st.text(min_size=3, max_size=20)),
    st.text(max_size=60),
)
def test_no_value_that_was_sent_stands_in_a_text(sent: dict[str, str], around: str) -> None:
    """In any case, and between any words of Koha."""
    configured = {"category_id": "STUDENT", "library_id": "AUL"}
    for value in sent.values():
        if not value.strip():
            continue
        error = f"{around} {value} {around} {value.upper()}"
        answer = HttpAnswer(409, json.dumps({"error": error}).encode())
        text = str(koha_calls.make_refusal(answer, "", sent | configured)).removeprefix(": 409: ")
        assert value.strip().casefold() not in text.casefold()
