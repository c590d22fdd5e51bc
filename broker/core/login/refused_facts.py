"""The facts of a refused login, stored to explain it: kinds and names, few values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from broker.core.entities import Names
from broker.core.identity.attribute_values import AFFILIATIONS, SCOPED_AFFILIATION
from broker.core.identity.canonical_attributes import AttributeReading, Attributes, Values
from broker.core.identity.rights import Ground
from broker.core.login.given_facts import HOME
from broker.core.login.site import CATEGORY
from broker.core.login.transaction import AccountState, Transaction
from broker.core.policy.matching import value_allowed
from broker.core.policy.model import Decision, Effect, PolicySet

# The only attributes whose values are kept. Affiliations are words and scopes that the
# configuration accepts. HOME, CATEGORY, and values with an "@" whose scope is not checked are kept
# only if a policy names the value: no decision depends on other values.
VALUES_KEPT: Final = (*AFFILIATIONS, HOME, CATEGORY)
_ONLY_NAMED: Final = frozenset({HOME, CATEGORY})
BorrowerKnown = Literal["unknown", "none", "there"]


@dataclass(frozen=True, slots=True)
class RefusedFacts:
    """The facts that led to a refusal.

    ``present`` are the attributes by name, ``values`` those of VALUES_KEPT, ``withheld`` names with
    reason codes. ``line`` is of the set ``digest``. ``address`` says whether an address was shown
    to be the person's. ``fault`` is the reason why the attributes are not trusted. If
    ``permitted``, the policies let the person in, and a later step refused.
    """

    service: str
    purpose: str
    upstream: str
    institution: str
    intent: str | None
    assurance: int | None
    cpr: str
    age: int | None
    present: Names
    values: tuple[tuple[str, Values], ...]
    withheld: tuple[tuple[str, str], ...]
    address: bool
    borrower: BorrowerKnown
    digest: str
    line: str | None
    permitted: bool = False
    ground: Ground = Ground.NOTHING
    fault: str | None = None


def collect_refused_facts(
    transaction: Transaction,
    reading: AttributeReading,
    decision: Decision,
    policies: PolicySet,
    *,
    trusted: bool,
) -> RefusedFacts:
    """Return the facts of a login that ``decision``, or the account after it, refuses.

    ``decision`` was made by ``policies``. ``trusted`` is False if the attributes of the assertion
    are not trusted; then ``decision`` has the reason.
    """
    authentication = transaction.authentication
    attributes = reading.attributes
    line = decision.deciding_line
    return RefusedFacts(
        service=transaction.request.service,
        purpose=transaction.purpose.value,
        upstream=transaction.upstream or "",
        institution=authentication.institution if authentication else "",
        intent=transaction.intent,
        assurance=reading.assurance.value if reading.assurance else None,
        cpr=reading.cpr,
        age=reading.age,
        present=tuple(attributes),
        values=tuple(_select_values(attributes, policies)),
        withheld=reading.withheld,
        address=reading.verified_address is not None,
        borrower=_find_borrower_state(transaction),
        digest=decision.digest,
        line=str(line) if line else None,
        permitted=decision.effect is Effect.PERMIT,
        ground=reading.ground,
        fault=None if trusted else decision.reasons[0].code,
    )


def _select_values(attributes: Attributes, policies: PolicySet) -> Iterator[tuple[str, Values]]:
    for name in VALUES_KEPT:
        if name not in attributes:
            continue
        values = attributes[name]
        if all(_can_be_kept(name, each, policies) for each in values):
            yield name, values


def _can_be_kept(name: str, value: str, policies: PolicySet) -> bool:
    if name in _ONLY_NAMED or (name != SCOPED_AFFILIATION and "@" in value):
        # The institution chooses the text after the "@": this attribute's scope is not checked.
        return value_allowed(value, policies.find_condition_values(name))
    return True


def _find_borrower_state(transaction: Transaction) -> BorrowerKnown:
    person = transaction.person
    account = transaction.account
    if person is None or (account and account.state is AccountState.UNAVAILABLE):
        return "unknown"  # the library system was not asked, or gave no answer
    if person.number or (account and account.number):
        return "there"
    return "none"
