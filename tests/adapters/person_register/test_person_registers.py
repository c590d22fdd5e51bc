"""Rules of every register of persons, tested with each simulation over TLS."""

from datetime import datetime
from pathlib import Path

import pytest

from broker.core.borrowers.registered_person import (
    RegisteredAddress,
    RegisteredPerson,
    RegisterRefused,
    RegisterUnavailable,
)
from tests.adapters.person_register.conftest import Stage, certificates
from tests.conformance.library_suite.values import soon

pytestmark = pytest.mark.server


CPR = "0101800000"


def look_up(stage: Stage, cpr: str, by: datetime) -> RegisteredPerson:
    """Return the person of a number that the register knows."""
    person = stage.opened().look_up(cpr, by)
    assert person is not None
    return person


def test_name_and_address_in_force_are_read(stage: Stage) -> None:
    """The former ones are not, and noughts before deployment and floor are gone."""
    person = look_up(stage, CPR, soon())
    assert person.note is None
    street = "Prøvevej 12B, 2. th"
    assert person.address == RegisteredAddress("", street, "Nørre Prøve", "8000", "Aarhus C")
    assert not person.protected


def test_a_number_that_the_register_does_not_know_is_none(stage: Stage) -> None:
    """It is an answer, not an error."""
    assert stage.opened().look_up("3112990000", soon()) is None


@pytest.mark.parametrize(
    ("cpr", "protected"), [("0202800000", True), ("0303800000", False), ("0909800000", True), (CPR, False)]
)
def test_only_protection_of_name_and_address_protects(stage: Stage, cpr: str, protected: object) -> None:
    """Marketing protection leaves the address readable; a kind that nobody knows hides it."""
    assert look_up(stage, cpr, soon()).protected is protected


@pytest.mark.parametrize(
    ("cpr", "note"),
    [("0404800000", "dead"), ("0505800000", "number_changed"), ("0606800000", None), ("0808800000", "not_active")],
)
def test_an_address_is_read_only_of_somebody_who_lives_there(stage: Stage, cpr: str, note: str | None) -> None:
    """A dead person and one with an unknown status have no address."""
    person = look_up(stage, cpr, soon())
    assert (person.note, person.address) == (note, None)


def test_a_set_up_is_proved_without_a_look_up(stage: Stage) -> None:
    """Each look-up must have a reason; a check of the set-up is none."""
    assert stage.opened().check_setup(soon()) == ()
    assert stage.simulated.looked_up == []


@pytest.mark.parametrize(("fault", "value"), [("down", True), ("quota_gone", True), ("slow", 2.0)])
def test_a_register_that_cannot_now_is_worth_another_try(stage: Stage, fault: str, value: object) -> None:
    """Down, over its quota or too slow: later."""
    setattr(stage.simulated.faults, fault, value)
    with pytest.raises(RegisterUnavailable):
        stage.opened().look_up(CPR, soon(0.5))


def test_a_register_that_shows_another_certificate_is_worth_another_try(stage: Stage) -> None:
    """The number is not told to it; and it is taken again once it shows its own."""
    register = stage.opened()
    stage.simulated.faults.wrong_certificate = True
    with pytest.raises(RegisterUnavailable, match="SSLError"):
        register.look_up(CPR, soon())
    assert stage.simulated.looked_up == []
    stage.simulated.faults.wrong_certificate = False
    assert register.look_up(CPR, soon()) is not None


def test_half_a_record_is_no_record(stage: Stage) -> None:
    """Where what may not be missing is missing, nothing of the rest is taken."""
    stage.simulated.faults.half_a_record = True
    with pytest.raises(RegisterRefused, match="not as documented"):
        stage.opened().look_up(CPR, soon())


def test_the_certificate_of_another_authority_is_not_let_in(stage: Stage, tmp_path: Path) -> None:
    """Nor one that has expired: the register closes the connection, nothing was sent, and the check says so."""
    foreign, old = certificates(tmp_path / "foreign"), certificates(tmp_path / "old", days=-1)
    for theirs in (foreign, old):
        register = stage.opened(certificate=theirs.certificate, key=theirs.key)
        with pytest.raises(RegisterUnavailable, match="no answer"):
            register.look_up(CPR, soon())
        assert register.check_setup(soon()) != ()
    assert stage.simulated.looked_up == []


def test_a_register_that_shows_the_certificate_of_another_is_told_nothing(stage: Stage, tmp_path: Path) -> None:
    """A CPR number is sent only to a server with a trusted certificate."""
    stranger = certificates(tmp_path / "foreign").certificate
    with pytest.raises(RegisterUnavailable, match="no answer: SSLError"):
        stage.opened(ca_file=stranger).look_up(CPR, soon())
    assert stage.simulated.looked_up == []


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b"<a/>", b"0101800000", b"<!DOCTYPE a [<!ENTITY e '0101800000'>]><a>&e;</a>"]
)
def test_an_answer_of_another_shape_is_refused_without_its_values(stage: Stage, answer: bytes) -> None:
    """No traceback reaches what was answered or asked: both hold the number."""
    stage.simulated.faults.answer = answer
    with pytest.raises(RegisterRefused) as caught:
        stage.opened().look_up(CPR, soon())
    error: BaseException | None = caught.value
    while error is not None:
        assert CPR not in repr(error)
        error = error.__cause__ or error.__context__


def test_nothing_of_a_person_is_shown_by_its_name(stage: Stage) -> None:
    """A log line that prints the object prints where the person is: no name, number or address."""
    assert "0202800000" not in repr(look_up(stage, "0202800000", soon()))
