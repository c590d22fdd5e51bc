"""All that a set of well-formed policies is checked for, before it is used and beside it."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from broker.configuration.checked_files import did_you_mean
from broker.configuration.policies import consistency_checks, dead_names, service_checks
from broker.configuration.policies.configured_names import NameableInPolicies
from broker.configuration.policies.upstream_checks import PolicyProblem
from broker.core.borrowers.register_look_up import ADDRESS_FIELDS
from broker.core.identity.canonical_attributes import BORROWER_NUMBER, CPR_ATTRIBUTE
from broker.core.identity.person_id import MINTED
from broker.core.policy.decision import FIRST_REASONS
from broker.core.policy.matching import PROOF_DOMAIN
from broker.core.policy.model import NAME_ID, Example, Policy


def problems(policies: list[Policy], names: NameableInPolicies) -> Iterator[PolicyProblem]:
    """Yield what must be mended before the policies are used."""
    for policy in policies:
        yield from consistency_checks.faults_in_file(policy, names.services, names.attributes)
        yield from _unknown_fields(policy, names)
        yield from _unwritable_addresses(policy, names)
    yield from consistency_checks.faults_across_files(policies)
    yield from unknown_in_examples(policies, names.attributes)
    yield from service_checks.misspelt_upstreams(policies, names.upstreams)
    if names.configured is not None:
        yield from service_checks.wire_name_clashes(
            policies, names.configured, names.maps or {}, names.attributes
        )


def warnings(
    policies: list[Policy], now: datetime, names: NameableInPolicies
) -> Iterator[PolicyProblem]:
    """Yield what an administrator should look at although it stops nothing."""
    yield from consistency_checks.overdue(policies, now.date())
    yield from service_checks.unknown_services(policies, names.services)
    yield from service_checks.unknown_upstreams(policies, names.upstreams)
    yield from dead_names.foreign_scopes(policies, names)
    yield from dead_names.unscoped_demands(policies, names)
    yield from dead_names.unused_proof_domains(policies)
    yield from dead_names.unreached_categories(policies, names)
    if names.desk_categories is not None:
        yield from dead_names.unmade_categories(policies, names.desk_categories)
    if names.configured is not None:
        yield from service_checks.withheld_attributes(policies, names.configured)


def _unknown_fields(policy: Policy, names: NameableInPolicies) -> Iterator[PolicyProblem]:
    """Find borrower fields that the connector cannot write: each borrower would be refused."""
    if names.borrower_fields is None or policy.borrower is None:
        return
    for field in policy.borrower.fields:
        if field.name not in names.borrower_fields:
            known = f"fields are {', '.join(sorted(names.borrower_fields))}"
            fix = did_you_mean(field.name, names.borrower_fields) or known
            yield field.place, f"the library system has no field {field.name!r}", fix


def _unwritable_addresses(policy: Policy, names: NameableInPolicies) -> Iterator[PolicyProblem]:
    """Find a policy whose address from the register has no field in the library system."""
    rule, known = policy.borrower, names.borrower_fields
    if rule is None or rule.register is None or rule.register.address == "never" or known is None:
        return
    missing = sorted({*ADDRESS_FIELDS} - {*known})
    if missing:
        what = f"the library system has no field for an address: {', '.join(missing)}"
        yield rule.line_of("register"), what, "write address: never"


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
        fix = did_you_mean(name, known) or f"known are {', '.join(sorted(known))}"
        yield example.place, f"unknown {what} {name!r}", fix


def _misspelt(
    example: Example, what: str, name: str | None, known: Collection[str]
) -> Iterator[PolicyProblem]:
    """Find a name near a known one; any other is one that a link may well bring."""
    if name is not None and name not in known and did_you_mean(name, known):
        yield from _unknown(example, what, name, known)
