"""Sentences about decisions, in the language of the reader."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

from broker.core.marked_text import mark as _
from broker.core.policy.rule_descriptions import NO_ENTRY

WIDTH: Final = 120
_LABEL_WIDTH: Final = 8

# The facts of a login that have one of a few values.
_FIXED_FACTS: Final = frozenset(
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
_FACTS_WITH_VALUE: Final[Mapping[str, str]] = {
    "age": _("age %(value)s"),
    "borrower": _("borrower %(value)s"),
    "intent": _("intent %(value)s"),
}


def list_some(parts: Sequence[str], most: int) -> str:
    """Return the first ``most`` parts, and how many more there are."""
    more = len(parts) - most
    return ", ".join(parts[:most]) + (f" and {more} more" if more > 0 else "")


def escape_unprintable(text: str) -> str:
    """Return ``text`` with every character escaped that a terminal would act on or not show."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


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

    def fact(self, written: str) -> str:
        """Return a fact of a login, as ``age 18``; an attribute name is not translated."""
        if written in _FIXED_FACTS:
            return self.say(written)
        key, _between, value = escape_unprintable(written).partition(" ")
        if key in _FACTS_WITH_VALUE and value:
            return self.say(_FACTS_WITH_VALUE[key], value=value)
        return escape_unprintable(written)

    def refusal(self, reason: str, place: object, rule: str) -> str:
        """Return a refusal with its line and the rule as its file writes it."""
        quoted = f" ({self.rule(rule)})" if rule else ""
        line = f", {place}{quoted}" if place else ""
        return self.say(_("refused: %(reason)s"), reason=f"{reason}{line}")

    def rule(self, rule: str) -> str:
        """Return a rule as its file writes it; the lack of an entry is put in words."""
        affiliation, lacks, _after = rule.partition(f" {NO_ENTRY}")
        if not lacks:
            return rule
        return self.say(_("%(affiliation)s has no entry for the service"), affiliation=affiliation)


def wrap_labelled(label: str, text: str, indent: int = 2) -> Iterator[str]:
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
