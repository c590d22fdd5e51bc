"""Explains a refusal by the reference on its page: why then, and what would come of it now."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.adapters.translations.catalogue import marked as _
from broker.app import diagnostics, policy_trials
from broker.app.assembly import Parts
from broker.app.named_configuration import configuration
from broker.app.policy_trials import NoSuchNameError, Site
from broker.core.errors import ConfigurationFaults, Fault, LeadsNowhere
from broker.core.event_routes import TraceFacts
from broker.core.login.refused_facts import RefusedFacts
from broker.core.login.replayed_refusal import Replay
from broker.core.stateless_references import StatelessReferences
from broker.files.policies import git_revisions, last_good, live_policies
from broker.files.policies.policy_folder import FoundFiles, PolicyFolder
from broker.use_cases.login.support_traces import SupportTraces

_NEVER: Final = "no set of policies was ever in force here, so that none has refused anybody"
ANOTHER_PAGE: Final = _("another page")
ANOTHER_REASON: Final = _("another reason")
_SHOWN: Final = 12  # characters of a digest
_SEE: Final = "broker check says what stands against the folder's"


class NothingRefused(LeadsNowhere):
    """A reference is asked for at a broker that has never let anybody in or refused them."""

    about = "policy"


@dataclass(frozen=True, slots=True)
class EarlierSet:
    """The set that refused, where it was read from, and what the login comes to by it again."""

    origin: str
    replay: Replay


@dataclass(frozen=True, slots=True)
class Explanation:
    """A page that somebody could not get past.

    ``replay`` is what the login would come to by the set ``in_force``; None where no facts were
    kept, or where ``gone`` names what is no longer there. ``earlier`` is the set that refused,
    where that is another one and was read. ``stranger``: nobody was logged in.
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
    """Return whether no set was ever in force on this machine; ConfigurationFaults."""
    return last_good.last_good_digest(configuration().state / "policies") is None


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


def with_earlier_set(
    parts: Parts, found: Explanation, folder: Path | None, *, git: bool, now: datetime
) -> Explanation:
    """Return the explanation with the set that refused, read from a folder.

    ``git``: read the commit of the folder that has this set. ``folder`` None is the configured one.
    ConfigurationFaults where the folder does not have the set.
    """
    refused = found.refused
    if refused is None or refused.digest == found.in_force:
        return found
    folder = folder or parts.config.policies
    origin, files = _earlier_files(folder, refused.digest, git=git)
    policies = live_policies.load_found(replace(files, binding=False), now)
    try:
        again = policy_trials.replayed_now(
            replace(of_parts(parts), policies=policies), refused, now
        )
    except NoSuchNameError:
        return found  # the service or the upstream is gone, as the explanation says
    return replace(found, earlier=EarlierSet(origin, again))


def _earlier_files(folder: Path, digest: str, *, git: bool) -> tuple[str, FoundFiles]:
    if git:
        commit = git_revisions.commit_with_digest(folder, digest)
        if commit is not None:
            with git_revisions.folder_at(folder, commit.id) as extracted:
                return str(commit), PolicyFolder(extracted).files()
    else:
        files = PolicyFolder(folder).files()
        if files.digest == digest:
            return str(folder), files
    what = f"{'no commit of it holds' if git else 'it does not hold'} set {digest[:_SHOWN]}"
    raise ConfigurationFaults([Fault(str(folder), what, "name another with --policies")])


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
    )
