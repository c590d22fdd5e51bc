"""Explains a refusal by the reference on its page: why then, and what would come of it now."""

from dataclasses import dataclass
from datetime import datetime

from broker.app import policy_trials
from broker.app.assembly import Parts
from broker.app.policy_trials import NoSuchNameError, Site
from broker.core.login.refused_facts import RefusedFacts
from broker.core.login.replayed_refusal import Replay
from broker.core.stateless_references import StatelessReferences
from broker.flows.login.support_traces import SupportTrace, SupportTraces
from broker.flows.policies.set_in_force import SetChange, SetInForce


@dataclass(frozen=True, slots=True)
class Explanation:
    """A page that somebody could not get past.

    ``replay`` is what the login would come to by the set ``in_force``; None where no facts were
    kept, or where ``gone`` names what is no longer there. ``replaced`` is the change that put
    another set in the place of the one that refused, as far as the history knows it. ``stranger``:
    nobody was logged in.
    """

    at: datetime
    step: str
    reason: str
    upstream: str | None
    in_force: str
    refused: RefusedFacts | None = None
    replay: Replay | None = None
    gone: str = ""
    replaced: SetChange | None = None
    stranger: bool = False


def of_parts(parts: Parts) -> Site:
    """Return the site of a broker whose parts are open, by the policies in force."""
    return Site(
        policies=parts.policies.current,
        origin="in force",
        services=parts.services,
        upstreams=parts.upstreams,
        maps=parts.maps.maps,
        configured=True,
        issuer=parts.config.idp_entity_id,
        signs_up_at=parts.config.sign_up.service,
    )


def explained(parts: Parts, reference: str, now: datetime) -> Explanation | None:
    """Return the explanation of a reference as it was read out; None for an unknown one."""
    in_force = parts.policies.current.digest
    stranger = StatelessReferences(parts.keys.index).read(reference, now)
    if stranger is not None:
        return Explanation(
            at=stranger.at,
            step=stranger.step or "another page",
            reason=stranger.reason or "another reason",
            upstream=None,
            in_force=in_force,
            stranger=True,
        )
    trace = SupportTraces(parts.store).find(reference, now)
    if trace is None:
        return None
    return _of_trace(parts, trace, now)


def _of_trace(parts: Parts, trace: SupportTrace, now: datetime) -> Explanation:
    site = of_parts(parts)
    refused = trace.refused
    replay = None
    gone = ""
    if refused is not None:
        try:
            replay = policy_trials.replayed_now(site, refused, now)
        except NoSuchNameError as missing:
            gone = str(missing)
    return Explanation(
        at=trace.at,
        step=trace.step or "",
        reason=trace.reason or "",
        upstream=trace.upstream,
        in_force=site.policies.digest,
        refused=refused,
        replay=replay,
        gone=gone,
        replaced=_replacing(parts, refused, now) if refused else None,
    )


def _replacing(parts: Parts, refused: RefusedFacts, now: datetime) -> SetChange | None:
    """Return the change after which the set that refused was in force no more, or never again."""
    history = SetInForce(parts.store).history(now)
    last = max((each.number for each in history if each.digest == refused.digest), default=None)
    if last is None:
        return None
    return next((each for each in history if each.number > last), None)
