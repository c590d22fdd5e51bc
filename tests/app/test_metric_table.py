"""The metrics document, alert rules and dashboard are written from the table that a running broker uses."""

import re

import yaml
from prometheus_client.parser import text_string_to_metric_families

from broker.adapters.observability.metric_table import TABLE
from tests.plugins.deployment import Deployment
from tests.plugins.metric_files import ALERTS, DASHBOARD, DOCUMENT, write_alerts, write_dashboard, write_document


def test_the_files_are_written_from_the_table() -> None:
    """``python -m tests.plugins.metric_files`` writes them."""
    assert DOCUMENT.read_text() == write_document()
    assert ALERTS.read_text() == write_alerts()
    assert DASHBOARD.read_text() == write_dashboard()


def test_every_name_in_the_files_is_a_metric_of_a_running_broker(deployment: Deployment) -> None:
    """An alert on a metric that does not exist would never fire."""
    person = deployment.person()
    person.agree(person.log_in("asta"))
    page = deployment.app.test_client().get("/metrics").text
    families = [each for each in text_string_to_metric_families(page) if not each.name.endswith("_created")]
    written = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    assert written == {row.name for row in TABLE}
    labels = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    for row in TABLE:
        if row.name in labels:
            assert labels[row.name] == set(row.labels)
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    used = {name for rule in rules for name in re.findall(r"broker_\w+", rule["expr"])}
    assert {name.removesuffix("_bucket") for name in used} <= written


def test_requests_logins_and_calls_of_the_store_are_timed_and_counted(deployment: Deployment) -> None:
    """By endpoint and status; a refused login has the result that says so; an unknown path has no endpoint."""
    person = deployment.person()
    person.agree(person.log_in("asta"))
    client = deployment.app.test_client()
    client.get("/no-such-page")
    client.get("/healthz")
    page = client.get("/metrics").text
    for sample in (
        'broker_http_requests_total{endpoint="public.healthz",status="200"} 1.0',
        'broker_http_requests_total{endpoint="none",status="404"} 1.0',
        'broker_http_request_seconds_count{endpoint="public.healthz"} 1.0',
        'broker_logins_total{affiliation="student",result="issued",service="my-loans",upstream="wayf"} 1.0',
    ):
        assert sample in page.splitlines()
    assert re.search(r'^broker_store_call_seconds_count{call="put_many"} [1-9]', page, re.MULTILINE)
    assert re.search(r'^broker_build_info{python="3[.].*",version=".+"} 1.0', page, re.MULTILINE)
