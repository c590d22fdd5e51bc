"""A persona in words, and as the login of an example in a policy file."""

from collections.abc import Iterator, Mapping

from broker.core.entities import Assurance
from broker.core.identity.attribute_values import AFFILIATIONS
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE
from broker.core.login.described_login import DescribedLogin
from broker.core.policy.matching import PROOF_DOMAIN, value_allowed
from broker.core.policy.model import Condition, PolicySet
from broker.core.policy_analysis.personas import conditions_of

Value = str | int | bool | list[str] | dict[str, str]


def words(
    login: DescribedLogin, sets: tuple[PolicySet, ...], conditions: tuple[Condition, ...] = ()
) -> str:
    """Return ``wayf student@au.dk low cpr:real age:22``: the facts that decide.

    Values are shown that the sets or ``conditions`` name.
    """
    looking = (*conditions, *(each for policies in sets for each in conditions_of(policies)))
    reading = login.reading
    named = dict.fromkeys(
        value
        for each in looking
        if not each.name.endswith(PROOF_DOMAIN)
        for value in reading.attributes.get(each.name, ())
        if value_allowed(value, each.values)
    )
    named |= {value: None for name in AFFILIATIONS for value in reading.attributes.get(name, ())}
    parts = [login.upstream, *named, _level(reading.assurance) or "no level"]
    if reading.cpr != "none":
        parts.append(f"cpr:{reading.cpr}")
    if reading.age is not None:
        parts.append(f"age:{reading.age}")
    parts += [f"proof:{address}" for _, address in _proofs(login)]
    parts += [f"intent:{login.intent}"] if login.intent else []
    parts += ["withheld:affiliation"] if reading.withheld else []
    parts += [f"borrower:{login.borrower.category}"] if login.borrower else []
    return " ".join(parts)


def example_login(login: DescribedLogin) -> Mapping[str, Value]:
    """Return the login as an example of a policy file writes it: a kind of CPR, never a number."""
    reading = login.reading
    written: dict[str, Value] = {"upstream": login.upstream}
    level = _level(reading.assurance)
    if level:
        written["assurance"] = level
    written["cpr"] = reading.cpr
    if reading.age is not None:
        written["age"] = reading.age
    if login.intent:
        written["intent"] = login.intent
    if login.borrower is not None:
        written["borrower"] = True
    proofs = dict(_proofs(login))
    if proofs:
        written["proof"] = proofs
    ours = {CPR_ATTRIBUTE, *proofs, *(f"{name}{PROOF_DOMAIN}" for name in proofs)}
    for name, values in reading.attributes.items():
        if name not in ours:
            written[name] = list(values)
    return written


def _level(assurance: Assurance | None) -> str | None:
    return None if assurance is None else assurance.name.lower()


def _proofs(login: DescribedLogin) -> Iterator[tuple[str, str]]:
    attributes = login.reading.attributes
    for name in attributes:
        proof = name.removesuffix(PROOF_DOMAIN)
        address = attributes.one(proof)
        if proof != name and address is not None:
            yield proof, address
