"""The words that trials and explanations are told with, in either language of the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.adapters.translations.catalogue import marked as _
from broker.adapters.translations.catalogue import translate
from broker.core.entities import Text

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
    "upstream": _("upstream %(value)s"),
    "age": _("age %(value)s"),
    "borrower": _("borrower %(value)s"),
    "intent": _("intent %(value)s"),
}
_PROOF: Final = _("proof %(name)s in %(domain)s")


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

    def name(self, text: Text) -> str:
        """Return what a configuration words in both languages."""
        return text[self.language]

    def fact(self, written: str) -> str:
        """Return a fact of a login, as ``age 18``; the name of an attribute stays as it is."""
        if written in _WHOLE:
            return self.say(written)
        key, _between, value = plain(written).partition(" ")
        if key in _NAMED and value:
            return self.say(_NAMED[key], value=value)
        name, found, domain = value.partition(" in ")
        if key == "proof" and found:
            return self.say(_PROOF, name=name, domain=domain)
        return plain(written)


ENGLISH: Final = Wording("en")
