"""Takes the pictures of the main pages for the documents: ``make pictures`` writes them to docs/pictures."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
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
_TARGET: Final = Path(__file__).parents[2] / "docs" / "pictures"


def walk_pages(person: Visitor) -> Iterator[str]:
    """Walk to each page of which a picture is taken, and yield the name of the picture."""
    person.open("library", "/my-loans")
    person.wait_for_page("choose")
    yield "choose"
    person.press("button[name=upstream][value=wayf]")
    person.pick("asta")
    person.wait_for_page("ask")
    yield "consent"
    person.open("library", "/my-loans?way=wayf")
    person.page.wait_for_selector("main[data-step=choose], button[name=persona]")
    if person.page.query_selector("main[data-step=choose]"):
        person.press("button[name=upstream][value=wayf]")
    person.pick("lars")
    person.wait_for_page("refuse")
    yield "refusal"
    person.open("broker", "/sign-up")
    person.page.wait_for_load_state()
    yield "sign-up"


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
                for name in walk_pages(person):
                    for width in _WIDTHS:
                        person.page.set_viewport_size({"width": width, "height": 740})
                        path = target / f"{name}-{language}-{width}.png"
                        person.page.screenshot(path=path, full_page=width == _WIDTHS[0])
        browser.close()


if __name__ == "__main__":
    main()
