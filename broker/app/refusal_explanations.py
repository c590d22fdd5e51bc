"""Explains a refusal by the reference on its page: why then, and what would come of it now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.adapters.translations.catalogue import marked as _
from broker.app.assembly import Parts
from broker.app.policy_words import Wording, plain
from broker.configuration.policies import git_revisions, live_policies
from broker.configuration.policies.policy_folder import FoundFiles, PolicyFolder
from broker.core.entities import Assurance
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.events.broker_events import TraceFacts
from broker.core.help_codes import StatelessReferences
from broker.core.login.refused_facts import RefusedFacts
from broker.core.login.replayed_refusal import Replay
from broker.use_cases import policy_trials
from broker.use_cases.login.support_traces import SupportTraces
from broker.use_cases.policy_trials import NoSuchNameError, Site

_GONE: Final[Mapping[str, str]] = {
    "upstream": _("there is no upstream %(name)s"),
    "service": _("there is no service %(name)s"),
}
ANOTHER_PAGE: Final = _("another page")
ANOTHER_REASON: Final = _("another reason")
_SHOWN: Final = 12  # characters of a digest


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
        again = policy_trials.replay_refusal(
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
            replay = policy_trials.replay_refusal(site, refused, now)
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


_STRANGER: Final = _("nobody was logged in: %(reason)s, at %(step)s; of strangers nothing is kept")
_NO_FACTS: Final = _(
    "no facts of it were kept: the login was held up before the policies, or after them"
)
# A step or reason that the letters of a reference have no number for.
_UNNAMED: Final = frozenset({ANOTHER_PAGE, ANOTHER_REASON})


def lines(found: Explanation, words: Wording) -> Iterator[str]:
    """Yield the lines of an explanation in ``words``, the deciding line first."""
    if found.stranger:
        reason, step = _named(found.reason, words), _named(found.step, words)
        yield words.say(_STRANGER, reason=reason, step=step)
        return
    refused = found.refused
    if refused is None:
        yield f"{found.step} {_when(found)}: {found.reason}"
        yield f"  {words.say(_NO_FACTS)}"
        return
    parts = [_at(refused, found, words)]
    parts.append(_then(refused, found, words))
    parts += _earlier(found, words)
    parts.append(_now(found, words))
    yield ";  ".join(parts)
    near, facts = words.say(_("near")), words.say(_("facts"))
    yield from (f"  {near}    {line}" for line in refused.near)
    yield f"  {facts}   {', '.join(_facts(refused, words))}"


def _named(code: str, words: Wording) -> str:
    return words.say(code) if code in _UNNAMED else code


def _when(found: Explanation) -> str:
    return f"{found.at:%Y-%m-%d %H:%M} UTC"


def _at(refused: RefusedFacts, found: Explanation, words: Wording) -> str:
    return words.say(
        _("refused %(when)s at %(service)s by %(upstream)s: %(reason)s"),
        when=_when(found),
        service=refused.service,
        upstream=refused.upstream,
        reason=found.reason,
    )


def _then(refused: RefusedFacts, found: Explanation, words: Wording) -> str:
    line = _line(refused, words)
    digest = refused.digest[:12]
    in_force = refused.digest == found.in_force
    standing = words.say(_("in force") if in_force else _("no longer in force"))
    if refused.permitted:
        let_in = _("the policies let them in, by %(line)s of set %(digest)s, %(standing)s")
        return words.say(let_in, line=line, digest=digest, standing=standing)
    by = _("%(line)s of set %(digest)s, %(standing)s")
    return words.say(by, line=line, digest=digest, standing=standing)


def _line(refused: RefusedFacts, words: Wording) -> str:
    if not refused.line:
        return words.say(_("no line"))
    return f"{refused.line} ({words.rule(refused.rule)})" if refused.rule else refused.line


def _earlier(found: Explanation, words: Wording) -> Iterator[str]:
    """Yield what the set that refused decides again, where it was read."""
    if found.earlier is not None:
        by, outcome = found.earlier.origin, _outcome(found.earlier.replay, words)
        yield words.say(
            _("by the set that decided (%(origin)s): %(outcome)s"), origin=by, outcome=outcome
        )


def _now(found: Explanation, words: Wording) -> str:
    if found.gone is not None:
        gone = words.say(_GONE[found.gone.kind], name=repr(found.gone.name))
        return words.say(_("cannot say what would come of it now: %(gone)s"), gone=gone)
    if found.replay is None:
        return words.say(_("cannot say what would come of it now"))
    return words.say(_("in force now: %(outcome)s"), outcome=_outcome(found.replay, words))


def _outcome(replay: Replay, words: Wording) -> str:
    if replay.depends_on:
        facts = ", ".join(map(words.fact, replay.depends_on))
        return words.say(_("cannot say: depends on %(facts)s"), facts=facts)
    if replay.permitted:
        return words.say(_("permitted"))
    return words.outcome(replay.reason, replay.place, replay.rule)


def _facts(refused: RefusedFacts, words: Wording) -> Iterator[str]:
    level = refused.assurance
    yield words.fact(f"assurance {Assurance(level).name.lower() if level else 'none'}")
    yield words.fact(f"cpr {refused.cpr}")
    if refused.age is not None:
        yield words.fact(f"age {refused.age}")
    yield words.fact(f"borrower {refused.borrower}")
    if refused.intent:
        yield words.fact(f"intent {refused.intent}")
    values = dict(refused.values)
    for name in refused.present:
        yield plain(f"{name} {' '.join(values[name])}" if name in values else name)
    for name, code in refused.withheld:
        yield plain(words.say(_("%(name)s withheld (%(code)s)"), name=name, code=code))
