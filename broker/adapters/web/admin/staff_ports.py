"""What the pages of the staff view show, and the ports that the application fills."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from broker.core.entities import Names, Text
from broker.core.login.given_facts import GivenFacts
from broker.use_cases.policies.set_in_force import SetChange


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


@dataclass(frozen=True, slots=True, repr=False)
class ShownReport:
    """The report for the data protection officer as a part of a page, and the day of its making.

    ``current``: one of now would be made of the same policies and configuration, and today.
    """

    day: date
    current: bool
    text: Markup


@dataclass(frozen=True, slots=True)
class TryableLogins:
    """What a login may be tried with: ways, services, and affiliations as intents."""

    upstreams: Mapping[str, Text]
    services: Mapping[str, Text]
    affiliations: Names


@dataclass(frozen=True, slots=True)
class LoginToTry:
    """A login to try at a service, or at all; ``nearest``: with what would let a refused one in."""

    given: GivenFacts
    service: str | None
    nearest: bool


@dataclass(frozen=True, slots=True)
class TriedLogin:
    """What came of it in the words of ``broker policy try``, and the set that it was tried by."""

    digest: str
    lines: Names


@dataclass(frozen=True, slots=True)
class ExplainedRefusal:
    """A page that somebody could not get past, in the words of ``broker policy explain``.

    ``reason`` is the code of what the person read there.
    """

    reason: str
    lines: Names


@dataclass(frozen=True, slots=True)
class StaffPorts:
    """Everything that the pages ask of the application; a second word is the page's language."""

    live: Callable[[], LivePolicies]
    report: Callable[[str], ShownReport | None]  # by the language alone; None before it is made
    tryable: Callable[[], TryableLogins]
    tried: Callable[[LoginToTry, str], TriedLogin]
    explained: Callable[[str, str], ExplainedRefusal | None]
    borrower_url: Callable[[str], str]  # the borrower's page in the library system, or ""
    page_action: Callable[[str], str | None]  # what staff do about a page of this reason
    send_pin_mail: Callable[[str, str, str], bool]  # False where none can be sent
