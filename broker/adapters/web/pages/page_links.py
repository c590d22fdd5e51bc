"""The links around a page that its request decides: to help, and to the other language."""

from dataclasses import dataclass
from typing import NamedTuple

from flask import Request

from broker.adapters.web.pages import language
from broker.adapters.web.pages.url_query import with_query
from broker.adapters.web.pages.waiting_login import login_named, login_of_page


class PageLinks(NamedTuple):
    """The links of one page.

    ``help`` is an address, "" where there is none; ``elsewhere`` the address of the page in the
    other language, "" for its own, and ``login`` the waiting login that its query names, or "".
    """

    help: str
    elsewhere: str
    login: str

    @property
    def switch(self) -> tuple[str, dict[str, str]]:
        """Return address and query of the page in the other language, as templates read them."""
        return self.elsewhere, {"login": self.login} if self.login else {}


@dataclass(frozen=True, slots=True)
class LinkedPages:
    """The pages that every page links to: ``start``, and the questions and answers or ""."""

    start: str
    help: str

    def of(self, request: Request) -> PageLinks:
        """Return the links of the page that answers ``request``.

        In the other language it is the GET of the same step: what a form sent is never sent again.
        A message at a SAML address cannot be asked for by a link: there the switch leads to the
        start page.
        """
        help_url = ""
        if self.help:
            help_url = with_query(self.help, {"login": login_of_page(request)})
        if not language.switchable(request):
            return PageLinks(help_url, self.start, "")
        return PageLinks(help_url, "", login_named(request) or "")
