"""Rules that hold for every login whatever the policies say, proved over all classes of logins."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final

from broker.core.analysis.compared_logins import Analysis, ComparedLogin, Site
from broker.core.analysis.login_classes import Classes
from broker.core.analysis.modelled_matching import PROOF
from broker.core.analysis.modelled_sets import ModelledSets
from broker.core.analysis.outcomes import LeavingKinds, Outcome
from broker.core.analysis.partial_logins import PartialLogin
from broker.core.analysis.personas import words
from broker.core.analysis.source_kinds import SourceKinds, Vocabulary
from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.entities import Names, Service
from broker.core.identity.canonical_attributes import Attributes
from broker.core.login.described_login import DescribedLogin, IdealTerms
from broker.core.login.ideal_login import play
from broker.core.login.login_decision import login_facts
from broker.core.policy.model import Expectation, PolicyLine, PolicySet, Release

_LET_IN: Final = "ok"
_NOTHING: Final = Expectation("")


@dataclass(frozen=True, slots=True)
class SiteRule:
    """What must come of every login that is as ``when`` says.

    ``services`` empty: at every service; never at those of ``excepted``. Of ``expect`` a None, and
    an empty ``effect``, is not looked at. ``never_releases`` leaves for nobody, tick or not.
    """

    name: str
    when: PartialLogin
    expect: Expectation
    place: PolicyLine
    services: Names = ()
    excepted: Names = ()
    never_releases: Names = ()

    def concerns(self, service: Service) -> bool:
        """Return whether the rule says something of a service."""
        if service.name in self.excepted:
            return False
        return not self.services or service.name in self.services


@dataclass(frozen=True, slots=True)
class Breach:
    """One way in which a rule does not hold: the line that decides so, and a login that shows it.

    ``place`` is None where no line decides: who fits no file is refused by none. ``day`` is not
    today where a date in the policies must come first.
    """

    what: str
    place: PolicyLine | None
    service: str
    login: DescribedLogin = field(repr=False)
    day: date
    persona: str


@dataclass(frozen=True, slots=True)
class RuleProof:
    """What all logins show of one rule: ``met`` is whether any is as the rule says.

    ``incomplete`` are the upstreams and institutions where too many ways come together for a proof.
    """

    rule: SiteRule
    breaches: tuple[Breach, ...]
    met: bool
    incomplete: Names = ()


@dataclass(frozen=True, slots=True)
class _Difference:
    """What comes of a class of logins against the rule; ``leaving`` what leaves so."""

    what: str
    place: PolicyLine | None
    leaving: LeavingKinds | None = None


def proved(
    rule: SiteRule,
    policies: PolicySet,
    site: Site,
    now: datetime,
    *,
    let_others_run: Callable[[], None] = lambda: None,
    incomplete: Callable[[], Sequence[str]] | None = None,
    modelled: ModelledSets | None = None,
) -> RuleProof:
    """Return what every class of logins shows of ``rule`` under ``policies``.

    ``let_others_run`` is called at each login. Whoever proves several rules gives what is
    ``incomplete`` of the analysis, and the set as it is ``modelled``: both are the same for all.
    """
    here = replace(site, services=tuple(filter(rule.concerns, site.services)))
    sets = (policies,)
    every = Analysis(sets, here, now, only=rule.when, known=modelled or ModelledSets.of(sets))
    met = next(every.logins(), None) is not None
    able = tuple(each for each in here.services if _may_break(rule, policies, each))
    if not able:
        return RuleProof(rule, (), met)
    analysis = replace(every, site=replace(here, services=able))
    breaches = _breaches(rule, policies, analysis, let_others_run)
    unproved = (incomplete or every.incomplete)()
    return RuleProof(rule, breaches, met, tuple(unproved))


def _breaches(
    rule: SiteRule, policies: PolicySet, analysis: Analysis, let_others_run: Callable[[], None]
) -> tuple[Breach, ...]:
    if not _may_be_broken(rule, policies, analysis, let_others_run):
        return ()
    shows = _Shows(analysis, policies, rule.when, analysis.vocabulary)
    found: dict[tuple[str, str, PolicyLine | None], Breach] = {}
    for login in analysis.logins():
        let_others_run()
        for difference in _differences(rule, policies, login.outcomes[0]):
            key = (login.service.name, difference.what, difference.place)
            known = found.get(key)
            if known is None or known.login.reading.withheld:
                breach = shows.breach(login, difference)
                # What a fault held back nobody can describe to a try: another is shown if there is.
                if breach and (known is None or not breach.login.reading.withheld):
                    found[key] = breach
    return tuple(found.values())


def _may_be_broken(
    rule: SiteRule, policies: PolicySet, analysis: Analysis, let_others_run: Callable[[], None]
) -> bool:
    """Return whether what comes of any class is against the rule, or may be.

    What comes of a class is the same in whatever way its logins are as the rule says: only to show
    one of them each way is looked at. Most rules hold, and this is all that they cost.
    """
    for login in analysis.logins(apart=False):
        let_others_run()
        if any(_differences(rule, policies, login.outcomes[0])):
            return True
    return False


def _may_break(rule: SiteRule, policies: PolicySet, service: Service) -> bool:
    """Return whether anything at a service could be against the rule.

    Of a rule that says only what never leaves it is not so where no file lists any of that: no
    login has to be played to know it.
    """
    if rule.expect != _NOTHING:
        return True
    never = frozenset(rule.never_releases)
    names = {service.name, *service.categories}
    releases = (each for policy in policies.policies for each in policy.releases)
    return any(each.service in names and never & _listed(each) for each in releases)


def _listed(release: Release) -> frozenset[str]:
    subject = (release.subject.name,) if release.subject else ()
    return frozenset((*(each.name for each in release.attributes), *subject))


def _differences(rule: SiteRule, policies: PolicySet, found: Outcome) -> Iterator[_Difference]:
    expect = rule.expect
    effect = "deny" if found.refusal else "permit"
    reason = found.refusal or _LET_IN
    if expect.effect not in {"", effect}:
        what = f"refuses for {reason}" if found.refusal else "lets in"
        yield _Difference(what, found.place)
    elif expect.reason not in {None, reason}:
        yield _Difference(f"gives the reason {reason}, not {expect.reason}", found.place)
    if expect.affiliation not in {None, found.affiliation}:
        what = f"takes for {found.affiliation or 'nobody'}, not {expect.affiliation}"
        yield _Difference(what, found.place)
    made = found.borrower
    if expect.no_borrower and made and made.outcome is EnrolmentOutcome.CREATED:
        yield _Difference(f"makes an account of the category {made.category}", made.place)
    if expect.category is not None:
        yield from _other_category(expect.category, policies, found)
    yield from _other_release(rule, found)


def _other_category(expected: str, policies: PolicySet, found: Outcome) -> Iterator[_Difference]:
    policy = policies.named.get(found.affiliation or "")
    borrower = policy.borrower if policy else None
    if borrower is None:
        yield _Difference(f"makes no borrower, not {expected}", found.place)
    elif borrower.category != expected:
        what = f"makes the category {borrower.category}, not {expected}"
        yield _Difference(what, borrower.line_of("category"))


def _other_release(rule: SiteRule, found: Outcome) -> Iterator[_Difference]:
    listed = rule.expect.releases
    for leaving in found.leaving:
        if leaving.name in rule.never_releases or (
            listed is not None and leaving.name not in listed
        ):
            yield _Difference(f"releases {leaving.name}", leaving.place, leaving)
    names = {leaving.name for leaving in found.leaving}
    for name in listed or ():
        if name not in names:
            yield _Difference(f"does not release {name}", found.place)


@dataclass(frozen=True, slots=True)
class _Shows:
    """Finds for what comes of a class a login of it that shows it."""

    analysis: Analysis
    policies: PolicySet
    when: PartialLogin
    vocabulary: Vocabulary
    _classes: dict[tuple[int, date], Classes] = field(default_factory=dict)

    def breach(self, login: ComparedLogin, difference: _Difference) -> Breach | None:
        """Return the breach, with its login; None where nothing leaves so from any login."""
        shown: DescribedLogin | None = login.login
        if difference.leaving is not None:
            candidates = self._candidates(login, difference.leaving)
            name = difference.leaving.name
            leaving = (each for each in candidates if self._leaves(name, each, login))
            shown = next(leaving, None)
        if shown is None:
            return None
        return Breach(
            what=difference.what,
            place=difference.place,
            service=login.service.name,
            login=shown,
            day=login.day,
            persona=words(shown, self.vocabulary),
        )

    def _candidates(self, login: ComparedLogin, leaving: LeavingKinds) -> Iterator[DescribedLogin]:
        """Yield the login, and those of its class with one more value, or another single one."""
        yield login.login
        classes = self._of(login)
        reading = login.login.reading
        for kind, value in classes.kinds.values.get(leaving.name, {}).items():
            if kind.pattern not in leaving.patterns:
                continue
            attributes = _with_value(reading.attributes, leaving.name, value, classes.kinds)
            other = replace(login.login, reading=replace(reading, attributes=attributes))
            facts = login_facts(other.reading, upstream=other.upstream, intent=other.intent)
            if classes.class_of(facts) == login.found and self.when.holds(
                self.vocabulary.kinds_of(facts.attributes)
            ):
                yield other

    def _leaves(self, name: str, login: DescribedLogin, at: ComparedLogin) -> bool:
        """Return whether the attribute leaves, by the engine of live logins."""
        site = self.analysis.site
        terms = IdealTerms(giver=site.sources[at.found.source].giver, local=site.local)
        played = play(login, at.service, self.policies, self.analysis.at(at.day), terms)
        return any(each.name == name for each in played.leaving)

    def _of(self, login: ComparedLogin) -> Classes:
        key = (login.found.source, login.day)
        if key not in self._classes:
            kinds = self.analysis.asked.kinds(self.analysis.site.sources[key[0]])
            modelled = self.analysis.asked.on(login.day)
            self._classes[key] = Classes(key[0], kinds, modelled, self.when)
        return self._classes[key]


def _with_value(attributes: Attributes, name: str, value: str, kinds: SourceKinds) -> Attributes:
    """Return the attributes with one more value; of what is single, in the place of the other.

    The domain of a proof changes with its address, and none is proved beside what was.
    """
    more: dict[str, Names] = {name: (value,)}
    if not kinds.single(name):
        more[name] = tuple(dict.fromkeys((*attributes.get(name, ()), value)))
    if name.endswith(PROOF):
        proof = name.removesuffix(PROOF)
        more = {**more, proof: (f"someone@{value}",)} if name in attributes else {}
    return Attributes({**attributes, **more})
