"""Texts with links, ``[words](target)``, where the target is a known name; all else is escaped."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from markupsafe import Markup

# The first group of a link is its label, the second the name of its target. Texts contain no URLs.
_LINK: Final = re.compile(r"\[([^\[\]]+)\]\(([a-z_.#-]+)\)")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
# Control characters, and those that change the text direction of the rest of a page.
_ODD: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
PLACEHOLDERS: Final = ("eid", "library")
# Pages that exist in Danish only: the link says so to browsers and screen readers (WCAG 3.1.2).
_DANISH: Final = frozenset({"faq_hospital_da"})
_IN_DANISH: Final = Markup(' hreflang="da" lang="da"')


def find_link_targets(text: str) -> Iterator[str]:
    """Return the target of every link in ``text``, in order."""
    return (link[2] for link in _LINK.finditer(text))


def find_text_faults(text: str) -> Iterable[str]:
    """Yield each fault of ``text``: half a link, an unknown placeholder, an odd character."""
    if not text.strip():
        yield "must not be empty"
    if _ODD.search(text):
        yield "contains a control character, or one that changes the text direction"
    plain = _LINK.sub(r"\1", text)
    if "](" in plain or "][" in plain:
        yield "a link is written [words](target)"
    for name in _PLACEHOLDER.findall(plain):
        if name not in PLACEHOLDERS:
            yield f"unknown placeholder {{{name}}}, known are {{eid}} and {{library}}"


def fill_placeholders(text: str, values: Mapping[str, str]) -> str:
    """Return ``text`` with ``{eid}`` and ``{library}`` replaced.

    Use it for titles and labels, which contain no links.
    """
    return _PLACEHOLDER.sub(lambda name: values.get(name[1], name[0]), text)


def mark_links(
    text: str, values: Mapping[str, str], href: Callable[[str], str | None], page_language: str
) -> Markup:
    """Return ``text`` as HTML in which only our links are markup.

    ``href`` returns the address of a target. If it returns None, the label is shown without a link.
    """
    html = Markup()
    at = 0
    for link in _LINK.finditer(text):
        before = text[at : link.start()]
        label = fill_placeholders(link[1], values)
        target = link[2]
        html += fill_placeholders(before, values)  # Markup escapes what is added to it
        html += _anchor(label, target, href(target), page_language)
        at = link.end()
    return html + fill_placeholders(text[at:], values)


def _anchor(label: str, target: str, href: str | None, page_language: str) -> Markup:
    if href is None:
        return Markup("{}").format(label)
    danish = target in _DANISH and page_language != "da"
    attributes = _IN_DANISH if danish else Markup()
    return Markup('<a href="{}"{}>{}</a>').format(href, attributes, label)
