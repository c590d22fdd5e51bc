"""What outlasts a login: how long a proof is good for, and what is written to the account."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from broker.core.analysis.source_kinds import PROOF_SOURCE, SourceKinds
from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.entities import Names
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE
from broker.core.identity.rights import Right, has_usable_cpr
from broker.core.login.played_login import PlayedLogin
from broker.core.login.steps import ProveMailbox
from broker.core.policy.missing_proof import remembering_proof
from broker.core.policy.model import (
    BorrowerRule,
    Field,
    FieldWriting,
    PinDelivery,
    PolicyLine,
    PolicySet,
    ProofRule,
    RegisterRule,
    Release,
)

_MAKES: Final = "make"
_NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class MailboxTerms:
    """A proof that is asked for: where a mailbox proves something, and for how long.

    ``remembered_for`` None: as long as a proof that no policy names.
    """

    name: str
    domains: frozenset[str]
    code_valid_for: timedelta
    remembered_for: timedelta | None
    asked_by: ProofRule | None = field(compare=False)
    remembered_by: ProofRule | None = field(compare=False)


@dataclass(frozen=True, slots=True)
class WrittenField:
    """One field of the borrower: the sources that this upstream has, and when it is written."""

    name: str
    sources: Names
    set: FieldWriting
    place: PolicyLine = field(compare=False)


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """What a login with a request for a borrower may write there, now or the next time.

    ``fields`` are none of a person who is not known in person, and no ``register`` is asked of
    them; ``pin`` is None where no account is made. Of a borrower that is only needed the register
    alone is asked, and ``months`` is None.
    """

    months: int | None
    fields: tuple[WrittenField, ...]
    pin: PinDelivery | None
    register: RegisterRule | None
    rule: BorrowerRule = field(compare=False, repr=False)


def mailboxes(played: PlayedLogin, policies: PolicySet) -> Iterator[MailboxTerms]:
    """Yield the proofs that a login was asked for, with the rules that set their terms."""
    asked = [step for step in played.steps if isinstance(step, ProveMailbox)]
    for step in asked:
        remembered_by = remembering_proof(policies, step.name)
        yield MailboxTerms(
            name=step.name,
            domains=frozenset(step.domains),
            code_valid_for=step.lasts,
            remembered_for=remembered_by.remembered_for if remembered_by else None,
            asked_by=_asked_by(step.name, played.facts.intent, policies),
            remembered_by=remembered_by,
        )


def _asked_by(name: str, intent: str | None, policies: PolicySet) -> ProofRule | None:
    """Return the rule of the affiliation that was chosen."""
    policy = policies.named.get(intent or "")
    proofs = policy.proofs if policy else ()
    return next((proof for proof in proofs if proof.name == name), None)


def account_terms(
    played: PlayedLogin, kinds: SourceKinds, unseen: frozenset[str]
) -> AccountTerms | None:
    """Return what a login may write to the account; None where it writes to none.

    Nothing comes from an earlier proof that is ``unseen``.
    """
    decision = played.decision
    rule = decision.policy.borrower if decision.policy else None
    release = decision.release
    if rule is None or release is None or not played.permitted:
        return None
    if kinds.source.local or not has_usable_cpr(decision.ground):
        return None
    if release.borrower != _MAKES or CPR_ATTRIBUTE not in rule.find_by:
        return _looked_up(played, release, rule)
    planned = played.borrower
    made = planned is not None and planned.outcome is EnrolmentOutcome.CREATED
    terms = AccountTerms(
        months=rule.expires_after_months,
        fields=(),
        pin=rule.pin if made else None,
        register=None,
        rule=rule,
    )
    if not decision.has(Right.WRITE_BORROWER):
        return terms
    fields = tuple(_written(rule, kinds, unseen))
    return replace(terms, fields=fields, register=rule.register)


def _looked_up(played: PlayedLogin, release: Release, rule: BorrowerRule) -> AccountTerms | None:
    """Return what the register is asked for about a borrower that no login requests."""
    there = release.borrower != _NONE and played.borrower is not None
    if not there or rule.register is None or not played.decision.has(Right.WRITE_BORROWER):
        return None
    return AccountTerms(months=None, fields=(), pin=None, register=rule.register, rule=rule)


def _written(
    rule: BorrowerRule, kinds: SourceKinds, unseen: frozenset[str]
) -> Iterator[WrittenField]:
    for written in rule.fields:
        named = (name for name in _sources(written) if _has(kinds, name))
        sources = tuple(name for name in named if name.removeprefix(PROOF_SOURCE) not in unseen)
        if sources:
            yield WrittenField(written.name, sources, written.set, written.place)


def _sources(written: Field) -> Names:
    return (written.source, *written.otherwise)


def _has(kinds: SourceKinds, name: str) -> bool:
    return name.startswith(PROOF_SOURCE) or kinds.may_have(name)
