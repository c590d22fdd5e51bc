"""Texts with links, ``[words](target)``, where the target is a known name; all else is escaped."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from markupsafe import Markup

# The first group of a link is what people read, the second a name; an address never stands in a
# text.
_LINK: Final = re.compile(r"\[([^\[\]]+)\]\(([a-z_.#-]+)\)")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
# Control characters, and those that turn the direction in which the rest of a page is read.
_ODD: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
PLACEHOLDERS: Final = ("eid", "library")
# Pages that exist in Danish only: the link says so to browsers and screen readers (WCAG 3.1.2).
_DANISH: Final = frozenset({"faq_hospital_da"})
_IN_DANISH: Final = Markup(' hreflang="da" lang="da"')


def targets(text: str) -> Iterator[str]:
    """Return the target of every link in ``text``, in order."""
    return (link[2] for link in _LINK.finditer(text))


def unreadable(text: str) -> Iterable[str]:
    """Return what is wrong with ``text``: half a link, an unknown placeholder, odd characters."""
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


def fill_placeholders(text: str, words: Mapping[str, str]) -> str:
    """Return ``text`` with ``{eid}`` and ``{library}`` replaced.

    It is for titles and labels, which hold no links.
    """
    return _PLACEHOLDER.sub(lambda name: words.get(name[1], name[0]), text)


def mark_links(
    text: str, words: Mapping[str, str], href: Callable[[str], str | None], page_language: str
) -> Markup:
    """Return ``text`` as HTML in which only our links are markup.

    A link whose ``href`` is None leaves its words.
    """
    html = Markup()
    at = 0
    for link in _LINK.finditer(text):
        before = text[at : link.start()]
        shown = fill_placeholders(link[1], words)
        target = link[2]
        html += fill_placeholders(before, words)  # Markup escapes what is added to it
        html += _anchor(shown, target, href(target), page_language)
        at = link.end()
    return html + fill_placeholders(text[at:], words)


def _anchor(words: str, target: str, href: str | None, page_language: str) -> Markup:
    if href is None:
        return Markup("{}").format(words)
    danish = target in _DANISH and page_language != "da"
    attributes = _IN_DANISH if danish else Markup()
    return Markup('<a href="{}"{}>{}</a>').format(href, attributes, words)
