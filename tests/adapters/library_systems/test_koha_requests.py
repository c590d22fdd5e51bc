"""How Koha is called: each call is observed, and no answer, however wrong, is more than a cause."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta

import pytest
import responses
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.adapters.library_systems.koha import koha_patrons
from broker.adapters.library_systems.koha.koha_library import KohaSettings
from broker.adapters.library_systems.koha.koha_settings import FIELDS
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_setup import ExpectedSetup
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField
from broker.core.errors import LibraryError, LibraryUnavailable
from tests.plugins.example_counts import scale_examples

pytestmark = pytest.mark.server

CPR = "0101800000"
MARK = "a" * 32

Settings = Callable[..., dict[str, object]]
Raw = Callable[..., AbstractContextManager[str]]

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)
SETTINGS = KohaSettings.read(
    {"url": "http://127.0.0.1:9", "client_id": "broker", "client_secret": "demo", "library_id": "AUL"}
    | {"cpr_attribute": "CPR", "card_number": "cpr"}
)
KEYS = (*sorted(FIELDS), "cardnumber", "userid", "statistics_1", "login_attempts")
PATRON = st.fixed_dictionaries(
    {"patron_id": st.just(1) | ANY_JSON, "category_id": st.just("STUDENT") | ANY_JSON},
    optional={
        **dict.fromkeys(KEYS, ANY_JSON),
        **dict.fromkeys(("expiry_date", "restricted", "extended_attributes", "incorrect_address"), ANY_JSON),
    },
)


@given(PATRON)
def test_a_patron_that_is_wrong_in_every_field_is_a_borrower_or_a_cause(patron: dict[str, object]) -> None:
    """A malformed field leads to a documented error or is ignored."""
    try:
        borrower = koha_patrons.read_borrower(patron, SETTINGS)
    except LibraryUnavailable:
        return
    assert isinstance(borrower, Borrower)
    texts = (borrower.number, borrower.category, *borrower.fields.values())
    assert all(isinstance(text, str) for text in texts)
    for text in (borrower.mark, borrower.email, borrower.cpr, borrower.card):
        assert text is None or isinstance(text, str)


@pytest.mark.parametrize("attributes", [1, True, "CPR", {"type": "CPR"}])
def test_attributes_that_are_no_list_are_a_cause(attributes: object) -> None:
    """Without them a patron would seem to have no CPR number."""
    patron = {"patron_id": 1, "category_id": "STUDENT", "extended_attributes": attributes}
    with pytest.raises(LibraryUnavailable, match="no list"):
        koha_patrons.read_borrower(patron, SETTINGS)


def _outcome(call: Callable[[], object]) -> str:
    """Return the text of the error that a call raised."""
    try:
        call()
    except LibraryError as error:
        return str(error)
    return ""


@settings(max_examples=scale_examples(60), deadline=None)
@given(
    status=st.sampled_from([200, 201, 204, 400, 401, 403, 404, 409, 429, 500, 502]),
    body=ANY_JSON | PATRON | st.lists(PATRON, max_size=2),
)
def test_any_answer_to_any_call_is_an_outcome(status: int, body: object) -> None:
    """Any JSON with any status is a result or a documented error."""
    base = SETTINGS.url
    library = SETTINGS.open()
    by = datetime.now(UTC) + timedelta(seconds=20)
    wanted = WantedBorrower(CPR, "STUDENT", (), date(2028, 8, 31), (WantedField("surname", "x", "always"),), None)
    calls: tuple[Callable[[], object], ...] = (
        lambda: library.find(CPR, by),
        lambda: library.read("1", by),
        lambda: library.find_typed("C-1", by),
        lambda: library.create(wanted, MARK, by),
        lambda: library.change(Change("1", (), "STUDENT", date(2028, 8, 31), CPR), by),
        lambda: library.set_pin("1", "4071", by),
        lambda: library.check_pin(Borrower("1", "STUDENT", card="C-1"), "4071", by),
        lambda: library.check_setup(ExpectedSetup({"STUDENT": "x"}), by),
    )
    with responses.RequestsMock(assert_all_requests_are_fired=False) as odd:
        odd.post(f"{base}/api/v1/oauth/token", json={"access_token": "t", "expires_in": 3600})
        for method in ("GET", "POST", "PUT", "DELETE"):
            odd.add(method, re.compile(rf"{base}/api/v1/(patrons|auth).*"), status=status, json=body)
        texts = list(map(_outcome, calls))
    assert not [text for text in texts if CPR in text]
