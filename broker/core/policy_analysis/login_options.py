"""Writes a login as options of ``broker policy try``."""

import shlex
from collections.abc import Iterator
from itertools import chain

from broker.core.entities import Assurance, Names
from broker.core.identity.attribute_values import SCOPED_AFFILIATION
from broker.core.identity.canonical_attributes import EPPN
from broker.core.login.given_facts import HOME, MADE_UP, UNNAMED_CATEGORY, GivenFacts
from broker.core.login.site import CATEGORY
from broker.core.policy.model import Condition, PolicySet
from broker.core.policy_analysis.sources import USUAL_VALUES


def write_options(
    facts: GivenFacts, sets: tuple[PolicySet, ...], conditions: tuple[Condition, ...] = ()
) -> str:
    """Return the deciding facts: ``--upstream wayf --as student@au.dk --cpr real --age 22``.

    Attributes that no set and no condition names are left out where ``try`` makes them up alike.
    """
    named = {each.name for each in chain(conditions, *(each.conditions for each in sets))}
    options = [("--upstream", facts.upstream)]
    options += _write_attributes(facts, named)
    missing = named.difference(facts.attributes)
    options += [("--without", name) for name in (HOME, *MADE_UP) if name in missing]
    account = facts.attributes.get(CATEGORY, (None,))[0]
    account = facts.borrower.category if facts.borrower else account
    more = {
        "--assurance": _level(facts.assurance),
        "--cpr": facts.cpr,
        "--age": facts.age,
        "--intent": facts.intent,
        "--borrower": "other" if account == UNNAMED_CATEGORY else account,
    }
    options += [(name, str(value)) for name, value in more.items() if value is not None]
    options += [("--proof", f"{name}={address}") for name, address in facts.proved.items()]
    return shlex.join(chain.from_iterable(options))


def _write_attributes(facts: GivenFacts, named: set[str]) -> Iterator[tuple[str, str]]:
    for name, values in facts.attributes.items():
        if name == CATEGORY or (name not in named and _is_made_up(name, values, facts)):
            continue  # the category has its own option
        for value in values:
            if name == SCOPED_AFFILIATION and "@" in value:
                yield "--as", value
            else:
                yield "--attribute", f"{name}={value}"


def _is_made_up(name: str, values: Names, facts: GivenFacts) -> bool:
    """Return whether ``try`` makes up values that decide as these do."""
    if name in {HOME, EPPN}:
        return SCOPED_AFFILIATION in facts.attributes
    return name in MADE_UP and values[0] in USUAL_VALUES


def _level(assurance: Assurance | None) -> str | None:
    return None if assurance is None else assurance.name.lower()
