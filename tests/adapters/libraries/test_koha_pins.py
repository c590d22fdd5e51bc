"""How Koha's connector asks whether a PIN is right."""

from collections.abc import Callable
from datetime import datetime

import pytest
import responses

from broker.adapters.libraries.koha import Koha
from broker.core.borrowers.pins import PinAnswer
from broker.core.errors import LibraryUnavailable
from broker.demo.koha.simulated_koha import Simulation

pytestmark = pytest.mark.server

CPR = "0101800000"
VALIDATION = "/api/v1/auth/password/validation"

Soon = Callable[..., datetime]


def _desk(koha: Simulation, pin: str, **more: object) -> str:
    made = koha.patrons.create({"surname": "Desk", "library_id": "AUL", "category_id": "PRIVATE"} | more)
    koha.patrons.set_password(made["patron_id"], pin, pin)
    return str(made["patron_id"])


@pytest.mark.parametrize(
    "names", [{"userid": CPR, "cardnumber": "C1"}, {"userid": "desk.user", "cardnumber": CPR}, {"cardnumber": "C1"}]
)
def test_a_borrower_of_any_name_is_checked(koha: Simulation, library: Koha, soon: Soon, names: dict[str, str]) -> None:
    """User name, card number or both: the borrower is the one that the number says."""
    number = _desk(koha, "4071", **names)
    assert library.check_pin(number, "4071", soon()) is PinAnswer.RIGHT
    assert library.check_pin(number, "4072", soon()) is PinAnswer.WRONG


def test_anothers_pin_proves_nothing(koha: Simulation, library: Koha, soon: Soon) -> None:
    """Where one's card number is another's user name, Koha may try the other: that is not this borrower's PIN."""
    _desk(koha, "4071", userid="desk.user", cardnumber=CPR)
    number = _desk(koha, "5182", userid=CPR)
    assert library.check_pin(number, "4071", soon()) is PinAnswer.WRONG


def test_nobodys_number_costs_the_same_calls(koha: Simulation, library: Koha, soon: Soon) -> None:
    """The patron is read and a PIN is tried, whoever it is, and no number of a person stands in an address."""
    number = _desk(koha, "4071", userid=CPR)
    library.faults(soon())
    for asked in (number, "999999", "0", CPR, "nobody"):
        koha.access._lines.clear()
        library.check_pin(asked, "4072", soon())
        methods = [line.split()[0] for line in koha.access.lines()]
        assert methods == ["GET", "POST"], asked
        assert CPR not in "".join(koha.access.lines())


@pytest.mark.parametrize(
    ("status", "body"), [(200, {"patron_id": 1}), (400, {"error": "Other"}), (404, {}), (500, {}), (429, {}), (201, [])]
)
def test_other_answers_are_no_verdict(koha: Simulation, library: Koha, soon: Soon, status: int, body: object) -> None:
    """Whatever is neither Koha's yes nor its no is worth another try, and quotes nothing."""
    number = _desk(koha, "4071", userid=CPR)
    url = library._settings.url
    with responses.RequestsMock() as mocked:
        mocked.add_passthru(f"{url}/api/v1/oauth")
        mocked.add_passthru(f"{url}/api/v1/patrons")
        mocked.add(responses.POST, url + VALIDATION, json=body, status=status)
        with pytest.raises(LibraryUnavailable) as raised:
            library.check_pin(number, "4071", soon())
    assert "4071" not in str(raised.value)
    assert CPR not in str(raised.value)
