"""The traces behind the references on pages: kept thirty days, nothing personal, and never in a login's way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.stores.open_store import open_store
from broker.configuration import attribute_maps
from broker.configuration.policies import live_policies
from broker.core.entities import Assurance
from broker.core.events.broker_events import TraceFacts
from broker.core.identity.canonical_attributes import AttributeReading, Attributes
from broker.core.login.refused_facts import RefusedFacts, collect_refused_facts
from broker.core.login.transaction import Person
from broker.core.policy.model import Decision, Effect, PolicySet, Reason
from broker.core.ports import Key
from broker.use_cases.login.support_traces import SupportTraces
from tests.plugins.core_values import REQUEST, make_authentication, make_transaction

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MOST = 3600
ROOT = Path(__file__).resolve().parents[3]
MARK = "nobody-may-read-this"


@pytest.fixture
def traces(tmp_path: Path) -> SupportTraces:
    """Give the traces of an empty store."""
    return SupportTraces(open_store("sqlite:broker.db", tmp_path))


def test_every_fact_is_found_again(traces: SupportTraces) -> None:
    """Step, time, upstream, reason and person, by the reference as read out on the telephone."""
    trace = TraceFacts("BCDFGHJK", NOW, "enrol", "library_unavailable", "wayf", person="p1")
    traces.add_trace(trace)
    for spoken in ("BCDFGHJK", "bcdfghjk", " bcdf ghjk\n"):
        assert traces.find(spoken, NOW) == trace


def test_a_trace_is_gone_after_thirty_days(traces: SupportTraces) -> None:
    """Long enough for a visit to the desk, no longer."""
    traces.add_trace(TraceFacts("BCDFGHJK", NOW, "ask", "too_many"))
    assert traces.find("BCDFGHJK", NOW + timedelta(days=30, seconds=-1)) is not None
    assert traces.find("BCDFGHJK", NOW + timedelta(days=30)) is None


def test_a_login_cannot_fill_the_store(traces: SupportTraces) -> None:
    """Traces are limited per hour."""
    hour = NOW.replace(minute=0)
    traces.store.count(Key("counter", "traces", hour.isoformat()), MOST - 1, NOW + timedelta(hours=2), NOW)
    for reference in ("LAST", "OVER"):
        traces.add_trace(TraceFacts(reference, NOW, "ask", "too_many"))
    assert [traces.find(each, NOW) is not None for each in ("LAST", "OVER")] == [True, False]
    traces.add_trace(TraceFacts("NEXT", NOW + timedelta(hours=1), "ask", "too_many"))
    assert traces.find("NEXT", NOW + timedelta(hours=1)) is not None


def trace_refusal(policies: PolicySet, **attributes: tuple[str, ...]) -> RefusedFacts:
    """Give what is kept of a refused login with these attributes, and a marked value of every other that there is."""
    names = attribute_maps.load(ROOT / "attribute_maps").labels
    marked = {name: (f"{MARK} {name}",) for name in names if "Affiliation" not in name}
    reading = AttributeReading(
        Attributes({**marked, **attributes}), Assurance.LOW, "real", 17, verified_address=f"{MARK}@mailbox.example"
    )
    login = make_authentication(name_id=MARK)
    request = replace(REQUEST, relay_state=MARK)
    transaction = make_transaction(request=request, upstream="wayf", authentication=login, person=Person(MARK, MARK))
    return collect_refused_facts(
        transaction, reading, Decision(Effect.DENY, (Reason("too_young"),)), policies, trusted=True
    )  # fmt: skip


def test_of_a_refusal_no_value_is_stored_that_no_decision_depends_on(traces: SupportTraces, tmp_path: Path) -> None:
    """Every attribute is marked: of values the affiliations are there, and a home organisation that a file names."""
    shipped = live_policies.load(ROOT / "policies", NOW)
    affiliations: dict[str, Any] = {
        "eduPersonScopedAffiliation": ("alum@au.dk",),
        "eduPersonPrimaryAffiliation": ("alum",),
    }
    for number, home in enumerate(["au.dk", f"{MARK}.example"]):
        named: dict[str, Any] = {"schacHomeOrganization": (home,), "borrower_category": (MARK,)}
        facts = trace_refusal(shipped, **affiliations, **named)
        traces.add_trace(TraceFacts(f"BCDFGHJ{number}", NOW, "refuse", "too_young", refused=facts))
    octets = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"too_young" in octets
    assert b"schacHomeOrganization" in octets
    assert MARK.encode() not in octets
    kept = [trace.refused for number in (0, 1) if (trace := traces.find(f"BCDFGHJ{number}", NOW))]
    with_home = {**affiliations, "schacHomeOrganization": ("au.dk",)}
    assert [dict(facts.values) for facts in kept if facts] == [with_home, affiliations]
