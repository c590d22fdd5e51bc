"""Write a persona as options of ``broker policy try``, and as the login of an example."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import chain

from broker.core.entities import Assurance
from broker.core.identity.attribute_values import AFFILIATIONS, SCOPED_AFFILIATION
from broker.core.identity.canonical_attributes import ASSURANCE, CPR_ATTRIBUTE, Attributes
from broker.core.login.described_login import DescribedLogin
from broker.core.login.given_facts import SPEC_VERSION
from broker.core.login.site import CATEGORY
from broker.core.policy.matching import PROOF_DOMAIN, value_allowed
from broker.core.policy.model import Condition, PolicySet

Value = str | int | bool | list[str] | dict[str, str]


def write_options(
    login: DescribedLogin,
    sets: tuple[PolicySet, ...],
    conditions: tuple[Condition, ...] = (),
    day: date | None = None,
) -> str:
    """Return the deciding facts: ``--upstream wayf --as student@au.dk --cpr real --age 22``.

    Of the attributes, only affiliations and values that the sets or ``conditions`` name are
    written. ``day`` is written if it is not None.
    """
    looking = (*conditions, *chain.from_iterable(each.conditions for each in sets))
    reading = login.reading
    options = [("--upstream", login.upstream)]
    named = dict.fromkeys(_find_named_values(reading.attributes, looking))
    options += (_write_value(name, value) for name, value in named)
    more = {
        "--assurance": _level(reading.assurance),
        "--cpr": reading.cpr,
        "--age": reading.age,
        "--intent": login.intent,
        "--borrower": reading.attributes.one(CATEGORY) or _find_category(login),
        "--date": day,
    }
    options += [(name, str(value)) for name, value in more.items() if value is not None]
    options += [("--proof", f"{name}={address}") for name, address in _proofs(login)]
    written = shlex.join(chain.from_iterable(options))
    withheld = " (and an affiliation that is withheld)" if has_withheld_affiliation(login) else ""
    return f"{written}{withheld}"


def has_withheld_affiliation(login: DescribedLogin) -> bool:
    """Return whether an affiliation was withheld: such a login cannot be described to ``try``."""
    return any(name in AFFILIATIONS for name, _ in login.reading.withheld)


def _write_value(name: str, value: str) -> tuple[str, str]:
    if name == SCOPED_AFFILIATION and "@" in value:
        return "--as", value
    return "--attribute", f"{name}={value}"


def _find_category(login: DescribedLogin) -> str | None:
    """Return the category of the borrower; ``other`` for one that no rule names."""
    if login.borrower is None:
        return None
    category = login.borrower.category
    return "other" if category.startswith("(") else category


def _find_named_values(
    attributes: Attributes, conditions: Iterable[Condition]
) -> Iterator[tuple[str, str]]:
    """Yield the values that conditions name, then all affiliations.

    Proved domains and the borrower category have options of their own.
    """
    for each in conditions:
        if not each.name.endswith(PROOF_DOMAIN) and each.name != CATEGORY:
            values = attributes.get(each.name, ())
            yield from ((each.name, of) for of in values if value_allowed(of, each.values))
    for name in AFFILIATIONS:
        yield from ((name, value) for value in attributes.get(name, ()))


def write_example_login(login: DescribedLogin) -> Mapping[str, Value]:
    """Return the ``login`` key of an example, with the kind of CPR number instead of a number."""
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
    ours = {
        CPR_ATTRIBUTE,
        ASSURANCE,
        SPEC_VERSION,
        *proofs,
        *(f"{name}{PROOF_DOMAIN}" for name in proofs),
    }
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
