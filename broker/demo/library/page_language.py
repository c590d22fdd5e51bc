"""The language of the simulated library's pages: the address's, else the cookie's, else the browser's."""

from typing import Final

from flask import Flask, request
from werkzeug.wrappers import Response

LANGUAGES: Final = ("en", "da")
_COOKIE: Final = "library-language"


def language() -> str:
    """Give the language of the page that is asked for."""
    for each in (request.args.get("lang"), request.cookies.get(_COOKIE)):
        if each in LANGUAGES:
            return str(each)
    return request.accept_languages.best_match(LANGUAGES) or "en"


def say(en: str, da: str) -> str:
    """Give whichever of the two texts is in the page's language."""
    return da if language() == "da" else en


def speak(app: Flask) -> None:
    """Let the templates of ``app`` say things in both languages, and remember the one that was chosen."""
    app.add_template_global(say)
    app.add_template_global(language)

    @app.after_request
    def remember(response: Response) -> Response:
        if request.args.get("lang") in LANGUAGES:
            response.set_cookie(_COOKIE, language(), samesite="Lax", httponly=True)
        return response
