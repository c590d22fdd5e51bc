"""The sign-up pages: a tree of questions that leads to the right sign-up, and the FAQ page."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from flask import Blueprint, redirect, render_template, request
from markupsafe import Markup
from werkzeug.wrappers import Response

from broker.adapters.web.pages.language import LANGUAGES, base_path, language, localize_text
from broker.adapters.web.pages.page_links import add_query, login_named
from broker.adapters.web.sign_up import sign_up_links
from broker.adapters.web.sign_up.content_files import ActionShape, Texts, TextShape
from broker.adapters.web.sign_up.link_markup import fill_placeholders, mark_links
from broker.core.entities import Text

ViewResult = Response | tuple[str, int] | str
_UNPROCESSABLE: Final = 422


@dataclass(frozen=True, slots=True)
class SignUp:
    """The configuration that the pages need: upstreams, services, and the library's own pages.

    ``links`` are addresses by the link names of the texts. A link name without an address leaves
    its words without a link.
    """

    university: str  # the upstream that is the university login
    national_eid: str  # the upstream that is the national eID
    eid_name: Text  # the name of the national eID on pages
    library: Text  # the name of the library on pages
    services: Mapping[str, Text]
    links: Mapping[str, Text]


def list_faults(texts: Texts, setting: SignUp, affiliations: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each address that is not configured, and each unknown affiliation."""
    linked = texts.list_link_targets()
    known = sign_up_links.list_targets(texts.pages)
    for name in sorted(linked - set(setting.links) - set(known)):
        yield f"the sign-up pages link to {name!r}, which has no address"
    for name, page in texts.pages.items():
        for action in page.actions.values():
            if action.affiliation and action.affiliation not in affiliations:
                yield f"{name} signs people up as {action.affiliation!r}, which no policy has"


def blueprint(texts: Texts, setting: SignUp, base_url: str) -> Blueprint:
    """Return the routes of every page of the tree, and of the FAQ page."""
    pages = SignUpPages(texts, setting, base_url.rstrip("/"))
    routes = Blueprint("signup", __name__)
    for name, page in texts.pages.items():
        routes.add_url_rule(page.address, page.address, partial(pages.show, name))
    routes.add_url_rule(f"{sign_up_links.SIGN_UP}/", "begun", pages.begin)
    routes.add_url_rule(sign_up_links.FAQ, "faq", pages.show_faq)
    return routes


@dataclass(frozen=True, slots=True)
class SignUpPages:
    """The endpoints, and the texts and addresses that their templates ask for."""

    texts: Texts
    setting: SignUp
    base_url: str  # without a slash at its end

    def begin(self) -> ViewResult:
        """Redirect to the first page."""
        return self._redirect(sign_up_links.START)

    def show_faq(self) -> ViewResult:
        """Show the FAQ page."""
        came = request.args.get("from", "")
        if came not in self.texts.pages:
            came = ""
        return render_template(
            "faq.html",
            step="sign-up",
            reason="faq",
            view=self,
            came=came,
            anchors=sign_up_links.ANCHORS,
            carried={**self.query_fields, "from": came} if came else self.query_fields,
            help=self.href("faq", came),
        )

    def show(self, name: str) -> ViewResult:
        """Show a page of the tree, or redirect to the page that the given answer leads to."""
        page = self.texts.pages[name]
        answers = request.args.getlist("answer") if page.answers else []
        following = page.find_next(answers)
        if following:
            return self._redirect(following)
        shown = render_template(
            "signup_question.html" if page.answers else "signup_leaf.html",
            step="sign-up",
            reason=name,
            view=self,
            name=name,
            page=page,
            # A page that the library has left out of its tree leads back to the first one.
            back=""
            if name == sign_up_links.START
            else self.texts.back.get(name, sign_up_links.START),
            # The link to the other language shows the error again, but not the answer sent.
            carried={**self.query_fields, "answer": ""} if answers else self.query_fields,
            wrong=bool(answers),
            help=self.href("faq", name),
        )
        return shown, _UNPROCESSABLE if answers else 200

    def _redirect(self, name: str) -> Response:
        """Redirect to a page of the tree, with ``query_fields``.

        The target comes from base_url and the tree only, never from the query (CWE-601).
        """
        address = self.base_url + self.texts.pages[name].address
        return redirect(add_query(address, self.query_fields), 303)

    @property
    def base(self) -> str:
        """Return the path that base_url ends in."""
        return base_path(self.base_url)

    @property
    def query_fields(self) -> Mapping[str, str]:
        """Return the query fields that every link keeps: service, language, and a waiting login."""
        known = {"service": self.setting.services, "lang": LANGUAGES}
        brought = {name: request.args.get(name, "") for name in known}
        query_fields = {name: value for name, value in brought.items() if value in known[name]}
        login = login_named(request)
        if login:
            query_fields["login"] = login
        return query_fields

    @property
    def login_address(self) -> str:
        """Return the address of the waiting login to go back to; "" without one."""
        login = login_named(request)
        return f"{self.base}/login/{login}" if login else ""

    @property
    def service_label(self) -> str:
        """Return the label of the service that the person came from; "" without one."""
        return localize_text(self.setting.services.get(self.query_fields.get("service", "")))

    def plain(self, text: TextShape) -> str:
        """Return a text without links: a title or a label."""
        return fill_placeholders(text[language()], self._words())

    def phrase(self, text: TextShape, here: str = "") -> Markup:
        """Return a text with its links; ``here`` is the page of the tree that shows it."""
        href = partial(self.href, here=here)
        return mark_links(text[language()], self._words(), href, language())

    def href(self, target: str, here: str = "") -> str | None:
        """Return the address of a link target in a text.

        None for a page of the library that is not configured.
        """
        name, _, anchor = target.partition("#")
        if name == "faq":
            query = {**self.query_fields, "from": here}
            fragment = f"#{anchor}" if anchor else ""
            return add_query(self.base + sign_up_links.FAQ, query) + fragment
        if target == "pin":
            return add_query(self.base + sign_up_links.PIN, self._service())
        if target == "choices":
            return self.base + sign_up_links.CHOICES
        if target in self.texts.pages:
            return add_query(self.base + self.texts.pages[target].address, self.query_fields)
        if target in sign_up_links.FIXED:
            return sign_up_links.FIXED[target]
        return localize_text(self.setting.links.get(target)) or None

    def action_address(self, action: ActionShape) -> str | None:
        """Return the address of an action on a last page, with the chosen intent in its query.

        None for a page of the library that is not configured.
        """
        if action.link:
            return self.href(action.link)
        upstreams = {
            "university": self.setting.university,
            "national_eid": self.setting.national_eid,
            None: None,
        }
        upstream = upstreams[action.way]
        if action.leads_to == "pin":
            query = {"change": upstream, "affiliation": action.affiliation, **self._service()}
            return add_query(self.base + sign_up_links.PIN, query)
        query = {"affiliation": action.affiliation, "upstream": upstream, **self._service()}
        return add_query(self.base + sign_up_links.BEGIN, query)

    def _service(self) -> Mapping[str, str | None]:
        return {"service": self.query_fields.get("service")}

    def _words(self) -> Mapping[str, str]:
        return {
            "eid": localize_text(self.setting.eid_name),
            "library": localize_text(self.setting.library),
        }
