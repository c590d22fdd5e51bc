"""Explain a refusal by the reference on its page: which rule refused, and the result today."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from math import prod
from typing import Final

from broker.core.entities import Assurance, Names
from broker.core.events.broker_events import TraceFacts
from broker.core.help_codes import StatelessReferences
from broker.core.identity.canonical_attributes import (
    CPR_ATTRIBUTE,
    CPR_STAND_IN,
    AttributeReading,
    Attributes,
    Values,
)
from broker.core.login.described_login import DescribedBorrower
from broker.core.login.given_facts import UNNAMED_CATEGORY, DescribedLogin
from broker.core.login.login_simulation import simulate_login
from broker.core.login.played_login import PlayedLogin
from broker.core.login.refused_facts import RefusedFacts
from broker.core.login.site import CATEGORY
from broker.core.login.transaction import LoginPurpose
from broker.core.marked_text import mark as _
from broker.core.policy.model import PolicyLine, PolicySet
from broker.use_cases.login.support_traces import SupportTraces
from broker.use_cases.policy_trials.login_trials import NoSuchNameError, TrialSite
from broker.use_cases.policy_trials.wording import Wording, escape_unprintable

_GONE: Final[Mapping[str, str]] = {
    "upstream": _("there is no upstream %(name)s"),
    "service": _("there is no service %(name)s"),
}
_ANOTHER_PAGE: Final = _("another page")
_ANOTHER_REASON: Final = _("another reason")
_STRANGER: Final = _("nobody was logged in: %(reason)s, at %(step)s; of strangers nothing is kept")
_NO_FACTS: Final = _(
    "no facts of it were kept: the login was held up before the policies, or after them"
)
_SHOWN_DIGITS: Final = 12  # of a digest
_UNKNOWN_VALUE: Final = ("(not kept)",)
_ADDRESS: Final = "someone@mailbox.example"
_BORROWER: Final = "borrower"
# A replay tries at most this many combinations of unknown facts; beyond that it gives no answer.
_MOST_PLAYS: Final = 512

# A value that an unknown fact may have had: the values of an attribute, or a borrower.
_Choice = Values | DescribedBorrower | None


@dataclass(frozen=True, slots=True)
class Replay:
    """The result of a recorded login by other policies.

    ``depends_on`` names the facts that were not recorded, if the result depends on them. ``place``
    belongs to a refusal.
    """

    permitted: bool = False
    reason: str = ""
    place: PolicyLine | None = None
    depends_on: Names = ()


@dataclass(frozen=True, slots=True)
class EarlierSet:
    """The policy set that refused: where it was read, and the result of the login by it."""

    origin: str
    replay: Replay


@dataclass(frozen=True, slots=True)
class Explanation:
    """A page that a person could not get past.

    ``replay`` is the result by the set ``in_force``. It is None if no facts were kept, or if the
    upstream or service in ``gone`` no longer exists. ``earlier`` is the set that refused, if it is
    another set and was read. ``stranger``: nobody was logged in.
    """

    at: datetime
    step: str
    reason: str
    upstream: str | None
    in_force: str
    refused: RefusedFacts | None = None
    replay: Replay | None = None
    gone: NoSuchNameError | None = None
    earlier: EarlierSet | None = None
    stranger: bool = False

    @property
    def is_by_another_set(self) -> bool:
        """Return whether another set than the one in force refused."""
        return self.refused is not None and self.refused.digest != self.in_force


@dataclass(frozen=True, slots=True)
class RefusalExplainer:
    """Explains references by the policies of ``site``, which are those in force."""

    site: TrialSite
    references: StatelessReferences
    traces: SupportTraces

    def explain(self, reference: str, now: datetime) -> Explanation | None:
        """Return the explanation of a reference as it was read out; None if it is unknown."""
        in_force = self.site.policies.digest
        stranger = self.references.read(reference, now)
        if stranger is not None:
            step, reason = stranger.step or _ANOTHER_PAGE, stranger.reason or _ANOTHER_REASON
            return Explanation(stranger.at, step, reason, None, in_force, stranger=True)
        trace = self.traces.find(reference, now)
        return self._explain_trace(trace, now) if trace else None

    def _explain_trace(self, trace: TraceFacts, now: datetime) -> Explanation:
        refused = trace.refused
        in_force = self.site.policies.digest
        found = Explanation(trace.at, trace.step, trace.reason, trace.upstream, in_force, refused)
        if refused is None:
            return found
        try:
            return replace(found, replay=replay_refusal(self.site, refused, now))
        except NoSuchNameError as missing:
            return replace(found, gone=missing)

    def add_earlier_set(
        self, found: Explanation, policies: PolicySet, origin: str, now: datetime
    ) -> Explanation:
        """Return the explanation with the result by the set that refused."""
        if found.refused is None or found.gone is not None:
            return found
        site = replace(self.site, policies=policies)
        return replace(found, earlier=EarlierSet(origin, replay_refusal(site, found.refused, now)))


def replay_refusal(site: TrialSite, facts: RefusedFacts, now: datetime) -> Replay:
    """Play a refused login again by the policies of ``site``, for each value of unknown facts.

    NoSuchNameError if its service or upstream no longer exists.
    """
    terms = site.site.make_terms(site.find_upstream(facts.upstream), "")
    service = site.find_service(facts.service)
    unknown = _find_unknown_facts(facts, site.policies)
    if prod(map(len, unknown.values())) > _MOST_PLAYS:
        return Replay(depends_on=tuple(unknown))
    replays = set()
    for chosen in product(*unknown.values()):
        login = _describe(facts, dict(zip(unknown, chosen, strict=True)))
        replays.add(_summarize(simulate_login(login, service, site.policies, now, terms)))
    if len({(each.permitted, each.reason) for each in replays}) > 1:
        return Replay(depends_on=tuple(unknown))
    return next(iter(replays))


def _summarize(played: PlayedLogin) -> Replay:
    if played.is_permitted:
        return Replay(permitted=True, reason=played.reason)
    return Replay(reason=played.reason, place=played.place)


def _find_unknown_facts(facts: RefusedFacts, policies: PolicySet) -> dict[str, Sequence[_Choice]]:
    """Return the facts that were not recorded and may decide, each with its possible values."""
    known = {name for name, _values in facts.values} | {CPR_ATTRIBUTE}
    choices: dict[str, Sequence[_Choice]] = {}
    for name in facts.present:
        values = policies.find_condition_values(name)
        named = tuple(value.replace("*", "") for value in values)
        if named and name not in known:
            single: list[_Choice] = [(value,) for value in named]
            choices[name] = [_UNKNOWN_VALUE, *single, *([named] if len(named) > 1 else [])]
    if facts.borrower == "unknown":
        choices[_BORROWER] = [None, DescribedBorrower(UNNAMED_CATEGORY, linked=True)]
    return choices


def _describe(facts: RefusedFacts, chosen: Mapping[str, _Choice]) -> DescribedLogin:
    """Return the recorded login, with the chosen values for the facts that were not recorded."""
    values = dict(facts.values)
    attributes: dict[str, Values] = dict.fromkeys(facts.present, _UNKNOWN_VALUE) | values
    attributes |= {name: each for name, each in chosen.items() if isinstance(each, tuple)}
    if CPR_ATTRIBUTE in facts.present:
        attributes[CPR_ATTRIBUTE] = CPR_STAND_IN
    borrower = chosen.get(_BORROWER)
    if facts.borrower == "there":
        category = values.get(CATEGORY, (UNNAMED_CATEGORY,))[0]
        borrower = DescribedBorrower(category, linked=True)
    reading = AttributeReading(
        attributes=Attributes(attributes),
        assurance=Assurance(facts.assurance) if facts.assurance else None,
        cpr=facts.cpr,
        age=facts.age,
        withheld=facts.withheld,
        verified_address=_ADDRESS if facts.address else None,
        ground=facts.ground,
    )
    return DescribedLogin(
        upstream=facts.upstream,
        reading=reading.mask_cpr(),
        institution=facts.institution,
        intent=facts.intent,
        purpose=LoginPurpose(facts.purpose),
        borrower=borrower if isinstance(borrower, DescribedBorrower) else None,
        fault=(facts.fault, "") if facts.fault else None,
    )


def explanation_lines(found: Explanation, words: Wording) -> Iterator[str]:
    """Yield the lines of an explanation, the deciding line first."""
    refused = found.refused
    when = f"{found.at:%Y-%m-%d %H:%M} UTC"
    if found.stranger:
        reason = words.say(found.reason) if found.reason == _ANOTHER_REASON else found.reason
        step = words.say(found.step) if found.step == _ANOTHER_PAGE else found.step
        yield words.say(_STRANGER, reason=reason, step=step)
        return
    if refused is None:
        yield f"{found.step} {when}: {found.reason}"
        yield f"  {words.say(_NO_FACTS)}"
        return
    at = words.say(
        _("refused %(when)s at %(service)s by %(upstream)s: %(reason)s"),
        when=when,
        service=refused.service,
        upstream=refused.upstream,
        reason=found.reason,
    )
    parts = [at, _word_deciding_line(refused, found, words)]
    if found.earlier is not None:
        by = _("by the set that decided (%(origin)s): %(outcome)s")
        outcome = _word_replay(found.earlier.replay, words)
        parts.append(words.say(by, origin=found.earlier.origin, outcome=outcome))
    parts.append(_word_result_now(found, words))
    yield ";  ".join(parts)
    near, facts = words.say(_("near")), words.say(_("facts"))
    yield from (f"  {near}    {line}" for line in refused.near)
    yield f"  {facts}   {', '.join(_word_facts(refused, words))}"


def _word_deciding_line(refused: RefusedFacts, found: Explanation, words: Wording) -> str:
    line = refused.line or words.say(_("no line"))
    by = _("%(line)s of set %(digest)s, %(standing)s")
    if refused.permitted:
        by = _("the policies let them in, by %(line)s of set %(digest)s, %(standing)s")
    standing = _("no longer in force") if found.is_by_another_set else _("in force")
    digest = refused.digest[:_SHOWN_DIGITS]
    return words.say(by, line=line, digest=digest, standing=words.say(standing))


def _word_result_now(found: Explanation, words: Wording) -> str:
    if found.gone is not None:
        gone = words.say(_GONE[found.gone.kind], name=repr(found.gone.name))
        return words.say(_("cannot say what would come of it now: %(gone)s"), gone=gone)
    if found.replay is None:
        return words.say(_("cannot say what would come of it now"))
    return words.say(_("in force now: %(outcome)s"), outcome=_word_replay(found.replay, words))


def _word_replay(replay: Replay, words: Wording) -> str:
    if replay.depends_on:
        facts = escape_unprintable(", ".join(replay.depends_on))
        return words.say(_("cannot say: depends on %(facts)s"), facts=facts)
    if replay.permitted:
        return words.say(_("permitted"))
    return words.refusal(replay.reason, replay.place)


def _word_facts(refused: RefusedFacts, words: Wording) -> Iterator[str]:
    facts = {
        "assurance": Assurance(refused.assurance).name.lower() if refused.assurance else "none",
        "cpr": refused.cpr,
        "age": refused.age,
        "borrower": refused.borrower,
        "intent": refused.intent,
    }
    for name, value in facts.items():
        if value is not None:
            yield escape_unprintable(f"{name} {value}")
    values = dict(refused.values)
    for name in refused.present:
        yield escape_unprintable(" ".join((name, *values.get(name, ()))))
    for name, code in refused.withheld:
        yield escape_unprintable(words.say(_("%(name)s withheld (%(code)s)"), name=name, code=code))
