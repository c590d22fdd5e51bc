"""A persona in words, and as the login of an example in a policy file."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from broker.core.entities import Assurance
from broker.core.identity.attribute_values import AFFILIATIONS
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE, Attributes
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
    looking = (*conditions, *chain.from_iterable(map(conditions_of, sets)))
    reading = login.reading
    named = dict.fromkeys(_find_named_values(reading.attributes, looking))
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


def _find_named_values(attributes: Attributes, conditions: Iterable[Condition]) -> Iterator[str]:
    """Yield the values that conditions name, except proved domains, then all affiliations."""
    for each in conditions:
        if not each.name.endswith(PROOF_DOMAIN):
            values = attributes.get(each.name, ())
            yield from (value for value in values if value_allowed(value, each.values))
    for name in AFFILIATIONS:
        yield from attributes.get(name, ())


def example_login(login: DescribedLogin) -> Mapping[str, Value]:
    """Return the login as an example of a policy file writes it: a kind of CPR, never a number."""
    reading = login.reading
    proofs = dict(_proofs(login))
    written: dict[str, Value | None] = {
        "upstream": login.upstream,
        "assurance": _level(reading.assurance),
        "cpr": reading.cpr,
        "age": reading.age,
        "intent": login.intent or None,
        "borrower": True if login.borrower else None,
        "proof": proofs or None,
    }
    ours = {CPR_ATTRIBUTE, *proofs, *(f"{name}{PROOF_DOMAIN}" for name in proofs)}
    for name, values in reading.attributes.items():
        if name not in ours:
            written[name] = list(values)
    return {name: value for name, value in written.items() if value is not None}


def _level(assurance: Assurance | None) -> str | None:
    return None if assurance is None else assurance.name.lower()


def _proofs(login: DescribedLogin) -> Iterator[tuple[str, str]]:
    attributes = login.reading.attributes
    for name in attributes:
        proof = name.removesuffix(PROOF_DOMAIN)
        address = attributes.one(proof)
        if proof != name and address is not None:
            yield proof, address
