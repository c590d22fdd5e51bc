"""A person at a browser window: opens pages, presses buttons, and reads the demo's mail."""

import re
import time
from dataclasses import dataclass, field
from typing import Any, Final

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page

from broker.demo.people.personas import persona
from broker.demo.run.mail_server import ReceivedMail
from broker.demo.run.running_demo import Running
from tests.plugins.example_counts import choose_size
from tests.plugins.page_checks import LOOKS, find_page_faults

_WEIGHT: Final = """() => {
    const parts = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    const weight = parts.reduce((sum, each) => sum + each.decodedBodySize, 0);
    return [...(weight > 60000 ? [`weighs ${weight}`] : []), ...(weight < 1000 ? ["not weighed"] : [])];
}"""
_MOST_TABS: Final = 90
_PRESSES: Final = 20
_MAIL_WITHIN: Final = 120.0
_CODE: Final = re.compile(r"(?:The code is|Koden er): *(\d{4} \d{4})")
_LINK: Final = re.compile(r"https?://\S+/pin\?link=\S+")
# The browser reports every 4xx answer. Forms with a fault, refusals and error pages are expected.
_EXPECTED_STATUS: Final = re.compile(
    r"Failed to load resource: the server responded with a status of (403|404|410|422) "
)
# Back may lead to a self-posting page in the browser's cache. Its second POST is answered with 410.
_POSTED_AGAIN: Final = re.compile(r"\S+/acs: Failed to load resource: the server responded with a status of 410 ")
_ICON: Final = "/favicon.ico"  # requested by the browser itself


@dataclass(slots=True)
class Visitor:
    """One person; ``keys`` uses only the keyboard, ``looking`` checks every page of the broker with axe."""

    page: Page
    demo: Running
    keys: bool = False
    scripts: bool = True
    looking: bool = False  # check each page of the broker with axe, in every look
    faults: list[str] = field(default_factory=list)  # errors of the browser, and faults of the pages
    mails_before: int = 0  # number of mails before this person

    def __post_init__(self) -> None:
        """Listen to the errors of the browser."""
        self.mails_before = len(self.demo.mailbox.mails())
        self.page.on("console", lambda message: self._hear(message))  # noqa: PLW0108 - a method with slots is no listener
        self.page.on("pageerror", lambda error: self.faults.append(f"{self.page.url}: {error}"))

    def origin(self, party: str) -> str:
        """Return the address of one of the demo's parties."""
        return self.demo.setting.ports.origin(party)

    def open(self, party: str, path: str) -> None:
        """Type an address."""
        self.page.goto(self.origin(party) + path)

    def wait_for_page(self, step: str, reason: str | None = None) -> None:
        """Wait for a page of the broker, and check it if ``looking``."""
        self.page.wait_for_selector(f"main[data-step='{step}']" + (f"[data-reason='{reason}']" if reason else ""))
        self.page.wait_for_load_state()
        if self.looking:
            self.look()

    def press(self, selector: str) -> None:
        """Press a button or follow a link."""
        if self.keys:
            self._reach(selector)
            self.page.keyboard.press("Enter")
        else:
            self.page.click(selector)

    def write(self, selector: str, text: str) -> None:
        """Replace the text of a field."""
        if self.keys:
            self._reach(selector)
            self.page.keyboard.press("Control+A")
            self.page.keyboard.type(text)
        else:
            self.page.fill(selector, text)

    def tick(self, selector: str) -> None:
        """Toggle a checkbox."""
        if self.keys:
            self._reach(selector)
            self.page.keyboard.press("Space")
        else:
            self.page.click(selector)

    def answer(self, value: str) -> None:
        """Choose an answer on a question page and continue."""
        if self.keys:
            self._reach("[name=answer]")
            self.page.keyboard.press("Space")
            while not self._on(f"#answer-{value}"):
                self.page.keyboard.press("ArrowDown")
        else:
            self.page.click(f"label[for=answer-{value}]")
        self.press("form.asking button")

    def pick(self, persona: str) -> None:
        """Log in as a persona at the hub; without scripts, also press the button of the self-posting page."""
        self.page.wait_for_selector("button[name=persona]")
        self.press(f"button[name=persona][value={persona}]")
        if not self.scripts:
            self.page.wait_for_selector("input[name=SAMLResponse]", state="attached")
            self.press("main form button")

    def agree(self) -> None:
        """Accept the disclosure; without scripts, also press the button of the self-posting page."""
        self.press("button[name=answer][value=yes]")
        self.hand_over()

    def hand_over(self) -> None:
        """Press the button of the page that posts to a service, if scripts are off."""
        if not self.scripts:
            self.page.wait_for_selector("main[data-step=issue], main[data-step=done]")
            if self.page.query_selector("main[data-step=issue]"):
                self.press("main form button")

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return self.page.inner_text(selector).strip()

    def find(self, selector: str) -> Locator:
        """Return the elements of a selector."""
        return self.page.locator(selector)

    def code(self, address: str) -> str:
        """Return the code in the newest mail to an address, ignoring mails from before this person."""
        return self._read(address, _CODE)[1]

    def link(self, address: str) -> str:
        """Return the link in the newest mail to an address that has one."""
        return self._read(address, _LINK)[0]

    def number_to_type(self, name: str) -> str:
        """Return the number that a persona types: the number from the desk, or the CPR number."""
        who = persona(name)
        if who.registered:
            return who.registered[0].get("cardnumber") or who.registered[0]["userid"]
        return "".join(who.attributes["schacPersonalUniqueID"]).rpartition(":")[2]

    def number(self, name: str) -> str:
        """Return the internal number of a persona's borrower."""
        rows = self.demo.patrons.patrons.rows()
        typed = self.number_to_type(name)
        return next(str(row["patron_id"]) for row in rows if typed in {row["userid"], row["cardnumber"]})

    def row(self, number: str) -> dict[str, Any]:
        """Return the borrower as the library system keeps it."""
        return self.demo.patrons.patrons.row(int(number))

    def name_of(self, number: str) -> str:
        """Return a borrower's name as the library's machine shows it."""
        row = self.row(number)
        return f"{row['firstname'] or ''} {row['surname']}".strip()

    def look(self) -> None:
        """Check the page with axe in all schemes and widths, and check its width and weight.

        The gate checks one scheme and width: tests/adapters/web/test_look.py checks each template in all.
        """
        self.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        self.faults += [f"{self.page.url}: {each}" for each in self.page.evaluate(_WEIGHT)]
        self.faults += find_page_faults(self.page, self.page.url, LOOKS[: choose_size(1, otherwise=len(LOOKS))])

    def _read(self, address: str, wanted: re.Pattern[str]) -> re.Match[str]:
        until = time.monotonic() + _MAIL_WITHIN
        while time.monotonic() < until:
            mails = self.demo.mailbox.mails()
            for text in _texts(mails[: len(mails) - self.mails_before], address):
                if found := wanted.search(text):
                    return found
            time.sleep(0.05)
        raise AssertionError(f"no such mail came to {address}")

    def _reach(self, selector: str) -> None:
        for _ in range(_MOST_TABS):
            if self._on(selector):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach {selector} on {self.page.url}")

    def _on(self, selector: str) -> bool:
        return bool(self.page.evaluate("selector => document.activeElement.matches(selector)", selector))

    def _hear(self, message: ConsoleMessage) -> None:
        about = message.location["url"]
        own = about == self.page.url and _EXPECTED_STATUS.match(message.text)
        told = own or _POSTED_AGAIN.match(f"{about}: {message.text}")
        if message.type in {"error", "warning"} and not told and not about.endswith(_ICON):
            self.faults.append(f"{self.page.url}: {message.text}")


def go_back_and_forward(page: Page, selector: str) -> None:
    """Press Back, then Forward until an element is on the page again.

    Back may meet a form that posts itself. Then the browser continues without Forward, which has no page.
    """
    page.go_back()
    for _ in range(_PRESSES):
        page.wait_for_timeout(250)
        try:
            if page.query_selector(selector):
                return
            page.go_forward()
        except Error:
            continue  # the browser was between two pages
    raise AssertionError(f"Back and Forward do not lead to {selector}, but to {page.url}")


def visitor(
    chromium: Browser,
    demo: Running,
    *,
    keys: bool = False,
    scripts: bool = True,
    looking: bool = False,
    language: str = "en-GB",
) -> Visitor:
    """Return a person with a new incognito window."""
    window = chromium.new_context(java_script_enabled=scripts, locale=language)
    window.set_default_timeout(90_000)
    if looking:
        window.add_init_script(AXE_SCRIPT)  # the browser compiles the script once for all pages
    return Visitor(window.new_page(), demo, keys, scripts, looking)


def _texts(mails: tuple[ReceivedMail, ...], address: str) -> list[str]:
    return [each.text for each in mails if address in each.recipients]
