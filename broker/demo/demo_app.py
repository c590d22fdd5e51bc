"""The Flask application of the demo: its pages' language, the library's name, shown values."""

import re
from datetime import date, datetime
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Flask, request
from flask_babel import Babel, format_date
from werkzeug.wrappers import Response

LANGUAGES: Final = ("en", "da")
# The one name of the library, on its own pages and on those of the broker.
LIBRARY_NAME: Final = ("Royal Danish Library", "Det Kgl. Bibliotek")
_COOKIE: Final = "library-language"
# Not a part of a random identifier.
_CPR_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z])(\d{6})[- ]?[0-9A-Za-z]{4}(?![0-9A-Za-z])")
_TIME_ZONE: Final = ZoneInfo("Europe/Copenhagen")


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


def mask_cpr_numbers(text: str) -> str:
    """Return ``text`` with the last four characters of every CPR number hidden."""
    return _CPR_NUMBER.sub(r"\1-••••", text)


def _local_time(at: datetime) -> str:
    """Return the time of day in Denmark, to the second."""
    return f"{at.astimezone(_TIME_ZONE):%H:%M:%S}"


def _local_date(day: str) -> str:
    """Return a date in the page's language, from the form 2026-12-31."""
    return str(format_date(date.fromisoformat(day[:10]), "medium"))


def create_demo_app() -> Flask:
    """Return an application whose templates speak both languages; a cookie keeps the choice."""
    app = Flask("broker.demo")
    Babel(app, locale_selector=language)
    app.jinja_env.globals |= {
        "say": say,
        "language": language,
        "language_link": _language_link,
        "library_name": LIBRARY_NAME,
    }
    app.add_template_filter(_local_time, "local_time")
    app.add_template_filter(_local_date, "local_date")
    app.add_template_filter(lambda value: mask_cpr_numbers(str(value or "")), "hidden")

    @app.after_request
    def remember(response: Response) -> Response:
        if request.args.get("lang") in LANGUAGES:
            response.set_cookie(_COOKIE, language(), samesite="Lax", httponly=True)
        return response

    return app
