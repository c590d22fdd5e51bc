"""Alma's connector over real HTTP against the simulated one: what its interface asks of us alone."""

import logging
from collections.abc import Callable, Iterator
from datetime import date, datetime

import pytest
from flask import Flask

from broker.adapters.library_systems.alma import alma_calls, alma_changes
from broker.adapters.library_systems.alma.alma_library import Alma, AlmaSettings
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import BrokerError, CallNotMade, ChangeUnanswered, LibraryRefused, LibraryUnavailable
from broker.demo.run.loopback_server import serve_on_loopback
from tests.adapters.library_systems.sip2_port import accept_pin, answer_with, right, run_sip2_port
from tests.conformance.library_suite.values import soon
from tests.conformance.simulated_alma.simulated_alma import Simulation, create_app
from tests.conformance.simulated_alma.user_object import UserRow

pytestmark = pytest.mark.server

Opened = Callable[..., Alma]

CPR, OTHER = "0101800000", "0202810000"
MARK = "a" * 32
NUMBER = f"L-{MARK}"
UNTIL = date(2028, 8, 31)
UPGRADE = Change(NUMBER, (("surname", "Ny"),), "EMPLOYEE", date(2029, 1, 31))
WRITES: dict[str, Callable[[Alma, datetime], object]] = {
    "change": lambda library, by: library.change(UPGRADE, by),
    "set_pin": lambda library, by: library.set_pin(NUMBER, "4071", by),
}
BLOCK = {"block_type": "GENERAL", "block_description": "", "block_status": "ACTIVE", "block_note": "owes"}
BLOCK |= {"segment_type": "Internal", "created_by": "", "created_date": ""}


class Moments:
    """Changes that a simulated Alma makes after its next read or write."""

    def __init__(self, alma: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let nothing happen yet."""
        self.after: dict[str, Callable[[], object]] = {}
        for name in ("read", "change"):
            monkeypatch.setattr(alma.users, name, self._call_then_change(name, getattr(alma.users, name)))

    def _call_then_change(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        def call_then_change(*given: object, **options: object) -> object:
            happens = self.after.pop(name, lambda: None)
            answer = call(*given, **options)
            happens()
            return answer

        return call_then_change


@pytest.fixture(name="app")
def _app() -> Flask:
    return create_app()


@pytest.fixture(name="alma")
def _alma(app: Flask) -> Simulation:
    simulation: Simulation = app.extensions["alma"]
    return simulation


@pytest.fixture(name="moments")
def _moments(alma: Simulation, monkeypatch: pytest.MonkeyPatch) -> Moments:
    return Moments(alma, monkeypatch)


@pytest.fixture(name="opened")
def _make_opener(app: Flask) -> Iterator[Opened]:
    keys: dict[str, object] = {"api_key": "demo", "external_id": "SIS", "cpr_identifier_type": "CPR"}
    keys |= {"card_number": "cpr"}
    with serve_on_loopback(app) as url:
        yield lambda **more: AlmaSettings.read({"url": url} | keys | more).open()


@pytest.fixture(name="library")
def _library(opened: Opened) -> Alma:
    return opened()


@pytest.fixture(name="made")
def _make_borrower(library: Alma, wanted: WantedBorrower) -> Borrower:
    borrower = library.create(wanted, MARK, soon())
    assert borrower is not None
    return borrower


def user(alma: Simulation, number: str = NUMBER) -> UserRow:
    """Give a user as the simulated Alma keeps it."""
    return alma.users.read(number)


def desk_user(alma: Simulation, primary_id: str, **more: object) -> None:
    """Make a user as staff do."""
    body = {"primary_id": primary_id, "last_name": "Desk", "user_group": {"value": "PRIVATE"}}
    body |= {"record_type": {"value": "PUBLIC"}, "account_type": {"value": "INTERNAL"}}
    alma.users.create(body | more)


def make_identifiers(**values: str) -> list[dict[str, object]]:
    """Give identifiers by their types."""
    return [{"id_type": {"value": kind}, "value": value} for kind, value in values.items()]


def test_a_borrower_is_made_with_numbers_of_our_own(alma: Simulation, made: Borrower) -> None:
    """The primary id holds the enrolment's id and no CPR; both days are written; Alma's rules give the roles."""
    row = user(alma)
    assert made.number == row["primary_id"] == NUMBER
    assert (made.mark, made.cpr, made.card) == (MARK, CPR, CPR)
    assert (row["expiry_date"], row["purge_date"]) == ("2028-08-31Z", "2029-08-31Z")
    assert (row["account_type"], row["external_id"], row["user_group"]) == ("EXTERNAL", "SIS", "STUDENT")
    assert [role["role_type"] for role in row["user_role"]] == ["200"]
    assert alma.users.pin_letters == []


def test_a_card_of_ours_looks_like_no_cpr(opened: Opened, wanted: WantedBorrower, alma: Simulation) -> None:
    """A letter and thirteen digits, the same at each try of one enrolment, typed in any case."""
    library = opened(card_number="system")
    borrower = library.create(wanted, MARK, soon())
    assert borrower is not None
    card = borrower.card or ""
    assert card[0] == "L"
    assert card[1:].isdecimal()
    assert len(card) == 14
    assert library.find_typed(card.lower(), soon()) == (borrower,)
    taken = [each for each in user(alma)["user_identifier"] if each["id_type"] == "BARCODE"]
    assert [each["value"] for each in taken] == [card]


@pytest.mark.usefixtures("made")
def test_a_whole_user_without_an_answer_may_still_be_written(alma: Simulation, library: Alma) -> None:
    """The error says so for what was sent; a look that is not answered has written nothing."""
    for work in (lambda: library.set_pin(NUMBER, "4071", soon()), lambda: library.change(Change(NUMBER, ()), soon())):
        alma.faults.lose_answer = 1
        with pytest.raises(ChangeUnanswered):
            work()
    alma.faults.down = True
    with pytest.raises(LibraryUnavailable) as looked:
        library.set_pin(NUMBER, "4071", soon())
    assert not isinstance(looked.value, ChangeUnanswered)


@pytest.mark.usefixtures("made")
def test_a_change_keeps_whatever_else_the_user_has(alma: Simulation, library: Alma) -> None:
    """An update swaps everything, so that everything goes back: blocks, notes, other addresses, identifiers."""
    mine = {"email_address": "mine@post.example", "preferred": False, "email_type": ("work",)}
    mine |= {"segment_type": "Internal", "description": ""}
    row = user(alma)
    staff = {"id_type": "INST_ID", "value": "au-1", "note": "", "status": "ACTIVE", "segment_type": "Internal"}
    alma.users.edit(NUMBER, user_block=[BLOCK], email=[mine, *row["email"]])
    alma.users.edit(NUMBER, user_identifier=[*row["user_identifier"], staff], job_description="retired")
    before = user(alma)
    after = library.change(Change(NUMBER, (("firstname", "Åse"), ("email", "new@post.example"))), soon())
    assert after.email == "new@post.example"
    left = user(alma)
    changed = {name for name in left if left[name] != before[name]}
    assert changed == {"first_name", "email"}
    assert [each["email_address"] for each in left["email"]] == ["mine@post.example", "new@post.example"]


@pytest.mark.usefixtures("made")
def test_an_upgrade_overrides_the_group_alone(alma: Simulation, library: Alma) -> None:
    """Edits of staff stay, except fields that the policy names; the roles follow the group."""
    alma.users.edit(NUMBER, user_group="PRIVATE", pref_first_name="Asa", user_role=[])
    after = library.change(UPGRADE, soon())
    row = user(alma)
    assert (after.category, row["user_group"], row["pref_first_name"]) == ("EMPLOYEE", "EMPLOYEE", "Asa")
    assert [role["role_type"] for role in row["user_role"]] == ["200"]
    assert row["purge_date"] == "2030-01-31Z"


@pytest.mark.usefixtures("made")
def test_a_change_of_fields_gives_no_roles_and_moves_no_group(alma: Simulation, library: Alma) -> None:
    """Staff took the role away for a reason."""
    alma.users.edit(NUMBER, user_group="PRIVATE", user_role=[])
    library.change(Change(NUMBER, (("surname", "Ny"),)), soon())
    row = user(alma)
    assert (row["user_group"], row["user_role"], row["last_name"]) == ("PRIVATE", [], "Ny")


@pytest.mark.usefixtures("made")
def test_a_purge_date_that_staff_put_later_stays(alma: Simulation, library: Alma) -> None:
    """They keep somebody on purpose."""
    alma.users.edit(NUMBER, purge_date="2040-01-01Z")
    library.change(Change(NUMBER, (), expires=date(2029, 1, 31)), soon())
    assert (user(alma)["expiry_date"], user(alma)["purge_date"]) == ("2029-01-31Z", "2040-01-01Z")


@pytest.mark.usefixtures("made")
def test_a_change_that_alma_did_not_store_is_refused(alma: Simulation, library: Alma) -> None:
    """The answer is a success, but its expiry date is not the one that was sent."""
    alma.faults.plan("change", "wrong fields", field="expiry_date")
    with pytest.raises(LibraryRefused, match="has not stored expiry_date") as raised:
        library.change(Change(NUMBER, (), "EMPLOYEE", UNTIL), soon())
    assert raised.value.setting is None


def test_a_primary_id_that_is_a_cpr_number_is_nobodys_number(alma: Simulation, library: Alma) -> None:
    """Services would see it: a case, whose sentence does not hold it."""
    desk_user(alma, CPR, user_identifier=make_identifiers(CPR=CPR))
    with pytest.raises(LibraryRefused, match="number_identifier_type") as raised:
        library.find(CPR, soon())
    assert CPR not in str(raised.value)


@pytest.mark.parametrize(
    ("card", "numbers"),
    [
        ("cpr", (CPR, "C-1")),
        ("system", (CPR, "C-1")),
        ("system", ("010180-0000", "C-1")),
        ("system", ("N-1", CPR)),
        ("system", ("N-1", "010180 0000")),
    ],
)
def test_a_number_that_stands_elsewhere_alone_is_a_case(
    alma: Simulation, opened: Opened, card: str, numbers: tuple[str, str]
) -> None:
    """As primary id or barcode, in any spelling: the person would be made a second time."""
    library = opened(card_number=card)
    primary_id, barcode = numbers
    desk_user(alma, primary_id, user_identifier=make_identifiers(BARCODE=barcode))
    with pytest.raises(LibraryRefused, match="only a user's primary id or barcode") as raised:
        library.find(CPR, soon())
    assert CPR not in str(raised.value)
    alma.users.drop(primary_id)
    desk_user(alma, "N-2", user_identifier=make_identifiers(BARCODE=barcode, CPR=CPR))
    assert [each.number for each in library.find(CPR, soon())] == ["N-2"]


def test_users_with_cpr_numbers_as_primary_ids_have_numbers_beside_them(alma: Simulation, opened: Opened) -> None:
    """Found by the CPR number, read and changed by the other number."""
    library = opened(number_identifier_type="OTHER_ID_1")
    desk_user(alma, OTHER, user_identifier=make_identifiers(OTHER_ID_1="N-77", CPR=OTHER))
    (other,) = library.find(OTHER, soon())
    assert (other.number, other.cpr) == ("N-77", OTHER)
    assert library.read("N-77", soon()) == other
    assert library.change(Change("N-77", (), "STUDENT", UNTIL), soon()).category == "STUDENT"


def test_no_call_but_a_look_for_a_person_has_a_cpr_in_its_address(
    alma: Simulation, library: Alma, wanted: WantedBorrower
) -> None:
    """A known borrower is read by number, and the log of addresses shows no CPR number."""
    made = library.create(wanted, MARK, soon())
    assert made is not None
    library.change(Change(NUMBER, (("surname", "Ny"),), "EMPLOYEE", UNTIL), soon())
    library.set_pin(NUMBER, "4071", soon())
    library.read(NUMBER, soon())
    assert not [line for line in alma.access if "01018" in line or "4071" in line]
    with pytest.raises(LibraryRefused) as raised:
        library.read(CPR, soon())
    assert CPR not in str(raised.value)


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("kind", ["failed before", "dropped after", "not JSON", "huge", "wrong fields", "refused"])
def test_no_failure_shows_a_person(
    alma: Simulation, library: Alma, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the error, nor what it came from, nor the log of any library holds number, name or PIN."""
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: library.find(CPR, soon()),
        "change": lambda: library.set_pin(NUMBER, "4071", soon()),
    }
    for operation, call in calls.items():
        alma.faults.plan(operation, kind)
        with caplog.at_level(logging.WARNING), pytest.raises(BrokerError) as raised:
            call()
        error: BaseException | None = raised.value
        while error is not None:
            assert not [value for value in (CPR, "Prøvesen", "4071", "post.example") if value in f"{error}"]
            error = error.__cause__ or error.__context__
    assert CPR not in caplog.text


def test_the_days_calls_that_are_used_up_are_a_setting(alma: Simulation, library: Alma) -> None:
    """The administrator of the library raises them."""
    alma.faults.quota_gone = True
    with pytest.raises(LibraryUnavailable) as raised:
        library.read(NUMBER, soon())
    assert raised.value.setting == "calls of the day"


def test_a_machine_that_never_says_no_proves_no_pin(opened: Opened, made: Borrower) -> None:
    """With a profile that asks for no PIN, any number would open its account by any PIN."""
    with run_sip2_port(answer_with(right(CPR))) as (port, _client, _observed):
        keys = {"host": "127.0.0.1", "port": port.server_address[1], "login": "machine", "password": "secret"}
        library = opened(sip2=keys)
        for pin in ("4071", "0000"):
            with pytest.raises(LibraryUnavailable, match="takes any PIN") as raised:
                library.check_pin(made, pin, soon())
            assert raised.value.setting == "library.sip2"
        port.answers = accept_pin(CPR, "4071")
        assert library.check_pin(made, "4071", soon())
        asked = len(port.seen)
        assert library.check_pin(made, "4071", soon())
        assert len(port.seen) == asked + 2


def test_an_address_comes_whole_or_not_at_all(alma: Simulation, library: Alma, made: Borrower) -> None:
    """Alma takes none without its first line; a line that is emptied is gone."""
    library.change(Change(NUMBER, (("city", "Aarhus C"),)), soon())
    assert user(alma)["address"] == []
    lines = (("address", "Testvej 1"), ("address2", "c/o Prøve"), ("postal_code", "8000"), ("city", "Aarhus C"))
    after = library.change(Change(NUMBER, lines), soon())
    assert {name: after.fields[name] for name, _ in lines} == dict(lines)
    after = library.change(Change(NUMBER, (("address2", ""),)), soon())
    assert "address2" not in after.fields
    assert made.number == after.number


def test_an_identifier_stays_one_part_of_the_address() -> None:
    """Its characters are escaped."""
    path = alma_calls.make_user_path("a/../b?c#d%e f", "BARCODE")
    assert path == "/almaws/v1/users/a%2F..%2Fb%3Fc%23d%25e%20f?user_id_type=BARCODE"


def test_neither_roles_nor_pin_nor_password_go_back() -> None:
    """A read may show them, and what was right then would be written over what is right now."""
    shown = {"primary_id": NUMBER, "pin_number": "4071", "password": "", "user_role": [{}], "full_name": "Å", "x": 1}
    assert alma_changes.copy_user(shown) == {"primary_id": NUMBER, "x": 1}


def lines(alma: Simulation) -> list[str]:
    """Give method and status of each call."""
    return [f"{line.split()[0]} {line.split()[-1]}" for line in alma.access]


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("fault", ["quota", "key"])
def test_a_write_that_is_turned_away_is_no_write_without_an_answer(
    alma: Simulation, library: Alma, moments: Moments, *, write: str, fault: str
) -> None:
    """The day's calls used up, the key withdrawn behind the look: nothing was written, nobody waits for it."""
    nobody = alma.users.administration.replace_keys({})
    faults: dict[str, Callable[[], object]] = {
        "quota": lambda: setattr(alma.faults, "quota_gone", True),
        "key": lambda: setattr(alma.users, "administration", nobody),
    }
    before = user(alma)
    moments.after["read"] = faults[fault]
    with pytest.raises(CallNotMade):
        WRITES[write](library, soon())
    assert lines(alma)[1] == "GET 200"
    assert user(alma) == before


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("listed", ["user_block", "user_note"])
def test_a_block_or_a_note_that_is_gone_behind_a_change_is_a_case(alma: Simulation, library: Alma, listed: str) -> None:
    """Alma has not taken it back: staff must look."""
    note = {"note_type": "GENERAL", "note_text": "asked", "user_viewable": False, "popup_note": False}
    note |= {"segment_type": "Internal", "created_by": "", "created_date": ""}
    alma.users.edit(NUMBER, user_block=[BLOCK], user_note=[note])
    alma.faults.plan("change", "wrong fields", field=listed)
    with pytest.raises(LibraryRefused, match=f"has not stored 1 {listed.removeprefix('user_')}s") as raised:
        library.change(UPGRADE, soon())
    assert raised.value.setting is None
