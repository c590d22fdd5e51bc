"""Walks a persona through the pages of a login or a sign-up, by the step that the page names."""

import re
import time
from dataclasses import dataclass
from typing import Final

from lxml import html

from broker.demo.check.http_browser import Browser, PageForm
from broker.demo.people.persona import Persona
from broker.demo.run.running_demo import Running

# Redirects, forms and pages of a walk; a walk that needs more goes in circles. The page about an
# account that is on its way is looked at as often as it takes, for so many seconds.
_MOST_PAGES: Final = 20
_MADE_WITHIN: Final = 120.0
# Seconds that a person looks at the page about an account that is on its way.
_PATIENCE: Final = 1.0
_MAIL_WITHIN: Final = 60.0
_CODE: Final = re.compile(r"(?:The code is|Koden er|Your code is|Din kode er): *(\S.*)")
# The answers on the sign-up pages, by affiliation and way: the way tells the two kinds of hospital
# employees apart.
_ANSWERS: Final = {
    ("student", "wayf"): ("student", "yes"),
    ("employee", "wayf"): ("employee", "yes"),
    ("hospital", "wayf"): ("hospital", "yes"),
    ("hospital", "nemid"): ("hospital", "no"),
    ("private", "nemid"): ("private",),
}


def texts(browser: Browser, path: str) -> tuple[str, ...]:
    """Return the texts that an XPath selects on the page."""
    if browser.page is None:
        return ()
    selected = html.fromstring(browser.page.content).xpath(path)
    if not isinstance(selected, list):
        return ()
    return tuple(str(node) for node in selected)


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
    """Log ``person`` in at their service, or sign them up: answer every page as they would.

    A person who is not ``patient`` stops at the page about an account that is on its way. A person
    who signs up, gets mail or shows a PIN needs the ``demo``. AssertionError where the walk does
    not end.
    """
    walker = _Walker(browser, person, method or person.way, remember, demo)
    if person.sign_up:
        walker.sign_up(person.sign_up)
    else:
        browser.get(f"{origin}/{person.service}")
    _to_the_end(walker, patient=patient)


def onward(browser: Browser, person: Persona, method: str, *, remember: bool = False) -> None:
    """Log ``person`` in from the page that the browser shows; errors as ``walk``."""
    _to_the_end(_Walker(browser, person, method, remember=remember, demo=None), patient=True)


def _to_the_end(walker: "_Walker", *, patient: bool) -> None:
    pages = 0
    until = time.monotonic() + _MADE_WITHIN
    while pages < _MOST_PAGES:
        step, _reason = walker.browser.mark()
        is_on_its_way = step == "enrol"
        if is_on_its_way and not patient:
            return
        if not walker.go_on(step):
            return
        if not is_on_its_way or time.monotonic() > until:
            pages += 1
    msg = f"{walker.person.name} goes in circles at {walker.browser.mark()}"
    raise AssertionError(msg)


@dataclass(slots=True)
class _Walker:
    """A persona on the way: what they have done already that a page does not show."""

    browser: Browser
    person: Persona
    method: str
    remember: bool
    demo: Running | None
    written: bool = False  # a mail with a code is on its way

    def sign_up(self, affiliation: str) -> None:
        """Answer the sign-up pages, up to the login that they end in."""
        broker = self._demo().setting.ports.origin("broker")
        self.browser.get(f"{broker}/sign-up")
        for answer in _ANSWERS[affiliation, self.method]:
            self.browser.get(f"{self._form().action}?answer={answer}")
        self._follow("//main//a[contains(@href, '/sign-up/begin')]/@href")

    def go_on(self, step: str | None) -> bool:
        """Act as the step of the page asks; return False where the walk has ended."""
        if step in {"refuse", "done"}:
            return False
        if step == "enrol":
            time.sleep(_PATIENCE)
        if step in {"authenticate", "enrol"}:
            return self._follow("//main//a[contains(@class, 'button')]/@href")
        acts = {
            "choose": self._choose,
            "ask": self._ask,
            "upgrade": self._upgrade,
            "proof": self._prove,
            "claim": self._claim,
            "address": self._confirm,
            "pin": self._pin,
        }
        if step not in acts and not self.browser.forms():
            return False
        act = acts.get(step or "", self._pass)
        act()
        return True

    def _pass(self) -> None:
        """Pick the persona at the hub, or submit a form that posts itself where scripts run."""
        form = self._form()
        fields = {}
        if "persona" in dict(form.buttons):
            fields["persona"] = self.person.name
        self.browser.submit(form, **fields)

    def _choose(self) -> None:
        self.browser.submit(self._form("upstream"), upstream=self.method)

    def _ask(self) -> None:
        fields = {"answer": "yes"}
        if self.remember:
            fields["remember"] = "yes"
        self.browser.submit(self._form("answer"), **fields)

    def _upgrade(self) -> None:
        answer = "no" if self.person.upgrade is False else "yes"
        self.browser.submit(self._form("answer"), answer=answer)

    def _pin(self) -> None:
        """Write what the page asks for: the number, the code of the mail, the PIN."""
        form = self._form("do")
        registered = self.person.registered[0]
        fields = {
            "do": next(value for name, value in form.buttons if name == "do"),
            "identifier": registered.get("cardnumber") or registered["userid"],
            "pin": self.person.pin or "",
        }
        if fields["do"] == "code":
            fields["code"] = self._code(registered["email"])
        self.browser.submit(form, **fields)

    def _prove(self) -> None:
        address = self.person.mailbox
        if address is None:
            self.browser.submit(self._form("do", "without"), do="without")
        elif self.written and texts(self.browser, "//main//input[@name='code']"):
            code = self._code(address)
            self.browser.submit(self._form("do", "code"), do="code", code=code)
        else:
            self.browser.submit(self._form("do", "mail"), do="mail", address=address)
            self.written = True

    def _confirm(self) -> None:
        self.browser.submit(self._form("answer"), answer="yes")

    def _claim(self) -> None:
        if texts(self.browser, "//main//input[@name='code']"):
            code = self._code(self.person.registered[0]["email"])
            self.browser.submit(self._form("do", "code"), do="code", code=code)
        else:
            self.browser.submit(self._form("do", "mail"), do="mail")

    def _code(self, address: str) -> str:
        """Read the newest code that was mailed to ``address``."""
        until = time.monotonic() + _MAIL_WITHIN
        while time.monotonic() < until:
            for mail in self._demo().mailbox.mails():
                code = _CODE.search(mail.text)
                if code and address in mail.recipients:
                    return code[1]
            time.sleep(0.05)
        msg = f"no code was mailed to {self.person.name}"
        raise AssertionError(msg)

    def _follow(self, path: str) -> bool:
        links = texts(self.browser, path)
        if links:
            self.browser.open(links[0])
        return bool(links)

    def _form(self, button: str = "", value: str = "") -> PageForm:
        """Return the form with this button, else the first of the page."""
        forms = self.browser.forms()
        for form in forms:
            for name, submitted in form.buttons:
                if button == name and value in {"", submitted}:
                    return form
        return forms[0]

    def _demo(self) -> Running:
        if self.demo is None:
            msg = f"{self.person.name} needs the whole demo"
            raise ValueError(msg)
        return self.demo
