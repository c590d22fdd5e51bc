"""A world of enrolments that goes on after a fault: workers, their deaths, staff, and the person's next login."""

from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, Protocol

from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.use_cases.enrolment.cases import EnrolmentCases

PERSON: Final = "aase"  # her person id
GIVEN_UP: Final = timedelta(seconds=15)  # after so long nobody waits for a call any more
LATE: Final = timedelta(seconds=30)  # such a call is carried out so long after it was sent
TICK: Final = timedelta(seconds=10)
FAULTS: Final = ("refused", "500 before", "500 after", "dropped", "late", "without effect")


class Killed(BaseException):
    """What kill -9 looks like from inside."""


class Fault(Protocol):
    """One call that goes wrong."""

    def come_late(self) -> None:
        """Carry out what was given up long enough ago."""
        ...

    def bury(self) -> None:
        """Let another process take over from one that was killed."""
        ...


def live_on(world: Any, fault: Fault | None = None, minutes: int = 10) -> None:
    """Let workers carry out what is due, each a process of its own, and what was given up come late."""
    for _ in range(minutes * 6):
        if fault:
            fault.come_late()
        with suppress(Killed):
            while world.worker.step():
                pass
        if fault:
            fault.bury()
        world.now += TICK


def come_back(world: Any, wanted: Any) -> Enrolment:
    """Let staff retry what waits for them, and the person log in again; give the enrolment in the end."""
    if world.stored(PERSON).state is EnrolmentState.CASE:
        assert EnrolmentCases(world.ports, world.ports.persons.hmacs, world.wake).try_again(PERSON)
        live_on(world)
    world.now += timedelta(hours=2)
    world.requests.request(PERSON, wanted)
    live_on(world)
    ended: Enrolment = world.stored(PERSON)
    return ended
