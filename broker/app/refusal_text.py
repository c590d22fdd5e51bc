"""An explained refusal for people, in lines: what refused then, and what would come of it now."""

from collections.abc import Iterator
from typing import Final

from broker.adapters.translations.catalogue import marked as _
from broker.app.refusal_explanations import ANOTHER_PAGE, ANOTHER_REASON, Explanation
from broker.app.told_words import Wording, plain
from broker.core.entities import Assurance
from broker.core.login.refused_facts import RefusedFacts
from broker.core.login.replayed_refusal import Replay
from broker.core.policy.rule_words import NO_ENTRY

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
    return f"{refused.line} ({_rule(refused.rule, words)})" if refused.rule else refused.line


def _rule(rule: str, words: Wording) -> str:
    """Return a rule as its file writes it; one that is not there is said in words."""
    affiliation, lacks, _after = rule.partition(f" {NO_ENTRY}")
    if not lacks:
        return rule
    return words.say(_("%(affiliation)s has no entry for the service"), affiliation=affiliation)


def _earlier(found: Explanation, words: Wording) -> Iterator[str]:
    """Yield what the set that refused decides again, where it was read."""
    if found.earlier is not None:
        by, outcome = found.earlier.origin, _outcome(found.earlier.replay, words)
        yield words.say(
            _("by the set that decided (%(origin)s): %(outcome)s"), origin=by, outcome=outcome
        )


def _now(found: Explanation, words: Wording) -> str:
    if found.gone is not None:
        gone = words.say(found.gone.message, name=repr(found.gone.name))
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
    rule = f", {replay.place} ({_rule(replay.rule, words)})" if replay.place else ""
    return words.say(_("refused: %(reason)s"), reason=f"{replay.reason}{rule}")


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
