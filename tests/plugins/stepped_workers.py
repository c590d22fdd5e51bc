"""Workers in threads of their own that take turns: what befalls a turn, and when it comes, is the test's to say."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from broker.core.errors import BrokerError, StoreUnavailable

HALF_WAY: Final = tuple(f"dies half-way {others}" for others in range(3))
OUTCOMES: Final = ("dies before", "dies after", *HALF_WAY, "silent", "late", "asked twice")


class WorkerKilled(BaseException):
    """A worker was killed."""


@dataclass
class Worker:
    """A request in a thread of its own that runs from turn to turn."""

    work: Callable[[], None]
    fate: str = "goes"
    hurt: bool = False  # died, or the store failed it
    over: bool = False
    error: BaseException | None = None
    looked: int = 0  # when it read the marks of logouts
    before: str = ""  # what it stops before

    def __post_init__(self) -> None:
        """Run to the first turn."""
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._stopped.acquire()

    def goes(self, fate: str = "goes") -> None:
        """Take one turn."""
        if self.over:
            return
        self.fate = fate
        self._go.release()
        self._stopped.acquire()

    def ends(self) -> None:
        """Take all turns that are left."""
        while not self.over:
            self.goes()

    def comes_to(self, turn: str) -> None:
        """Take all turns before the first of this kind."""
        while self.before != turn:
            assert not self.over
            self.goes()

    def turn(self, before: str) -> str:
        """Stop before a turn, and give the fate that it has."""
        self.before = before
        self._stopped.release()
        self._go.acquire()
        return self.fate

    def _run(self) -> None:
        OF_THREAD.worker = self
        try:
            self.turn("all")
            self.work()
        except (WorkerKilled, BrokerError) as error:
            self.hurt = self.hurt or isinstance(error, WorkerKilled | StoreUnavailable)
        except BaseException as error:  # noqa: BLE001 - raised again where the test runs
            self.error = error
        finally:
            self.over = True
            self._stopped.release()


OF_THREAD: Final = threading.local()


def current_worker() -> Worker | None:
    """Give the worker whose thread this is."""
    return getattr(OF_THREAD, "worker", None)


def run_step(worker: Worker, turn: str, effect: Callable[[], Any], some: Callable[[int], Any] | None = None) -> Any:
    """Do ``effect`` as its turn's fate has it; ``some`` does so much of it."""
    fate = worker.turn(turn)
    if fate == "goes":
        return effect()
    worker.hurt = True
    if fate == "dies before":
        raise WorkerKilled
    if fate == "silent":
        raise StoreUnavailable("silent")
    if fate.startswith("dies half-way") and some:
        some(int(fate[-1]))
        raise WorkerKilled
    effect()
    if fate == "late":
        raise StoreUnavailable("late")
    if fate == "asked twice" and some:
        return run_step(worker, turn, effect, some)
    raise WorkerKilled
