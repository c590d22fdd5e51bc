"""The pages of a demo visitor: the timeline without CPR numbers and PINs, and a person of their own."""

import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask

from broker.configuration.settings.new_folder import SHIPPED
from broker.demo.demo_app import create_demo_app
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import HUB
from broker.demo.story import stories
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
        "The policy lets the person in as student (student.yaml:24)",
        "Reglerne giver adgang som studerende (student.yaml:24)",
    )
    assert "83XSNQC4" not in entry.raw


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
    assert (entry.receiver, entry.title[0]) == ("Library system", "Creates a borrower")
    assert "140304-••••" in entry.raw
    assert not [each for each in ("1403044004", "140304-4004", "4071") if each in entry.raw]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/patrons/0/password", {}),
        ("/api/v1/patrons", {"surname": "Dry run"}),
        ("/api/v1/patrons?q=0000000000", {}),
    ],
)
def test_a_check_of_the_set_up_is_no_registration(path: str, body: dict[str, str]) -> None:
    """The calls that the broker makes at its start are about no borrower."""
    app = Flask("library system")
    timeline = Timeline(Path("none"), list)
    timeline.watch_library_system(app, "Library system")
    app.test_client().post(path, json=body)
    assert timeline.list_latest() == []


def test_an_edit_is_told_once_and_a_faulty_one_without_english_in_danish(tmp_path: Path) -> None:
    """Each process logs the edit; the timeline names the place of a fault, and keeps its words for technicians."""
    changed = {"event": "policies_changed", "digest": "b", "from": "a"}
    stale = {"event": "policies_stale", "fault": "student.yaml:30: the example fails"}
    lines = []
    for second, line in enumerate((changed, changed, {**changed, "digest": "a", "from": "b"}, stale, stale)):
        lines.append(json.dumps({**line, "timestamp": f"2026-12-01T12:00:0{second}Z"}))
    log = tmp_path / "broker.log"
    log.write_text("\n".join(lines), encoding="utf-8")
    refused, *edits = Timeline(log, list).list_latest()
    assert refused.title[1] == "De ændrede regler er afvist; de tidligere gælder stadig (student.yaml:30)"
    assert [edit.title[0] for edit in edits] == ["The edited policies are in force"] * 2


def test_the_button_edits_a_policy_and_undoes_it(tmp_path: Path) -> None:
    """The mail address leaves both lines of the shipped file, and comes back."""
    shutil.copy(SHIPPED / "policies" / "student.yaml", tmp_path)
    app, timeline, file = create_demo_app(), Timeline(Path("none"), list), tmp_path / "student.yaml"
    stories.serve(app, timeline, tmp_path, "", "")
    before = file.read_text(encoding="utf-8")
    app.test_client().post("/policy")
    assert before.count("sn, mail, eduPerson") == file.read_text(encoding="utf-8").count("sn, eduPerson") == 2
    assert timeline.list_latest()[0].text.count("\n-") == 1
    assert not app.config["sends_mail"]()
    app.test_client().post("/policy")
    assert file.read_text(encoding="utf-8") == before
    assert app.config["sends_mail"]()


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
    assert (request.title[0], "AuthnRequest" in request.raw) == ("Asks for a login to my-loans (AuthnRequest)", True)
    assert (response.sender, response.title[0], "EncryptedAssertion" in response.raw) == (
        BROKER,
        "Says who has logged in (Response)",
        True,
    )
    assert (read.title[0], (("Surname", "Efternavn"), "Ravn") in read.facts) == ("Reads the answer: logged in", True)
    assert "1403044004" not in str(read)


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
