"""An upgrade at a login keeps a borrower's loans, PIN and contacts."""

from flask.testing import FlaskClient

from broker.adapters.saml.xml_security import encryption
from broker.demo.koha.loans import BOOKS
from broker.demo.library import services
from broker.demo.people.personas import persona
from tests.plugins.deployment import Deployment, form, mark


def machine(client: FlaskClient, number: str, pin: str) -> str:
    """Type number and PIN at the machine and return its page."""
    answer = client.post("/machine", data={"identifier": number, "pin": pin})
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_an_upgrade_keeps_number_loans_pin_and_mail(deployment: Deployment) -> None:
    """A private borrower edits the profile, accepts the upgrade, and sees the same data as a student."""
    jens, patrons = persona("jens"), deployment.koha.patrons
    keys = encryption.DecryptionKeys.load([])
    origin = "https://broker.example"
    site = services.create_app(
        {}, lambda: deployment.peer, keys, deployment.circulation, origin, machine=deployment.machine
    )
    hall = site.test_client()
    before = next(each for each in patrons.rows() if each["userid"] == jens.registered[0]["userid"])
    number, pin = jens.registered[0]["cardnumber"], str(jens.pin)
    wanted = {"email": "jens@moved.example", "phone": "", "address": ""}
    assert hall.post("/profile", data={"identifier": number, "pin": pin, **wanted}).status_code == 200
    assert BOOKS[0] in machine(hall, number, pin)
    person = deployment.person()
    page = person.log_in("jens")
    assert mark(page)[0] == "address"  # the profile has another address than the login
    page = person.press(page, answer="yes")
    assert mark(page)[0] == "upgrade"
    token = form(page)[1]["token"]
    answered = person.post(page.request.path, {"token": token, "answer": "yes"})
    landing = deployment.landing(person.agree(person.get(answered.location)))
    assert landing.attributes["uid"] == (str(before["patron_id"]),)
    after = patrons.row(before["patron_id"])
    assert (after["category_id"], after["email"]) == ("STUDENT", "jens@moved.example")
    assert BOOKS[0] in machine(hall, number, pin)
