"""The tree of sign-up pages is the one of docs/reference/requirements.md#tree."""

import re
from pathlib import Path
from typing import Final

from broker.adapters.web.sign_up.sign_up_links import START
from tests.plugins.signup_pages import BACK, PAGES

_DOCUMENT: Final = Path(__file__).resolve().parents[4] / "docs" / "reference" / "requirements.md"
# A row of the document's table: page, path, answers, Back.
_ROW: Final = re.compile(r"^\| `([a-z.]+)` \| `(\S+)` \| (.*) \| (?:none|`([a-z.]+)`) \|$", re.MULTILINE)


def test_the_tree_is_the_required_one() -> None:
    """Every page has its path, leads where it must, and goes back to the page that led to it."""
    rows = _ROW.findall(_DOCUMENT.read_text(encoding="utf-8"))
    required = sorted((name, path, back) for name, path, _answers, back in rows)
    assert sorted((name, page.address, BACK.get(name) or "") for name, page in PAGES.items()) == required
    for name, _path, answers, _back in rows:
        leads_to = [answer.leads_to for answer in PAGES[name].answers.values()]
        assert leads_to == re.findall(r": `([a-z.]+)`", answers), name
    assert rows[0][0] == START
