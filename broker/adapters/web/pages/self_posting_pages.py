"""The pages that post a message by themselves: rendered once a look, then filled in."""

import secrets
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus

from flask import render_template, request
from markupsafe import Markup

from broker.adapters.web.pages.language import language
from broker.adapters.web.pages.page_links import LinkedPages, PageLinks
from broker.core.saml_ports import PostForm

# Languages, services, fields and kinds of computer: a hundred services have some four hundred.
_MOST_LOOKS: Final = 1000
# Stands in a page where a value will stand; nobody outside can write it.
_MARK: Final = secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class SelfPostingPages:
    """The pages by their look, that is by everything but what differs from login to login.

    Of a login nothing is kept.
    """

    linked: LinkedPages
    by_look: dict[Hashable, Markup] = field(default_factory=dict)

    def page(self, template: str, form: PostForm, **values: str | bool) -> str:
        """Return the page of ``template`` that posts ``form``, for the present request.

        ``values`` are the template's own, the same from login to login: names and flags. The page
        is, octet for octet, what the template gives with ``form`` and ``values``.
        """
        links = self.linked.of(request)
        shape = (bool(links.help), links.elsewhere, bool(links.login))
        look = (template, language(), shape, *form.fields, *values.items())
        page = self.by_look.get(look)
        if page is None:
            page = _rendered(template, form, links, values)
            if len(self.by_look) >= _MOST_LOOKS:
                self.by_look.clear()
            self.by_look[look] = page
        # Markup escapes the values by the rules of the templates.
        return page % _differing(form, links)


def _rendered(
    template: str, form: PostForm, links: PageLinks, values: Mapping[str, str | bool]
) -> Markup:
    """Return the page with ``%(name)s`` in place of each value that differs."""
    marks = {}
    for number, name in enumerate(_differing(form, links)):
        marks[name] = f"{_MARK}x{number}x"
    posted = {name: marks[_field(name)] for name in form.fields}
    login = links.login and marks["login"]
    page = render_template(
        template,
        form=PostForm(marks["action"], posted),
        help=links.help and marks["help"],
        switch=links._replace(login=login).switch,
        **values,
    )
    page = page.replace("%", "%%")
    for name, mark in marks.items():
        page = page.replace(mark, f"%({name})s")
    return Markup(page)  # noqa: S704 - what the templates have escaped already


def _differing(form: PostForm, links: PageLinks) -> Mapping[str, str]:
    """Return the values that differ from login to login, by their names in the page."""
    values = {"action": form.action, "help": links.help, "login": quote_plus(links.login)}
    for name, value in form.fields.items():
        values[_field(name)] = value
    return values


def _field(name: str) -> str:
    return f"field {name}"
