"""Workers in threads that advance step by step: a test decides the order of the steps and the failure of each."""

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
    """A request in a thread that stops before each step."""

    work: Callable[[], None]
    fate: str = "goes"
    failed: bool = False  # it was killed, or the store failed
    finished: bool = False
    error: BaseException | None = None
    looked: int = 0  # how often it read the logout marks
    before: str = ""  # the step that it waits for

    def __post_init__(self) -> None:
        """Run to the first step."""
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._stopped.acquire()

    def take_step(self, fate: str = "goes") -> None:
        """Take one step."""
        if self.finished:
            return
        self.fate = fate
        self._go.release()
        self._stopped.acquire()

    def run_to_end(self) -> None:
        """Take all remaining steps."""
        while not self.finished:
            self.take_step()

    def run_until(self, turn: str) -> None:
        """Take all steps before the first step of this kind."""
        while self.before != turn:
            assert not self.finished
            self.take_step()

    def wait_for_step(self, before: str) -> str:
        """Stop before a step and return its outcome."""
        self.before = before
        self._stopped.release()
        self._go.acquire()
        return self.fate

    def _run(self) -> None:
        OF_THREAD.worker = self
        try:
            self.wait_for_step("all")
            self.work()
        except (WorkerKilled, BrokerError) as error:
            self.failed = self.failed or isinstance(error, WorkerKilled | StoreUnavailable)
        except BaseException as error:  # noqa: BLE001 - raised again where the test runs
            self.error = error
        finally:
            self.finished = True
            self._stopped.release()


OF_THREAD: Final = threading.local()


def current_worker() -> Worker | None:
    """Return the worker of the current thread."""
    return getattr(OF_THREAD, "worker", None)


def run_step(worker: Worker, turn: str, effect: Callable[[], Any], some: Callable[[int], Any] | None = None) -> Any:
    """Do ``effect`` with the outcome of its step; ``some(n)`` does only a part of it."""
    fate = worker.wait_for_step(turn)
    if fate == "goes":
        return effect()
    worker.failed = True
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
