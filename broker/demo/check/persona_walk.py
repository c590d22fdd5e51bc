"""Walks a persona through a login or a sign-up.

Every page of the broker names its step (``data-step``); the walker acts on that step until it
reaches the service or a refusal.
"""

import re
import time
from dataclasses import dataclass
from typing import Final

from lxml import html

from broker.demo.check.http_browser import Browser, PageForm
from broker.demo.people.persona import Persona
from broker.demo.run.running_demo import Running

# A walk over more pages than this goes in circles. The page about an account that is being created
# does not count while it is reloaded for up to _MADE_WITHIN seconds.
_MOST_PAGES: Final = 20
_MADE_WITHIN: Final = 120.0
# Seconds before the page about an account that is being created is reloaded.
_PATIENCE: Final = 1.0
_CODE: Final = re.compile(r"(?:The code is|Koden er|Your code is|Din kode er): *(\S.*)")
# The answers on the sign-up pages, by affiliation and upstream. Hospital employees may use either
# upstream.
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
    upstream: str | None = None,
    *,
    patient: bool = True,
    remember: bool = False,
    demo: Running | None = None,
) -> None:
    """Log ``person`` in at their service, or sign them up, with the persona's answers.

    Unless ``patient``, stop at the page about an account that is being created. A persona who signs
    up, gets mail or types a PIN needs the ``demo``. Raise AssertionError if the walk does not end.
    """
    walker = _Walker(browser, person, upstream or person.upstream, remember, demo)
    if person.sign_up:
        walker.sign_up(person.sign_up)
    else:
        browser.get(f"{origin}/{person.service}")
    _finish_walk(walker, patient=patient)


def onward(browser: Browser, person: Persona, upstream: str, *, remember: bool = False) -> None:
    """Log ``person`` in, beginning at the open page. Raise AssertionError as ``walk`` does."""
    _finish_walk(_Walker(browser, person, upstream, remember=remember, demo=None), patient=True)


def _finish_walk(walker: "_Walker", *, patient: bool) -> None:
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
    """A persona during a walk, with the choices and the state that no page shows."""

    browser: Browser
    person: Persona
    upstream: str
    remember: bool
    demo: Running | None
    has_requested_code: bool = False  # by mail

    def sign_up(self, affiliation: str) -> None:
        """Answer the sign-up pages and follow the link to the login at their end."""
        broker = self._demo().setting.ports.origin("broker")
        self.browser.get(f"{broker}/sign-up")
        for answer in _ANSWERS[affiliation, self.upstream]:
            self.browser.get(f"{self._form().action}?answer={answer}")
        self._follow("//main//a[contains(@href, '/sign-up/begin')]/@href")

    def go_on(self, step: str | None) -> bool:
        """Act on the step of the page. Return False at the end of the walk."""
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
            "address": self._ask,
            "pin": self._pin,
        }
        if step not in acts and not self.browser.forms():
            return False
        act = acts.get(step or "", self._pass)
        act()
        return True

    def _pass(self) -> None:
        """Pick the persona at the hub, or submit a form that a script would submit."""
        form = self._form()
        fields = {}
        if "persona" in dict(form.buttons):
            fields["persona"] = self.person.name
        self.browser.submit(form, **fields)

    def _choose(self) -> None:
        self.browser.submit(self._form("upstream"), upstream=self.upstream)

    def _ask(self) -> None:
        fields = {"answer": "yes"}
        if self.remember:
            fields["remember"] = "yes"
        self.browser.submit(self._form("answer"), **fields)

    def _upgrade(self) -> None:
        answer = "no" if self.person.upgrade is False else "yes"
        self.browser.submit(self._form("answer"), answer=answer)

    def _pin(self) -> None:
        """Fill in the number, the mailed code and the PIN."""
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
        elif self.has_requested_code and texts(self.browser, "//main//input[@name='code']"):
            code = self._code(address)
            self.browser.submit(self._form("do", "code"), do="code", code=code)
        else:
            self.browser.submit(self._form("do", "mail"), do="mail", address=address)
            self.has_requested_code = True

    def _claim(self) -> None:
        if texts(self.browser, "//main//input[@name='code']"):
            code = self._code(self.person.registered[0]["email"])
            self.browser.submit(self._form("do", "code"), do="code", code=code)
        else:
            self.browser.submit(self._form("do", "mail"), do="mail")

    def _code(self, address: str) -> str:
        """Read the newest code that was mailed to ``address``."""
        code = self._demo().mailbox.wait_for(_CODE, frozenset({address}))
        if code is None:
            msg = f"no code was mailed to {self.person.name}"
            raise AssertionError(msg)
        return code

    def _follow(self, path: str) -> bool:
        links = texts(self.browser, path)
        if links:
            self.browser.open(links[0])
        return bool(links)

    def _form(self, button: str = "", value: str = "") -> PageForm:
        """Return the form with this button, or else the first form."""
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
