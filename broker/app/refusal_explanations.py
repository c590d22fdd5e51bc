"""Explains a refusal by the reference on its page: why then, and what would come of it now."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.adapters.saml.keys import key_ring
from broker.adapters.translations.catalogue import marked as _
from broker.app import diagnostics, policy_trials, sealed_stores
from broker.app.assembly import Parts, now
from broker.app.named_configuration import configuration
from broker.app.policy_trials import NoSuchNameError, Site
from broker.core.errors import ConfigurationFaults, LeadsNowhere
from broker.core.event_routes import TraceFacts
from broker.core.login.refused_facts import RefusedFacts
from broker.core.login.replayed_refusal import Replay
from broker.core.stateless_references import StatelessReferences
from broker.files.policies import last_good
from broker.use_cases.login.support_traces import SupportTraces
from broker.use_cases.policies.set_in_force import SetChange, SetInForce

_NEVER: Final = "no set of policies was ever in force here, so that none has refused anybody"
ANOTHER_PAGE: Final = _("another page")
ANOTHER_REASON: Final = _("another reason")
_SEE: Final = "broker check says what stands against the folder's"


class NothingRefused(LeadsNowhere):
    """A reference is asked for at a broker that has never let anybody in or refused them."""

    about = "policy"


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
    gone: NoSuchNameError | None = None
    replaced: SetChange | None = None
    stranger: bool = False


def opened() -> Parts:
    """Open the broker that is configured; ConfigurationFaults with all faults.

    NothingRefused where its policies were never sound: then no page has a reference of theirs.
    """
    try:
        return diagnostics.opened()
    except ConfigurationFaults:
        if _never_in_force():
            raise NothingRefused(f"{_NEVER}: {_SEE}") from None
        raise


def _never_in_force() -> bool:
    """Return whether neither store nor machine has had a set; ConfigurationFaults, store errors."""
    settings = configuration()
    if last_good.last_good_digest(settings.state / "policies") is not None:
        return False
    ring = key_ring.load(settings.keys)
    store = sealed_stores.sealed(sealed_stores.bare(settings), ring)
    return store is not None and SetInForce(store).live(now()) is None


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
            step=stranger.step or ANOTHER_PAGE,
            reason=stranger.reason or ANOTHER_REASON,
            upstream=None,
            in_force=in_force,
            stranger=True,
        )
    trace = SupportTraces(parts.store).find(reference, now)
    if trace is None:
        return None
    return _of_trace(parts, trace, now)


def _of_trace(parts: Parts, trace: TraceFacts, now: datetime) -> Explanation:
    site = of_parts(parts)
    refused = trace.refused
    replay = None
    gone = None
    if refused is not None:
        try:
            replay = policy_trials.replayed_now(site, refused, now)
        except NoSuchNameError as missing:
            gone = missing
    return Explanation(
        at=trace.at,
        step=trace.step,
        reason=trace.reason,
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
