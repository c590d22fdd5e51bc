"""Pages that are rendered once a look, then filled in with what differs from answer to answer."""

import secrets
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus

from flask import render_template
from flask.globals import request_ctx
from markupsafe import Markup

from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_links import LinkedPages, PageLinks
from broker.core.entities import Service

# Languages, services, fields and kinds of computer: a hundred services have some four hundred.
_MOST_LOOKS: Final = 1000
# Stands in a page where a value will stand; nobody outside can write it.
_MARK: Final = secrets.token_hex(16)

# What a template is given, where each value that differs is the mark under its name.
Given = Callable[[Mapping[str, str]], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class FilledPages:
    """The pages by their look, that is by everything but what differs from answer to answer.

    Of an answer nothing is kept.
    """

    linked: LinkedPages
    by_look: dict[Hashable, Markup] = field(default_factory=dict)

    def page(
        self, template: str, look: Hashable, differing: Mapping[str, str], given: Given
    ) -> str:
        """Return the page of ``template`` with ``differing`` in it, for the present request.

        ``given`` returns what the template is given, from marks that stand for ``differing``;
        ``look`` is all else that this depends on. The page is, octet for octet, what the template
        gives with the values themselves.
        """
        links = self.linked.of(request_ctx.request)
        shape = (bool(links.help), links.elsewhere, bool(links.login))
        of_look = (template, language(), shape, look, *differing)
        filling = {**differing, "help": links.help, "login": quote_plus(links.login)}
        page = self.by_look.get(of_look)
        if page is None:
            page = _rendered(template, filling, links, given)
            if len(self.by_look) >= _MOST_LOOKS:
                self.by_look.clear()
            self.by_look[of_look] = page
        # Markup escapes the values by the rules of the templates.
        return page % filling


def look_of(service: Service | None) -> Hashable:
    """Return what a page shows of a service to go back to."""
    return service and (service.label, service.url)


def _rendered(template: str, filling: Mapping[str, str], links: PageLinks, given: Given) -> Markup:
    """Return the page with ``%(name)s`` in place of each value that differs."""
    marks = {}
    for number, name in enumerate(filling):
        marks[name] = f"{_MARK}x{number}x"
    login = links.login and marks["login"]
    page = render_template(
        template,
        help=links.help and marks["help"],
        switch=links._replace(login=login).switch,
        **given(marks),
    )
    page = page.replace("%", "%%")
    for name, mark in marks.items():
        page = page.replace(mark, f"%({name})s")
    return Markup(page)  # noqa: S704 - what the templates have escaped already
