"""What the pages of the staff view show, and the ports that the application fills."""

from collections.abc import Callable
from dataclasses import dataclass

from broker.core.entities import Names
from broker.flows.policies.set_in_force import SetChange


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One web worker: where it runs, the digest that decides there, and what it could not load.

    ``silent``: it has not been heard of for so long that it may have ended.
    """

    machine: str
    pid: int
    digest: str
    faults: Names = ()
    silent: bool = False


@dataclass(frozen=True, slots=True)
class LivePolicies:
    """The policies that decide now, here and in every worker, and how they came to.

    ``stale`` says why a newer set is not in force, ``history`` is the newest first; ``change`` is
    None where the store knows of none.
    """

    digest: str
    saved: bool  # an edit of the folder is in force at once
    stale: Names
    warnings: Names
    change: SetChange | None
    workers: tuple[WorkerRow, ...]
    history: tuple[SetChange, ...]


@dataclass(frozen=True, slots=True)
class StaffPorts:
    """Everything that the pages ask of the application."""

    live: Callable[[], LivePolicies]
