"""What leaves for whom, as the personas show it: a line without effect gives nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.entities import Names
from broker.core.login.described_login import DescribedLogin
from broker.core.login.played_login import PlayedLogin
from broker.core.login.steps import ProveMailbox
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy.model import (
    BorrowerRule,
    Field,
    Policy,
    PolicyLine,
    PolicySet,
    Release,
    ReleasedAttribute,
)
from broker.core.policy_analysis.plays import Analysis, Play

_SOURCE: Final = "proof."
_UNTOLD: Final = "none"


@dataclass(frozen=True, slots=True)
class ServiceDisclosure:
    """What one service gets of the people of one affiliation, and on which terms.

    ``attributes`` are those that leave for somebody, in the order of the file; ``upstreams`` the
    ways to log in by which anybody gets there, ``proofs`` the mailboxes that some are asked to show
    before, ``account`` whether the login may make or change a borrower. ``told`` are the pages of
    ours that come before: "ask", "inform", or "none" where some people see neither.
    """

    service: str
    policy: Policy
    release: Release
    upstreams: Names
    attributes: tuple[ReleasedAttribute, ...]
    proofs: Names = ()
    account: bool = False
    told: Names = ()

    @property
    def affiliation(self) -> str:
        """Return the affiliation of the people."""
        return self.policy.affiliation


@dataclass(frozen=True, slots=True)
class WrittenBorrower:
    """What the library system is told of the people of one affiliation.

    ``fields`` are those that some login fills, ``makes`` whether an account is made, ``services``
    those whose logins do so.
    """

    policy: Policy
    rule: BorrowerRule
    fields: tuple[Field, ...]
    makes: bool
    upstreams: Names
    services: Names


@dataclass(frozen=True, slots=True)
class UnusedLine:
    """A line that lists ``name`` (None: the whole entry) for ``service``, and gives nothing."""

    place: PolicyLine
    affiliation: str
    service: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class WhatLeaves:
    """Everything that leaves by one policy set, from every persona of a site.

    ``logins`` were tried; ``incomplete`` are the upstreams and institutions where not each two
    alternatives were.
    ``shown`` holds a login that each attribute leaves of, by service,
    affiliation and attribute.
    """

    given: tuple[ServiceDisclosure, ...]
    borrowers: tuple[WrittenBorrower, ...]
    unused: tuple[UnusedLine, ...]
    logins: int
    incomplete: Names
    shown: Mapping[tuple[str, str, str], DescribedLogin] = field(repr=False, compare=False)

    def to(self, service: str) -> tuple[ServiceDisclosure, ...]:
        """Return what one service gets, the affiliation of highest precedence first."""
        return tuple(each for each in self.given if each.service == service)


@dataclass(slots=True)
class _Entry:
    policy: Policy
    release: Release
    upstreams: dict[str, None] = field(default_factory=dict)
    proofs: dict[str, None] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    account: bool = False


@dataclass(slots=True)
class _Account:
    policy: Policy
    rule: BorrowerRule
    filled: set[str] = field(default_factory=set)
    makes: bool = False
    upstreams: dict[str, None] = field(default_factory=dict)
    services: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Seen:
    shown: dict[tuple[str, str, str], DescribedLogin] = field(default_factory=dict)
    entries: dict[tuple[str, str], _Entry] = field(default_factory=dict)
    accounts: dict[tuple[str, str], _Account] = field(default_factory=dict)


def what_leaves(trial: Analysis) -> WhatLeaves:
    """Return what leaves by the one set of ``trial``, on its day or after it."""
    (policies,) = trial.sets
    seen = _Seen()
    logins = 0
    for play in trial.plays():
        logins += 1
        _note(seen, play, play.played[0])
    names = tuple(service.name for service in trial.site.services)
    given = tuple(_given(policies, names, seen))
    return WhatLeaves(
        given=given,
        borrowers=tuple(_borrowers(policies, seen)),
        unused=tuple(_unused(policies, given)),
        logins=logins,
        incomplete=trial.incomplete(),
        shown=seen.shown,
    )


def _note(seen: _Seen, play: Play, played: PlayedLogin) -> None:
    policy = played.decision.policy
    release = played.decision.release
    if policy is None or release is None:
        return
    borrower = None if play.source.local else played.borrower
    writes = borrower is not None and borrower.outcome is not EnrolmentOutcome.UNCHANGED
    if writes and policy.borrower is not None:
        _note_account(seen, play, played, policy, policy.borrower)
    if played.disclosure is None:
        return
    key = (play.service.name, policy.affiliation)
    entry = seen.entries.setdefault(key, _Entry(policy, release))
    entry.upstreams[play.login.upstream] = None
    for each in played.leaving:
        seen.shown.setdefault((*key, each.name), play.login)
    entry.proofs |= dict.fromkeys(_proofs(played))
    entry.account = entry.account or writes
    question = played.question
    entry.told.add(question.question.variant if question else _UNTOLD)


def _proofs(played: PlayedLogin) -> Iterator[str]:
    """Yield the mailboxes that were asked for on the way, and those that had been shown before."""
    yield from (step.name for step in played.steps if isinstance(step, ProveMailbox))
    for name in played.facts.attributes:
        if name.endswith(PROOF_DOMAIN):
            yield name.removesuffix(PROOF_DOMAIN)


def _note_account(
    seen: _Seen, play: Play, played: PlayedLogin, policy: Policy, rule: BorrowerRule
) -> None:
    account = seen.accounts.setdefault(
        (policy.affiliation, policy.institution), _Account(policy, rule)
    )
    account.upstreams[play.login.upstream] = None
    account.services[play.service.name] = None
    account.filled |= set(played.facts.attributes)
    borrower = played.borrower
    if borrower is not None and borrower.outcome is EnrolmentOutcome.CREATED:
        account.makes = True


def _given(policies: PolicySet, services: Names, seen: _Seen) -> Iterator[ServiceDisclosure]:
    for service in services:
        for policy in policies.policies:
            entry = seen.entries.get((service, policy.affiliation))
            if entry is not None:
                yield ServiceDisclosure(
                    service=service,
                    policy=policy,
                    release=entry.release,
                    upstreams=tuple(entry.upstreams),
                    attributes=tuple(_leaving(service, entry, seen)),
                    proofs=tuple(sorted(entry.proofs)),
                    account=entry.account,
                    told=tuple(sorted(entry.told)),
                )


def _leaving(service: str, entry: _Entry, seen: _Seen) -> Iterator[ReleasedAttribute]:
    subject = entry.release.subject
    listed = (subject, *entry.release.attributes) if subject else entry.release.attributes
    affiliation = entry.policy.affiliation
    return (each for each in listed if (service, affiliation, each.name) in seen.shown)


def _borrowers(policies: PolicySet, seen: _Seen) -> Iterator[WrittenBorrower]:
    for policy in chain.from_iterable(each.variants for each in policies.policies):
        account = seen.accounts.get((policy.affiliation, policy.institution))
        if account is not None:
            yield WrittenBorrower(
                policy=policy,
                rule=account.rule,
                fields=tuple(each for each in account.rule.fields if _filled(each, account)),
                makes=account.makes,
                upstreams=tuple(account.upstreams),
                services=tuple(sorted(account.services)),
            )


def _filled(written: Field, account: _Account) -> bool:
    sources = (written.source, *written.otherwise)
    return any(source.removeprefix(_SOURCE) in account.filled for source in sources)


def _unused(policies: PolicySet, given: tuple[ServiceDisclosure, ...]) -> Iterator[UnusedLine]:
    """Yield the lines that no configured service, whatever its name, is given anything by."""
    names: dict[PolicyLine, set[str]] = {}
    for each in given:
        leaving = {listed.name for listed in each.attributes}
        names.setdefault(each.release.place, set()).update(leaving)
    for policy in policies.policies:
        for release in policy.releases:
            if release.place not in names:
                yield UnusedLine(release.place, policy.affiliation, release.service)
                continue
            for listed in release.attributes:
                if listed.name not in names[release.place]:
                    affiliation = policy.affiliation
                    yield UnusedLine(listed.place, affiliation, release.service, listed.name)
