"""A person who stands for a class, in words, and as the login of an example in a policy file."""

from collections.abc import Iterator, Mapping

from broker.core.analysis.modelled_matching import PROOF
from broker.core.analysis.source_kinds import Vocabulary
from broker.core.entities import Assurance
from broker.core.identity.attribute_values import AFFILIATIONS
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE
from broker.core.login.described_login import DescribedLogin

Value = str | int | bool | list[str] | dict[str, str]


def words(login: DescribedLogin, vocabulary: Vocabulary) -> str:
    """Return ``wayf student@au.dk low cpr:real age:22``: what decides, and no more."""
    reading = login.reading
    decisive = vocabulary.matched | set(AFFILIATIONS)
    values = [
        value
        for name, of_name in reading.attributes.items()
        if name in decisive and not name.endswith(PROOF)
        for value in of_name
    ]
    parts = [login.upstream, *values, level(reading.assurance) or "no level"]
    if login.upstream and reading.cpr != "none":
        parts.append(f"cpr:{reading.cpr}")
    if reading.age is not None:
        parts.append(f"age:{reading.age}")
    parts += [f"proof:{address}" for _, address in _proofs(login, vocabulary)]
    parts += [f"intent:{login.intent}"] if login.intent else []
    parts += ["withheld:affiliation"] if reading.withheld else []
    return " ".join((*parts, *_borrower(login)))


def level(assurance: Assurance | None) -> str | None:
    """Return the level as policy files write it; None of no level."""
    return None if assurance is None else assurance.name.lower()


def _borrower(login: DescribedLogin) -> Iterator[str]:
    if login.borrower is not None:
        yield f"borrower:{login.borrower.category}"


def _proofs(login: DescribedLogin, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    for name in sorted(vocabulary.proofs):
        address = login.reading.attributes.one(name)
        if address is not None:
            yield name, address


def example_login(login: DescribedLogin, vocabulary: Vocabulary) -> Mapping[str, Value]:
    """Return the login as an example of a policy file writes it: a kind of CPR, never a number."""
    reading = login.reading
    written: dict[str, Value] = {"upstream": login.upstream}
    assurance = level(reading.assurance)
    if assurance:
        written["assurance"] = assurance
    written["cpr"] = reading.cpr
    if reading.age is not None:
        written["age"] = reading.age
    if login.intent:
        written["intent"] = login.intent
    if login.borrower is not None:
        written["borrower"] = True
    proofs = dict(_proofs(login, vocabulary))
    if proofs:
        written["proof"] = proofs
    ours = {CPR_ATTRIBUTE, *proofs, *(f"{name}{PROOF}" for name in proofs)}
    for name, values in reading.attributes.items():
        if name not in ours:
            written[name] = list(values)
    return written
