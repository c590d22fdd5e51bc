"""An explained refusal for people, in lines: what refused then, and what would come of it now."""

from collections.abc import Iterator
from typing import Final

from broker.app.played_text import plain
from broker.app.refusal_explanations import Explanation
from broker.core.entities import Assurance
from broker.core.login.refused_facts import RefusedFacts
from broker.core.login.replayed_refusal import Replay
from broker.flows.policies.set_in_force import SetChange

_NO_FACTS: Final = (
    "no facts of it were kept: the login was held up before the policies, or after them"
)


def lines(found: Explanation) -> Iterator[str]:
    """Yield the lines of an explanation, the deciding line first."""
    if found.stranger:
        yield f"nobody was logged in: {found.reason}, at {found.step}; of strangers nothing is kept"
        return
    refused = found.refused
    if refused is None:
        yield f"{found.step} {_when(found)}: {found.reason}"
        yield f"  {_NO_FACTS}"
        return
    parts = [f"refused {_when(found)} at {refused.service} by {refused.upstream}: {found.reason}"]
    parts.append(_then(refused, found))
    parts.append(_now(found))
    yield ";  ".join(parts)
    yield from (f"  near    {line}" for line in refused.near)
    yield f"  facts   {plain(', '.join(_facts(refused)))}"


def _when(found: Explanation) -> str:
    return f"{found.at:%Y-%m-%d %H:%M} UTC"


def _then(refused: RefusedFacts, found: Explanation) -> str:
    digest = refused.digest[:12]
    standing = "in force" if refused.digest == found.in_force else _replaced(found.replaced)
    line = f"{refused.line} ({refused.rule})" if refused.line and refused.rule else refused.line
    let_in = "the policies let them in, by " if refused.permitted else ""
    return f"{let_in}{line or 'no line'} of set {digest}, {standing}"


def _replaced(change: SetChange | None) -> str:
    """Say when, by whom and why another set came in its place, as far as the history goes."""
    if change is None:
        return "replaced since"
    why = f': "{change.why}"' if change.why else f", {change.move}"
    return f"replaced {change.at:%Y-%m-%d %H:%M} UTC ({plain(change.who + why)})"


def _now(found: Explanation) -> str:
    if found.gone:
        return f"cannot say what would come of it now: {found.gone}"
    if found.replay is None:
        return "cannot say what would come of it now"
    return f"in force now: {_outcome(found.replay)}"


def _outcome(replay: Replay) -> str:
    if replay.depends_on:
        return f"cannot say: depends on {', '.join(map(plain, replay.depends_on))}"
    if replay.permitted:
        return "permitted"
    rule = f", {replay.place} ({replay.rule})" if replay.place else ""
    return f"refused: {replay.reason}{rule}"


def _facts(refused: RefusedFacts) -> Iterator[str]:
    level = refused.assurance
    yield f"assurance {Assurance(level).name.lower() if level else 'none'}"
    yield f"cpr {refused.cpr}"
    if refused.age is not None:
        yield f"age {refused.age}"
    yield f"borrower {refused.borrower}"
    if refused.intent:
        yield f"intent {refused.intent}"
    values = dict(refused.values)
    for name in refused.present:
        yield f"{name} {' '.join(values[name])}" if name in values else name
    for name, code in refused.withheld:
        yield f"{name} withheld ({code})"
