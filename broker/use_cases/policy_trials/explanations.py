"""Explain a refusal by the reference on its page: what refused, and the result by other sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice, product
from math import prod
from typing import Any, Final

from broker.core.entities import Assurance, Names
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
from broker.core.policy.model import PolicySet
from broker.use_cases.login.support_traces import SupportTraces
from broker.use_cases.policy_trials.login_trials import NoSuchNameError, TrialSite

_ANOTHER_PAGE: Final = _("another page")
_ANOTHER_REASON: Final = _("another reason")
_UNKNOWN_VALUE: Final = ("(not kept)",)
_ADDRESS: Final = "someone@mailbox.example"
# A replay tries at most this many combinations of unknown facts; beyond that it gives no answer.
_MOST_PLAYS: Final = 512

# A value that an unknown fact may have had: the values of an attribute, or a borrower.
_Choice = Values | DescribedBorrower | None
_BORROWER: Final = "borrower"


@dataclass(frozen=True, slots=True)
class Replay:
    """The result of a recorded login by a policy set, which was read at ``origin``.

    ``played`` is None if the result depends on facts that were not recorded (``depends_on``), or if
    the service or upstream ``gone`` no longer exists.
    """

    policies: PolicySet
    origin: str
    played: PlayedLogin | None = None
    depends_on: Names = ()
    gone: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A page that a person could not get past.

    ``replay`` is the result by the set ``in_force``. ``earlier`` is that by the set that refused,
    if it is another one and was read. ``refused`` is None if no facts were kept. ``stranger``:
    nobody was logged in.
    """

    at: datetime
    step: str
    reason: str
    in_force: str
    refused: RefusedFacts | None = None
    replay: Replay | None = None
    earlier: Replay | None = None
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
            return Explanation(stranger.at, step, reason, in_force, stranger=True)
        trace = self.traces.find(reference, now)
        if trace is None:
            return None
        refused = trace.refused
        replay = replay_refusal(self.site, refused, now) if refused else None
        return Explanation(trace.at, trace.step, trace.reason, in_force, refused, replay)

    def add_earlier_set(
        self, found: Explanation, policies: PolicySet, origin: str, now: datetime
    ) -> Explanation:
        """Return the explanation with the result by the set that refused."""
        if found.refused is None:
            return found
        site = replace(self.site, policies=policies, origin=origin)
        return replace(found, earlier=replay_refusal(site, found.refused, now))


def replay_refusal(site: TrialSite, facts: RefusedFacts, now: datetime) -> Replay:
    """Play a refused login again by the policies of ``site``, for each value of unknown facts."""
    replay = Replay(site.policies, site.origin)
    try:
        site.find_upstream(facts.upstream)
        service = site.find_service(facts.service)
    except NoSuchNameError as missing:
        return replace(replay, gone=f"{missing.kind} {missing.name}")
    unknown = _find_unknown_facts(facts, site.policies)
    results: dict[object, PlayedLogin] = {}
    for chosen in islice(product(*unknown.values()), _MOST_PLAYS):
        login = _describe(facts, dict(zip(unknown, chosen, strict=True)))
        played = simulate_login(login, service, site.policies, now, site.site)
        results.setdefault((played.is_permitted, played.reason), played)
    if len(results) > 1 or prod(map(len, unknown.values())) > _MOST_PLAYS:
        depends_on = (name for name, choices in unknown.items() if len(choices) > 1)
        return replace(replay, depends_on=tuple(depends_on))
    return replace(replay, played=next(iter(results.values())))


def _find_unknown_facts(facts: RefusedFacts, policies: PolicySet) -> dict[str, Sequence[_Choice]]:
    """Return the facts that were not recorded and may decide, each with its possible values."""
    known = {name for name, _values in facts.values} | {CPR_ATTRIBUTE}
    choices: dict[str, Sequence[_Choice]] = {}
    for name in facts.present:
        named = [value.replace("*", "") for value in policies.find_condition_values(name)]
        if named and name not in known:
            choices[name] = [_UNKNOWN_VALUE, *((value,) for value in named), tuple(named)]
    other = DescribedBorrower(dict(facts.values).get(CATEGORY, (UNNAMED_CATEGORY,))[0])
    borrowers: dict[str, Sequence[_Choice]] = {
        "unknown": [None, other],
        "there": [other],
        "none": [None],
    }
    choices[_BORROWER] = borrowers[facts.borrower]
    return choices


def _describe(facts: RefusedFacts, chosen: Mapping[str, Any]) -> DescribedLogin:
    """Return the recorded login, with the chosen values for the facts that were not recorded."""
    attributes: dict[str, Values] = dict.fromkeys(facts.present, _UNKNOWN_VALUE)
    attributes |= dict(facts.values)
    attributes |= {name: each for name, each in chosen.items() if name != _BORROWER}
    if CPR_ATTRIBUTE in facts.present:
        attributes[CPR_ATTRIBUTE] = CPR_STAND_IN
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
        borrower=chosen[_BORROWER],
        fault=(facts.fault, "") if facts.fault else None,
    )
