"""The layout around every page: the library's name, the languages, and where to get help."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from babel import Locale
from flask import Flask, abort, redirect, request
from flask_babel import Babel
from jinja2 import StrictUndefined
from markupsafe import Markup
from werkzeug.wrappers import Response

from broker.adapters.translations import catalogue
from broker.adapters.web.pages import language
from broker.adapters.web.pages.page_links import file_url, help_url, switch_link
from broker.adapters.web.pages.page_security import protect
from broker.adapters.web.pages.reason_texts import explain
from broker.adapters.web.report.report_terms import spell_limit
from broker.core import retention
from broker.core.entities import Text

_WEB_FOLDER: Final = Path(__file__).parent
# English as Europe writes it: the day before the month.
_LOCALES: Final = {"da": Locale.parse("da"), "en": Locale.parse("en_GB")}
STATIC: Final = ("style.css", "report.css", "autopost.js", "focus.js")
_PICTURES: Final = ("pictures.show", "pictures.favicon")


@dataclass(frozen=True, slots=True)
class Imprint:
    """The name, contact details and links of the library that the pages show.

    Addresses that differ by language are a ``Text``. None or "" omits a link.
    """

    name: Text
    mail: str = ""
    phone: str = ""
    contact: Text | None = None
    service_locations: Text | None = None
    sign_up: Text | None = None
    e_resources: Text | None = None
    my_loans: Text | None = None
    loan_terms: Text | None = None
    # Addresses of the broker's own pages; "" if there is none.
    start: str = "/"
    pin: str = ""
    choices: str = ""
    help: str = ""  # the address of the questions and answers
    logo: str = ""
    favicon: str = ""
    colours: str = ""  # the stylesheet with the colour of the library
    privacy: Text | None = None
    accessibility: str = ""
    dpo: str = ""  # mail address or telephone number of the data protection officer


def install(app: Flask, imprint: Imprint, base_url: str, default: str = "da") -> None:
    """Add the languages, the names that templates use, the headers of every answer, and ``/was``.

    ``app`` is ``Flask("broker.adapters.web")``, so that templates and static files are found.
    StrictUndefined: a template that uses an undefined name fails instead of showing a gap.
    """
    # Otherwise Flask redirects /login//x to an address made from the Host header, which the caller
    # controls (CWE-644).
    app.url_map.merge_slashes = False
    app.config.setdefault("BABEL_TRANSLATION_DIRECTORIES", str(catalogue.FOLDER))
    Babel(
        app,
        locale_selector=lambda: _LOCALES[language.choose_language(request, default)],
        default_locale=default,
        default_timezone="Europe/Copenhagen",
    )
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals |= {
        "_": _translate,
        "imprint": imprint,
        "static": _static_urls(base_url),
        "end_url": f"{base_url}/end",
        "explain": explain,
        "retention": retention,
        "kept_for": lambda row: spell_limit(row, language.language()),
    }
    app.context_processor(lambda: _template_names(imprint))

    @app.get("/was")
    def was() -> Response:
        """Redirect to the library's web accessibility statement (in Danish: WAS)."""
        if not imprint.accessibility:
            abort(404)
        return redirect(imprint.accessibility, 303)

    @app.after_request
    def _finish(response: Response) -> Response:
        if request.endpoint in _PICTURES and "Content-Security-Policy" in response.headers:
            # pictures.show has set the headers of a picture. The 404 for a missing one gets those
            # of a page.
            return response
        if request.endpoint == "static" and response.status_code in {200, 304}:
            del response.headers["Cache-Control"]  # Flask would send no-cache
            return protect(response, base_url, "static")
        return protect(language.remember_language(request, response, base_url), base_url)


def _translate(message: str, **values: object) -> Markup:
    text = catalogue.translate(message, language.language())
    return Markup(text) % values  # noqa: S704 - the text is ours; values are escaped


def _template_names(imprint: Imprint) -> dict[str, Any]:
    page_language = language.language()
    other = next(code for code in language.LANGUAGES if code != page_language)
    return {
        "lang": page_language,
        "other_language": (other, language.LANGUAGES[other]),
        "switch": switch_link(request, imprint.start),
        "help": help_url(request, imprint.help),
    }


def _static_urls(base_url: str) -> Callable[[str], str]:
    """Return a function from the name of a static file to its URL."""
    files = {name: (_WEB_FOLDER / "static" / name).read_bytes() for name in STATIC}
    urls = {name: file_url(base_url, f"static/{name}", files[name]) for name in files}
    return urls.__getitem__
