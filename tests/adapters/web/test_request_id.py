"""The request id of the proxy in the lines of the log."""

import json

import pytest

from broker.adapters.observability import application_log
from tests.plugins.deployment import Deployment

GIVEN = "c0ffee00c0ffee00c0ffee00c0ffee00"
BEHIND_PROXY = {"BROKER_SERVE__PROXIES": "1"}


@pytest.mark.parametrize(
    ("environment", "header", "logged"),
    [
        (BEHIND_PROXY, GIVEN, GIVEN),
        (BEHIND_PROXY, "short", None),
        (BEHIND_PROXY, GIVEN + " of a person", None),
        ({}, GIVEN, None),
    ],
)
def test_lines_of_a_request_carry_the_id_of_a_counted_proxy(
    deployment: Deployment, header: str, logged: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A client without a proxy, and text that is no id, write nothing into the log; later lines carry no id."""
    headers = {"X-Request-ID": header, "X-Forwarded-For": "192.0.2.7"}
    deployment.app.test_client().get("/no-such-page", headers=headers)
    application_log.log_event("later")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {line["event"]: line.get("request_id") for line in lines if line["event"] in {"refused", "later"}}
    assert found == {"refused": logged, "later": None}
