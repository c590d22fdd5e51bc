"""The language of the simulated library's pages: from the URL, the cookie or the browser."""

from typing import Final

from flask import Flask, request
from werkzeug.wrappers import Response

LANGUAGES: Final = ("en", "da")
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


def add_languages(app: Flask) -> None:
    """Add both languages to the templates of ``app``, and store the choice in a cookie."""
    app.add_template_global(say)
    app.add_template_global(language)

    @app.after_request
    def remember(response: Response) -> Response:
        if request.args.get("lang") in LANGUAGES:
            response.set_cookie(_COOKIE, language(), samesite="Lax", httponly=True)
        return response
