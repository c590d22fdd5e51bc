"""``/metrics``: what is counted, who may read it, and that it holds nothing of any person."""

import re
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from broker.adapters.observability.metrics import Metrics
from broker.core.events.audit_events import AuditEvent, AuditEventKind
from broker.core.events.broker_events import BrokerEvent, EventKind
from broker.demo.people.personas import PERSONAS
from tests.plugins.deployment import Deployment

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SECRET = "a-token-of-enough-characters"


def figures(text: str) -> dict[tuple[str, ...], float]:
    """Give the figures by name and the values of their labels, in the order of the labels' names."""
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(each.name, *each.labels.values()): each.value for each in samples if not each.name.endswith("_created")}


def scrape(deployment: Deployment, **headers: str) -> tuple[int, str]:
    """Read the metrics from this machine, with these headers."""
    answer = deployment.app.test_client().get(
        "/metrics", headers={key.replace("_", "-"): each for key, each in headers.items()}
    )
    return answer.status_code, answer.text


def test_nothing_of_a_person_is_in_it(deployment: Deployment) -> None:
    """After logins and refusals of several, neither a name nor anything that looks like a CPR number."""
    for name in ("asta", "nobody-here"):
        person = deployment.person()
        if name == "asta":
            person.agree(person.log_in(name))
        person.get(f"/sign-up/begin?affiliation={name}1403044004&upstream=wayf")
    text = scrape(deployment)[1]
    assert not re.search(r"\d{6}-?\d{4}\b(?!\.)", re.sub(r" [\d.e+]+$", "", text, flags=re.MULTILINE))
    assert not any(value in text for person in PERSONAS for value in person.attributes.get("cn", ()))


def test_metrics_are_hidden_behind_a_proxy(deployment: Deployment) -> None:
    """If no token is configured, every token is wrong and the answer is 404."""
    assert scrape(deployment, X_Forwarded_For="127.0.0.1")[0] == 404
    assert scrape(deployment, Forwarded="for=127.0.0.1")[0] == 404
    assert scrape(deployment, X_Forwarded_For="192.0.2.1", Authorization=f"Bearer {SECRET}")[0] == 404


@pytest.mark.parametrize("environment", [{"BROKER_SERVE__METRICS_TOKEN": SECRET}])
def test_the_token_opens_it_from_elsewhere(deployment: Deployment) -> None:
    """For a Prometheus on another machine; nothing but the whole of it does."""
    table = {f"Bearer {SECRET}": 200, f"bearer {SECRET}": 404, f"Bearer {SECRET}x": 404, "Bearer ": 404, SECRET: 404}
    for given, status in (table | {"Bearer \xe6": 404, "": 404}).items():
        assert scrape(deployment, X_Forwarded_For="192.0.2.1", Authorization=given)[0] == status
    assert scrape(deployment)[0] == 200


def test_a_text_is_no_label() -> None:
    """A cause may be a sentence with anything in it: only a check's own name is taken for one."""
    counts = Metrics(lambda: 0)
    audit = AuditEvent(AuditEventKind.REFUSED, NOW)
    for cause in ("xml.doctype", "au123456@au.dk", "no answer: 1403044004", "a.b.c", None):
        facts = {"reason": "message_refused", "cause": cause}
        counts.count(BrokerEvent(EventKind.LOGIN_REFUSED, facts, audit))
    found = {
        key[1]: value for key, value in figures(counts.page([]).decode()).items() if key[0] == "broker_refusals_total"
    }
    assert found == {"xml.doctype": 1, "message_refused": 4}
