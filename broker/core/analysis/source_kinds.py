"""The kinds of values that matter at one source, and which of them meet the same rules."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from broker.core.analysis.modelled_matching import PROOF, Demand, Kinds, ModelledSet, Way
from broker.core.analysis.set_pairs import recalled_apart
from broker.core.analysis.sources import Source
from broker.core.analysis.value_kinds import NamedValues, Standing, ValueKind
from broker.core.analysis.witness_values import witnesses
from broker.core.entities import Names
from broker.core.identity.attribute_values import AFFILIATIONS, VOCABULARY, role
from broker.core.identity.canonical_attributes import BORROWER_NUMBER, CPR_ATTRIBUTE
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.identity.person_id import MINTED
from broker.core.policy.model import BorrowerRule, PolicySet, ReleasedAttribute

# What is no attribute of the upstream's: made here, or part of each class by itself.
_OURS: Final = MINTED | {BORROWER_NUMBER, CPR_ATTRIBUTE}
PROOF_SOURCE: Final = "proof."
# A borrower is made only with an address.
DECIDING_FIELDS: Final = ("email", "surname")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All values that the compared policy sets name, by attribute.

    ``matched`` are the attributes that an alternative looks at, ``proofs`` the names of the proofs,
    ``contested`` the affiliations that one set knows and the other withholds, ``recalled_apart``
    the upstreams where one set recalls earlier proofs and the other does not.
    """

    named: Mapping[str, NamedValues]
    matched: frozenset[str]
    proofs: frozenset[str]
    affiliations: frozenset[str]
    contested: frozenset[str] = frozenset()
    recalled_apart: frozenset[str] = frozenset()

    @classmethod
    def of(cls, sets: Iterable[PolicySet], asked: Iterable[Demand] = ()) -> "Vocabulary":
        """Return the vocabulary of all ``sets`` together, and of what is ``asked`` beside them."""
        written: dict[str, set[str]] = {name: set() for name in AFFILIATIONS}
        matched: set[str] = set()
        proofs: set[str] = set()
        compared = tuple(sets)
        affiliations = _all_affiliations(compared)
        contested = _contested(compared)
        apart = recalled_apart(compared)
        if apart:
            # Whoever comes with an address is asked for none, and recalled only where a rule looks.
            written[MAIL_PROOF] = set()
        for name in AFFILIATIONS:
            written[name] |= contested
        for policies in compared:
            for name, values in _written(policies):
                written.setdefault(name, set()).update(values)
            matched |= _matched(policies)
            proofs |= _proofs(policies, written)
        for demand in asked:
            written.setdefault(demand.name, set()).update(demand.written)
            matched.add(demand.name)
        # One that no set declares any more may have been shown under an older one.
        domains = (name for name in written if name.endswith(PROOF))
        proofs |= {name.removesuffix(PROOF) for name in domains}
        named = {name: NamedValues.of(name, values) for name, values in written.items()}
        return cls(named, frozenset(matched), frozenset(proofs), affiliations, contested, apart)

    @property
    def proved(self) -> frozenset[str]:
        """Return the attributes that are proved, never asserted: addresses, and their domains.

        Without the address to write to, which is added only where none was asserted.
        """
        addresses = self.proofs - {MAIL_PROOF}
        return addresses.union(f"{name}{PROOF}" for name in addresses)

    def hidden(self, policies: PolicySet) -> frozenset[str]:
        """Return the affiliations that are withheld where ``policies`` are in force."""
        return self.contested - policies.named_affiliations if self.contested else self.contested

    def kinds_of(self, attributes: Mapping[str, Names]) -> Kinds:
        """Return the kinds of the values of those attributes that are looked at."""
        return {
            name: frozenset(map(self.named[name].kind_of, values))
            for name, values in attributes.items()
            if name in self.named
        }


def _all_affiliations(sets: Sequence[PolicySet]) -> frozenset[str]:
    return frozenset().union(*(policies.named_affiliations for policies in sets))


def _contested(sets: Sequence[PolicySet]) -> frozenset[str]:
    """Return the affiliations that not all sets know; eduPerson's own words they all do."""
    return frozenset(
        value
        for value in _all_affiliations(sets)
        if role(value) not in VOCABULARY
        and not all(value in policies.named_affiliations for policies in sets)
    )


def _written(policies: PolicySet) -> Iterator[tuple[str, Names]]:
    """Yield the attributes that matches and releases look at, with the values they name."""
    for policy in policies.policies:
        for alternative in policy.match:
            for condition in alternative.conditions:
                if condition.name not in {"upstream", "assurance"}:
                    yield condition.name, condition.values
        for release in policy.releases:
            for listed in release.attributes:
                if listed.name not in _OURS:
                    yield listed.name, listed.values
    for source in _field_sources(policies):
        yield source, ()


def _field_sources(policies: PolicySet) -> Iterator[str]:
    for policy in policies.policies:
        for written in policy.borrower.fields if policy.borrower else ():
            for source in (written.source, *written.otherwise):
                if not source.startswith(PROOF_SOURCE):
                    yield source


def filling_attributes(policies: PolicySet) -> Iterator[str]:
    """Yield the attributes that a borrower's email or surname may come from."""
    for policy in policies.policies:
        if policy.borrower is not None:
            for name in DECIDING_FIELDS:
                yield from field_sources(policy.borrower, name)


def field_sources(rule: BorrowerRule, name: str) -> set[str]:
    """Return the attributes that the borrower field ``name`` may come from."""
    sources = set()
    for written in rule.fields:
        if written.name == name:
            for source in (written.source, *written.otherwise):
                sources.add(source.removeprefix(PROOF_SOURCE))
    return sources


def _matched(policies: PolicySet) -> set[str]:
    return {
        condition.name
        for policy in policies.policies
        for alternative in policy.match
        for condition in alternative.conditions
    }


def _proofs(policies: PolicySet, written: dict[str, set[str]]) -> set[str]:
    """Return the names of the proofs, their domains written down."""
    proofs = set()
    for policy in policies.policies:
        for rule in policy.proofs:
            domains = (domain.name for domain in rule.domains)
            written.setdefault(f"{rule.name}{PROOF}", set()).update(domains)
            proofs.add(rule.name)
    return proofs


@dataclass(frozen=True, slots=True)
class SourceKinds:
    """A value of each kind that one source may assert, by attribute, and the ways that it opens."""

    source: Source
    vocabulary: Vocabulary
    values: Mapping[str, Mapping[ValueKind, str]] = field(repr=False)
    # With the set itself: of one that is gone another may have the same identity.
    _opened: dict[int, tuple[ModelledSet, tuple[Way, ...]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def of(cls, source: Source, vocabulary: Vocabulary) -> "SourceKinds":
        """Return the kinds of ``source``."""
        values = {}
        anything = Source(source.upstream)
        for name, named in vocabulary.named.items():
            if name.endswith(PROOF) or name in vocabulary.proved:
                known = witnesses(named, anything)
            else:
                known = witnesses(named, source, vocabulary.affiliations)
            if known:
                values[name] = known
        return cls(source, vocabulary, values)

    def only_proved(self, name: str) -> bool:
        """Return whether the attribute ``name`` is proved, and never asserted from here."""
        return name in self.vocabulary.proved and self.source.shape(name) is None

    def may_have(self, name: str) -> bool:
        """Return whether logins from here may have the attribute ``name``, asserted or proved."""
        return name in self.vocabulary.proved or self.source.shape(name) is not None

    @property
    def recalled_apart(self) -> bool:
        """Return whether one set alone recalls earlier proofs of somebody who comes from here.

        Of whoever comes without an address every set recalls them.
        """
        apart = self.source.upstream in self.vocabulary.recalled_apart
        return apart and self.source.names_mail

    def single(self, name: str) -> bool:
        """Return whether a person has one value of ``name`` at most."""
        if name.endswith(PROOF) or self.only_proved(name):
            return True
        shape = self.source.shape(name)
        return shape is not None and shape.single

    def meeting(self, demands: Iterable[Demand], name: str) -> tuple[ValueKind, ...]:
        """Return a kind for each way in which one value of ``name`` meets all ``demands``."""
        wanted = tuple(demands)
        return tuple(
            kind
            for kind in self.values.get(name, ())
            if all(demand.met_by(kind) for demand in wanted)
        )

    def opens(self, way: Way) -> bool:
        """Return whether somebody who comes from here can match ``way`` at all."""
        if not any(way.sure(level) for level in self.source.levels):
            return False
        by_name: dict[str, list[Demand]] = defaultdict(list)
        for demand in way.demands:
            by_name[demand.name].append(demand)
        return all(self._met(name, demands) for name, demands in by_name.items())

    def _met(self, name: str, demands: list[Demand]) -> bool:
        if self.single(name):
            return bool(self.meeting(demands, name))
        return all(self.meeting([demand], name) for demand in demands)

    def opened(self, modelled: ModelledSet) -> tuple[Way, ...]:
        """Return the ways of a set that are open to some login from here; looked for once."""
        known = self._opened.get(id(modelled))
        if known is None:
            ways = modelled.by(self.source.upstream)
            known = (modelled, tuple(way for way in ways if self.opens(way)))
            self._opened[id(modelled)] = known
        return known[1]

    def standings(self) -> Iterator[tuple[str, ValueKind]]:
        """Yield the kinds of affiliations that say something of the person."""
        for name in AFFILIATIONS:
            for kind in self.values.get(name, ()):
                if kind.standing is not Standing.NONE:
                    yield name, kind

    def leaving(self, listed: ReleasedAttribute, hidden: frozenset[str]) -> frozenset[str]:
        """Return the patterns of the values that may leave as ``listed``, none of the hidden."""
        kinds = self.values.get(listed.name, {})
        if listed.values:
            leaving = frozenset(kind.pattern for kind in kinds if kind.meets_any(listed.values))
        else:
            leaving = frozenset(kind.pattern for kind in kinds)
        return leaving - hidden if listed.name in AFFILIATIONS else leaving


def interchangeable(
    kinds: SourceKinds, modelled: Iterable[ModelledSet], asked: Iterable[Demand] = ()
) -> dict[str, dict[ValueKind, ValueKind]]:
    """Return for each kind of a matched attribute the first that meets the same conditions."""
    ways = [way for each in modelled for way in kinds.opened(each)]
    demands: dict[str, dict[Demand, None]] = defaultdict(dict)
    for demand in asked:
        demands[demand.name][demand] = None
    for way in ways:
        for demand in way.demands:
            demands[demand.name][demand] = None
    contested = kinds.vocabulary.contested
    first: dict[str, dict[ValueKind, ValueKind]] = {}
    for name, known in kinds.values.items():
        seen: dict[object, ValueKind] = {}
        first[name] = {}
        for kind in known:
            met = tuple(demand.met_by(kind) for demand in demands[name])
            own = kind.pattern if name in AFFILIATIONS and kind.pattern in contested else ""
            first[name][kind] = seen.setdefault((kind.standing, met, own), kind)
    return first
