"""Who matches, worked out from kinds of values: never by the matching of the engine itself."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from broker.core.analysis.value_kinds import ValueKind
from broker.core.entities import Assurance, Names
from broker.core.identity.canonical_attributes import Values
from broker.core.policy.model import Alternative, Condition, Policy, PolicySet

PROOF: Final = "_domain"
_UPSTREAM: Final = "upstream"
_ASSURANCE: Final = "assurance"

# The kinds of the values of each attribute.
Kinds = Mapping[str, frozenset[ValueKind]]


@dataclass(frozen=True, slots=True)
class Demand:
    """One condition on an attribute: a value of it must be one of ``written``.

    ``proof`` is the name of the proof whose mail domain it is, None of an asserted attribute; then
    only ``written`` domains that prove on the day are left.
    """

    name: str
    written: Values
    proof: str | None = None

    def holds(self, kinds: Kinds) -> bool:
        """Return whether a value of these kinds is one of those written."""
        there = kinds.get(self.name)
        if not there:
            return False
        return any(self.met_by(kind) for kind in there)

    def met_by(self, kind: ValueKind) -> bool:
        """Return whether values of this kind are among those written."""
        if self.proof is not None:
            return kind.pattern in self.written
        return kind.meets_any(self.written)


@dataclass(frozen=True, slots=True)
class Way:
    """One alternative of one policy, as the model sees it.

    ``policy`` is the position of its policy, the highest first; ``least`` None: any level.
    """

    policy: int
    position: int
    upstreams: Names | None
    demands: tuple[Demand, ...]
    least: Assurance | None = None

    @property
    def content(self) -> object:
        """Return what two ways have in common that match the same logins."""
        return (self.upstreams, frozenset(self.demands), self.least)

    def lacks(self, kinds: Kinds, level: Assurance | None) -> list[Demand | None]:
        """Return the demands that fail; with None among them where the level does."""
        failing: list[Demand | None] = [
            demand for demand in self.demands if not demand.holds(kinds)
        ]
        if not self.sure(level):
            failing.append(None)
        return failing

    def matches(self, kinds: Kinds, level: Assurance | None) -> bool:
        """Return whether all demands hold, and the level is enough."""
        return self.sure(level) and self.met_by(kinds)

    def met_by(self, kinds: Kinds) -> bool:
        """Return whether all demands hold, whatever the level."""
        return all(demand.holds(kinds) for demand in self.demands)

    def sure(self, level: Assurance | None) -> bool:
        """Return whether the level is enough."""
        return self.least is None or (level is not None and level >= self.least)


@dataclass(frozen=True, slots=True)
class Offer:
    """A proof that a person is asked for: its name, and the policy whose terms it has.

    ``policy`` is the position of the first policy that asks under the same terms.
    """

    proof: str
    policy: int


@dataclass(frozen=True, slots=True)
class Deciding:
    """What decides a login before any service is looked at.

    ``policy`` is the position of the policy that counts (None: of no affiliation), ``highest``
    whether no other is above it, ``offered`` the proof that the person is asked for first.
    """

    policy: int | None
    highest: bool = True
    offered: Offer | None = None


@dataclass(frozen=True, slots=True)
class ModelledSet:
    """A policy set as the model sees it on one day."""

    policies: PolicySet
    day: date
    ways: tuple[Way, ...] = field(init=False, repr=False)
    positions: Mapping[str, int] = field(init=False, repr=False)
    offers: Mapping[tuple[int, str], Offer] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ways = []
        for position, policy in enumerate(self.policies.policies):
            for at, alternative in enumerate(policy.match):
                ways.append(_way(position, at, policy, alternative, self.day))
        named = {each.affiliation: at for at, each in enumerate(self.policies.policies)}
        object.__setattr__(self, "ways", tuple(ways))
        object.__setattr__(self, "positions", named)
        object.__setattr__(self, "offers", _offers(self.policies, self.day))

    def policy(self, deciding: Deciding) -> Policy | None:
        """Return the policy that counts."""
        if deciding.policy is None:
            return None
        return self.policies.policies[deciding.policy]

    def by(self, upstream: str) -> tuple[Way, ...]:
        """Return the ways that a login by ``upstream`` may take, those of the highest first."""
        return tuple(way for way in self.ways if way.upstreams is None or upstream in way.upstreams)

    def admits(self, position: int, upstream: str) -> bool:
        """Return whether accounts of this policy are made by ``upstream``."""
        required = self.policies.policies[position].require.upstream
        return not required or upstream in required


def _way(position: int, at: int, policy: Policy, alternative: Alternative, day: date) -> Way:
    upstreams: Names | None = None
    least: Assurance | None = None
    demands = []
    for condition in alternative.conditions:
        if condition.name == _UPSTREAM:
            upstreams = _common(upstreams, condition.values)
        elif condition.name == _ASSURANCE:
            least = max(_least(condition.values), least or Assurance.SELF_ASSERTED)
        else:
            demands.append(_demand(condition, policy, day))
    return Way(position, at, upstreams, tuple(demands), least)


def _offers(policies: PolicySet, day: date) -> dict[tuple[int, str], Offer]:
    """Return for each proof of each policy the first with its terms."""
    first: dict[object, Offer] = {}
    offers: dict[tuple[int, str], Offer] = {}
    for position, policy in enumerate(policies.policies):
        for rule in policy.proofs:
            domains = frozenset(each.name for each in rule.domains if each.proves_on(day))
            terms = (rule.name, domains, rule.code_valid_for)
            own = Offer(rule.name, position)
            offers[position, rule.name] = first.setdefault(terms, own)
    return offers


def _common(one: Names | None, other: Names) -> Names:
    return other if one is None else tuple(name for name in one if name in other)


def _least(values: Values) -> Assurance:
    known = {level.name.lower(): level for level in Assurance}
    return max((known.get(value, Assurance.HIGH) for value in values), default=Assurance.HIGH)


def _demand(condition: Condition, policy: Policy, day: date) -> Demand:
    if not condition.name.endswith(PROOF):
        return Demand(condition.name, condition.values)
    proof = condition.name.removesuffix(PROOF)
    proving = set()
    for rule in policy.proofs:
        if rule.name == proof:
            proving |= {domain.name for domain in rule.domains if domain.proves_on(day)}
    written = tuple(value for value in condition.values if value in proving)
    return Demand(condition.name, written, proof)


@dataclass(frozen=True, slots=True)
class Shown:
    """What one set sees of a login, whatever its level: kinds of values, and ways that they meet.

    ``ways`` are all that are open to it, ``hides`` is whether the set withholds an affiliation.
    """

    kinds: Kinds
    ways: tuple[Way, ...]
    hides: bool = False
    met: tuple[Way, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        met = (way for way in self.ways if way.met_by(self.kinds))
        object.__setattr__(self, "met", tuple(met))


def decided(
    modelled: ModelledSet,
    shown: Shown,
    level: Assurance | None,
    *,
    upstream: str,
    intent: str | None,
) -> Deciding:
    """Return what decides a login by ``upstream`` that shows this, by one of its ways."""
    matched = _matched(shown.met, level)
    highest = matched[0] if matched else None
    chosen = modelled.positions.get(intent or "")
    if chosen is None or chosen == highest:
        return Deciding(highest)
    if chosen in matched:
        picked = modelled.admits(chosen, upstream)
        return Deciding(chosen, highest=False) if picked else Deciding(highest)
    proof = next(_offered(shown.ways, chosen, shown.kinds, level), None)
    return Deciding(highest, offered=modelled.offers[chosen, proof] if proof else None)


def _matched(met: Iterable[Way], level: Assurance | None) -> list[int]:
    """Return the positions of the policies that match, the highest first."""
    found = dict.fromkeys(way.policy for way in met if way.sure(level))
    return list(found)


def _offered(
    ways: tuple[Way, ...], chosen: int, kinds: Kinds, level: Assurance | None
) -> Iterator[str]:
    """Yield the proofs that alone keep the login from the policy that was chosen."""
    for way in ways:
        if way.policy != chosen:
            continue
        failing = way.lacks(kinds, level)
        proofs = [_provable(demand) for demand in failing]
        if proofs and None not in proofs:
            yield str(proofs[0])


def _provable(demand: Demand | None) -> str | None:
    """Return the proof that would meet the demand today, or None."""
    if demand is None or not demand.written:
        return None
    return demand.proof
