"""Renders the page of each reason with all its actions, and measures its visible part."""

import re
from datetime import UTC, datetime
from typing import Final

from flask import render_template
from lxml import html

from broker.adapters.web.pages import refusal_links
from broker.adapters.web.pages.reason_texts import REFUSALS
from broker.adapters.web.pages.refusal_links import Action

NOW: Final = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
_ACTIONS: Final = (
    Action("way", "MitID", way="nemid"),
    Action("way", "Lånerkonto", way="library"),
    Action("sign_up", "Sign up for a library account", "/sign-up"),
    Action("help", "Get help where you logged in", "https://idp.example/help"),
)
_BACK: Final = Action("return", "Go on to My loans", "https://library.example/loans")


def render_reason(code: str) -> str:
    """Return the page of a reason, in the language of the request."""
    if code not in REFUSALS:
        actions = refusal_links.choose_error_actions(code, "/again", None, "")
        return render_template("error.html", step="error", reason=code, reference="K7MW3QZX", now=NOW, actions=actions)
    return render_template(
        "refused.html",
        step="refuse",
        reason=code,
        reference="K7MW3QZX",
        now=NOW,
        actions=refusal_links.order_actions(code, (*_ACTIONS, Action("again", "Log in again", "/again")), _BACK),
        service="My loans",
        form=None,
        address="/again",
        ways_token="t~t",
        ways=(),
        shared=False,
        admitted=(),
        admitted_to=None,
        decision=None,
    )


def first_sight(source: str) -> tuple[list[str], int]:
    """Return the words of ``main`` outside closed details, and the number of its links and buttons there."""
    main = html.document_fromstring(source).find(".//main")
    assert main is not None
    for closed in main.findall(".//details"):
        closed.clear()
    words = re.findall(r"\w+", " ".join(map(str, main.itertext())))
    return words, sum(1 for _ in main.iter("a", "button"))
