"""An application with only the sign-up pages, for an invented library with every link configured."""

import re
from functools import cache
from typing import Final

from flask import Flask

from broker.adapters.web.page_layout import Imprint, install
from broker.adapters.web.sign_up import sign_up_links
from broker.adapters.web.sign_up.content_files import Texts
from broker.adapters.web.sign_up.sign_up_pages import SignUp, blueprint
from broker.core.entities import Text

BASE: Final = "https://login.library.example"
LIBRARY: Final = Text("AU Library", "AU Library")
STATEMENT: Final = "https://was.digst.dk/library-example"
NAMES: Final = (
    "service_locations",
    "my_loans",
    "search_engine",
    "subject_guides",
    "databases",
    "electronic_resources",
    "faq_hospital_da",
)
LINKS: Final = {name: Text(f"https://library.example/en/{name}", f"https://library.example/{name}") for name in NAMES}
SETTING: Final = SignUp(
    university="wayf",
    national_eid="nemid",
    eid_name=Text("MitID", "MitID"),
    library=LIBRARY,
    services={"my-loans": Text("My loans", "Mine lån"), "myprint": Text("MyPrint", "MyPrint")},
    links=LINKS,
)
SHIPPED: Final = Texts.load()
PAGES: Final = SHIPPED.pages
BACK: Final = SHIPPED.back
PATHS: Final = (*(page.address for page in PAGES.values()), sign_up_links.FAQ)


def signup_site(
    base_url: str = BASE, setting: SignUp = SETTING, accessibility: str = STATEMENT, texts: Texts | None = None
) -> Flask:
    """Return an application that shows the sign-up pages."""
    app = Flask("broker.adapters.web")
    install(app, Imprint(LIBRARY, mail="library@library.example", accessibility=accessibility), base_url)
    app.register_blueprint(blueprint(texts or SHIPPED, setting, base_url))
    return app


@cache
def usual_site() -> Flask:
    """Return one application for all tests that do not change it."""
    return signup_site()


def words(page: str) -> str:
    """Return the visible text of a page on one line."""
    body = page.partition("<main")[2].partition(">")[2].partition("</main>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", body)).strip()
