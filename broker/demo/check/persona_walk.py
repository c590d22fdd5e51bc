"""Walks one persona through the pages of a login or a sign-up as a person would, by what each page says it is."""

import re
import time
from dataclasses import dataclass
from typing import Final

from lxml import html

from broker.demo.check.http_browser import Browser, PageForm
from broker.demo.people.persona import Persona
from broker.demo.run.running_demo import Running

# Redirects, forms and pages of one errand; one that needs more goes in circles.
_MOST_PAGES: Final = 20
# Seconds that a person looks at the page that says that the account is on its way.
_PATIENCE: Final = 1.0
_MAIL_WITHIN: Final = 10.0
_CODE: Final = re.compile(r"(?:The code is|Koden er): *(\S+)")
# What each answers on the sign-up pages; the way decides between the two kinds of hospital
# employees.
_ANSWERS: Final = {
    ("student", "wayf"): ("student", "yes"),
    ("employee", "wayf"): ("employee", "yes"),
    ("hospital", "wayf"): ("hospital", "yes"),
    ("hospital", "nemid"): ("hospital", "no"),
    ("private", "nemid"): ("private",),
}


def texts(browser: Browser, path: str) -> tuple[str, ...]:
    """Give what an XPath finds on the page, as texts."""
    found = html.fromstring(browser.page.content).xpath(path) if browser.page else []
    return tuple(str(each) for each in found) if isinstance(found, list) else ()


def walk(
    browser: Browser,
    origin: str,
    person: Persona,
    method: str | None = None,
    *,
    patient: bool = True,
    remember: bool = False,
    demo: Running | None = None,
) -> None:
    """Log ``person`` in at their service, or sign them up: answer every page as they would, to the end.

    Who is not ``patient`` stops at the page that says that the account is on its way. Who signs up,
    gets mail or shows a PIN needs the ``demo``. AssertionError where it does not come to an end.
    """
    walker = _Walker(browser, person, method or person.way, remember, demo)
    if person.sign_up:
        walker.sign_up(person.sign_up)
    else:
        browser.get(f"{origin}/{person.service}")
    _to_the_end(walker, patient=patient)


def onward(browser: Browser, person: Persona, method: str, *, remember: bool = False) -> None:
    """Log ``person`` in from whatever page the browser shows; errors as ``walk``."""
    _to_the_end(_Walker(browser, person, method, remember=remember, demo=None), patient=True)


def _to_the_end(walker: "_Walker", *, patient: bool) -> None:
    for _ in range(_MOST_PAGES):
        step, _reason = walker.browser.mark()
        if (step == "enrol" and not patient) or not walker.go_on(step):
            return
    msg = f"{walker.person.name} goes in circles at {walker.browser.mark()}"
    raise AssertionError(msg)


@dataclass(slots=True)
class _Walker:
    """One person on the way: what they have done already that a page does not show."""

    browser: Browser
    person: Persona
    method: str
    remember: bool
    demo: Running | None
    written: bool = False  # a mail with a code is on its way
    shown: bool = False  # the temporary borrower's PIN

    def sign_up(self, affiliation: str) -> None:
        """Answer the sign-up pages, up to the login they end in."""
        broker = self._demo().setting.ports.origin("broker")
        self.browser.get(f"{broker}/sign-up")
        for answer in _ANSWERS[affiliation, self.method]:
            self.browser.get(f"{self._form().action}?answer={answer}")
        self._follow("//main//a[contains(@href, '/sign-up/begin')]/@href")

    def go_on(self, step: str | None) -> bool:
        """Do what the page asks; False where there is nothing more to do."""
        if step in {"refuse", "done"}:
            return False
        if step in {"authenticate", "enrol"}:
            time.sleep(_PATIENCE if step == "enrol" else 0)
            return self._follow("//main//a[contains(@class, 'button')]/@href")
        act = {"choose": self._choose, "ask": self._ask, "upgrade": self._upgrade}.get(step or "")
        act = act or {"proof": self._prove, "pin": self._pin}.get(step or "")
        if act is None and not self.browser.forms():
            return False
        (act or self._pass)()
        return True

    def _pass(self) -> None:
        """Pick the persona at the hub, or send on what posts itself in a browser with scripts."""
        picks = "persona" in {name for name, _ in self._form().buttons}
        self.browser.submit(self._form(), **({"persona": self.person.name} if picks else {}))

    def _choose(self) -> None:
        self.browser.submit(self._form("upstream"), upstream=self.method)

    def _ask(self) -> None:
        if (
            self.person.temporary
            and not self.shown
            and self._follow("//main//a[contains(@href, 'temporary')]/@href")
        ):
            return
        self.browser.submit(
            self._form("answer"), answer="yes", **({"remember": "yes"} if self.remember else {})
        )

    def _upgrade(self) -> None:
        self.browser.submit(
            self._form("answer"), answer="no" if self.person.upgrade is False else "yes"
        )

    def _pin(self) -> None:
        self.shown = True
        form = self._form("do")
        acts = {name: value for name, value in form.buttons if name == "do"}
        self.browser.submit(
            form, identifier=number(self._demo(), self.person), pin=self.person.pin or "", **acts
        )

    def _prove(self) -> None:
        address = self.person.mailbox
        if address is None:
            self.browser.submit(self._form("do", "without"), do="without")
        elif self.written and texts(self.browser, "//main//input[@name='code']"):
            self.browser.submit(self._form("do", "code"), do="code", code=self._code(address))
        else:
            self.browser.submit(self._form("do", "mail"), do="mail", address=address)
            self.written = True

    def _code(self, address: str) -> str:
        """Read the newest code that was mailed to ``address``."""
        until = time.monotonic() + _MAIL_WITHIN
        while time.monotonic() < until:
            for mail in self._demo().mailbox.mails():
                found = _CODE.search(mail.text) if address in mail.recipients else None
                if found:
                    return found[1]
            time.sleep(0.05)
        msg = f"no code was mailed to {self.person.name}"
        raise AssertionError(msg)

    def _follow(self, path: str) -> bool:
        links = texts(self.browser, path)
        if links:
            self.browser.open(links[0])
        return bool(links)

    def _form(self, button: str = "", value: str = "") -> PageForm:
        """Give the form with this button, else the first of the page."""
        forms = self.browser.forms()
        wanted = [
            each
            for each in forms
            if any(button == name and value in {"", is_} for name, is_ in each.buttons)
        ]
        return (wanted or list(forms))[0]

    def _demo(self) -> Running:
        if self.demo is None:
            msg = f"{self.person.name} needs the whole demo"
            raise ValueError(msg)
        return self.demo


def number(demo: Running, person: Persona) -> str:
    """Give the number of the borrower that the desk has registered for ``person``."""
    rows = demo.patrons.patrons.rows()
    return next(str(row["patron_id"]) for row in rows if row["userid"] == person.desk[0]["userid"])
