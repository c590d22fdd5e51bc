"""The finite set of classes that stands for all logins, and the class of any one login."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from broker.core.analysis.minimal_logins import minimal_logins, standing
from broker.core.analysis.modelled_matching import (
    PROOF,
    Deciding,
    Kinds,
    ModelledSet,
    Shown,
    Way,
    decided,
)
from broker.core.analysis.modelled_requirements import Known, Rights, rights
from broker.core.analysis.partial_logins import PartialLogin
from broker.core.analysis.source_kinds import (
    DECIDING_FIELDS,
    SourceKinds,
    field_sources,
    filling_attributes,
)
from broker.core.analysis.sources import CATEGORY
from broker.core.entities import Assurance
from broker.core.identity.attribute_values import AFFILIATIONS
from broker.core.identity.mailbox_proofs import MAIL_PROOF
from broker.core.policy.model import BorrowerRule, LoginFacts

_WITHOUT_AGE: Final = ("none", "invalid", "constructed", "replacement")
_GROWN_UP: Final = 30


@dataclass(frozen=True, slots=True)
class LoginClass:
    """What all logins of a class have in common, wherever they go.

    ``decidings``, ``rights`` and ``written`` are of each compared set; ``written`` are the borrower
    fields ``email`` and ``surname`` as far as the login can write them.
    """

    source: int
    decidings: tuple[Deciding, ...]
    rights: tuple[Rights, ...]
    written: tuple[frozenset[str], ...]
    verified: bool


@dataclass(frozen=True, slots=True)
class Member:
    """A login that stands for its class: kinds of values, and what else decides."""

    kinds: Kinds
    known: Known
    intent: str | None
    present: frozenset[str]
    verified: bool


# What is known of the person where all affiliations are known, and then by each set.
KnownBySets = tuple[Known, ...]
# The borrower rule of each set that decides.
Rules = tuple[BorrowerRule | None, ...]
# The borrower fields that can be written, by each set.
Written = tuple[frozenset[str], ...]
# Attributes that are there, and the fields that each set could write from them.
Presence = tuple[frozenset[str], Written]


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of all logins from one source on one day, under all sets together.

    With ``only`` those of the logins that are so; where ``apart`` a class once for each way to be
    so. ``hidden`` are, of each set, the affiliations that it withholds and another set does not.
    """

    at: int
    kinds: SourceKinds
    modelled: tuple[ModelledSet, ...]
    only: PartialLogin | None = None
    apart: bool = True
    ways: tuple[tuple[Way, ...], ...] = field(init=False, repr=False)
    hidden: tuple[frozenset[str], ...] = field(init=False, repr=False)
    named_by_subject: bool = field(init=False)
    _presences: dict[object, tuple[Presence, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        vocabulary = self.kinds.vocabulary
        ways = tuple(self.kinds.opened(each) for each in self.modelled)
        hidden = tuple(vocabulary.hidden(each.policies) for each in self.modelled)
        object.__setattr__(self, "ways", ways)
        object.__setattr__(self, "hidden", hidden)
        subjects = any(
            release.subject is not None
            for each in self.modelled
            for policy in each.policies.policies
            for release in policy.releases
        )
        object.__setattr__(self, "named_by_subject", subjects)

    @property
    def upstream(self) -> str:
        """Return the upstream that the logins come by."""
        return self.kinds.source.upstream

    def class_of(self, login: LoginFacts) -> LoginClass:
        """Return the class of a login, worked out from its facts.

        They are those that are read where the affiliations of all sets are known.
        """
        sorted_values = self.kinds.vocabulary.kinds_of(login.attributes)
        withheld = not login.withheld.keys().isdisjoint(AFFILIATIONS)
        seen = self._shown(sorted_values)
        known = tuple(
            Known(
                standing=standing(shown.kinds),
                withheld=withheld or shown.hides,
                level=login.assurance,
                cpr=login.cpr,
                age=login.age,
            )
            for shown in seen
        )
        decidings = self._decided(seen, login.assurance, login.intent)
        present = frozenset(login.attributes)
        verified = login.verified_address is not None
        fields = _fields_from(present, self.rules(decidings))
        held = self._held(decidings, known)
        written = _written(fields, held)
        return self._class(decidings, held, written, verified=verified)

    def members(self) -> Iterator[tuple[LoginClass, Member]]:
        """Yield every class once, with a login that stands for it."""
        seen: set[object] = set()
        tried: set[object] = set()
        for decidings, known, kinds, intent in self._people():
            told_apart = self._told_apart(kinds)
            presences = self._told_presences(decidings, kinds)
            # Who has the same rights without a number has the same with each; the attributes that
            # may be there are kept as long as this is: no others can have the same identity.
            _, *unnumbered = known
            content = (decidings, self._held(decidings, unnumbered), id(presences), told_apart)
            if content in tried:
                continue
            tried.add(content)
            for person, *shown in self._numbers(decidings, known):
                held = self._held(decidings, shown)
                for (present, fields), verified in product(presences, self._verifications()):
                    written = _written(fields, held)
                    found = self._class(decidings, held, written, verified=verified)
                    mark = (found, told_apart)
                    if mark not in seen:
                        seen.add(mark)
                        yield found, Member(kinds, person, intent, present, verified)

    def _verifications(self) -> tuple[bool, ...]:
        return (True, False) if self.named_by_subject else (False,)

    def _shown(self, kinds: Kinds) -> tuple[Shown, ...]:
        """Return for each set what it sees of a login of these kinds."""
        return tuple(
            _shown_to(hidden, kinds, ways)
            for hidden, ways in zip(self.hidden, self.ways, strict=True)
        )

    def _people(self) -> Iterator[tuple[tuple[Deciding, ...], KnownBySets, Kinds, str | None]]:
        """Yield, each once, what decides and what is known beside the CPR number."""
        seen = set()
        telling = self._telling()
        affiliated = any(name in self.kinds.values for name in AFFILIATIONS)
        only = self.only or PartialLogin()
        for kinds in minimal_logins(self.kinds, self.modelled, only.demands):
            seen_by = self._shown(kinds)
            stands = [(standing(kinds), False)]
            stands += [(standing(each.kinds), each.hides) for each in seen_by]
            matching = (None, *sorted(self._intents(kinds)))
            intents: tuple[str | None, ...] = only.intents or matching
            for level, intent in product(only.levels_of(self.kinds.source), intents):
                decidings = self._decided(seen_by, level, intent)
                for withheld in (False, True) if affiliated else (False,):
                    known = tuple(
                        Known(stand, withheld or hides, level, "none", None)
                        for stand, hides in stands
                    )
                    key = (decidings, known, frozenset(kinds) & telling, self._told_apart(kinds))
                    if key not in seen:
                        seen.add(key)
                        yield decidings, known, kinds, intent

    def _told_apart(self, kinds: Kinds) -> object:
        """Return what tells two logins of a class apart: of all logins nothing does.

        Of those that are so, what leaves may hang on the values by which they are. Where one set
        alone recalls earlier proofs, it hangs on these, and on the address that keeps the other
        from it: neither shows in what decides.
        """
        if self.only and self.apart:
            return frozenset(kinds.items())
        if not self.kinds.recalled_apart:
            return None
        return frozenset(name for name in kinds if name == MAIL_PROOF or name.endswith(PROOF))

    def _telling(self) -> frozenset[str]:
        """Return the attributes whose presence is part of a class, whatever their values."""
        filling = {name for each in self.modelled for name in filling_attributes(each.policies)}
        proofs = {name for name in self.kinds.values if name.endswith(PROOF)}
        return frozenset(filling | proofs)

    def _intents(self, kinds: Kinds) -> set[str]:
        """Return the affiliations that a login of these kinds may match, or prove."""
        return {
            each.policies.policies[way.policy].affiliation
            for each, ways in zip(self.modelled, self.ways, strict=True)
            for way in ways
            if all(demand.proof is not None or demand.holds(kinds) for demand in way.demands)
        }

    def _decided(
        self, seen_by: Sequence[Shown], level: Assurance | None, intent: str | None
    ) -> tuple[Deciding, ...]:
        return tuple(
            decided(each, shown, level, upstream=self.upstream, intent=intent)
            for each, shown in zip(self.modelled, seen_by, strict=True)
        )

    def _numbers(self, decidings: Sequence[Deciding], known: KnownBySets) -> Iterator[KnownBySets]:
        """Yield what is known with each kind of CPR number, and each age that matters."""
        only = self.only or PartialLogin()
        ground = self.kinds.source.find_cpr_ground(known[0].standing, known[0].level)
        for kind, age in self._all_numbers(decidings, usable=ground is not None):
            if only.numbered(kind, age):
                yield tuple(each.numbered(kind, age) for each in known)

    def _all_numbers(
        self, decidings: Sequence[Deciding], *, usable: bool
    ) -> Iterator[tuple[str, int | None]]:
        for kind in _WITHOUT_AGE if self.kinds.source.asserts_cpr else ("none",):
            yield kind, None
        if usable:
            yield from product(("real",), self._ages(decidings))

    def _ages(self, decidings: Sequence[Deciding]) -> Iterator[int]:
        policies = (
            each.policy(deciding) for each, deciding in zip(self.modelled, decidings, strict=True)
        )
        limits = {policy.require.age for policy in policies if policy is not None}
        matter = {age for age in limits if age is not None}
        if self.only:
            matter |= self.only.ages.limits
        ages = sorted(matter)
        yield from reversed(ages or [_GROWN_UP])
        if ages and ages[0] > 0:
            yield ages[0] - 1

    def _told_presences(self, decidings: Sequence[Deciding], kinds: Kinds) -> tuple[Presence, ...]:
        """Return the attributes that are there, once for all that can be written from them."""
        policies = tuple(deciding.policy for deciding in decidings)
        key = (policies, frozenset(kinds))
        known = self._presences.get(key)
        if known is None:
            rules = self.rules(decidings)
            first: dict[Written, frozenset[str]] = {}
            for present in self._all_presences(rules, kinds):
                first.setdefault(_fields_from(present, rules), present)
            known = tuple((present, fields) for fields, present in first.items())
            self._presences[key] = known
        return known

    def _all_presences(self, rules: Rules, kinds: Kinds) -> Iterator[frozenset[str]]:
        """Yield the attributes that are there: all, and all but those that fill a field."""
        proved = {name.removesuffix(PROOF) for name in kinds if name.endswith(PROOF)}
        vocabulary = self.kinds.vocabulary
        unlooked = set(self.kinds.values) - vocabulary.matched - set(AFFILIATIONS)
        unlooked = {name for name in unlooked if not self.kinds.only_proved(name)}
        every = unlooked | proved | set(kinds)
        every -= {name for name in every if name.endswith(PROOF) and name not in kinds}
        if self.kinds.source.local:
            every.add(CATEGORY)
        removable = sorted(_filling(rules) & every - set(kinds) - proved)
        for kept in product((True, False), repeat=len(removable)):
            absent = {name for name, stays in zip(removable, kept, strict=True) if not stays}
            yield frozenset(every - absent)

    def rules(self, decidings: Sequence[Deciding]) -> Rules:
        """Return the borrower rule of each set by which such a login is decided."""
        policies = (
            each.policy(deciding) for each, deciding in zip(self.modelled, decidings, strict=True)
        )
        return tuple(policy.borrower if policy else None for policy in policies)

    def _held(self, decidings: Sequence[Deciding], known: Sequence[Known]) -> tuple[Rights, ...]:
        return tuple(
            rights(each, deciding, shown, self.kinds.source)
            for each, deciding, shown in zip(self.modelled, decidings, known, strict=True)
        )

    def _class(
        self,
        decidings: tuple[Deciding, ...],
        held: tuple[Rights, ...],
        written: tuple[frozenset[str], ...],
        *,
        verified: bool,
    ) -> LoginClass:
        named = verified and self.named_by_subject
        return LoginClass(self.at, decidings, held, written, named)


def _filling(rules: Rules) -> set[str]:
    """Return the attributes that fill a field by which a login is decided."""
    known = (rule for rule in rules if rule is not None)
    filling: set[str] = set()
    for rule, name in product(known, DECIDING_FIELDS):
        filling |= field_sources(rule, name)
    return filling


def _shown_to(hidden: frozenset[str], kinds: Kinds, ways: tuple[Way, ...]) -> Shown:
    """Return what a set sees of a login that withholds the affiliations ``hidden``."""
    if not hidden:
        return Shown(kinds, ways)
    shown = {
        name: frozenset(kind for kind in chosen if kind.pattern not in hidden)
        for name, chosen in kinds.items()
        if name in AFFILIATIONS
    }
    hides = any(len(shown[name]) < len(kinds[name]) for name in shown)
    return Shown({**kinds, **shown}, ways, hides)


def _fields_from(present: frozenset[str], rules: Rules) -> Written:
    """Return which of the fields that decide each rule could fill from these attributes."""
    return tuple(_fields_of(rule, present) for rule in rules)


def _fields_of(rule: BorrowerRule | None, present: frozenset[str]) -> frozenset[str]:
    if rule is None:
        return frozenset()
    return frozenset(
        name for name in DECIDING_FIELDS if not present.isdisjoint(field_sources(rule, name))
    )


def _written(fields: Written, held: Sequence[Rights]) -> Written:
    """Return which of the fields a login can write; none if it can request nothing."""
    return tuple(
        of_rule if right.can_request and right.in_person else frozenset()
        for of_rule, right in zip(fields, held, strict=True)
    )
