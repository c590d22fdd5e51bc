"""The least that a login can show for what it is: values for the ways that decide, and no more.

Matching has no negation. Of any login so much can be taken away that one value is left for each
condition of the way that wins and of the way that an intent picks, and the same policies decide.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product
from typing import Final

from broker.core.analysis.modelled_matching import PROOF, Demand, Kinds, ModelledSet, Way
from broker.core.analysis.source_kinds import SourceKinds, filling_attributes, interchangeable
from broker.core.analysis.value_kinds import Standing, ValueKind
from broker.core.identity.mailbox_proofs import MAIL_PROOF

# Of more ways together each is looked at alone, and the analysis says that it is not complete.
MOST_COMBINATIONS: Final = 5_000

Base = dict[str, frozenset[ValueKind]]
First = dict[str, dict[ValueKind, ValueKind]]
Role = tuple[str, ValueKind]


def minimal_logins(
    kinds: SourceKinds, modelled: Sequence[ModelledSet], asked: Sequence[Demand] = ()
) -> Iterator[Kinds]:
    """Yield what logins from this source show at least that meet all that is ``asked``, each once.

    What is asked stands beside the ways that decide: of a login that meets it so much can be taken
    away that it still does, and the same policies decide.
    """
    first = interchangeable(kinds, modelled, asked)
    roles = tuple(_roles(kinds, modelled, first))
    proofs = [*_proofs(kinds, first), *_filling(kinds, modelled, first)]
    seen = set()
    for ways in _combinations(kinds, modelled):
        for base in bases(ways, kinds, first, asked):
            for shown in _with_role(base, roles, kinds):
                for proved in _with_proofs(shown, proofs):
                    content = frozenset(proved.items())
                    if content not in seen:
                        seen.add(content)
                        yield proved


def too_many(kinds: SourceKinds, modelled: Sequence[ModelledSet]) -> bool:
    """Return whether so many ways come together here that a proof would take for ever.

    Then each is looked at alone, and what an intent picks beside it is not.
    """
    steady, changed = _sorted_ways(kinds, modelled)
    together = len(changed) ** 4 // 24 + len(steady) ** 2 // 2
    return together > MOST_COMBINATIONS


def _combinations(kinds: SourceKinds, modelled: Sequence[ModelledSet]) -> Iterator[tuple[Way, ...]]:
    """Yield the ways that one login may need: two of a set, and of two sets those that differ too.

    Of ways that stand unchanged in both sets one wins and one is picked, in both; all others that
    decide have changed.
    """
    steady, changed = _sorted_ways(kinds, modelled)
    alone = too_many(kinds, modelled)
    most = 1 if alone else 2 * len(modelled)
    for of_steady in range(2 if alone else 3):
        for few in combinations(steady, of_steady):
            if len({way.policy for way in few}) < len(few):
                continue  # a policy that wins needs no second way to be picked
            for of_changed in range(max(most - of_steady, 0) + 1 if changed else 1):
                for others in combinations(changed, of_changed):
                    yield (*few, *others)


def _sorted_ways(
    kinds: SourceKinds, modelled: Sequence[ModelledSet]
) -> tuple[tuple[Way, ...], tuple[Way, ...]]:
    """Return the ways that stand alike in all sets, and all others."""
    of_sets = [kinds.opened(each) for each in modelled]
    if len(modelled) == 1:
        return of_sets[0], ()
    marks = [_marks(each, ways) for each, ways in zip(modelled, of_sets, strict=True)]
    steady_marks = marks[0].keys() & marks[1].keys()
    if not _same_order(modelled, steady_marks):
        steady_marks = set()
    steady = tuple(way for mark, way in marks[0].items() if mark in steady_marks)
    changed: dict[object, Way] = {}
    for of_set in marks:
        for mark, way in of_set.items():
            if mark not in steady_marks:
                changed.setdefault(way.content, way)
    return steady, tuple(changed.values())


def _marks(modelled: ModelledSet, ways: Iterable[Way]) -> dict[tuple[str, object], Way]:
    """Return the ways by affiliation, content, and who may be picked."""
    marks: dict[tuple[str, object], Way] = {}
    for way in ways:
        policy = modelled.policies.policies[way.policy]
        marks[policy.affiliation, (way.content, policy.require.upstream)] = way
    return marks


def _same_order(modelled: Sequence[ModelledSet], marks: Iterable[tuple[str, object]]) -> bool:
    """Return whether the affiliations stand in one order in all sets."""
    affiliations = {affiliation for affiliation, _ in marks}
    orders = [
        [
            policy.affiliation
            for policy in each.policies.policies
            if policy.affiliation in affiliations
        ]
        for each in modelled
    ]
    return all(order == orders[0] for order in orders)


def bases(
    ways: Sequence[Way], kinds: SourceKinds, first: First, asked: Sequence[Demand] = ()
) -> Iterator[Base]:
    """Yield the values by which a login takes all of ``ways``, and meets all that is ``asked``."""
    by_name: dict[str, dict[Demand, None]] = defaultdict(dict)
    for demand in (*asked, *(demand for way in ways for demand in way.demands)):
        by_name[demand.name][demand] = None
    options: list[list[Base]] = []
    for name, demands in by_name.items():
        chosen: list[Base] = [
            {name: kinds_of} for kinds_of in _choices(name, demands, kinds, first)
        ]
        if name.endswith(PROOF):
            # Whoever lacks the proof alone is offered it; beside an account that the library system
            # verified no earlier one is looked up.
            chosen = [{}] if kinds.source.local else [*chosen, {}]
        options.append(chosen)
    for combined in product(*options):
        base: Base = {}
        for more in combined:
            base |= more
        if all(demand.holds(base) for demand in asked):
            yield base


def _choices(
    name: str, demands: Iterable[Demand], kinds: SourceKinds, first: First
) -> list[frozenset[ValueKind]]:
    """Return the kinds of values of one attribute that meet all ``demands``."""
    replaced = first.get(name, {})
    if kinds.single(name):
        met = dict.fromkeys(replaced[kind] for kind in kinds.meeting(demands, name))
        return [frozenset({kind}) for kind in met]
    of_each = [
        dict.fromkeys(replaced[kind] for kind in kinds.meeting((demand,), name))
        for demand in demands
    ]
    return list(dict.fromkeys(frozenset(chosen) for chosen in product(*of_each)))


def standing(kinds: Kinds) -> Standing:
    """Return what the affiliations among ``kinds`` say of the person."""
    found = (kind.standing for of_name in kinds.values() for kind in of_name)
    return max(found, default=Standing.NONE)


def _roles(kinds: SourceKinds, modelled: Sequence[ModelledSet], first: First) -> Iterator[Role]:
    """Yield the affiliations that raise a person's standing; by a value that no rule looks at.

    Where rules look at all values of a standing, every kind of them; and so of those that one set
    withholds and another does not.
    """
    demands: dict[str, list[Demand]] = defaultdict(list)
    for each in modelled:
        for way in kinds.opened(each):
            for demand in way.demands:
                demands[demand.name].append(demand)
    found: dict[object, dict[Role, None]] = defaultdict(dict)
    free: dict[object, Role] = {}
    for name, kind in kinds.standings():
        alike: object = (kind.standing, _knowing(kind, kinds, modelled))
        found[alike][name, first[name][kind]] = None
        looked_at = any(demand.met_by(kind) for demand in demands[name])
        if not looked_at and not kinds.single(name):
            free.setdefault(alike, (name, kind))
    for same, all_kinds in found.items():
        yield from (free[same],) if same in free else all_kinds


def _knowing(
    kind: ValueKind, kinds: SourceKinds, modelled: Sequence[ModelledSet]
) -> tuple[bool, ...]:
    """Return for each set whether it knows the affiliation; nothing where all do."""
    if kind.pattern not in kinds.vocabulary.contested:
        return ()
    return tuple(kind.pattern in each.policies.named_affiliations for each in modelled)


def _with_role(base: Base, roles: Iterable[Role], kinds: SourceKinds) -> Iterator[Base]:
    """Yield the login as it is, with a role that raises its standing, and with contested ones."""
    contested = kinds.vocabulary.contested
    before = _uncontested_standing(base, contested)
    plain = [role for role in roles if role[1].pattern not in contested]
    others = [role for role in roles if role[1].pattern in contested]
    raising = [role for role in plain if role[1].standing > before]
    for raised in (base, *_added(base, raising, kinds)):
        yield raised
        yield from _added(raised, others, kinds)


def _uncontested_standing(base: Base, contested: frozenset[str]) -> Standing:
    if not contested:
        return standing(base)
    known = {
        name: frozenset(kind for kind in chosen if kind.pattern not in contested)
        for name, chosen in base.items()
    }
    return standing(known)


def _added(base: Base, roles: Iterable[Role], kinds: SourceKinds) -> Iterator[Base]:
    for name, kind in roles:
        if not (name in base and kinds.single(name)):
            yield {**base, name: base.get(name, frozenset()) | {kind}}


def _proofs(kinds: SourceKinds, first: First) -> Iterator[list[Base]]:
    """Yield for each proof: none, or a mailbox of each kind of domain."""
    if kinds.source.local:
        return
    for proof in sorted(kinds.vocabulary.proofs):
        name = f"{proof}{PROOF}"
        if name in kinds.values:
            domains = set(first[name].values())
            yield [{}, *({name: frozenset({domain})} for domain in sorted(domains))]


def _filling(
    kinds: SourceKinds, modelled: Sequence[ModelledSet], first: First
) -> Iterator[list[Base]]:
    """Yield for each attribute that fills a deciding field, and is matched: none, or a value.

    So of the mail address too, where one set alone recalls earlier proofs of whoever has it.
    """
    filling = {name for each in modelled for name in filling_attributes(each.policies)}
    if kinds.recalled_apart:
        filling.add(MAIL_PROOF)
    for name in sorted(filling & kinds.vocabulary.matched & kinds.values.keys()):
        values = dict.fromkeys(first[name].values())
        yield [{}, *({name: frozenset({kind})} for kind in values)]


def _with_proofs(base: Base, proofs: Iterable[list[Base]]) -> Iterator[Base]:
    missing = [options for options in proofs if base.keys().isdisjoint(options[-1])]
    for chosen in product(*missing):
        shown = dict(base)
        for more in chosen:
            shown |= more
        yield shown
