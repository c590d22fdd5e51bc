"""What the pages of the staff view show, and the ports that the application fills."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from broker.core.entities import Names, Text
from broker.core.login.given_facts import GivenFacts


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

    tryable: Callable[[], TryableLogins]
    tried: Callable[[LoginToTry, str], TriedLogin]
    explained: Callable[[str, str], ExplainedRefusal | None]
    borrower_url: Callable[[str], str]  # the borrower's page in the library system, or ""
    page_action: Callable[[str], str | None]  # what staff do about a page of this reason
    send_pin_mail: Callable[[str, str, str], bool]  # False where none can be sent
