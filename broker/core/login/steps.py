"""The steps of a login, with the values that their pages show."""

from dataclasses import dataclass, field

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.borrowers.matching import AddressQuestion
from broker.core.consent.consent import Question
from broker.core.consent.disclosure import Disclosure
from broker.core.entities import Names
from broker.core.errors import Status
from broker.core.policy.model import Decision


@dataclass(frozen=True, slots=True)
class Choose:
    """The person chooses a way to log in."""

    upstreams: Names


@dataclass(frozen=True, slots=True)
class Authenticate:
    """The browser goes to this upstream."""

    upstream: str


@dataclass(frozen=True, slots=True)
class VerifyPin:
    """The person types a borrower's number and PIN, which the library system verifies."""


@dataclass(frozen=True, slots=True, repr=False)
class ProveMailbox:
    """The person shows that a mailbox is their own.

    ``name`` is the policies' name of the proof. ``domains`` are the accepted mail domains; none
    means any. ``suggested`` is an address that the upstream sent. ``optional`` says whether the
    person may continue without this proof.
    """

    name: str
    domains: Names
    suggested: str | None
    optional: bool


@dataclass(frozen=True, slots=True)
class OfferUpgrade:
    """The person accepts that their borrower moves out of ``category``, or keeps this category."""

    category: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Ask:
    """The person is asked for consent, or informed, about the released attributes.

    ``offers_claim`` says whether the login would create a borrower. Then the page offers the person
    to claim a borrower that they already have.
    """

    question: Question
    decision: Decision
    offers_claim: bool = False


@dataclass(frozen=True, slots=True)
class ConfirmAddress:
    """A borrower matches for the first time: the person says whether its address is theirs."""

    question: AddressQuestion
    decision: Decision


@dataclass(frozen=True, slots=True)
class ClaimBorrower:
    """The library system has a borrower that may be the person's: they can show that it is."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Enrol:
    """The borrower is created, or the login waits for it."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class TellChange:
    """The page says that this login has moved the borrower into another category.

    If ``outcome`` is None, the page says instead that this login has replaced the borrower's mail
    address. Another person who read the old mailbox may know the PIN, so the page offers a new PIN.
    """

    outcome: EnrolmentOutcome | None
    decision: Decision


@dataclass(frozen=True, slots=True)
class Issue:
    """The assertion is issued. ``number`` is the borrower's number, if any."""

    disclosure: Disclosure
    decision: Decision
    number: str | None


@dataclass(frozen=True, slots=True)
class Done:
    """A login for one of our own pages, such as a sign-up, is finished without an assertion.

    ``number`` is the borrower's number, if any.
    """

    decision: Decision | None = None
    number: str | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """The login ends here.

    The page shows ``reason``; a service that the person returns to gets ``status``. ``detail`` is
    for the log.
    """

    reason: str
    status: Status
    decision: Decision | None = None
    detail: str = field(default="", compare=False)


Step = (
    Choose
    | Authenticate
    | VerifyPin
    | ProveMailbox
    | OfferUpgrade
    | Ask
    | ConfirmAddress
    | ClaimBorrower
    | Enrol
    | TellChange
    | Issue
    | Done
    | Refuse
)
