"""Every class of logins at every service, with what comes of it under each policy set."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from typing import Final

from broker.core.analysis.borrower_states import OTHER_CATEGORY, borrowers
from broker.core.analysis.login_classes import Classes, LoginClass
from broker.core.analysis.minimal_logins import too_many
from broker.core.analysis.modelled_matching import Deciding
from broker.core.analysis.modelled_sets import ModelledSets
from broker.core.analysis.outcomes import Outcome, described, outcome, read_without
from broker.core.analysis.partial_logins import PartialLogin
from broker.core.analysis.remembered_hmacs import RememberedHmacs
from broker.core.analysis.remembered_proofs import Recall, recalls
from broker.core.analysis.set_pairs import Pairs, days_of, named_services, unchanged_policies
from broker.core.analysis.source_kinds import Vocabulary
from broker.core.analysis.sources import Source, sources_of
from broker.core.entities import Service, Upstream
from broker.core.identity.canonical_attributes import AttributeMap
from broker.core.login.described_login import DescribedBorrower, DescribedLogin, IdealTerms
from broker.core.login.ideal_login import play
from broker.core.login.login_decision import with_required_names
from broker.core.login.played_login import PlayedLogin
from broker.core.policy.model import Policy, PolicySet

_HMACS: Final = RememberedHmacs("analysis", b"no person is behind it")
Told = Callable[[int, int], None]
Played = tuple[PlayedLogin, Outcome]


@dataclass(frozen=True, slots=True)
class Site:
    """What decides besides policies: where logins come from, and where they go."""

    sources: tuple[Source, ...]
    services: tuple[Service, ...]

    @classmethod
    def of(
        cls,
        services: Mapping[str, Service],
        upstreams: Mapping[str, Upstream],
        maps: Mapping[str, AttributeMap],
    ) -> "Site":
        """Return the site of services and upstreams as their metadata completes them."""
        every = upstreams.values()
        sources = (source for upstream in every for source in sources_of(upstream, maps))
        known = (with_required_names(service, maps) for service in services.values())
        return cls(tuple(sources), tuple(known))

    @property
    def as_peers_may_become(self) -> "Site":
        """Return the site with no service's metadata holding anything back.

        What a peer publishes may be otherwise in an hour; what is put in force until then stays.
        """
        services = (
            replace(each, encrypts=True, required=None, subject_id_req=None)
            for each in self.services
        )
        return replace(self, services=tuple(services))

    @property
    def local(self) -> frozenset[str]:
        """Return the upstreams where the library system itself verifies the person."""
        return frozenset(source.upstream for source in self.sources if source.local)


@dataclass(frozen=True, slots=True)
class ComparedLogin:
    """A login that stands for its class, and what comes of it under each set.

    ``played`` are the logins themselves, ``outcomes`` what they have in common with their class.
    """

    found: LoginClass
    login: DescribedLogin
    service: Service
    day: date
    played: tuple[PlayedLogin, ...] = field(repr=False)
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """All classes of logins of a site under one policy set, or two that are compared.

    With ``only`` those of the logins that are so, at every service. ``asked`` are the sets with the
    values by which those are so, ``modelled`` without; ``known`` is what is modelled already.
    """

    sets: tuple[PolicySet, ...]
    site: Site
    now: datetime
    tell: Told = field(default=lambda *_: None, compare=False, repr=False)
    only: PartialLogin | None = None
    known: ModelledSets | None = field(default=None, compare=False, repr=False)
    modelled: ModelledSets = field(init=False, compare=False, repr=False)
    asked: ModelledSets = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        modelled = self.known or ModelledSets.of(self.sets)
        demands = self.only.demands if self.only else ()
        asked = ModelledSets.of(self.sets, demands) if demands else modelled
        object.__setattr__(self, "modelled", modelled)
        object.__setattr__(self, "asked", asked)

    @property
    def vocabulary(self) -> Vocabulary:
        """Return all values that the sets name, and those by which logins are so."""
        return self.asked.vocabulary

    def logins(self, *, apart: bool = True) -> Iterator[ComparedLogin]:
        """Yield every class at every service that offers its upstream, on every day that differs.

        Where ``apart``, those of ``only`` once for each way to be so. ``tell`` is called with the
        sources done and to do.
        """
        unchanged = unchanged_policies(self.sets)
        for day in days_of(self.sets, self.now.date()):
            at = self.at(day)
            modelled = self.asked.on(day)
            for position, source in enumerate(self.site.sources):
                self.tell(position, len(self.site.sources))
                if self.only and not self.only.comes_from(source):
                    continue
                kinds = self.asked.kinds(source)
                classes = Classes(position, kinds, modelled, self.only, apart)
                yield from self._from(classes, at, unchanged)
        self.tell(len(self.site.sources), len(self.site.sources))

    def at(self, day: date) -> datetime:
        """Return the time of ``day`` that its logins are played at."""
        return datetime.combine(day, time(12), self.now.tzinfo)

    def incomplete(self) -> list[str]:
        """Return the upstreams and institutions where too many ways come together for a proof."""
        days = [self.modelled.on(day) for day in days_of(self.sets, self.now.date())]
        names = []
        for source in self.site.sources:
            kinds = self.modelled.kinds(source)
            if any(too_many(kinds, modelled) for modelled in days):
                names.append(f"{source.upstream} {source.institution}".strip())
        return names

    def _from(self, classes: Classes, now: datetime, unchanged: Pairs) -> Iterator[ComparedLogin]:
        named = named_services(self.sets)
        services = [
            each
            for each in self.site.services
            if classes.upstream in each.methods
            and (self.only or not named.isdisjoint((each.name, *each.categories)))
        ]
        stage = _Stage(
            self, classes, now, unchanged, {after: before for before, after in unchanged}, {}
        )
        for found, member in classes.members():
            login = described(member, classes.kinds, None)
            for service in services:
                yield from stage.at(found, login, service)


@dataclass(frozen=True, slots=True)
class _Stage:
    """The logins from one source on one day; what was played is kept until its end.

    ``unchanged`` are the positions, in both sets, of the policies that stand in both, ``earlier``
    those in the set before, by those in the one after.
    """

    analysis: Analysis
    classes: Classes
    now: datetime
    unchanged: Pairs
    earlier: Mapping[int | None, int | None]
    kept: dict[object, Played]

    def at(
        self, found: LoginClass, login: DescribedLogin, service: Service
    ) -> Iterator[ComparedLogin]:
        """Yield the class of a login at one service, with each borrower that makes a difference.

        And once more where one set alone recalls what the person proved in an earlier login.
        """
        for compared in self._with_borrowers(found, login, service):
            yield compared
            for recall in recalls(compared.login, self.analysis.sets, self.classes.kinds):
                yield self._recalled(compared, recall)

    def _with_borrowers(
        self, found: LoginClass, login: DescribedLogin, service: Service
    ) -> Iterator[ComparedLogin]:
        without = self._compared(found, login, service)
        local = self.classes.kinds.source.local
        wanted = self.classes.only.borrower if self.classes.only else None
        looked_up = not local and any(map(_looks_up, without.played))
        if not looked_up or wanted is not True:
            yield without
        if not looked_up or wanted is False:
            return
        for borrower in self._borrowers(found, without):
            yield self._compared(found, replace(login, borrower=borrower), service)

    def _borrowers(self, found: LoginClass, without: ComparedLogin) -> Iterable[DescribedBorrower]:
        """Return the borrowers that make a difference; only a request tells categories apart."""
        rules = [
            rule
            for rule, right, played in zip(
                self.classes.rules(found.decidings), found.rights, without.played, strict=True
            )
            if right.can_request and _makes(played)
        ]
        return borrowers(rules) if rules else (DescribedBorrower(OTHER_CATEGORY, linked=True),)

    def _compared(
        self, found: LoginClass, login: DescribedLogin, service: Service
    ) -> ComparedLogin:
        played = [self._played(at, found, login, service) for at in range(len(self.analysis.sets))]
        return ComparedLogin(
            found=found,
            login=login,
            service=service,
            day=self.now.date(),
            played=tuple(each for each, _ in played),
            outcomes=tuple(each for _, each in played),
        )

    def _recalled(self, compared: ComparedLogin, recall: Recall) -> ComparedLogin:
        """Return the login as each set sees it by what it recalls of earlier proofs."""
        kinds = self.classes.kinds
        terms = self._terms()
        found = []
        for policies, login in zip(self.analysis.sets, recall.seen, strict=True):
            read = self._read(login, policies)
            played = play(read, compared.service, policies, self.now, terms)
            unseen = recall.proofs if login is not recall.login else frozenset()
            found.append((played, outcome(played, kinds, policies, unseen)))
        return replace(
            compared,
            login=recall.login,
            played=tuple(each for each, _ in found),
            outcomes=tuple(each for _, each in found),
        )

    def _stands(self, found: LoginClass) -> bool:
        """Return whether both sets decide the class by the same rules, so that one play will do.

        That another policy is above counts for nothing but a lowering, which is among the rights.
        """
        if len(found.decidings) == 1 or any(self.classes.hidden):
            return False
        old, new = found.decidings
        if (old.policy, new.policy) not in self.unchanged or old.offered or new.offered:
            return False
        return found.rights[0] == found.rights[1] and found.written[0] == found.written[1]

    def _counting(self, at: int, deciding: Deciding) -> object:
        """Return what counts of that which decides; of a policy that stands in both sets one thing.

        What came of a login under one of the sets comes of each such login under the other.
        """
        shared = at == 1 and deciding.offered is None and not any(self.classes.hidden)
        if shared and deciding.policy in self.earlier:
            return (0, self.earlier[deciding.policy], None)
        return (at, deciding.policy, deciding.offered)

    def _played(
        self, at: int, found: LoginClass, login: DescribedLogin, service: Service
    ) -> Played:
        if self._stands(found):
            at = 0
        policy = self.classes.modelled[at].policy(found.decidings[at])
        decides = _decides(policy, service, found, at, login.borrower)
        counting = self._counting(at, found.decidings[at])
        key = (counting, service.name, decides, _state(login.borrower))
        if key not in self.kept:
            policies = self.analysis.sets[at]
            kinds = self.classes.kinds
            terms = self._terms()
            played = play(self._read(login, policies), service, policies, self.now, terms)
            self.kept[key] = (played, outcome(played, kinds, policies))
        return self.kept[key]

    def _terms(self) -> IdealTerms:
        return IdealTerms(
            giver=self.classes.kinds.source.giver, local=self.analysis.site.local, hmacs=_HMACS
        )

    def _read(self, login: DescribedLogin, policies: PolicySet) -> DescribedLogin:
        """Return the login as it is read where ``policies`` are in force."""
        hidden = self.classes.kinds.vocabulary.hidden(policies)
        return read_without(login, hidden) if hidden else login


def _looks_up(played: PlayedLogin) -> bool:
    """Return whether a borrower is looked for at all."""
    release = played.decision.release
    return release is not None and release.borrower != "none"


def _makes(played: PlayedLogin) -> bool:
    """Return whether an account is made, or changed, if the login asks for it."""
    release = played.decision.release
    return release is None or release.borrower == "make"


def _state(borrower: DescribedBorrower | None) -> object:
    return None if borrower is None else borrower.category


def _decides(
    policy: Policy | None,
    service: Service,
    found: LoginClass,
    at: int,
    borrower: DescribedBorrower | None,
) -> object:
    """Return what of a class decides there: a requirement only where an account is made."""
    right = found.rights[at]
    named = {service.name, *service.categories}
    demands = {
        release.borrower
        for release in (policy.releases if policy else ())
        if release.service in named
    }
    if "make" in demands and borrower is None:
        # Who lacks something is refused for the first of it, whatever else they have; but not where
        # another entry may be the one that counts, and asks for less.
        refused_for = right.lacking[:1] if demands == {"make"} else ()
        rest = refused_for or (right, found.written[at])
        return (rest, found.verified)
    if "need" in demands or "make" in demands:
        return (right.whatever_lacks, found.verified)
    if demands:
        return (right.in_person, right.number, found.verified)
    return None
