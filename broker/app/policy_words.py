"""Decisions in words: the lines of ``try``, ``explain``, ``diff`` and the staff view."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from textwrap import wrap
from typing import Any, Final

from broker.adapters.translations.catalogue import marked as _
from broker.adapters.translations.catalogue import translate
from broker.core.borrowers.library_system import list_categories
from broker.core.entities import Text
from broker.core.identity.canonical_attributes import ASSURANCE, CPR_ATTRIBUTE
from broker.core.identity.rights import NOT_USABLE, Right
from broker.core.login.given_facts import CATEGORY, UNNAMED_CATEGORY
from broker.core.login.played_login import PlayedLogin
from broker.core.login.steps import Done
from broker.core.policy.matching import find_near_misses
from broker.core.policy.model import PolicyLine, PolicySet
from broker.core.policy.rule_words import NO_ENTRY, rule_words
from broker.core.policy_analysis.changes import MOVES, Change, Direction
from broker.core.policy_analysis.differences import Differences, Row
from broker.core.policy_analysis.effects import Effect, Topic, find_effects
from broker.core.policy_analysis.persona_words import example_login
from broker.core.policy_analysis.persona_words import words as try_options
from broker.core.policy_analysis.personas import conditions_of
from broker.use_cases import policy_trials
from broker.use_cases.policy_trials import Site, Trial

WIDTH: Final = 120
_LABEL_WIDTH: Final = 8
_MOST_NEAR: Final = 3
_MOST_GROUPS: Final = 10
_MOST_LINES: Final = 20
_MOST_PARTS: Final = 6

# The facts of a login as the core writes them: those with one of a few values, and the others.
_WHOLE: Final = frozenset(
    {
        _("assurance none"),
        _("assurance self_asserted"),
        _("assurance low"),
        _("assurance substantial"),
        _("assurance high"),
        _("cpr real"),
        _("cpr replacement"),
        _("cpr constructed"),
        _("cpr invalid"),
        _("cpr none"),
        _("borrower"),
        _("borrower unknown"),
        _("borrower none"),
        _("borrower there"),
    }
)
_NAMED: Final[Mapping[str, str]] = {
    "age": _("age %(value)s"),
    "borrower": _("borrower %(value)s"),
    "intent": _("intent %(value)s"),
}
_FOR_WANT_OF_A_BORROWER: Final = frozenset(
    {"cpr_required", "national_eid_required", "no_library_account"}
)
_SENT: Final = frozenset({"real", "replacement", "constructed"})
_UNCOUNTED: Final = _(
    "the CPR number does not count: the login is self-asserted, or its university calls the person"
    " no student, employee, staff, faculty or member"
)
_UNHEARD: Final = _(
    "note: a CPR number of this institution counts as not sent: it has no may_assert in broker.toml"
)
_UNFOUND: Final = _(
    "note: this login does not lead to the account: no CPR number came that finds one; an earlier"
    " login that brought one, or number and PIN, would"
)


def plain(text: str) -> str:
    """Return ``text`` with everything escaped that a terminal would act on, or not show."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


@dataclass(frozen=True, slots=True)
class Wording:
    """Sentences in one language: "en", as the commands print them, or "da"."""

    language: str

    def say(self, message: str, /, **filled: object) -> str:
        """Return a text of the catalogue with its places filled."""
        return translate(message, self.language) % filled

    def fact(self, written: str) -> str:
        """Return a fact of a login, as ``age 18``; the name of an attribute stays as it is."""
        if written in _WHOLE:
            return self.say(written)
        key, _between, value = plain(written).partition(" ")
        if key in _NAMED and value:
            return self.say(_NAMED[key], value=value)
        return plain(written)

    def outcome(self, reason: str, place: object, rule: str) -> str:
        """Return a refusal with the line of its rule, and the rule as its file writes it."""
        quoted = f" ({self.rule(rule)})" if rule else ""
        line = f", {place}{quoted}" if place else ""
        return self.say(_("refused: %(reason)s"), reason=f"{reason}{line}")

    def rule(self, rule: str) -> str:
        """Return a rule as its file writes it; one that is not there is said in words."""
        affiliation, lacks, _after = rule.partition(f" {NO_ENTRY}")
        if not lacks:
            return rule
        return self.say(_("%(affiliation)s has no entry for the service"), affiliation=affiliation)


ENGLISH: Final = Wording("en")


def wrapped(label: str, text: str, indent: int = 2) -> list[str]:
    """Return ``text`` behind ``label``, on lines of 120 characters."""
    head = f"{' ' * indent}{label:<{_LABEL_WIDTH}}  "
    return wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def trial_lines(
    site: Site, trial: Trial, now: datetime, words: Wording, corner: str = ""
) -> Iterator[str]:
    """Yield the lines of a trial; ``corner`` names the set at the end."""
    for played in trial.played:
        yield from _lines_at_service(site, trial, played, now, words)
    yield from _notes(site, trial, words)
    made_up = ", ".join(map(words.fact, trial.complete.made_up))
    if made_up:
        yield from wrap(words.say(_("made up: %(facts)s"), facts=made_up), WIDTH)
    if corner:
        yield corner


def trial_row(site: Site, trial: Trial, played: PlayedLogin, now: datetime) -> dict[str, Any]:
    """Return a played login for programs."""
    return {
        "service": played.service.name,
        "offered": policy_trials.is_offered(site, trial, played),
        "effect": "permit" if played.permitted else "deny",
        "affiliation": played.decision.affiliation,
        "reason": played.reason,
        "line": _line(played.place),
        "steps": [type(step).__name__ for step in played.steps],
        "effects": [
            {
                "topic": each.topic,
                "name": each.name,
                "text": each.text,
                "remarks": each.remarks,
                "line": _line(each.place),
            }
            for each in find_effects(played, site.policies, now.date())
            if each.topic is not Topic.TEXTS
        ],
        "stays": [
            {"name": fate.name, "reason": fate.code, "line": _line(fate.place)}
            for fate in played.staying
        ],
    }


def _lines_at_service(
    site: Site, trial: Trial, played: PlayedLogin, now: datetime, words: Wording
) -> Iterator[str]:
    service, decision = played.service.name, played.decision
    matched = [reason.place for reason in decision.reasons if reason.code == "matched"]
    place = matched[0] if matched else decision.policy.file if decision.policy else None
    who = f"{service}, as {decision.affiliation} ({place})" if decision.affiliation else service
    if not policy_trials.is_offered(site, trial, played):
        upstream = plain(trial.login.upstream)
        title = words.say(
            _("%(service)s does not offer %(upstream)s"), service=service, upstream=upstream
        )
        yield f"{title}; {who}"
    else:
        yield who
    if not played.permitted:
        yield from _refusal(site, played, now, words)
        return
    effects = [*find_effects(played, site.policies, now.date())]
    for topic in Topic:
        shown = [each for each in effects if each.topic is topic and str(each) != "none"]
        if shown and topic not in {Topic.DETAILS, Topic.TEXTS}:
            text = ", ".join(_shown(each, words) for each in shown)
            yield from wrapped(words.say(topic), f"{text}{_places(shown)}")
    if isinstance(played.end, Done):
        yield f"  {words.say(_('the sign-up is done; nothing leaves'))}"
        return
    unasked = {*trial.complete.made_up, ASSURANCE}
    kept = [
        each for each in played.staying if each.code != "not_listed" or each.name not in unasked
    ]
    if kept:
        text = ", ".join(f"{each.name} ({each.code})" for each in kept)
        yield from wrapped(words.say(_("keeps")), text)


def _shown(effect: Effect, words: Wording) -> str:
    """Return an effect as ``try`` shows it: of a field its name."""
    name = effect.name.removeprefix("field ")
    texts = (effect.text,) if effect.text and effect.topic is not Topic.WRITES else ()
    if effect.topic is Topic.RECEIVES:
        remarks = [words.say(each) for each in (*texts, *effect.remarks)]
        return f"{name} ({'; '.join(remarks)})" if remarks else name
    return ", ".join((f"{words.say(name)} {' '.join(texts)}".strip(), *effect.remarks))


def _places(effects: Iterable[Effect]) -> str:
    """Return lines as `` (student.yaml:36, :38)``."""
    lines = sorted(
        {each.place for each in effects if each.place}, key=lambda at: (at.file, at.line)
    )
    shown = []
    for file, places in groupby(lines, key=lambda at: at.file):
        numbers = [str(each.line) for each in places]
        shown.append(f"{file}:{', :'.join(numbers)}")
    return f" ({', '.join(shown)})" if shown else ""


def _refusal(site: Site, played: PlayedLogin, now: datetime, words: Wording) -> Iterator[str]:
    rule = rule_words(played.decision)
    yield f"  {words.outcome(played.reason, played.place, rule)}"
    uncounted = played.facts.withheld.get(CPR_ATTRIBUTE) == NOT_USABLE
    if played.reason == "cpr_required" and uncounted:
        yield from wrapped("", words.say(_UNCOUNTED))
    if played.reason != "no_affiliation":
        return
    missed = find_near_misses(site.policies, played.facts, now.date())
    for reason, condition in missed[:_MOST_NEAR]:
        wanted = f"{condition.name}: {_listed(condition.values, _MOST_NEAR)}"
        yield from wrapped(words.say(_("near")), f"{reason.place} {reason.code}   {wanted}")


def _notes(site: Site, trial: Trial, words: Wording) -> Iterator[str]:
    borrower = trial.given.borrower
    withheld = (CPR_ATTRIBUTE, "may_not_assert") in trial.login.reading.withheld
    if withheld and trial.given.cpr in _SENT and trial.complete.institution is not None:
        yield words.say(_UNHEARD)
    if borrower is None:
        return
    if any(
        played.reason in _FOR_WANT_OF_A_BORROWER and not played.decision.has(Right.USE_BORROWER)
        for played in trial.played
    ):
        yield from wrap(words.say(_UNFOUND), WIDTH)
    if borrower.category not in {UNNAMED_CATEGORY, *_categories(site.policies)}:
        category = repr(borrower.category)
        yield words.say(_("note: no rule names the category %(category)s"), category=category)


def _categories(policies: PolicySet) -> Iterator[str]:
    """Yield the categories that the policies name: those of borrowers, and those they match."""
    for condition in conditions_of(policies):
        yield from condition.values if condition.name == CATEGORY else ()
    for policy in policies.policies:
        yield from list_categories(policy.borrower) if policy.borrower else ()


def _line(place: PolicyLine | None) -> str | None:
    return str(place) if place else None


Sets = tuple[PolicySet, ...]


def change_sentences(found: Differences, sets: Sets, labels: Mapping[str, Text]) -> Iterator[str]:
    """Yield a sentence for each service and affiliation with a login to try, the widest first.

    Ten sentences, and twenty lines, at most. ``labels`` are those of the services.
    """
    groups: dict[object, list[Row]] = {}
    moves = {(row.service, row.affiliation) for row in found.rows if not _is_move(row)}
    for row in found.rows:
        if _is_move(row) and (row.service, row.affiliation) in moves:
            continue  # another sentence says who becomes what
        key = (row.change.direction, row.service, row.affiliation, row.day)
        groups.setdefault(key, []).append(row)
    printed: list[str] = []
    for number, rows in enumerate(groups.values()):
        more = _sentence(rows, found, sets, labels)
        if number == _MOST_GROUPS or len(printed) + len(more) > _MOST_LINES:
            printed.append(
                f"and {len(groups) - number} more: --all lists each change with its line"
            )
            break
        printed += more
    yield from printed
    yield from _closing(found)


def every_change(found: Differences, sets: Sets) -> Iterator[str]:
    """Yield a line for each change, with the line of the file and a login to try."""
    for row in found.rows:
        text = _with_values(row.change.text, row.values)
        place = f"  ({_place(row.change)})" if row.change.place else ""
        head = f"{row.change.direction:<8} {row.service} {row.affiliation}: {text}"
        yield f"{head}{_day(row, found)}{place}  e.g. {_try(row, found, sets)}"
    yield from _closing(found)


def change_facts(found: Differences, sets: Sets) -> dict[str, Any]:
    """Return the changes for programs."""
    before, after = (policies.digest for policies in sets)
    rows = [
        {
            "direction": row.change.direction,
            "service": row.service,
            "affiliation": row.affiliation,
            "change": row.change.text,
            "values": row.values,
            "line": _line(row.change.place),
            "was": row.change.was,
            "from": row.day.isoformat() if row.day > found.today else None,
            "persona": _try(row, found, sets),
            "login": example_login(row.login),
        }
        for row in found.rows
    ]
    return {
        "before": before,
        "after": after,
        "rows": rows,
        "wider": any(row.change.direction is Direction.WIDER for row in found.rows),
        "asked_again": found.asked_again,
        "logins": found.logins,
        "incomplete": found.incomplete,
    }


def _sentence(
    rows: Sequence[Row], found: Differences, sets: Sets, labels: Mapping[str, Text]
) -> list[str]:
    first = rows[0]
    received, lost, parts = [], [], []
    for row in rows:
        text = _with_values(row.change.text, row.values)
        if row.change.topic is not Topic.RECEIVES:
            parts += [text] if not _is_move(row) else []
        elif text.startswith("+ "):
            received.append(text[2:])
        else:
            lost.append(text[2:])
    between = ": " if parts or not received + lost else " "
    if received:
        parts.append(f"also receives {_listed(received)}")
    if lost:
        parts.append(f"no longer receives {_listed(lost)}")
    what = f"{labels[first.service].en}{between}{'; '.join(parts) or 'decided by another file'}"
    text = f"{_who(first.affiliation, sets)}: {what}{_day(first, found)}."
    persona = f"try {_try(first, found, sets)}"
    return [*wrapped(first.change.direction, text, 0), *wrapped("", persona, 0)]


def _is_move(row: Row) -> bool:
    """Return whether the change is only that another file decides."""
    return row.change.text == row.affiliation


def _try(row: Row, found: Differences, sets: Sets) -> str:
    return try_options(row.login, sets, day=row.day if row.day > found.today else None)


def _day(row: Row, found: Differences) -> str:
    return f", from {row.day} on" if row.day > found.today else ""


def _with_values(text: str, values: Sequence[str]) -> str:
    return f"{text} ({_listed(values)})" if values else text


def _listed(parts: Sequence[str], most: int = _MOST_PARTS) -> str:
    shown = ", ".join(parts[:most])
    more = len(parts) - most
    return f"{shown} and {more} more" if more > 0 else shown


def _who(affiliation: str, sets: Sets) -> str:
    """Return the label of the people; of people who move, both."""
    labels = {
        policy.affiliation: policy.label.en for policies in sets for policy in policies.policies
    }
    return MOVES.join(labels.get(name, name) for name in affiliation.split(MOVES))


def _place(change: Change) -> str:
    return f"was {change.place}" if change.was else str(change.place)


def _closing(found: Differences) -> Iterator[str]:
    if not found.rows:
        yield "no change"
    if found.asked_again:
        again = ", ".join(found.asked_again)
        yield from wrap(f"People who answered before are asked again at {again}.", WIDTH)
    yield f"{found.logins} logins were tried by both sets"
