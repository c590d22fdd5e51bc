"""The check of an Alma's set-up, by reads only."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from broker.adapters.library_systems.alma.alma_library import AlmaSettings
from broker.core.borrowers.library_setup import ExpectedSetup
from broker.demo.run.loopback_server import serve_on_loopback
from tests.adapters.library_systems.sip2_port import (
    STATUS,
    Answers,
    accept_pin,
    add_checksum,
    answer_with,
    right,
    run_sip2_port,
)
from tests.conformance.library_suite.values import soon
from tests.conformance.simulated_alma.administration import Administration, ApiKey
from tests.conformance.simulated_alma.simulated_alma import create_app

pytestmark = pytest.mark.server

FindFaults = Callable[..., dict[str, str]]

CPR = "0101800000"
EXPECTED = ExpectedSetup({"STUDENT": "student.yaml:1", "TEMP": "student.yaml:2"})
BLIND = ApiKey(reads_configuration=False)
HEADLESS = ApiKey(reads_users=False, writes_users=False)


@pytest.fixture(name="app")
def _app() -> Flask:
    return create_app(administration=Administration(keys={"demo": ApiKey(), "blind": BLIND, "headless": HEADLESS}))


@pytest.fixture(name="find_faults")
def _make_fault_finder(app: Flask) -> Iterator[FindFaults]:
    keys: dict[str, object] = {"api_key": "demo", "external_id": "SIS", "cpr_identifier_type": "CPR"}
    keys |= {"card_number": "cpr"}
    with serve_on_loopback(app) as url:

        def find(expected: ExpectedSetup = EXPECTED, **more: object) -> dict[str, str]:
            faults = AlmaSettings.read({"url": url} | keys | more).open().check_setup(expected, soon())
            return {fault.setting: fault.sentence for fault in faults}

        yield find


@pytest.mark.parametrize("setting", ["cpr_identifier_type", "number_identifier_type", "user_name_identifier_type"])
def test_an_unknown_identifier_type_is_reported(find_faults: FindFaults, setting: str) -> None:
    """With it the broker would never find a person."""
    faults = find_faults(**{setting: "CPRNO"})
    assert faults.keys() == {f"library.{setting}"}
    assert "CPRNO" in faults[f"library.{setting}"]


@pytest.mark.parametrize(
    ("key", "setting", "says"),
    [
        ("unknown", "library.api_key", "not taken"),
        ("headless", "library.api_key", "Users: read/write"),
        ("blind", "library.api_key (Configuration: read)", "code tables"),
    ],
)
def test_a_missing_right_of_the_api_key_is_reported_once(
    find_faults: FindFaults, key: str, setting: str, says: str
) -> None:
    """Each cause is reported once, not again for each step of the check."""
    faults = find_faults(api_key=key)
    assert faults.keys() == {setting}
    assert says in faults[setting]


@pytest.mark.parametrize(
    ("answers", "settings"),
    [
        (accept_pin("C-1", "4071"), set()),
        (answer_with(f"{STATUS}AOAUL|AANOPE|AE|BLN|CQN|"), set()),
        (answer_with(right("C-1"), add_checksum("940", 0)), {"library.sip2"}),
    ],
)
def test_the_self_service_machine_is_checked_without_a_user(
    find_faults: FindFaults, app: Flask, answers: Answers, settings: set[str]
) -> None:
    """A login and a nonexistent card show a wrong port or account; no user is read."""
    with run_sip2_port(answers) as (port, _client, _observed):
        keys = {"host": "127.0.0.1", "port": port.server_address[1], "login": "machine", "password": "secret"}
        faults = find_faults(sip2=keys)
    assert faults.keys() == settings
    assert not [line for line in app.extensions["alma"].access if "limit=" in line]
