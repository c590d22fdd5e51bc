"""What the simulated Alma answers, pinned to the published facts of docs/alma.md#simulated."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from broker.demo.alma.simulated_alma import Simulation
from tests.demo.alma.conftest import identifier, user

CPR = "0101990000"
Ask = Callable[..., TestResponse]
Code = Callable[..., str]
Add = Callable[..., dict[str, Any]]

# A body of POST /users, and the code of the published error.
REFUSED: list[tuple[dict[str, Any], str]] = [
    (user(record_type=None), "401664"),
    (user(primary_id=""), "401664"),
    (user(account_type=None), "401664"),
    (user(user_identifier=[{"id_type": {"value": "BARCODE"}}]), "401664"),
    (user(user_group={"value": "NOBODY"}), "401852"),
    (user(account_type={"value": "INTERNAL"}), "401853"),
    (user(external_id=""), "401854"),
    (user(account_type={"value": "INTEXTAUTH"}), "401855"),
    (user(account_type={"value": "OTHER"}), "401857"),
    (user(account_type={"value": "INTERNAL"}, external_id="", password="short"), "500038"),
    (user(user_identifier=[identifier("SHOE", "43")]), "401864"),
    (user(contact_info={"email": [{"email_address": "a@b.example", "email_type": [{"value": "odd"}]}]}), "401864"),
    (user(user_note=[{"note_type": {"value": "ODD"}, "note_text": "x"}]), "401864"),
    (user(external_id="NOT_A_PROFILE"), "401658"),
    (user(status={"value": "DELETED"}), "401658"),
    (user(record_type={"value": "OTHER"}), "401658"),
    (user(preferred_language={"value": "xx"}), "401658"),
    (user(contact_info={"address": [{"line1": "Testvej 1", "country": {"value": "XXX"}}]}), "401658"),
    (user(user_role=[{"role_type": {"value": "999"}}]), "401658"),
    (user(pin_number="471"), "401658"),
    (user(pin_number="47111"), "401658"),
    (user(job_category={"value": "Cataloger"}), "401658"),
    (user(shoe_size="43"), "401676"),
    (user(user_group="STUDENT"), "401676"),
    (user(expiry_date="2027-08-31"), "401676"),
    (user(expiry_date="2027-02-31Z"), "401676"),
    (user(first_name=["Åse"]), "401676"),
    (user(first_name="x" * 256), "401676"),
    (user(user_identifier={"value": CPR}), "401676"),
]
# A call with what no document knows, and the general error of that call.
UNKNOWN = [
    ("GET", "/users/B-1?tell=all", "402119"),
    ("GET", "/users/B-1?user_id_type=SHOE", "401864"),
    ("GET", "/users/B-1?view=brief", "402119"),
    ("GET", "/users/B-1?expand=loans", "402119"),
    ("GET", "/users?limit=101", "402119"),
    ("GET", "/users?limit=-1", "402119"),
    ("GET", "/users?q=shoe~43", "402119"),
    ("GET", "/users?q=Prøvesen", "402119"),
    ("GET", "/users?order_by=shoe", "402119"),
    ("GET", "/users?q=ALL~Bo AND last_name~Prøvesen", "402119"),
    ("GET", "/conf/code-tables/Shoes", "402119"),
    ("POST", "/users?notify=true", "401658"),
    ("POST", "/users?send_pin_number_letter=yes", "401658"),
    ("PUT", "/users/B-1?override=expiry_date", "401860"),
    ("PUT", "/users/B-1?recalculate_roles=1", "401860"),
    ("POST", "/users/B-1?op=refresh", "402119"),
]
LOOKED_UP = [
    ("B-1", "", ""),
    ("b-1", "", ""),
    (CPR, "", ""),
    (CPR, "CPR", ""),
    (CPR, "all_unique", ""),
    (CPR, "BARCODE", "401890"),
    ("card-a", "BARCODE", "401890"),
    ("Card-A", "BARCODE", ""),
    ("B-1", "BARCODE", "401890"),
    ("B-2", "", "401861"),
]
SEARCHED = [
    ("", 2),
    ("last_name~prøvesen", 2),
    ("last_name~Prøve", 0),
    ("first_name~Bo", 1),
    ("last_name~Prøvesen AND first_name~Bo", 1),
    ("ALL~Bo", 1),
    (f"identifiers~{CPR}", 1),
    ("identifiers~010199", 0),
    ("email~bo@post.example", 1),
    ("email~post.example", 0),
]


@pytest.fixture(name="people")
def _people(add: Add) -> None:
    add(user_identifier=[identifier("CPR", CPR), identifier("BARCODE", "Card-A")])
    mail = {"preferred": True, "email_address": "bo@post.example", "email_type": [{"value": "personal"}]}
    add(primary_id="B-3", first_name="Bo", contact_info={"email": [mail]})


@pytest.mark.parametrize(("body", "expected"), REFUSED)
def test_a_user_that_breaks_a_rule_gets_its_published_error_and_is_not_made(
    body: dict[str, Any], expected: str, code: Code, alma: Simulation
) -> None:
    """Every rule of a new user has its published code; what has none is the general error of a create."""
    assert code("POST", "/users", body) == expected
    assert alma.users.rows() == []


def test_a_field_that_the_library_made_mandatory_is_demanded(code: Code, alma: Simulation) -> None:
    """A library adds mandatory fields to Alma's own; the error names the field."""
    alma.users.administration = alma.users.administration.changed(mandatory_fields=("middle_name",))
    assert code("POST", "/users", user()) == "401664"
    assert code("POST", "/users", user(middle_name="Ib")) == ""


@pytest.mark.parametrize(("method", "path", "expected"), UNKNOWN)
@pytest.mark.usefixtures("people")
def test_what_no_document_knows_is_an_error(method: str, path: str, expected: str, code: Code) -> None:
    """An unknown parameter, value, field or code table is refused: it may mean anything in a real Alma."""
    body = None if method == "GET" else user(user_identifier=[])
    assert code(method, path, body) == expected


def test_a_created_user_comes_back_whole_but_for_what_is_secret(add: Add, ask: Ask) -> None:
    """The answer is 200 with codes described, names joined, days zoned; no PIN, an empty password."""
    made = add(pin_number="4711", expiry_date="2027-08-31Z", purge_date="2028-08-31Z")
    read = ask("GET", "/users/B-1").get_json()
    assert read == made
    assert made["user_group"] == {"value": "STUDENT", "desc": "Student"}
    assert made["full_name"] == "Åse Prøvesen"
    assert (made["expiry_date"], made["purge_date"]) == ("2027-08-31Z", "2028-08-31Z")
    assert made["status"]["value"] == "ACTIVE"
    assert made["preferred_language"]["value"] == "en"
    assert "pin_number" not in made
    assert made["password"] == ""


def test_a_user_without_roles_gets_those_of_the_rules(add: Add, alma: Simulation) -> None:
    """Role assignment rules give a new user the patron role by the group; a group without a rule gives none."""
    assert [role["role_type"]["value"] for role in add()["user_role"]] == ["200"]
    alma.users.administration = alma.users.administration.changed(role_rules={})
    assert add(primary_id="B-2")["user_role"] == []


@pytest.mark.parametrize(
    ("primary", "identifiers", "expected"),
    [
        ("b-1", [], "401851"),
        ("B-2", [identifier("CPR", CPR)], "401851"),
        ("B-2", [identifier("BARCODE", "card-a")], ""),
        ("B-2", [identifier("UNIV_ID", CPR)], ""),
    ],
)
@pytest.mark.usefixtures("people")
def test_an_identifier_is_one_users(primary: str, identifiers: list[Any], expected: str, code: Code) -> None:
    """A primary id is taken whatever its capitals; another identifier is by its type, capitals counting."""
    assert code("POST", "/users", user(primary_id=primary, user_identifier=identifiers)) == expected


@pytest.mark.parametrize(("text", "kind", "expected"), LOOKED_UP)
@pytest.mark.usefixtures("people")
def test_a_user_is_looked_up_by_primary_id_or_by_type(text: str, kind: str, expected: str, code: Code) -> None:
    """Without a type all unique identifiers are looked at; nobody is 401861, or 401890 with a type: 400, not 404."""
    query = f"?user_id_type={kind}" if kind else ""
    assert code("GET", f"/users/{text}{query}") == expected


def test_an_identifier_of_two_types_is_ambiguous_without_one(add: Add, code: Code) -> None:
    """A value that two users have under two types finds neither unless the type is named."""
    add(user_identifier=[identifier("CPR", CPR)])
    add(primary_id="B-2", user_identifier=[identifier("UNIV_ID", CPR)])
    assert code("GET", f"/users/{CPR}") == "402119"
    assert code("GET", f"/users/{CPR}?user_id_type=CPR") == ""


@pytest.mark.parametrize(("query", "count"), SEARCHED)
@pytest.mark.usefixtures("people")
def test_a_search_finds_words_and_whole_identifiers(query: str, count: int, ask: Ask) -> None:
    """A search is by whole words, of identifiers and addresses by the whole text; its users are brief."""
    answer = ask("GET", f"/users?q={query}").get_json()
    assert answer["total_record_count"] == count
    assert all("user_identifier" not in each for each in answer.get("user", ()))


def test_a_search_gives_ten_users_unless_asked_for_more(add: Add, ask: Ask) -> None:
    """The default limit is 10, sorted by name; limit and offset cut another part."""
    for number in range(12):
        add(primary_id=f"B-{number}", last_name=f"Nr{number:02}")
    first = ask("GET", "/users").get_json()
    rest = ask("GET", "/users?limit=100&offset=10").get_json()
    assert [each["last_name"] for each in first["user"]] == [f"Nr{number:02}" for number in range(10)]
    assert [each["last_name"] for each in rest["user"]] == ["Nr10", "Nr11"]


@pytest.mark.parametrize(
    ("key", "method", "path", "expected"),
    [
        ("reads", "GET", "/users", ""),
        ("reads", "POST", "/users", "UNAUTHORIZED"),
        ("reads", "GET", "/conf/code-tables/UserGroups", "UNAUTHORIZED"),
        ("demo", "GET", "/conf/code-tables/UserGroups", ""),
    ],
)
def test_a_key_does_what_it_was_given(key: str, method: str, path: str, expected: str, code: Code) -> None:
    """A key that has not the area is UNAUTHORIZED with status 400."""
    assert code(method, path, user() if method == "POST" else None, key=key) == expected


@pytest.mark.parametrize("area", ["/users/operation/test", "/conf/test"])
def test_a_key_is_tried_by_the_test_of_its_area(area: str, code: Code) -> None:
    """Each area has a call that does nothing but take the key; a key that there is none is a 403."""
    assert code("GET", area) == ""
    assert code("GET", area, key="none", status=403) == "INVALID_REQUEST"


@pytest.mark.parametrize("shown", [True, False])
def test_a_read_has_the_pin_only_where_it_is_set_so(shown: bool, add: Add, alma: Simulation) -> None:
    """Clients do not agree whether a read has the PIN: both can be played, and by default it has not."""
    alma.users.administration = alma.users.administration.changed(shows_pin=shown)
    assert ("pin_number" in add(pin_number="4711")) == shown


@pytest.mark.parametrize("content", ["text/plain", "application/xml"])
def test_a_body_that_is_not_json_is_not_understood(content: str, app: Flask) -> None:
    """A body in another form, or not said to be JSON, is 401676."""
    headers = {"Authorization": "apikey demo", "Content-Type": content, "Accept": "application/json"}
    answer = app.test_client().post("/almaws/v1/users", data="{}", headers=headers)
    assert answer.get_json()["errorList"]["error"][0]["errorCode"] == "401676"


@pytest.mark.parametrize(
    ("accept", "query", "is_json"),
    [("application/json", "", True), ("*/*", "", False), ("*/*", "?format=json", True), ("application/xml", "", False)],
)
def test_who_does_not_ask_for_json_gets_xml(accept: str, query: str, is_json: bool, add: Add, ask: Ask) -> None:
    """JSON is to be asked for; without it there is an error in XML, since no user object in XML is played."""
    add()
    answer = ask("GET", f"/users/B-1{query}", Accept=accept)
    assert (answer.status_code, answer.is_json) == ((200, True) if is_json else (400, False))
    missing = ask("GET", f"/users/<B-9>{query}", Accept=accept).get_data(as_text=True)
    assert ("<errorCode>402119</errorCode>" in missing) != is_json


def test_only_an_internal_users_password_is_checked_and_never_a_pin(add: Add, code: Code) -> None:
    """``op=auth`` knows the password of an internal user; an external one's is ignored, and a PIN is none."""
    add(account_type={"value": "INTERNAL"}, external_id="", password="long enough", pin_number="4711")
    add(primary_id="B-2", password="long enough", pin_number="4711")
    tries = [("B-1", "long enough"), ("B-1", "4711"), ("B-2", "long enough"), ("B-2", "4711")]
    answers = [code("POST", f"/users/{who}?op=auth", Exl_User_Pw=word) for who, word in tries]
    assert answers == ["", "401866", "401866", "401866"]


def test_loans_are_listed_with_their_titles(add: Add, ask: Ask, alma: Simulation) -> None:
    """The loans of a user have titles and a count; a user without any has only the count."""
    add()
    assert ask("GET", "/users/B-1/loans").get_json() == {"total_record_count": 0}
    alma.loans.lend("B-1", "Tides of the Limfjord")
    answer = ask("GET", "/users/B-1/loans").get_json()
    assert [(each["title"], each["user_id"]) for each in answer["item_loan"]] == [("Tides of the Limfjord", "B-1")]


def test_pin_letter_of_alma_itself_is_seen(add: Add, ask: Ask, alma: Simulation) -> None:
    """Alma sends a letter with the PIN only where ``send_pin_number_letter`` asks for it."""
    add(pin_number="4711")
    assert alma.users.pin_letters == []
    ask("PUT", "/users/B-1?send_pin_number_letter=true", user(pin_number="4712"))
    assert alma.users.pin_letters == ["B-1"]


def test_the_page_and_the_loans_show_no_cpr_number(add: Add, app: Flask) -> None:
    """The demo's page of users masks the last four digits of every CPR number."""
    add(primary_id=CPR, user_identifier=[identifier("CPR", CPR)])
    page = app.test_client().get("/").get_data(as_text=True)
    assert CPR not in page
    assert "010199-••••" in page
