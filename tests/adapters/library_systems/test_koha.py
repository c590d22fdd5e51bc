"""Koha's connector against the simulated Koha: what it finds, what it makes of refusals, and what it never shows."""

import logging
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from flask import Flask, request

from broker.adapters.library_systems.koha.koha_calls import Calls
from broker.adapters.library_systems.koha.koha_library import Koha
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_setup import ExpectedSetup
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import BrokerError, LibraryRefused, LibraryUnavailable
from broker.demo.koha.simulated_koha import Simulation
from tests.conformance.library_suite.values import soon

pytestmark = pytest.mark.server

CPR = "0101800000"
SPELLINGS = ("0101800000", "010180-0000", "010180 0000")
MARK = "a" * 32


Opened = Callable[..., Koha]
Asked = Callable[[], tuple[Borrower | None, ...]]


def register_at_desk(koha: Simulation, **more: object) -> dict[str, object]:
    """Register a patron as staff do."""
    body = {"surname": "Desk", "library_id": "AUL", "category_id": "PRIVATE", "userid": "desk.user"}
    return koha.patrons.create(body | more)


@pytest.mark.parametrize("field", ["cardnumber", "userid", "attribute"])
@pytest.mark.parametrize("spelled", SPELLINGS)
def test_each_spelling_in_each_field_is_found(koha: Simulation, library: Koha, field: str, spelled: str) -> None:
    """A desk may have written the number anywhere Koha has room for it."""
    attribute = {"extended_attributes": [{"type": "CPR", "value": spelled}]}
    made = register_at_desk(koha, **(attribute if field == "attribute" else {field: spelled}))
    assert [each.number for each in library.find(CPR, soon())] == [str(made["patron_id"])]


@pytest.mark.parametrize("field", ["cardnumber", "userid"])
def test_card_numbers_of_ten_digits_are_no_cpr_where_the_library_says_so(
    *, koha: Simulation, opened: Opened, field: str
) -> None:
    """A CPR equal to the card number of somebody else must not find somebody else."""
    system = {"card_number": "system"} if field == "userid" else {}
    library = opened(cpr_fields=[field], unique_field=field, **system)
    other = {"cardnumber": "userid", "userid": "cardnumber"}[field]
    register_at_desk(koha, **{field: "desk.user", other: CPR})
    assert library.find(CPR, soon()) == ()
    made = register_at_desk(koha, **{"userid": "another", field: "010180-0000"})
    assert [each.number for each in library.find(CPR, soon())] == [str(made["patron_id"])]


def test_a_typed_cpr_is_looked_for_on_cards_that_are_none(koha: Simulation, opened: Opened) -> None:
    """If card numbers of ten digits are no CPR numbers, the typed number may be either: none is chosen."""
    library = opened(cpr_fields=["userid"], card_number="system")
    person = register_at_desk(koha, userid=CPR)["patron_id"]
    assert [each.number for each in library.find_typed(CPR, soon())] == [str(person)]
    holder = register_at_desk(koha, cardnumber=CPR)["patron_id"]
    assert {each.number for each in library.find_typed("010180-0000", soon())} == {str(person), str(holder)}
    assert [each.number for each in library.find(CPR, soon())] == [str(person)]


@pytest.mark.parametrize("by", ["find", "typed a number", "typed a card", "read"])
def test_every_search_reads_the_cpr_number_of_the_borrower(koha: Simulation, library: Koha, by: str) -> None:
    """Otherwise a login by number and PIN could count as another person."""
    attribute = [{"type": "CPR", "value": "010180-0000"}]
    number = str(
        register_at_desk(koha, cardnumber="T-2001", statistics_1=MARK, extended_attributes=attribute)["patron_id"]
    )
    ways: dict[str, Asked] = {
        "find": lambda: library.find(CPR, soon()),
        "typed a number": lambda: library.find_typed(CPR, soon()),
        "typed a card": lambda: library.find_typed("T-2001", soon()),
        "read": lambda: (library.read(number, soon()),),
    }
    assert [each and (each.number, each.cpr) for each in ways[by]()] == [(number, CPR)]


@pytest.mark.parametrize("typed", [CPR, "0202800000"], ids=["the attribute's", "the card's"])
def test_of_two_numbers_the_attribute_s_counts(koha: Simulation, library: Koha, typed: str) -> None:
    """Ten digits of a card may be a stranger's number, who is not the person of this borrower."""
    register_at_desk(koha, cardnumber="0202800000", extended_attributes=[{"type": "CPR", "value": CPR}])
    assert [each.cpr for each in library.find(typed, soon())] == [CPR]


def test_a_borrower_brings_the_date_of_birth_that_koha_holds(koha: Simulation, library: Koha) -> None:
    """It distinguishes the person from another one whose card number equals the CPR number."""
    register_at_desk(koha, cardnumber=CPR, date_of_birth="1944-05-06")
    register_at_desk(koha, userid=CPR, date_of_birth="1980-01-01")
    assert [(each.born, each.has_other_birth_date(CPR)) for each in library.find(CPR, soon())] == [
        (date(1944, 5, 6), True),
        (date(1980, 1, 1), False),
    ]


def test_a_dropped_query_is_noticed(koha: Simulation, library: Koha, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a proxy drops the query Koha gives everyone, and the first of everyone must not become the person."""
    for each in range(3):
        register_at_desk(koha, cardnumber=f"T-{each}", userid=f"desk.{each}")
    call = Calls.call
    monkeypatch.setattr(Calls, "call", lambda *given, **more: call(*given, **{**more, "body": None}))
    with pytest.raises(LibraryUnavailable, match="drop the query"):
        library.find(CPR, soon())
    with pytest.raises(LibraryUnavailable, match="drop the query"):
        library.find_similar(date(1980, 1, 1), "aase@post.example", soon())
    for typed in (CPR, "T-1"):
        with pytest.raises(LibraryUnavailable, match="drop the query"):
            library.find_typed(typed, soon())
    assert "drop the query" in library.check_setup(ExpectedSetup({}), soon())[0].sentence


def test_the_query_stands_in_the_body_alone(app: Flask, opened: Opened) -> None:
    """No answer repeats the body, and no log holds it."""
    seen: list[tuple[str, str, str]] = []

    @app.before_request
    def keep() -> None:
        seen.append((request.full_path, str(request.headers), request.get_data(as_text=True)))

    assert opened().find(CPR, soon()) == ()
    searches = [each for each in seen if each[0].startswith("/api/v1/patrons")]
    assert len(searches) == 2
    for address, headers, body in searches:
        assert CPR not in address + headers
        assert CPR in body


@pytest.mark.parametrize("number", ["", "abc", "0101", "2 1", "../1", "1/password", "１", "99999999999"])  # noqa: RUF001
def test_an_invalid_patron_id_is_not_put_into_a_url(koha: Simulation, library: Koha, number: str) -> None:
    """Only a number as Koha makes it may stand in a path."""
    with pytest.raises(LibraryRefused):
        library.read(number, soon())
    assert not koha.access


@pytest.mark.parametrize("cpr", ["", "010180000", "01018000001", "120180ABC1", '"},{"', "010180--0000"])
def test_only_ten_digits_are_searched(koha: Simulation, library: Koha, cpr: str) -> None:
    """A constructed number, or none at all, finds no borrower."""
    with pytest.raises(LibraryRefused):
        library.find(cpr, soon())
    assert not koha.access


def test_a_change_sends_back_no_more_than_koha_demands(koha: Simulation, library: Koha) -> None:
    """Home branch, card number and attributes of a desk's borrower survive; an echo of the object would be a 500."""
    values = [{"type": "CPR", "value": CPR}]
    made = register_at_desk(koha, cardnumber="010180-0000", extended_attributes=values, expiry_date="2031-11-24")
    number = str(made["patron_id"])
    after = library.change(Change(number, (), "STUDENT", date(2028, 8, 31)), soon())
    (row,) = koha.patrons.rows()
    assert (after.category, after.expires) == ("STUDENT", date(2028, 8, 31))
    kept = ("surname", "userid", "cardnumber", "extended_attributes", "library_id")
    assert {name: row[name] for name in kept} == {name: made[name] for name in kept}


def _everything(koha: Simulation, library: Koha, wanted: WantedBorrower) -> list[BaseException]:
    """Use every call, well and badly, and give the errors."""
    caught: list[BaseException] = []
    made = library.create(wanted, MARK, soon())
    assert made is not None
    register_at_desk(koha, cardnumber="010180-0000")
    library.find(CPR, soon())
    for strike in ({"lose_answer": 1}, {"fail": 1}, {"down": True}, {"down": False, "slow": 0.5}):
        for name, value in strike.items():
            setattr(koha.faults, name, value)
        for attempt in (
            lambda: library.create(replace(wanted, category="NONE"), MARK, soon(0.2)),
            lambda: library.change(Change(made.number, (("date_of_birth", CPR),)), soon(0.2)),
            lambda: library.find(CPR, soon(0.2)),
            lambda: library.set_pin(made.number, "1", soon(0.2)),
        ):
            try:
                attempt()
            except BrokerError as error:
                caught.append(error)
    return caught


def test_no_cpr_in_urls_logs_errors_or_reprs(
    *,
    koha: Simulation,
    library: Koha,
    wanted: WantedBorrower,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Over every call and every kind of failure, with every logger turned up.

    Source: docs/reference/design.md#invariant-4.
    """
    with caplog.at_level(logging.DEBUG):
        errors = _everything(koha, library, wanted)
    assert len(errors) >= 10
    shown = ["".join(traceback.format_exception(each)) for each in errors]
    shown += [repr(each) + str(each.__context__) + str(each.__cause__) for each in errors]
    shown += [repr(library), repr(library.find), caplog.text, *capfd.readouterr()]
    lines = koha.access
    assert any("GET /api/v1/patrons?_per_page" in line for line in lines)
    assert not [text for text in (*shown, *lines) if any(spelled in text for spelled in SPELLINGS)]


def test_similar_borrowers_with_the_mail_address_are_never_cut_off(koha: Simulation, library: Koha) -> None:
    """A birth date that stands for "unknown" may be in more records than one page of the search holds."""
    for place in range(201):
        register_at_desk(koha, userid=f"u{place}", date_of_birth="1900-01-01")
    namesake = register_at_desk(koha, userid="namesake", email="aase@post.example")
    found = library.find_similar(date(1900, 1, 1), "AASE@post.example", soon())
    assert len(found) == 200
    assert found[0].number == str(namesake["patron_id"])
