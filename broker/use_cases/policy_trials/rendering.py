"""The results of ``policy try``, ``explain`` and ``diff`` as text and, for --json, as dicts.

The terminal and the staff pages show the same lines.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from textwrap import wrap
from typing import Any, Final

from broker.core.entities import Assurance, Text
from broker.core.identity.canonical_attributes import ASSURANCE, CPR_ATTRIBUTE
from broker.core.identity.rights import NOT_USABLE
from broker.core.login.given_facts import SPEC_VERSION
from broker.core.login.played_login import PlayedLogin
from broker.core.login.refused_facts import RefusedFacts
from broker.core.login.steps import Done
from broker.core.marked_text import mark as _
from broker.core.policy.matching import find_near_misses
from broker.core.policy.model import PolicyLine, PolicySet
from broker.core.policy_analysis.differences import AT, MOVES, Differences, Row
from broker.core.policy_analysis.effects import Effect, Topic, find_effects
from broker.core.policy_analysis.login_options import write_options
from broker.use_cases.policy_trials.explanations import Explanation, Replay
from broker.use_cases.policy_trials.login_trials import LoginTrial, TrialSite

WIDTH: Final = 120
_LABEL_WIDTH: Final = 8
_MOST_NEAR: Final = 3
_MOST_GROUPS: Final = 10
_MOST_LINES: Final = 20
_MOST_PARTS: Final = 6
_SHOWN_DIGITS: Final = 12  # of a digest
_NUMBER_NOT_USABLE: Final = _(
    "the CPR number does not count: the login is self-asserted, or its university calls the person"
    " no student, employee, staff, faculty or member"
)
_NUMBER_NOT_ALLOWED: Final = _(
    "note: a CPR number of this institution counts as not sent: it has no may_assert in broker.toml"
)
_STRANGER: Final = _(
    "nobody was logged in: %(reason)s, at %(step)s; nothing is stored about visitors who are not"
    " logged in"
)
_NO_FACTS: Final = _("no facts were stored: no decision of the policies caused this page")

Sets = tuple[PolicySet, ...]


def _leave_english(message: str, _language: str) -> str:
    return message


@dataclass(frozen=True, slots=True)
class Wording:
    """Makes sentences in one language; ``translate`` takes a message and the language."""

    language: str = "en"
    translate: Callable[[str, str], str] = _leave_english

    def say(self, message: str, /, **filled: object) -> str:
        """Return a message of the catalogue with its places filled."""
        return self.translate(message, self.language) % filled


def escape_unprintable(text: str) -> str:
    """Return ``text`` with every character escaped that a terminal would act on or not show."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _list_some(parts: Sequence[str], most: int) -> str:
    """Return the first ``most`` parts, and how many more there are."""
    more = len(parts) - most
    return ", ".join(parts[:most]) + (f" and {more} more" if more > 0 else "")


def _write_labelled(label: str, text: str, indent: int = 2) -> Iterator[str]:
    """Yield ``text`` behind ``label``, on lines of 120 characters."""
    head = f"{' ' * indent}{label:<{_LABEL_WIDTH}}  "
    yield from wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _write_line(place: PolicyLine | None) -> str | None:
    return str(place) if place else None


def trial_lines(
    site: TrialSite, trial: LoginTrial, today: date, words: Wording, closing: str = ""
) -> Iterator[str]:
    """Yield the lines of a trial; ``closing`` names the policy set at the end."""
    for played in trial.played:
        if trial.login.upstream not in played.service.methods:
            upstream = escape_unprintable(trial.login.upstream)
            message = _("%(service)s does not offer %(upstream)s")
            yield words.say(message, service=played.service.name, upstream=upstream)
        yield from _result_lines(played, site.policies, today, words, trial.login.made_up)
    if (CPR_ATTRIBUTE, "may_not_assert") in trial.login.reading.withheld:
        yield words.say(_NUMBER_NOT_ALLOWED)
    made_up = ", ".join(trial.login.made_up)
    if made_up:
        yield from wrap(words.say(_("made up: %(facts)s"), facts=made_up), WIDTH)
    if closing:
        yield closing


def result_row(
    played: PlayedLogin, upstream: str, policies: PolicySet, today: date
) -> dict[str, Any]:
    """Return the result of a login by ``upstream`` at one service as a dict for --json."""
    return {
        "offered": upstream in played.service.methods,
        "service": played.service.name,
        "effect": "permit" if played.is_permitted else "deny",
        "affiliation": played.decision.affiliation,
        "reason": played.reason,
        "line": _write_line(played.place),
        "steps": [type(step).__name__ for step in played.steps],
        "effects": [
            {
                "topic": each.topic,
                "name": each.name,
                "text": each.text,
                "remarks": each.remarks,
                "line": _write_line(each.place),
            }
            for each in find_effects(played, policies, today)
        ],
        "stays": [
            {"name": fate.name, "reason": fate.code, "line": _write_line(fate.place)}
            for fate in played.attributes_not_sent
        ],
    }


def _result_lines(
    played: PlayedLogin,
    policies: PolicySet,
    today: date,
    words: Wording,
    made_up: Sequence[str] = (),
) -> Iterator[str]:
    """Yield the result at one service: what is asked, made, released and withheld, with lines.

    ``made_up`` are attributes that the trial invented. Those that the policy does not list are not
    shown.
    """
    decision = played.decision
    title = played.service.name
    if decision.affiliation and decision.alternative:
        title = f"{title}, as {decision.affiliation} ({decision.alternative.place})"
    yield title
    if not played.is_permitted:
        yield from _refusal_lines(played, policies, today, words)
        return
    yield from _effect_lines([*find_effects(played, policies, today)], words)
    if isinstance(played.end, Done):
        done = words.say(_("the sign-up is done; nothing is sent"))
        yield f"  {done}"
        return
    unlisted = {*made_up, ASSURANCE, SPEC_VERSION}
    not_sent = [
        f"{each.name} ({each.code})"
        for each in played.attributes_not_sent
        if each.code != "not_listed" or each.name not in unlisted
    ]
    if not_sent:
        yield from _write_labelled(words.say(_("not sent")), ", ".join(not_sent))


def _effect_lines(effects: Sequence[Effect], words: Wording) -> Iterator[str]:
    for topic in Topic:
        shown = [each for each in effects if each.topic is topic and str(each) != "none"]
        if shown and topic is not Topic.DETAILS:
            text = ", ".join(_word_effect(each, words) for each in shown)
            yield from _write_labelled(words.say(topic), f"{text}{_write_places(shown)}")


def _word_effect(effect: Effect, words: Wording) -> str:
    name = effect.name.removeprefix("field ")
    texts = (effect.text,) if effect.text and effect.topic is not Topic.WRITES else ()
    if effect.topic is Topic.RECEIVES:
        remarks = [words.say(each) for each in (*texts, *effect.remarks)]
        return f"{name} ({'; '.join(remarks)})" if remarks else name
    return " ".join((words.say(name) if name else "", *texts, ", ".join(effect.remarks))).strip()


def _write_places(effects: Iterable[Effect]) -> str:
    """Return the lines of effects as `` (student.yaml:36, :38)``."""
    lines = sorted(
        {each.place for each in effects if each.place}, key=lambda at: (at.file, at.line)
    )
    shown = []
    for file, places in groupby(lines, key=lambda at: at.file):
        numbers = [str(each.line) for each in places]
        shown.append(f"{file}:{', :'.join(numbers)}")
    return f" ({', '.join(shown)})" if shown else ""


def _refusal_lines(
    played: PlayedLogin, policies: PolicySet, today: date, words: Wording
) -> Iterator[str]:
    line = f", {played.place}" if played.place else ""
    refused = words.say(_("refused: %(reason)s"), reason=f"{played.reason}{line}")
    yield f"  {refused}"
    is_not_usable = played.facts.withheld.get(CPR_ATTRIBUTE) == NOT_USABLE
    if played.reason == "cpr_required" and is_not_usable:
        yield from _write_labelled("", words.say(_NUMBER_NOT_USABLE))
    if played.reason != "no_affiliation":
        return
    for reason, condition in find_near_misses(policies, played.facts, today)[:_MOST_NEAR]:
        wanted = f"{condition.name}: {_list_some(condition.values, _MOST_NEAR)}"
        yield from _write_labelled(
            words.say(_("nearest")), f"{reason.place} {reason.code}   {wanted}"
        )


def explanation_lines(found: Explanation, today: date, words: Wording) -> Iterator[str]:
    """Yield how the login was refused then, its facts, and its result under other policy sets."""
    refused = found.refused
    if found.stranger:
        reason, step = words.say(found.reason), words.say(found.step)
        yield words.say(_STRANGER, reason=reason, step=step)
        return
    when = f"{found.at:%Y-%m-%d %H:%M} UTC"
    if refused is None:
        yield f"{found.step} {when}: {found.reason}"
        yield f"  {words.say(_NO_FACTS)}"
        return
    yield words.say(
        _("refused %(when)s at %(service)s by %(upstream)s: %(reason)s"),
        when=when,
        service=refused.service,
        upstream=refused.upstream,
        reason=found.reason,
    )
    yield f"  {_word_deciding_line(refused, found, words)}"
    facts = ", ".join(map(escape_unprintable, _iter_facts(refused, words)))
    yield from _write_labelled(words.say(_("facts")), facts)
    if found.earlier:
        origin = found.earlier.origin
        yield words.say(_("result by the policies that decided then (%(origin)s):"), origin=origin)
        yield from _replay_lines(found.earlier, today, words)
    if found.replay:
        yield words.say(_("result by the policies in force now:"))
        yield from _replay_lines(found.replay, today, words)


def _replay_lines(replay: Replay, today: date, words: Wording) -> Iterator[str]:
    if replay.played:
        yield from _result_lines(replay.played, replay.policies, today, words)
        return
    facts = escape_unprintable(", ".join(replay.depends_on))
    said = words.say(_("cannot say: depends on %(facts)s"), facts=facts)
    if replay.gone:
        said = words.say(_("cannot say: there is no %(name)s"), name=replay.gone)
    yield f"  {said}"


def _word_deciding_line(refused: RefusedFacts, found: Explanation, words: Wording) -> str:
    line = refused.line or words.say(_("no line"))
    by = _("%(line)s of set %(digest)s, %(standing)s")
    if refused.permitted:
        by = _("the policies let them in, by %(line)s of set %(digest)s, %(standing)s")
    standing = _("no longer in force") if found.is_by_another_set else _("in force")
    digest = refused.digest[:_SHOWN_DIGITS]
    return words.say(by, line=line, digest=digest, standing=words.say(standing))


def _iter_facts(refused: RefusedFacts, words: Wording) -> Iterator[str]:
    yield f"assurance {Assurance(refused.assurance).name.lower() if refused.assurance else 'none'}"
    for name in ("cpr", "age", "borrower", "intent"):
        value = getattr(refused, name)
        if value is not None:
            yield f"{name} {value}"
    values = dict(refused.values)
    for name in refused.present:
        yield " ".join((name, *values.get(name, ())))
    for name, code in refused.withheld:
        yield words.say(_("%(name)s withheld (%(code)s)"), name=name, code=code)


def change_sentences(found: Differences, sets: Sets, labels: Mapping[str, Text]) -> Iterator[str]:
    """Yield a sentence and a login to try for each direction, service and affiliation.

    They are in the order of ``found.rows``: changes that release more come first. At most ten
    sentences and twenty lines are printed. ``labels`` are those of the services.
    """
    groups: dict[object, list[Row]] = {}
    for row in found.rows:
        key = (row.change.direction, row.service, row.affiliation)
        groups.setdefault(key, []).append(row)
    printed: list[str] = []
    for number, rows in enumerate(groups.values()):
        more = _write_sentence(rows, sets, labels)
        if number == _MOST_GROUPS or len(printed) + len(more) > _MOST_LINES:
            left = len(groups) - number
            printed.append(f"and {left} more: --all lists each change with its line")
            break
        printed += more
    yield from printed
    yield from _closing_lines(found)


def every_change(found: Differences, sets: Sets) -> Iterator[str]:
    """Yield a line for each change, with the line of the file and a login to try."""
    for row in found.rows:
        change = row.change
        was = "was " if change.in_old_set else ""
        place = f"  ({was}{change.place})" if change.place else ""
        head = f"{change.direction:<8} {row.service} {row.affiliation}: {_describe_change(row)}"
        yield f"{head}{place}  e.g. {write_options(row.login, sets)}"
    yield from _closing_lines(found)


def change_row(row: Row, sets: Sets) -> dict[str, Any]:
    """Return a change as a dict for --json."""
    return {
        "direction": row.change.direction,
        "service": row.service,
        "affiliation": row.affiliation,
        "change": row.change.text,
        "values": row.values,
        "line": _write_line(row.change.place),
        "was": row.change.in_old_set,
        "persona": write_options(row.login, sets),
    }


def _write_sentence(rows: Sequence[Row], sets: Sets, labels: Mapping[str, Text]) -> list[str]:
    first = rows[0]
    received, lost, parts = [], [], []
    for row in rows:
        text = _describe_change(row)
        if row.change.topic is not Topic.RECEIVES:
            parts.append(text)
        elif text.startswith("+ "):
            received.append(text[2:])
        else:
            lost.append(text[2:])
    between = ": " if parts or not received + lost else " "
    if received:
        parts.append(f"also receives {_list_some(received, _MOST_PARTS)}")
    if lost:
        parts.append(f"no longer receives {_list_some(lost, _MOST_PARTS)}")
    what = f"{labels[first.service].en}{between}{'; '.join(parts)}"
    text = f"{_name_people(first.affiliation, sets)}: {what}."
    sample = f"try {write_options(first.login, sets)}"
    return [*_write_labelled(first.change.direction, text, 0), *_write_labelled("", sample, 0)]


def _describe_change(row: Row) -> str:
    text = row.change.text
    return f"{text} ({_list_some(row.values, _MOST_PARTS)})" if row.values else text


def _name_people(affiliation: str, sets: Sets) -> str:
    """Return the label of an affiliation.

    ``student -> private at INSTITUTION`` is a person whose affiliation differs between two policy
    sets: both labels are returned.
    """
    labels = {
        policy.affiliation: policy.label.en for policies in sets for policy in policies.policies
    }
    moved, _at, institution = affiliation.partition(AT)
    people = MOVES.join(labels.get(name, name) for name in moved.split(MOVES))
    return f"{people} ({institution})" if institution else people


def _closing_lines(found: Differences) -> Iterator[str]:
    if not found.rows:
        yield "no change"
    if found.asked_again:
        again = ", ".join(found.asked_again)
        yield from wrap(f"People who answered before are asked again at {again}.", WIDTH)
    yield f"{found.logins} logins were tried under both policy sets"
