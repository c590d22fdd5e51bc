"""Names in examples that no login, file or decision can have: the example would test nothing."""

from collections.abc import Collection, Iterable, Iterator

from broker.core.identity.canonical_attributes import BORROWER_NUMBER, CPR_ATTRIBUTE
from broker.core.identity.person_id import MINTED
from broker.core.policy.decision import FIRST_REASONS
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy.model import NAME_ID, Example, Policy
from broker.files.checked_files import did_you_mean
from broker.files.policies.upstream_checks import PolicyProblem

# What a decision may release beside what a login brings.
_OURS = MINTED | {BORROWER_NUMBER, NAME_ID}


def unknown_in_examples(
    policies: Collection[Policy], attributes: Collection[str] | None
) -> Iterator[PolicyProblem]:
    """Find attributes, intents and reasons that there are not; attributes where they are known.

    An affiliation or a category that there is not fails its example.
    """
    affiliations = [policy.affiliation for policy in policies]
    for policy in policies:
        proofs = [proof.name for proof in policy.proofs]
        proved = [*proofs, *(f"{name}{PROOF_DOMAIN}" for name in proofs)]
        for example in policy.examples:
            yield from _unknown(example, "reason", example.expect.reason, FIRST_REASONS)
            yield from _misspelt(example, "intent", example.login.intent, affiliations)
            if attributes is not None:
                known = {*attributes, *proved, *_OURS, CPR_ATTRIBUTE}
                yield from _unknown_attributes(example, known)


def _unknown_attributes(example: Example, known: Collection[str]) -> Iterator[PolicyProblem]:
    named: Iterable[str] = (*example.login.attributes, *(example.expect.releases or ()))
    for name in dict.fromkeys(named):
        yield from _unknown(example, "attribute", name, known)


def _unknown(
    example: Example, what: str, name: str | None, known: Collection[str]
) -> Iterator[PolicyProblem]:
    if name is not None and name not in known:
        mend = did_you_mean(name, known) or f"known are {', '.join(sorted(known))}"
        yield example.place, f"unknown {what} {name!r}", mend


def _misspelt(
    example: Example, what: str, name: str | None, known: Collection[str]
) -> Iterator[PolicyProblem]:
    """Find a name near a known one; any other is one that a link may well bring."""
    if name is not None and name not in known and did_you_mean(name, known):
        yield from _unknown(example, what, name, known)
