"""Find what each service and the library system receive, by simulating every sample login.

A line of a policy that releases nothing to anybody is not listed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, product
from typing import Final

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.login.given_facts import DescribedLogin
from broker.core.login.played_login import PlayedLogin
from broker.core.login.steps import ProveMailbox
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy.model import BorrowerRule, Field, Policy, Release, ReleasedAttribute
from broker.core.policy_analysis.plays import Play, iter_plays
from broker.core.policy_analysis.sample_logins import Analysis

_SOURCE: Final = "proof."
_NO_PAGE: Final = "none"


@dataclass(slots=True)
class ServiceDisclosure:
    """The data that one service receives about the people of one affiliation, and on which terms.

    ``upstreams`` are those of people who get there. ``released`` holds, for each attribute, a login
    that releases it. ``proofs`` are the mailboxes that some people must prove before. ``account``:
    the login may make or change a borrower. ``told`` are the pages that people see before: "ask",
    "inform", or "none" if some see neither.
    """

    service: str
    policy: Policy
    release: Release
    upstreams: dict[str, None] = field(default_factory=dict)
    released: dict[str, DescribedLogin] = field(default_factory=dict, repr=False)
    proofs: set[str] = field(default_factory=set)
    account: bool = False
    told: set[str] = field(default_factory=set)

    @property
    def affiliation(self) -> str:
        """Return the affiliation of the people."""
        return self.policy.affiliation

    @property
    def attributes(self) -> tuple[ReleasedAttribute, ...]:
        """Return the attributes that are released for any login, in the order of the file."""
        subject = self.release.subject
        listed = (subject, *self.release.attributes) if subject else self.release.attributes
        return tuple(each for each in listed if each.name in self.released)


@dataclass(slots=True)
class WrittenBorrower:
    """The data that the library system receives about the people of one policy.

    ``filled`` are the attributes of logins that write. ``makes``: a login makes an account.
    ``services`` are those whose logins do so.
    """

    policy: Policy
    rule: BorrowerRule
    filled: set[str] = field(default_factory=set)
    makes: bool = False
    services: set[str] = field(default_factory=set)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Return the fields that some login fills."""
        return tuple(each for each in self.rule.fields if self._is_filled(each))

    def _is_filled(self, written: Field) -> bool:
        return any(source.removeprefix(_SOURCE) in self.filled for source in written.sources)


@dataclass(frozen=True, slots=True)
class Disclosures:
    """All data that one policy set releases or writes.

    ``logins`` is the number of simulated logins.
    """

    releases: tuple[ServiceDisclosure, ...]
    borrowers: tuple[WrittenBorrower, ...]
    logins: int

    def to(self, service: str) -> tuple[ServiceDisclosure, ...]:
        """Return what one service receives, the affiliation of highest precedence first."""
        return tuple(each for each in self.releases if each.service == service)


def find_disclosures(analysis: Analysis) -> Disclosures:
    """Return the data that the one policy set of ``analysis`` releases or writes on its day."""
    (policies,) = analysis.sets
    given: dict[tuple[str, str], ServiceDisclosure] = {}
    borrowers: dict[tuple[str, str], WrittenBorrower] = {}
    logins = 0
    for play in iter_plays(analysis):
        logins += 1
        (played,) = play.played
        policy, release, planned = played.decision.policy, played.decision.release, played.borrower
        if policy is None or release is None:
            continue
        is_writing = planned is not None and planned.outcome is not EnrolmentOutcome.UNCHANGED
        if is_writing and policy.borrower:
            key = (policy.affiliation, policy.institution)
            new = WrittenBorrower(policy, policy.borrower)
            _note_borrower(borrowers.setdefault(key, new), play)
        if played.disclosure:
            service = play.service.name
            entry = ServiceDisclosure(service, policy, release)
            entry = given.setdefault((service, policy.affiliation), entry)
            entry.account = entry.account or is_writing
            _note_disclosure(entry, play)
    order = policies.policies
    pairs = product(analysis.services, order)
    entries = (given.get((service.name, each.affiliation)) for service, each in pairs)
    variants = chain.from_iterable(each.variants for each in order)
    written = (borrowers.get((each.affiliation, each.institution)) for each in variants)
    return Disclosures(tuple(filter(None, entries)), tuple(filter(None, written)), logins)


def _note_disclosure(entry: ServiceDisclosure, play: Play) -> None:
    (played,) = play.played
    entry.upstreams[play.login.upstream] = None
    for each in played.attributes_sent:
        entry.released.setdefault(each.name, play.login)
    entry.proofs.update(_find_proofs(played))
    entry.told.add(played.question.question.variant if played.question else _NO_PAGE)


def _find_proofs(played: PlayedLogin) -> Iterator[str]:
    """Yield the mailboxes that the person is asked to prove, and those proved earlier."""
    yield from (step.name for step in played.steps if isinstance(step, ProveMailbox))
    for name in played.facts.attributes:
        if name.endswith(PROOF_DOMAIN):
            yield name.removesuffix(PROOF_DOMAIN)


def _note_borrower(written: WrittenBorrower, play: Play) -> None:
    (played,) = play.played
    written.services.add(play.service.name)
    written.filled |= set(played.facts.attributes)
    if played.borrower and played.borrower.outcome is EnrolmentOutcome.CREATED:
        written.makes = True
