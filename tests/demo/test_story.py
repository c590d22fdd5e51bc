"""The timeline of a demo visitor: a login from request to assertion, without CPR numbers and PINs."""

import shutil
from pathlib import Path

from flask import Flask

from broker.configuration.settings.new_folder import SHIPPED
from broker.demo.demo_app import create_demo_app
from broker.demo.people.personas import persona
from broker.demo.story import stories
from broker.demo.story.timeline import BROKER, Timeline
from tests.plugins.deployment import Deployment, form
from tests.walks.requirements.visits import finish_login, log_in, open_library, visitor


def test_calls_of_the_library_system_show_no_number_and_no_pin() -> None:
    """CPR numbers and PINs in addresses, bodies and answers are masked. Equal calls in a row are one line."""
    app = Flask("library system")
    timeline = Timeline(Path("none"), list)
    timeline.watch_library_system(app, "Library system")

    @app.post("/api/v1/patrons")
    def create() -> dict[str, str]:
        return {"cardnumber": "1403044004"}

    body = {"userid": "140304-4004", "password": "4071", "password_2": "4071"}
    for _ in range(2):
        app.test_client().post("/api/v1/patrons?q=1403044004", json=body)
    (entry,) = timeline.list_latest()
    assert (entry.title[0], entry.count) == ("Creates a borrower", 2)
    assert "140304-••••" in entry.raw
    assert not [each for each in ("1403044004", "140304-4004", "4071") if each in entry.raw]


def test_what_staff_do_is_recorded(tmp_path: Path) -> None:
    """The buttons that staff press are in the audit log only."""
    (tmp_path / "state/audit").mkdir(parents=True)
    (tmp_path / "state/audit/a.jsonl").write_text(
        '{"at": "2026-12-02T09:37:47+00:00", "event": "staff_acted", "reason": "try_again"}'
    )
    assert Timeline(tmp_path / "broker.log", list).list_latest()[0].title[0] == "Staff press Try again"


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
        "Says who has logged in (encrypted Response)",
        True,
    )
    assert (read.title[0], (("Surname", "Efternavn"), "Ravn") in read.facts) == ("Reads the answer: logged in", True)
    assert "1403044004" not in str(read)
