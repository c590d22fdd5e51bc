"""The language of the demo's pages, from the URL, the cookie or the browser; the library's name."""

from typing import Final
from urllib.parse import urlencode

from flask import Flask, request
from werkzeug.wrappers import Response

LANGUAGES: Final = ("en", "da")
# The one name of the library, on its own pages and on those of the broker.
LIBRARY_NAME: Final = ("Royal Danish Library", "Det Kgl. Bibliotek")
_COOKIE: Final = "library-language"


def language() -> str:
    """Return the language of the requested page."""
    for chosen in (request.args.get("lang"), request.cookies.get(_COOKIE)):
        if chosen in LANGUAGES:
            return str(chosen)
    return request.accept_languages.best_match(LANGUAGES) or "en"


def say(en: str, da: str) -> str:
    """Return the text that is in the page's language."""
    if language() == "da":
        return da
    return en


def _language_link(chosen: str) -> str:
    """Return the link to the requested page in another language."""
    return "?" + urlencode({**request.args, "lang": chosen})


def create_demo_app() -> Flask:
    """Return an application whose templates speak both languages; a cookie keeps the choice."""
    app = Flask("broker.demo")
    for shared in (say, language, _language_link):
        app.add_template_global(shared, shared.__name__.lstrip("_"))
    app.jinja_env.globals["library_name"] = LIBRARY_NAME

    @app.after_request
    def remember(response: Response) -> Response:
        if request.args.get("lang") in LANGUAGES:
            response.set_cookie(_COOKIE, language(), samesite="Lax", httponly=True)
        return response

    return app
