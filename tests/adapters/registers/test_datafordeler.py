"""Look-ups in a simulated Datafordeler over TLS: what is read, what is refused, and what is never told."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.registers import datafordeler_answer
from broker.adapters.registers.datafordeler import Datafordeler
from broker.core.borrowers.registered_person import (
    RegisteredAddress,
    RegisteredName,
    RegisterError,
    RegisterRefused,
    RegisterUnavailable,
    Residence,
)
from broker.demo.register.register_rows import node
from broker.demo.register.simulated_datafordeler import SimulatedDatafordeler
from tests.adapters.registers.conftest import ROWS, certificates

pytestmark = pytest.mark.server

Opened = Callable[..., Datafordeler]
Soon = Callable[..., datetime]

CPR = "0101800000"


def test_name_and_address_in_force_are_read(opened: Opened, soon: Soon) -> None:
    """The former ones that stand before them are not, and noughts before house and floor are gone."""
    person = opened().look_up(CPR, soon())
    assert person is not None
    assert person.residence is Residence.IN_DENMARK
    assert person.name == RegisteredName("Åse", "Test", "Prøvesen")
    street = "Prøvevej 12B, 2. th"
    assert person.address == RegisteredAddress("", street, "Nørre Prøve", "8000", "Aarhus C")
    assert (person.protected, person.current_number, person.under_guardianship) == (False, None, False)


def test_a_number_that_the_register_does_not_know_is_none(opened: Opened, soon: Soon) -> None:
    """An empty list is an answer, not an error."""
    assert opened().look_up("3112990000", soon()) is None


@pytest.mark.parametrize(
    ("cpr", "protected"), [("0202800000", True), ("0303800000", False), ("0909800000", True), (CPR, False)]
)
def test_a_protection_that_is_not_known_protects(opened: Opened, soon: Soon, cpr: str, protected: object) -> None:
    """Marketing protection leaves the address readable; a kind that comes later hides it."""
    person = opened().look_up(cpr, soon())
    assert person is not None
    assert person.protected is protected


@pytest.mark.parametrize(
    ("cpr", "residence"),
    [
        ("0404800000", Residence.DEAD),
        ("0505800000", Residence.NUMBER_CHANGED),
        ("0606800000", Residence.WITHOUT_USABLE_ADDRESS),
        ("0808800000", Residence.NOT_UNDERSTOOD),
    ],
)
def test_an_address_is_read_only_of_somebody_who_lives_there(
    opened: Opened, soon: Soon, cpr: str, residence: Residence
) -> None:
    """Nobody writes to the dead; a status that is not known is for staff, with no address taken on trust."""
    person = opened().look_up(cpr, soon())
    assert person is not None
    assert (person.residence, person.address) == (residence, None)


def test_the_number_that_took_the_place_is_read(opened: Opened, soon: Soon) -> None:
    """It is told only where it was asked for; the same number under a current row is no other."""
    person = opened().look_up("0505800000", soon())
    assert person is not None
    assert person.current_number == "0506800000"
    silent = opened(also=[]).look_up("0505800000", soon())
    assert silent is not None
    assert silent.current_number is None


def test_guardianship_is_none_where_it_was_not_asked_for(opened: Opened, soon: Soon) -> None:
    """Not asked and not so are two things."""
    asked, silent = opened().look_up("0707800000", soon()), opened(also=[]).look_up("0707800000", soon())
    assert asked is not None
    assert silent is not None
    assert (asked.under_guardianship, silent.under_guardianship) == (True, None)


def test_a_field_that_the_schema_lacks_is_named_with_the_key_to_change(
    opened: Opened, register: SimulatedDatafordeler, soon: Soon
) -> None:
    """Fields beyond those that were seen to work may not be there: the refusal says which to leave out."""
    register.unknown_fields = frozenset({"vaergemaal"})
    with pytest.raises(RegisterRefused, match=r"knows no field vaergemaal: take guardianship out") as caught:
        opened().look_up(CPR, soon())
    assert caught.value.setting == "register.also"
    assert opened(also=["current_number"]).look_up(CPR, soon()) is not None


def test_a_token_that_has_expired_is_fetched_anew(opened: Opened, register: SimulatedDatafordeler, soon: Soon) -> None:
    """A 401 in the middle of its lifetime costs one more request and no look-up."""
    connector = opened()
    connector.look_up(CPR, soon())
    register.revoke()
    assert connector.look_up(CPR, soon()) is not None


def test_another_version_is_another_service(opened: Opened, soon: Soon) -> None:
    """A version that is gone is a fault of the configuration, with its key."""
    with pytest.raises(RegisterRefused) as caught:
        opened(version="v9").look_up(CPR, soon())
    assert caught.value.setting == "register.version"


@pytest.mark.parametrize(
    ("more", "setting"), [({"client_id": "nobody"}, "register.client_id"), ({}, "register.certificate")]
)
def test_credentials_are_proved_without_a_look_up(
    opened: Opened, register: SimulatedDatafordeler, soon: Soon, more: dict[str, object], setting: str
) -> None:
    """A wrong IT system and a wrong secret are told apart; nobody is looked up for it."""
    register.client_secret = "" if more else "another"
    (fault,) = opened(**more).prove(soon())
    assert fault.setting == setting
    assert register.looked_up == []


def test_sound_credentials_prove_without_a_fault(opened: Opened, soon: Soon) -> None:
    """And a look-up is not needed to say so."""
    assert opened().prove(soon()) == ()


@pytest.mark.parametrize(("fault", "value"), [("down", True), ("quota_gone", True), ("slow", 2.0)])
def test_a_register_that_cannot_now_is_worth_another_try(
    opened: Opened, register: SimulatedDatafordeler, soon: Soon, fault: str, value: object
) -> None:
    """Down, over its quota or too slow: later."""
    setattr(register.faults, fault, value)
    with pytest.raises(RegisterUnavailable):
        opened().look_up(CPR, soon(0.5))


def test_the_certificate_of_another_authority_is_not_let_in(opened: Opened, soon: Soon, tmp_path: Path) -> None:
    """Nor one that has expired: the register closes the connection, and nothing was sent."""
    foreign, old = certificates(tmp_path / "foreign"), certificates(tmp_path / "old", days=-1)
    for theirs in (foreign, old):
        connector = opened(certificate=theirs.certificate, key=theirs.key)
        with pytest.raises(RegisterUnavailable, match="no answer"):
            connector.look_up(CPR, soon())


def test_a_register_that_shows_the_certificate_of_another_is_told_nothing(
    opened: Opened, register: SimulatedDatafordeler, soon: Soon, tmp_path: Path
) -> None:
    """A CPR number goes to the one that an authority of ours vouches for."""
    with pytest.raises(RegisterUnavailable, match="no answer: SSLError"):
        opened(ca_file=certificates(tmp_path / "foreign").authority).look_up(CPR, soon())
    assert register.looked_up == []


MISSHAPEN = (
    b"[]",
    b"not JSON",
    b"{}",
    b'{"data": null}',
    b'{"data": {"CPRCustom_PublicSectorPerson": []}}',
    b'{"data": {"CPRCustom_PublicSectorPerson": {"nodes": null}}}',
    b'{"data": {"CPRCustom_PublicSectorPerson": {"nodes": [1]}}}',
    b'{"data": {"CPRCustom_PublicSectorPerson": {"nodes": [{}]}}}',
    b'{"data": {"CPRCustom_PublicSectorPerson": {"nodes": [{"beskyttelser": 1}]}}}',
    b'{"data": {"CPRCustom_PublicSectorPerson": {"nodes": [{"beskyttelser": [], "navne": [[]]}]}}}',
    b'{"data": {"CPRCustom_PublicSectorPerson": {"nodes": [{"beskyttelser": []}, {"beskyttelser": []}]}}}',
    b'{"errors": [{"message": "0101800000 is not liked"}]}',
)


@pytest.mark.parametrize("answer", MISSHAPEN)
def test_half_a_record_is_refused_without_its_values(
    opened: Opened, register: SimulatedDatafordeler, soon: Soon, answer: bytes
) -> None:
    """An answer of another shape is no answer, two persons for one number least of all; the number stays out."""
    register.faults.answer = answer
    with pytest.raises(RegisterRefused) as caught:
        opened().look_up(CPR, soon())
    error: BaseException | None = caught.value
    while error is not None:
        assert CPR not in str(error)
        error = error.__cause__ or error.__context__


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(ROWS)), st.data())
def test_any_field_may_be_of_any_shape(cpr: str, data: st.DataObject) -> None:
    """It is read as a person or refused: never another error, and never unprotected where it was protected."""
    written = json.loads(json.dumps(node(cpr, ROWS[cpr])))
    spoilt = data.draw(st.sampled_from(sorted(set(written) - {"beskyttelser"})))
    written[spoilt] = data.draw(JUNK)
    try:
        person = datafordeler_answer.read(written, cpr)
    except RegisterError:
        return
    assert person.protected is datafordeler_answer.read(node(cpr, ROWS[cpr]), cpr).protected


def test_nothing_of_a_person_is_shown_by_its_name(opened: Opened, soon: Soon) -> None:
    """A log line that prints the object prints where the person is, no name, number or address."""
    shown = repr(opened().look_up("0202800000", soon()))
    assert shown == "RegisteredPerson('in_denmark')"
