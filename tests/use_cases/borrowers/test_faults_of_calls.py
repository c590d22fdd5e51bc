"""Each call of an enrolment with each fault that it may have, survived or died of: one borrower whose PIN works."""

from pathlib import Path
from typing import Any, Final

import pytest

from broker.adapters.stores.open_store import open_store
from broker.core.borrowers.enrolment import EnrolmentState
from tests.plugins.fault_matrix.life import CPR, FAULTS, come_back, live_on
from tests.plugins.fault_matrix.ports import CALLS, FaultyCall

# Lies after which nobody can know that a PIN is owed still: the borrower was said to be gone, the mail to be sent.
SILENT: Final = {("read", "without effect"), ("DATA", "without effect")}


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=[pytest.mark.server, pytest.mark.slow])])
def anywhere(request: pytest.FixtureRequest, world: Any, tmp_path: Path) -> Any:
    """Give the world on each store."""
    if request.param == "sqlite":
        return world
    store = open_store(request.getfixturevalue("redis_url"), tmp_path, accept_loss=True)
    return type(world)(tmp_path / "unused.db", kept_in=store)


def table() -> list[tuple[str, str]]:
    """Give every call with every fault; to accept a recipient has no effect to be without."""
    return [(call, fault) for call in CALLS for fault in FAULTS if (call, fault) != ("RCPT", "without effect")]


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize(("call", "fault"), table())
def test_one_borrower_with_one_welcome_mail(anywhere: Any, call: str, fault: str, *, dies: bool) -> None:
    """As wished in the end, with one welcome mail, whether the process lives on or dies of it."""
    world = anywhere
    wish = world.wish()
    if call == "change":
        world.live.want(wish)
        live_on(world)
        wish = world.wish(affiliation="employee", category="EMPL", upgrades=("STUD",), upgrade=True)
    if call == "marked":
        world.hooks.after["create"] = lambda: world.library.cprs.update({"1": "0202990000"})
    faulty = FaultyCall(world, call, fault, dies=dies)
    world.live.want(wish)
    live_on(world, faulty)
    assert faulty.met
    if call == "marked":
        world.library.cprs["1"] = CPR
    enrolment = come_back(world, wish)
    (borrower,) = world.library.borrowers.values()
    assert (enrolment.state, enrolment.number, enrolment.reason) == (EnrolmentState.DONE, borrower.number, None)
    assert borrower.category == wish.category
    assert len(world.welcome_mails()) == 1
