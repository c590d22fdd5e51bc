"""The library system of a demo."""

import pytest

from broker.demo.circulation.loan_table import BOOKS
from broker.demo.koha.sip2_server import TERMINALS, serve_sip2
from broker.demo.library.sip2_client import Machine
from broker.demo.people.personas import PERSONAS, persona
from broker.demo.run import demo_library


@pytest.mark.server
def test_the_koha_has_the_borrowers_of_the_personas_and_lends_to_them() -> None:
    """Borrowers, loans and PINs are those of the personas; a machine proves and lends."""
    library = demo_library.simulate_koha(PERSONAS)
    vera = persona("vera")
    ((login, password),) = TERMINALS.items()
    with serve_sip2(library.desk) as port:
        machine = Machine(port, login, password)
        proven = machine.borrower(vera.types, vera.pin or "")
        _, is_lent = machine.lend(vera.types, vera.pin or "", BOOKS[0])
    assert proven.may_borrow
    assert (proven.name, proven.loans) == ("Vera Friis", vera.loans)
    assert is_lent
    assert len(library.desk.accounts()) == len(demo_library.seeds())
    called = library.desk.find_borrower(vera.types)
    assert called is not None
    assert called.category == "EMPLOYEE"
    assert library.desk.table.loans(called.number) == (*vera.loans, BOOKS[0])
