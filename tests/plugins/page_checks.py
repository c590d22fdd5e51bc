"""Checks pages with axe in each colour scheme and width."""

from collections.abc import Sequence
from typing import Final, Literal

import requests
from axe_playwright_python.base import AXE_SCRIPT
from lxml import etree, html
from playwright.sync_api import Page

Look = tuple[Literal["light", "dark"], int]

FIRST: Final[Look] = ("light", 320)
LOOKS: Final[Sequence[Look]] = [FIRST, ("dark", 320), ("light", 1280), ("dark", 1280)]
# The dark scheme only changes the values of the colours, as tests/adapters/web/test_templates.py verifies. So only
# the colour rules of axe can give another result than in the light scheme at the same width.
_OF_COLOUR: Final = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
_RULES: Final = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
_HAS_AXE: Final = "typeof axe === 'object'"
_FIND_FAULTS: Final = """async rules => {
    const found = await axe.run({runOnly: rules, resultTypes: ["violations"]});
    const root = document.documentElement;
    const ways = document.querySelectorAll("main a[href]:not([href^='#']), main button");
    return [...found.violations.map(each => each.id + " " + each.nodes.map(node => node.target)),
            ...(ways.length ? [] : ["no way on"]),
            ...(root.scrollWidth > root.clientWidth ? ["too wide"] : [])];
}"""


def show(page: Page, address: str) -> str:
    """Write the page of an address into the open document, and return its source.

    Use it for pages of the site of the open document: opening each page takes five times as long, and they look the
    same.
    """
    answer = requests.get(address, timeout=60)
    source = answer.content.decode()
    page.set_content(source)
    return source


def find_page_faults(page: Page, name: str, looks: Sequence[Look] = LOOKS, *, leads_on: bool = True) -> list[str]:
    """Return the faults of the open page: WCAG 2.2 AA rules, a page that is too wide, no link or button.

    ``leads_on`` is False for a page that may have no link or button.
    """
    if not page.evaluate(_HAS_AXE):
        page.evaluate(AXE_SCRIPT)
    found = []
    for scheme, width in looks:
        # Without motion no colour is in transition during the check.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 800})
        seen_in_light = scheme == "dark" and ("light", width) in looks
        told = page.evaluate(_FIND_FAULTS, _OF_COLOUR if seen_in_light else _RULES)
        found += [f"{name} {scheme} {width}: {each}" for each in told]
    if leads_on:
        return found
    return [each for each in found if not each.endswith(": no way on")]


def shape(source: str, name: str) -> str:
    """Return a page without its words and without ``name``: axe only checks that there are words."""
    tree = html.document_fromstring(source.replace(name, "-"))
    for each in tree.iter(etree.Element):
        each.text, each.tail = _replace_words(each.text), _replace_words(each.tail)
    return str(html.tostring(tree, encoding="unicode"))


def _replace_words(text: str | None) -> str:
    return "-" if (text or "").strip() else ""
