"""Drives Debian's Firefox with the part of Playwright's interface that the walks use.

Playwright itself only drives its own build of Firefox.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, cast

import pytest
from playwright.sync_api import Browser
from websockets.exceptions import ConnectionClosed

from tests.plugins.webdriver_bidi import BidiError, Connection
from tests.plugins.webdriver_bidi import run_firefox as started_firefox

_KEYS: Final = {"Tab": "\ue004", "Enter": "\ue007", "Space": " ", "ArrowDown": "\ue015", "Control": "\ue009", "A": "a"}
_TIMEOUT: Final = 90.0
_STARTS_WITHIN: Final = 0.12  # seconds after a press within which a navigation begins, if there is one
_LEAVES_WITHIN: Final = 20.0  # the same when the page reports that the press leaves it, even on a busy machine
_ENDS: Final = ("load", "navigationFailed", "navigationAborted", "fragmentNavigated", "downloadWillBegin")
# Finds elements by CSS, with Playwright's has-text at the end.
_FIND: Final = """const find = selector => {
    const [, css, , text] = selector.match(/^(.*?)(:has-text\\('(.*)'\\))?$/);
    return [...document.querySelectorAll(css)].filter(each => !text || each.textContent.includes(text));
};
const seen = each => each.getClientRects().length > 0 && getComputedStyle(each).visibility !== "hidden";
"""
# True if the element has not moved since the last call, the page is complete, and nothing covers the element.
_RESTS: Final = """found => {
    const it = found.find(seen);
    it?.scrollIntoView({block: "center"});
    const box = it?.getClientRects()[0] ?? new DOMRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const [before, now] = [window.pressAt, `${x} ${y}`];
    window.pressAt = now;
    return document.readyState === "complete" && before === now && it.contains(document.elementFromPoint(x, y));
}"""
# Records whether the press reached the element. Needs scripts: without them no listener is called.
_LISTEN: Final = """window.pressCame = false;
    const hear = event => { window.pressCame = it.contains(event.target); };
    window.addEventListener("click", hear, {capture: true, once: true});
"""
# Records whether the next action leaves the page. A form may also download a file, and then the page stays.
_WATCH: Final = """() => {
    window.pressLeads = false;
    if (window.pressWatched) return;
    window.pressWatched = true;
    const away = "a[href]:not([href^='#'], [target], [download])";
    const leads = event => event.type === "submit" || event.target.closest(away) !== null;
    const hear = event => { window.pressLeads ||= !event.defaultPrevented && leads(event); };
    window.addEventListener("submit", hear);
    window.addEventListener("click", hear);
}"""
# The errors of a press on a page that moves or is being left.
_TOO_LATE: Final = ("move target out of bounds", "no such element", "no such node")
_IS_FUNCTION: Final = re.compile(r"\s*(async )?(\w+|\([^)]*\)) =>")


class Told(NamedTuple):
    """A console message, in Playwright's form."""

    type: str
    text: str
    location: dict[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """The elements that a selector finds on a page, or one of them."""

    page: "Page"
    selector: str
    index: int | None = None

    def count(self) -> int:
        """Return the number of elements now."""
        return int(self.page.on_found(self.selector, "found => found.length"))

    def all(self) -> Sequence["Found"]:
        """Return each element."""
        return [Found(self.page, self.selector, index) for index in range(self.count())]

    def input_value(self) -> str:
        """Return the value of the field."""
        return str(self._read("each.value"))

    def is_checked(self) -> bool:
        """Return whether the box is ticked."""
        return bool(self._read("each.checked"))

    def is_visible(self) -> bool:
        """Return whether the element is visible."""
        return bool(self._read("seen(each)"))

    def get_attribute(self, name: str) -> str | None:
        """Return an attribute; None where it is absent."""
        value = self._read(f"each.getAttribute({json.dumps(name)})")
        return None if value is None else str(value)

    def inner_text(self) -> str:
        """Return the visible text of the element."""
        return str(self._read("each.innerText"))

    def _read(self, asked: str) -> Any:
        self.page.wait_for_selector(self.selector, state="attached")
        return self.page.on_found(
            self.selector, f"found => {{ const each = found[{self.index or 0}]; return {asked}; }}"
        )


@dataclass(slots=True)
class Keyboard:
    """The keys of a page."""

    page: "Page"

    def press(self, keys: str) -> None:
        """Press a key, or several at once such as Control+A."""
        values = [_KEYS[each] for each in keys.split("+")]
        downs = [{"type": "keyDown", "value": value} for value in values]
        ups = [{"type": "keyUp", "value": value} for value in reversed(values)]
        self.page.act([{"type": "key", "id": "keys", "actions": downs + ups}])

    def type(self, text: str) -> None:
        """Type text into the focused element."""
        strokes = [{"type": kind, "value": each} for each in text for kind in ("keyDown", "keyUp")]
        self.page.act([{"type": "key", "id": "keys", "actions": strokes}])


@dataclass(slots=True)
class Page:
    """A tab."""

    context: "Context"
    id: str
    keyboard: Keyboard = field(init=False)
    _loading: bool = False
    _listeners: dict[str, list[Callable[[Any], None]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Listen to the events of the tab."""
        self.keyboard = Keyboard(self)
        self.context.connection.heard.append(self._hear)

    @property
    def url(self) -> str:
        """Return the address of the tab."""
        tree = self.context.connection.send("browsingContext.getTree", root=self.id, maxDepth=0)
        return str(tree["contexts"][0]["url"])

    def on(self, event: str, listener: Callable[[Any], None]) -> None:
        """Call ``listener`` with each console message; Firefox reports script errors as console messages."""
        self._listeners.setdefault(event, []).append(listener)

    def goto(self, url: str, *, wait_until: str = "load") -> None:
        """Type an address."""
        wait = "none" if wait_until == "commit" else "complete"
        self._send("browsingContext.navigate", url=url, wait=wait)

    def reload(self) -> None:
        """Reload the page."""
        self._send("browsingContext.reload", wait="complete")

    def go_back(self) -> None:
        """Press Back."""
        self._send("browsingContext.traverseHistory", delta=-1)
        self._settle()

    def go_forward(self) -> None:
        """Press Forward."""
        self._send("browsingContext.traverseHistory", delta=1)
        self._settle()

    def click(self, selector: str) -> None:
        """Press an element in its middle once it stops moving; retry if the press missed it."""
        self.wait_for_selector(selector)
        until = time.monotonic() + _TIMEOUT
        while not self._press_once(selector):
            assert time.monotonic() < until, f"nothing presses {selector} on {self.url}"

    def _press_once(self, selector: str) -> bool:
        """Press, and return whether the element received it: a page that still loads may move the element."""
        self._until(lambda: bool(self.on_found(selector, _RESTS)), f"{selector} at rest")
        function = f"found => {{ const it = found.find(seen); {_LISTEN} return it; }}"
        element = self._call(f"() => {{ {_FIND} return ({function})(find({json.dumps(selector)})); }}")
        origin = {"type": "element", "element": {"sharedId": element["sharedId"]}}
        press = [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        actions = [{"type": "pointerMove", "x": 0, "y": 0, "origin": origin}, *press]
        try:
            self.act([{"type": "pointer", "id": "mouse", "actions": actions}])
        except BidiError as error:
            if error.args[0] in _TOO_LATE:
                return False
            raise
        return not self.context.scripts or self.evaluate("() => window.pressCame") is not False

    def fill(self, selector: str, text: str) -> None:
        """Replace the text of a field."""
        self.wait_for_selector(selector)
        self.on_found(selector, "found => { found[0].focus(); found[0].select(); }")
        self.keyboard.type(text)

    def act(self, actions: list[dict[str, Any]]) -> None:
        """Perform key or mouse actions and wait for the page that they lead to."""
        if self.context.scripts:
            self.evaluate(_WATCH)
        self._send("input.performActions", actions=actions)
        self._send("input.releaseActions")
        self._settle()
        if self.context.scripts:
            self._leave()

    def wait_for_selector(self, selector: str, *, state: str = "visible") -> None:
        """Wait until an element exists and, by default, is visible."""
        wanted = "seen" if state == "visible" else "Boolean"
        self._until(lambda: bool(self.on_found(selector, f"found => found.some({wanted})")), selector)

    def wait_for_load_state(self) -> None:
        """Wait until the page is loaded completely."""
        self._until(lambda: bool(self.evaluate("() => document.readyState === 'complete'")), "the page")

    def wait_for_url(self, pattern: str) -> None:
        """Wait for an address that matches a file name pattern."""
        self._until(lambda: fnmatch(self.url, pattern), pattern)

    def wait_for_timeout(self, milliseconds: float) -> None:
        """Do nothing."""
        self.context.connection.listen(milliseconds / 1000)

    def query_selector(self, selector: str) -> Found | None:
        """Return the element if it exists now, else None."""
        found = self.locator(selector)
        return found if found.count() else None

    def locator(self, selector: str) -> Found:
        """Return the elements of a selector; they are searched at each use."""
        return Found(self, selector)

    def inner_text(self, selector: str) -> str:
        """Return the visible text of an element."""
        self.wait_for_selector(selector)
        return self.locator(selector).inner_text()

    def get_attribute(self, selector: str, name: str) -> str | None:
        """Return an attribute of an element."""
        return self.locator(selector).get_attribute(name)

    def content(self) -> str:
        """Return the current source of the page."""
        return str(self.evaluate("() => document.documentElement.outerHTML"))

    def evaluate(self, script: str, argument: object = None) -> Any:
        """Run a script or call a function in the page; return its result as JSON values."""
        if not _IS_FUNCTION.match(script):
            result = self._send("script.evaluate", expression=script, target={"context": self.id}, awaitPromise=False)
            return result["result"].get("value")
        value = self._call(f"() => JSON.stringify(({script})({json.dumps(argument)}) ?? null)")
        return json.loads(value["value"])

    def on_found(self, selector: str, function: str) -> Any:
        """Call a function in the page with the elements of a selector."""
        return self.evaluate(f"() => {{ {_FIND} return ({function})(find({json.dumps(selector)})); }}")

    def close(self) -> None:
        """Close the tab."""
        self.context.connection.heard.remove(self._hear)
        self._send("browsingContext.close")

    def _call(self, function: str) -> dict[str, Any]:
        until = time.monotonic() + _TIMEOUT
        while True:
            try:
                return self._call_with_argument(function)
            except BidiError:  # the page was left meanwhile
                if time.monotonic() > until:
                    raise
                self.context.connection.listen(0.05)

    def _call_with_argument(self, function: str) -> dict[str, Any]:
        # Without scripts a page resolves no promise.
        target = {"context": self.id}
        called = self._send("script.callFunction", functionDeclaration=function, target=target, awaitPromise=False)
        assert called["type"] == "success", called
        return dict(called["result"])

    def _send(self, method: str, **params: Any) -> dict[str, Any]:
        where = {} if method.startswith("script.") else {"context": self.id}
        return self.context.connection.send(method, **where, **params)

    def _leave(self) -> None:
        """Wait until the page is left, if the last press leaves it."""
        until = time.monotonic() + _LEAVES_WITHIN
        while self.evaluate("() => window.pressLeads") is True and time.monotonic() < until:
            self.context.connection.listen(0.03)
        self._until(lambda: not self._loading, "the page that was asked for")

    def _settle(self) -> None:
        self.context.connection.listen(_STARTS_WITHIN)
        self._until(lambda: not self._loading, "the page that was asked for")

    def _until(self, met: Callable[[], bool], wanted: str) -> None:
        until = time.monotonic() + _TIMEOUT
        while not met():
            if time.monotonic() > until:
                raise AssertionError(
                    f"{wanted} did not come; at {self.url}: {self.evaluate('() => document.body.innerText')}"
                )
            self.context.connection.listen(0.03)

    def _hear(self, event: str, params: dict[str, Any]) -> None:
        if event == "log.entryAdded":
            if params["source"].get("context") == self.id:
                self._tell(params)
        elif params.get("context") == self.id:
            kind = event.rpartition(".")[2]
            self._loading = kind == "navigationStarted" or (self._loading and kind not in _ENDS)

    def _tell(self, entry: dict[str, Any]) -> None:
        told = Told(entry["level"], entry["text"] or "", {"url": ""})
        for listener in self._listeners.get("console", []):
            listener(told)


@dataclass(slots=True)
class Context:
    """A window with separate cookies: a Firefox container."""

    connection: Connection
    user_context: str
    scripts: bool = True
    _pages: list[Page] = field(default_factory=list)

    def new_page(self) -> Page:
        """Open a tab."""
        made = self.connection.send("browsingContext.create", type="tab", userContext=self.user_context)
        self._pages.append(Page(self, made["context"]))
        return self._pages[-1]

    def set_default_timeout(self, _: float) -> None:
        """Do nothing: the timeouts are fixed."""

    def cookies(self) -> list[dict[str, Any]]:
        """Return the window's cookies with name, value and domain."""
        found = self.connection.send("storage.getCookies", partition=self._partition())
        return [{**each, "value": each["value"]["value"]} for each in found["cookies"]]

    def add_cookies(self, cookies: Sequence[dict[str, str]]) -> None:
        """Add cookies with name, value and domain."""
        for each in cookies:
            value = {"type": "string", "value": each["value"]}
            planted = {"name": each["name"], "value": value, "domain": each["domain"], "path": "/"}
            self.connection.send("storage.setCookie", cookie=planted, partition=self._partition())

    def close(self) -> None:
        """Close the tabs and delete the cookies."""
        for each in self._pages:
            self.connection.heard.remove(each._hear)
        self.connection.send("browser.removeUserContext", userContext=self.user_context)

    def pages(self) -> list[Page]:
        """Return all open tabs, after waiting for the first."""
        until = time.monotonic() + _TIMEOUT
        while not (tree := self.connection.send("browsingContext.getTree", maxDepth=0)["contexts"]):
            assert time.monotonic() < until, "no window opened"
            self.connection.listen(0.1)
        known = {each.id: each for each in self._pages}
        self._pages = [known.get(each["context"]) or Page(self, each["context"]) for each in tree]
        return self._pages

    def leave(self) -> None:
        """Close every window by its button and wait until the browser has exited."""
        for each in self.connection.send("browsingContext.getTree", **{"moz:scope": "chrome"})["contexts"]:
            window = {"context": each["context"]}
            with suppress(ConnectionClosed):
                self.connection.send(
                    "script.evaluate",
                    expression="BrowserCommands.tryToCloseWindow()",
                    target=window,
                    awaitPromise=False,
                )
        self.connection.process.wait(_TIMEOUT)

    def _partition(self) -> dict[str, str]:
        return {"type": "storageKey", "userContext": self.user_context}


@contextmanager
def restoring(profile: Path, *pages: str) -> Iterator[Context]:
    """Start Firefox with the windows, tabs and cookies of the previous session, and with these pages."""
    with started_firefox(profile, *pages, **{"browser.startup.page": 3}) as connection:
        yield Context(connection, "default")


@dataclass(slots=True)
class Firefox:
    """The browser: one process with scripts and, if needed, one without."""

    folder: Path
    _stack: ExitStack = field(default_factory=ExitStack)
    _running: dict[bool, Connection] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Start no process yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the processes."""
        self._stack.close()

    def new_context(self, *, java_script_enabled: bool = True, locale: str = "en-GB", **_: Any) -> Context:
        """Open a window; Playwright's other options have no effect."""
        if java_script_enabled not in self._running:
            profile = self.folder / f"scripts-{java_script_enabled}"
            preferences = {"javascript.enabled": java_script_enabled}
            self._running[java_script_enabled] = self._stack.enter_context(started_firefox(profile, **preferences))
        connection = self._running[java_script_enabled]
        made = connection.send("browser.createUserContext")["userContext"]
        connection.send("emulation.setLocaleOverride", locale=locale, userContexts=[made])
        return Context(connection, made, java_script_enabled)


@pytest.fixture(scope="session")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return Debian's Firefox, headless."""
    with Firefox(tmp_path_factory.mktemp("firefox")) as found:
        yield cast("Browser", found)


@pytest.fixture(scope="module", params=["chromium", pytest.param("firefox", marks=pytest.mark.full)])
def browser(request: pytest.FixtureRequest) -> Browser:
    """Return each browser in turn; ``parametrize("browser", ["chromium"], indirect=True)`` selects one."""
    return cast("Browser", request.getfixturevalue(request.param))
