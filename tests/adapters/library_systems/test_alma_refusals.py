"""Alma's refusals: codes and names of settings are kept, personal values are not."""

import json

import pytest

from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.library_systems.alma import alma_calls
from broker.core.errors import LibraryUnavailable

CPR = "0101800000"


def answer(code: str, message: str = "", status: int = 400) -> HttpAnswer:
    """Give an error as Alma's interface describes it."""
    error = {"errorCode": code, "errorMessage": message, "trackingId": "E01-0101190932-VOBYO-AWAE1554214409"}
    body = {"errorsExist": True, "errorList": {"error": [error]}, "result": None}
    return HttpAnswer(status, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("code", "message", "words", "setting"),
    [
        ("401852", "Given user group is not legal.", "no user group STUDNT", "user_group STUDNT"),
        ("401664", "Mandatory field is missing: birth_date", "mandatory: birth_date", "mandatory field birth_date"),
        ("401864", f"Given email type ({CPR}) is invalid.", "is not in its code table", "type"),
        ("401854", "External Id must be given for external user.", "external_id", "external_id"),
        ("401858", "The external id in DB does not fit", "cannot be changed", None),
        ("499999", f"Something about {CPR} and Åse Prøvesen", "499999", None),
        ("401664", f"Mandatory field is missing: {CPR}", "of another name", "mandatory field of another name"),
    ],
)
def test_a_refusal_keeps_code_and_setting(code: str, message: str, words: str, setting: str | None) -> None:
    """The error names what staff must fix, and quotes no personal value."""
    refused = alma_calls.make_refusal(answer(code, message), "create", "STUDNT")
    assert words in str(refused)
    assert code in str(refused)
    assert refused.setting == setting
    for value in (CPR, "Åse", "Prøvesen"):
        assert value not in f"{refused} {refused.setting}"


@pytest.mark.parametrize("status", [200, 400, 404, 409, 500])
@pytest.mark.parametrize("code", ["401861", "401890", "401851", "401852"])
def test_the_code_decides_and_not_the_status(code: str, status: int) -> None:
    """A user error is a 400 as a rule, and may be anything."""
    assert alma_calls.demand_verdict(answer(code, status=status), "find") == code


@pytest.mark.parametrize("code", ["DAILY_THRESHOLD", "PER_SECOND_THRESHOLD"])
def test_a_name_is_no_refusal(code: str) -> None:
    """A person's name that looks like the gateway's XML must not stop all calls."""
    words = f"<errorCode>{code}</errorCode>"
    named = HttpAnswer(200, json.dumps({"primary_id": "L-1", "first_name": words}).encode())
    assert alma_calls.read_code(named) is None
    assert alma_calls.demand_verdict(named, "read") is None
    for before in (b"", b"\xef\xbb\xbf\r\n "):
        assert alma_calls.read_code(HttpAnswer(429, before + f"<x>{words}</x>".encode())) == code


@pytest.mark.parametrize(
    ("failed", "setting"),
    [
        (answer("UNAUTHORIZED", "API-key not defined or not configured to allow this API."), "library.api_key"),
        (answer("DAILY_THRESHOLD", status=429), "calls of the day"),
        (answer("PER_SECOND_THRESHOLD", status=429), None),
        (answer("401658", "General Error - Failed to create new user"), None),
        (HttpAnswer(401, b"<html>HTTP Status 401 - Unauthorized</html>"), None),
        (HttpAnswer(502, f"<h1>GET /users/{CPR}</h1>".encode()), None),
        (HttpAnswer(200, b""), None),
        (HttpAnswer(400, b'{"errorList": [], "x": 1}'), None),
    ],
)
def test_other_failures_are_tried_again(failed: HttpAnswer, setting: str | None) -> None:
    """Server errors, a rejected key and answers of a gateway; the gateway's page is not quoted."""
    with pytest.raises(LibraryUnavailable) as raised:
        alma_calls.demand_verdict(failed, "find")
    assert raised.value.setting == setting
    assert CPR not in str(raised.value)
