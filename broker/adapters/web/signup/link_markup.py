"""Texts with links in them: ``[words](target)`` where the target is a name we know, and everything else is escaped."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

# The first group of a link is what people read, the second a name; an address never stands in a
# text.
_LINK: Final = re.compile(r"\[([^\[\]]+)\]\(([a-z_.#-]+)\)")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
# Control characters, and those that turn the direction in which the rest of a page is read.
_ODD: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
PLACEHOLDERS: Final = ("eid", "library")
# Pages that exist in Danish only: a browser and a screen reader are told so (WCAG 3.1.2).
_DANISH: Final = frozenset({"faq_hospital_da"})


@dataclass(frozen=True, slots=True)
class TextLink:
    """Where a link leads, and whether what stands there is Danish although the page may not be."""

    href: str
    danish: bool = False

    @property
    def attributes(self) -> Markup:
        """Give the attributes of the ``a`` element."""
        said = Markup(' hreflang="da" lang="da"') if self.danish else Markup()
        return Markup('href="{}"').format(self.href) + said


def targets(text: str) -> Iterator[str]:
    """Give the target of every link in ``text``, in order."""
    return (found[2] for found in _LINK.finditer(text))


def unreadable(text: str) -> Iterable[str]:
    """Give what of ``text`` looks like a link or a placeholder and is none, and what nobody could read."""
    if not text.strip():
        yield "must not be empty"
    if _ODD.search(text):
        yield "holds a character that is not for reading"
    plain = _LINK.sub(r"\1", text)
    if "](" in plain or "][" in plain:
        yield "a link is written [words](target)"
    for name in _PLACEHOLDER.findall(plain):
        if name not in PLACEHOLDERS:
            yield f"unknown placeholder {{{name}}}, known are {{eid}} and {{library}}"


def with_links(text: str, words: Mapping[str, str]) -> str:
    """Give ``text`` with ``{eid}`` and ``{library}`` replaced; for titles and labels, which hold no links."""
    return _PLACEHOLDER.sub(lambda found: words.get(found[1], found[0]), text)


def marked(
    text: str, words: Mapping[str, str], href: Callable[[str], str | None], spoken: str
) -> Markup:
    """Give ``text`` as HTML in which only our links are markup; a link whose ``href`` is None leaves its words."""
    done, at = Markup(), 0
    for found in _LINK.finditer(text):
        done += with_links(text[at : found.start()], words)  # Markup escapes what is added to it
        done += _anchor(with_links(found[1], words), found[2], href(found[2]), spoken)
        at = found.end()
    return done + with_links(text[at:], words)


def _anchor(words: str, target: str, href: str | None, spoken: str) -> Markup:
    if href is None:
        return Markup("{}").format(words)
    link = TextLink(href, danish=target in _DANISH and spoken != "da")
    return Markup("<a {}>{}</a>").format(link.attributes, words)
