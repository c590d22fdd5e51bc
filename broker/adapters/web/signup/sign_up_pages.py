"""The sign-up pages, and the questions and answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request
from markupsafe import Markup
from werkzeug.wrappers import Response

from broker.adapters.web.pages.language import LANGUAGES, base_path, language
from broker.adapters.web.signup import wizard
from broker.adapters.web.signup.content_files import Texts
from broker.adapters.web.signup.link_markup import marked, with_links
from broker.core.entities import Text

ViewResult = Response | tuple[str, int] | str


@dataclass(frozen=True, slots=True)
class SignUp:
    """What the pages need to know of this library: names of its upstreams, its services, and its own pages.

    ``links`` are addresses by a name of ``wizard.LINKS``; one that is missing leaves its words
    without a link.
    """

    university: str  # the upstream that is the university login
    national_eid: str  # the upstream that is the national eID
    eid_name: str  # what people call it
    library: Text  # what people call the library
    services: Mapping[str, Text]
    links: Mapping[str, Text]


def faults(texts: Texts, setting: SignUp) -> Sequence[str]:
    """Give a sentence for every address that the texts link to and nobody configured."""
    wanted = [each for each in wizard.LINKS if each in texts.linked()]
    return [
        f"the sign-up pages link to {each!r}, which has no address"
        for each in wanted
        if each not in setting.links
    ]


def blueprint(texts: Texts, setting: SignUp, base_url: str) -> Blueprint:
    """Give every page of the tree, and the questions and answers."""
    rooms = Blueprint("signup", __name__)
    root = base_url.rstrip("/")

    def page_of(node: wizard.WizardNode) -> Callable[[], ViewResult]:
        return lambda: _page(
            node, _View(texts, setting, base_path(base_url), _carried(setting)), root
        )

    for node in wizard.NODES.values():
        rooms.add_url_rule(node.path, node.name.replace(".", "_"), page_of(node), methods=["GET"])

    @rooms.get(f"{wizard.NODES[wizard.START].path}/")
    def begun() -> ViewResult:
        return redirect(root + wizard.NODES[wizard.START].path + _query(_carried(setting)), 303)

    @rooms.get(wizard.FAQ)
    def faq() -> ViewResult:
        came = request.args.get("from", "")
        view = _View(
            texts,
            setting,
            base_path(base_url),
            _carried(setting),
            came if came in wizard.NODES else "",
        )
        return render_template("faq.html", step="sign-up", reason="faq", view=view, kept=view.kept)

    return rooms


def _page(node: wizard.WizardNode, view: "_View", root: str) -> ViewResult:
    shown = {
        "step": "sign-up",
        "reason": node.name,
        "view": view,
        "node": node,
        "page": view.texts.pages[node.name],
    }
    if not node.question:
        return render_template("signup_leaf.html", **shown, kept=view.carried)
    given = request.args.getlist("answer")
    following = node.next(tuple(given))
    if following:
        # From base_url and the tree alone: no query chooses where this leads (CWE-601).
        return redirect(root + wizard.NODES[following].path + _query(view.carried), 303)
    # The other language shows the error again, but never what was sent.
    kept = {**view.carried, **({"answer": ""} if given else {})}
    return render_template(
        "signup_question.html", **shown, kept=kept, wrong=bool(given)
    ), 422 if given else 200


def _carried(setting: SignUp) -> Mapping[str, str]:
    """Give what the request brought that its links carry on: a service there is, a language we speak."""
    known = {"service": setting.services, "lang": LANGUAGES}
    return {
        name: request.args[name] for name, all_ in known.items() if request.args.get(name) in all_
    }


def _query(fields: Mapping[str, str]) -> str:
    return f"?{urlencode(fields)}" if fields else ""


@dataclass(frozen=True, slots=True)
class _View:
    """What a template asks while it makes one page: texts with their links, and addresses with what they carry."""

    texts: Texts
    setting: SignUp
    base: str
    carried: Mapping[str, str]
    came: str = ""  # the page of the tree from which the questions and answers were opened

    @property
    def kept(self) -> Mapping[str, str]:
        """Give what the link to the other language keeps."""
        return {**self.carried, **({"from": self.came} if self.came else {})}

    @property
    def service(self) -> str | None:
        """Give the name of the service that the person came from."""
        label = self.setting.services.get(self.carried.get("service", ""))
        return label[language()] if label else None

    def plain(self, text: Text) -> str:
        """Give a title or a label."""
        return with_links(text[language()], self._words())

    def phrase(self, text: Text, here: str = "") -> Markup:
        """Give a text with its links; ``here`` is the page of the tree that it stands on."""
        return marked(
            text[language()], self._words(), lambda target: self.href(target, here), language()
        )

    def href(self, target: str, here: str = "") -> str | None:
        """Give the address of what a text links to; None for a page of the library that nobody configured."""
        name, _, anchor = target.partition("#")
        if name == "faq":
            came = {"from": here} if here else {}
            return (
                self.base
                + wizard.FAQ
                + _query({**self.carried, **came})
                + (f"#{anchor}" if anchor else "")
            )
        if target == "pin":
            return self.base + wizard.PIN + _query(self._service())
        if target in wizard.NODES:
            return self.base + wizard.NODES[target].path + _query(self.carried)
        address = self.setting.links.get(target)
        return wizard.FIXED.get(target) or (address[language()] if address else None)

    def doing(self, action: wizard.Action) -> str:
        """Give the address of something to do at an end, with the intent that it begins with."""
        upstream = {
            "university": self.setting.university,
            "national_eid": self.setting.national_eid,
        }
        by = "upstream" if action.path == wizard.BEGIN else "change"
        named = {by: upstream[action.way]} if action.way else {}
        return self.base + action.path + _query({**action.fields, **named, **self._service()})

    def _service(self) -> Mapping[str, str]:
        return {name: value for name, value in self.carried.items() if name == "service"}

    def _words(self) -> Mapping[str, str]:
        return {"eid": self.setting.eid_name, "library": self.setting.library[language()]}
