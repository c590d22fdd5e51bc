"""Each call that an enrolment sends through a connector, with each fault that it may have, survived or died of."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from broker.adapters.stores.open_store import open_store
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField
from broker.use_cases.borrowers.guarded_library import GuardedLibrary
from tests.plugins.fault_matrix.alma_calls import ByTheWorldsClock, alma_host
from tests.plugins.fault_matrix.cells import ALMA, CALLS, KOHA, Cell, cells, chosen
from tests.plugins.fault_matrix.koha_calls import koha_host
from tests.plugins.fault_matrix.life import PERSON, come_back, live_on
from tests.plugins.fault_matrix.wire import Mortal, WireFault, at_risk

pytestmark = pytest.mark.server

Systems = dict[str, Callable[[], Any]]


@pytest.fixture(scope="module")
def systems() -> Iterator[Systems]:
    """Give what makes a library system of each kind without borrowers."""
    with alma_host() as alma, koha_host() as koha:
        yield {ALMA: alma.new, KOHA: koha.new}


def wanted_by(world: Any, **changes: Any) -> WantedBorrower:
    """Give Åse's request with both of her names, by which the library system's borrower is hers."""
    wanted: WantedBorrower = world.wanted(**changes)
    return replace(wanted, fields=(WantedField("firstname", "Åse", "always"), *wanted.fields))


def opened(request: pytest.FixtureRequest, cell: Cell, library: Any) -> Any:
    """Give a world with a library system, as a broker has it, on the store of a cell."""
    world = request.getfixturevalue("world")
    store: Any = SqliteStore(world.path)
    if cell.store == "Redis":
        url, folder = map(request.getfixturevalue, ("redis_url", "tmp_path"))
        store = open_store(url, folder, accept_loss=True)
    made = type(world)(world.path, kept_in=Mortal(store))

    def clock() -> Any:
        return made.now

    locked: Any = GuardedLibrary(ByTheWorldsClock(library, clock), made.store, made.ports.hmacs, clock)
    made.ports = replace(made.ports, library=locked)
    return made


@pytest.mark.parametrize("cell", list(chosen()))
def test_one_borrower_with_one_welcome_mail(systems: Systems, request: pytest.FixtureRequest, cell: Cell) -> None:
    """As wanted in the end, with one welcome mail, whether the process lives on or dies of it."""
    wired, call = systems[cell.system](), CALLS[cell.system][cell.call]
    world = opened(request, cell, wired.library)
    wanted = wanted_by(world)
    if call.during == "upgrade":
        world.requests.request(PERSON, wanted)
        live_on(world)
        wanted = wanted_by(world, affiliation="employee", category="EMPL", upgrades=("STUD",), upgrade=True)
    fault = wired.front.fault = WireFault(world, call, cell.fault, dies=cell.dies)
    world.requests.request(PERSON, wanted)
    with at_risk(fault):
        live_on(world, fault)
    assert fault.met
    enrolment = come_back(world, wanted)
    ((number, category),) = wired.borrowers()
    record = world.persons.read(PERSON, world.now).value
    assert (enrolment.state, record.borrower_number, enrolment.reason) == (EnrolmentState.DONE, number, None)
    assert category == wanted.category
    # After a refused count, which is a case, it is the notice of a match: the person chooses a PIN at /pin.
    assert len(world.welcome_mails()) == 1


def test_the_gate_has_a_choice_of_what_the_matrix_has() -> None:
    """Every write of an Alma with every fault is tried by make test or make slow; no cell is tried twice."""
    every = list(cells())
    assert len(every) == len(set(every))
    ids = [each.id for each in chosen()]  # type: ignore[attr-defined]
    assert len(ids) == len(set(ids)) <= len(every)
