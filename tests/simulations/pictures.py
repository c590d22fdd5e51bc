"""Takes the pictures of the main pages for the documents: ``make pictures`` writes them to docs/pictures."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import sync_playwright

from broker.demo.run.demo_folder import Ports, write
from broker.demo.run.running_demo import run_demo
from tests.plugins.chromium import EXECUTABLE
from tests.plugins.demo import free_base
from tests.plugins.visitor import Visitor, visitor

_WIDTHS: Final = (360, 1280)
_LANGUAGES: Final = {"en": "en-GB", "da": "da-DK"}
_QUALITY: Final = 50  # of JPEG; small files that can still be read
_TARGET: Final = Path(__file__).parents[2] / "docs" / "pictures"


def walk_login(person: Visitor) -> Iterator[str]:
    """Walk through the login of a new borrower and of somebody who is refused; yield the name of each picture."""
    person.open("library", "/")
    yield "demo-start"
    person.open("library", "/my-loans")
    person.wait_for_page("choose")
    yield "choose"
    person.press("button[name=upstream][value=wayf]")
    person.pick("asta")
    person.wait_for_page("ask")
    yield "consent"
    person.agree()
    person.page.wait_for_selector("#borrower")
    person.open("library", "/timeline")
    person.press("summary >> nth=1")
    yield "demo-timeline"
    person.open("library", "/my-loans?way=wayf&force")
    person.pick("ib")
    person.wait_for_page("refuse")
    yield "refusal"
    person.open("library", "/my-loans?way=library&force")
    person.page.wait_for_selector("#pin")
    yield "library-account"


def walk_own_pages(person: Visitor) -> Iterator[str]:
    """Walk through sign-up, the PIN and the person's own data; yield the name of each picture."""
    person.open("broker", "/sign-up")
    yield "sign-up"
    person.open("broker", "/sign-up/student/electronic")
    yield "electronic-resources"
    person.open("broker", "/pin?change=wayf")
    person.pick("asta")
    person.page.wait_for_load_state()
    yield "choose-pin"
    person.open("broker", "/my-choices")
    person.press("main .ways a[href*=wayf]")
    person.pick("asta")
    person.wait_for_page("choices")
    yield "my-choices"
    person.press("main a[href*='do=kept']")
    person.wait_for_page("choices", "kept")
    person.press("main a[href*='do=forget']")
    person.wait_for_page("choices", "confirm")
    yield "delete-my-data"
    person.open("library", "/my-loans?way=nemid&force")
    person.pick("per")
    person.wait_for_page("refuse", "several_borrowers")
    person.open("broker", "/admin")
    person.press("main a.button")
    person.pick("cilla")
    person.wait_for_page("admin", "home")
    yield "staff-cases"


def main() -> None:
    """Take every picture in each language and width."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else _TARGET
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        setting = write(Path(folder) / "demo", Ports(free_base()), datetime.now(UTC))
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=["--no-sandbox", "--disable-gpu"])
        with run_demo(setting) as demo:
            for language, locale in _LANGUAGES.items():
                person = visitor(browser, demo, language=locale)
                for name in chain(walk_login(person), walk_own_pages(person)):
                    for width in _WIDTHS:
                        person.page.set_viewport_size({"width": width, "height": 740})
                        path = target / f"{name}-{language}-{width}.jpg"
                        person.page.screenshot(path=path, full_page=width == _WIDTHS[0], type="jpeg", quality=_QUALITY)
        browser.close()


if __name__ == "__main__":
    main()
