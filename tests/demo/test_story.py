"""The pages of a demo visitor: the timeline without CPR numbers and PINs, and a person of their own."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask

from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB
from broker.demo.story.timeline import BROKER, Timeline
from broker.demo.upstreams import wayf_hub
from tests.plugins.deployment import Deployment, form
from tests.walks.requirements.visits import finish_login, log_in, open_library, visitor


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a log of the broker with one decision, and a line that is none."""
    line = {
        "event": "issued", "affiliation": "student", "rule": "student.yaml:24", "reference": "83XSNQC4",
        "timestamp": "2026-12-01T12:00:00Z",
    }  # fmt: skip
    path = tmp_path / "broker.log"
    path.write_text(f"gunicorn starts\n{json.dumps(line)}\n", encoding="utf-8")
    return path


def test_a_decision_names_affiliation_file_and_line(log: Path) -> None:
    """The broker's log shows which policy decided."""
    [entry] = Timeline(log, list).list_latest()
    assert entry.title == (
        "Policy decision: access for student (student.yaml:24)",
        "Politikkens afgørelse: adgang som student (student.yaml:24)",
    )
    assert "83XSNQC4" not in entry.detail


def test_calls_of_the_library_system_show_no_number_and_no_pin(log: Path) -> None:
    """CPR numbers and PINs in addresses, bodies and answers are masked."""
    app = Flask("library system")
    timeline = Timeline(log, list)
    timeline.watch_library_system(app, "Library system")

    @app.post("/api/v1/patrons")
    def create() -> dict[str, str]:
        return {"cardnumber": "1403044004"}

    body = {"userid": "140304-4004", "password": "4071", "password_2": "4071"}
    app.test_client().post("/api/v1/patrons?q=1403044004", json=body)
    entry = timeline.list_latest()[0]
    assert (entry.receiver, entry.title[0]) == ("Library system", "Creates a borrower (POST /patrons)")
    assert "140304-••••" in entry.detail
    assert not [each for each in ("1403044004", "140304-4004", "4071") if each in entry.detail]


def test_a_login_is_recorded_from_request_to_assertion(deployment: Deployment) -> None:
    """The AuthnRequest of the library, and the attributes that it reads in the end, are in the timeline."""
    client, _ = open_library(deployment)
    timeline = Timeline(Path("none"), list)
    timeline.watch_library(client.application, "Library")
    client.get("/my-loans?way=wayf")
    person = visitor(deployment)
    _, fields = form(finish_login(person, log_in(person, persona("asta"))))
    client.post("/my-loans/acs", data=fields)
    read, response, request = timeline.list_latest()
    assert (request.title[0], "AuthnRequest" in request.detail) == ("Asks for a login to my-loans (AuthnRequest)", True)
    assert (response.sender, response.title[0], "EncryptedAssertion" in response.detail) == (
        BROKER,
        "Says who has logged in (Response)",
        True,
    )
    assert (read.title[0], "Ravn" in read.detail) == ("Opens the assertion: Success", True)
    assert "1403044004" not in read.detail


def test_a_visitor_logs_in_as_a_person_of_their_own(deployment: Deployment) -> None:
    """The form at the simulated WAYF takes name, affiliations, CPR number, entitlements and assurance."""
    person = visitor(deployment)
    away = person.choose(person.ask("e-resources"), "wayf")
    query = urlsplit(away).query
    asked = wayf_hub.read(query)
    hub = wayf_hub.create_app(HUB, deployment.hub_key(), {asked.issuer: asked.acs}).test_client()
    assert "Somebody else" in hub.get(f"/sso?{query}").get_data(as_text=True)
    described = {
        "name": "Robin Lund",
        "affiliations": "employee@au.dk",
        "cpr": "",
        "entitlements": "",
        "assurance": "2",
    }
    page = hub.post(f"/sso?{query}", data={"persona": "somebody-else", **described})
    answer = person.deliver(*form(page))
    landing = deployment.landing(finish_login(person, person.get(answer.location)))
    assert (landing.status, landing.attributes["eduPersonScopedAffiliation"]) == ("Success", ("employee@au.dk",))
