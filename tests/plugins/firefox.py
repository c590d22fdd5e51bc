"""Debian's Firefox with the face that the walks use of Playwright's: windows, pages, what is found on them.

Playwright itself drives no Firefox but its own build.
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
_STARTS_WITHIN: Final = 0.12  # seconds after a press in which a navigation has begun if it leads to one
_LEAVES_WITHIN: Final = 20.0  # the same on a busy machine, where the page says that the press leads away
_ENDS: Final = ("load", "navigationFailed", "navigationAborted", "fragmentNavigated", "downloadWillBegin")
# Of CSS, and of what Playwright adds to it: has-text at the end.
_FIND: Final = """const find = selector => {
    const [, css, , text] = selector.match(/^(.*?)(:has-text\\('(.*)'\\))?$/);
    return [...document.querySelectorAll(css)].filter(each => !text || each.textContent.includes(text));
};
const seen = each => each.getClientRects().length > 0 && getComputedStyle(each).visibility !== "hidden";
"""
# The same place as when it was asked before, on a page that is whole, and nothing lies over it.
_RESTS: Final = """found => {
    const it = found.find(seen);
    it?.scrollIntoView({block: "center"});
    const box = it?.getClientRects()[0] ?? new DOMRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const [before, now] = [window.pressAt, `${x} ${y}`];
    window.pressAt = now;
    return document.readyState === "complete" && before === now && it.contains(document.elementFromPoint(x, y));
}"""
# What scripts of a page answer for; where none run, no listener is called.
_LISTEN: Final = """window.pressCame = false;
    const hear = event => { window.pressCame = it.contains(event.target); };
    window.addEventListener("click", hear, {capture: true, once: true});
"""
# Whether what is done next leads to another page; a form may lead to a file instead, and the page stay.
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
# What a page that moves or is left makes of a press before anything is pressed.
_TOO_LATE: Final = ("move target out of bounds", "no such element", "no such node")
_IS_FUNCTION: Final = re.compile(r"\s*(async )?(\w+|\([^)]*\)) =>")


class Told(NamedTuple):
    """What the browser complains of, as Playwright gives it."""

    type: str
    text: str
    location: dict[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """What a selector finds on a page, or one of it."""

    page: "Page"
    selector: str
    index: int | None = None

    def count(self) -> int:
        """Give how many there are now."""
        return int(self.page.on_found(self.selector, "found => found.length"))

    def all(self) -> Sequence["Found"]:
        """Give each of them."""
        return [Found(self.page, self.selector, index) for index in range(self.count())]

    def all_inner_texts(self) -> list[str]:
        """Give what people read of each."""
        return list(self.page.on_found(self.selector, "found => found.map(each => each.innerText)"))

    def input_value(self) -> str:
        """Give what stands in the field."""
        return str(self._of("each.value"))

    def is_checked(self) -> bool:
        """Say whether the box is ticked."""
        return bool(self._of("each.checked"))

    def is_visible(self) -> bool:
        """Say whether people see it."""
        return bool(self._of("seen(each)"))

    def get_attribute(self, name: str) -> str | None:
        """Give an attribute; None where it is absent."""
        value = self._of(f"each.getAttribute({json.dumps(name)})")
        return None if value is None else str(value)

    def inner_text(self) -> str:
        """Give what people read of it."""
        return str(self._of("each.innerText"))

    def _of(self, asked: str) -> Any:
        self.page.wait_for_selector(self.selector, state="attached")
        return self.page.on_found(
            self.selector, f"found => {{ const each = found[{self.index or 0}]; return {asked}; }}"
        )


@dataclass(slots=True)
class Keyboard:
    """The keys of a page."""

    page: "Page"

    def press(self, keys: str) -> None:
        """Press a key, or several at once as Control+A."""
        values = [_KEYS[each] for each in keys.split("+")]
        downs = [{"type": "keyDown", "value": value} for value in values]
        ups = [{"type": "keyUp", "value": value} for value in reversed(values)]
        self.page.act([{"type": "key", "id": "keys", "actions": downs + ups}])

    def type(self, text: str) -> None:
        """Write where the focus is."""
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
        """Hear what happens in it."""
        self.keyboard = Keyboard(self)
        self.context.connection.heard.append(self._hear)

    @property
    def url(self) -> str:
        """Give its address."""
        tree = self.context.connection.send("browsingContext.getTree", root=self.id, maxDepth=0)
        return str(tree["contexts"][0]["url"])

    def on(self, event: str, listener: Callable[[Any], None]) -> None:
        """Call back with each console message; Firefox tells errors of scripts as such too."""
        self._listeners.setdefault(event, []).append(listener)

    def goto(self, url: str, *, wait_until: str = "load") -> None:
        """Type an address."""
        wait = "none" if wait_until == "commit" else "complete"
        self._send("browsingContext.navigate", url=url, wait=wait)

    def reload(self) -> None:
        """Load it again."""
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
        """Press something in the middle once it rests there; again where the press met something else."""
        self.wait_for_selector(selector)
        until = time.monotonic() + _TIMEOUT
        while not self._pressed(selector):
            assert time.monotonic() < until, f"nothing presses {selector} on {self.url}"

    def _pressed(self, selector: str) -> bool:
        """Press, and say whether the press came: a page that still grows moves what is on it away from under it."""
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
        """Write into a field, in place of what stands there."""
        self.wait_for_selector(selector)
        self.on_found(selector, "found => { found[0].focus(); found[0].select(); }")
        self.keyboard.type(text)

    def act(self, actions: list[dict[str, Any]]) -> None:
        """Do something with keys or mouse, and wait for the page that it leads to."""
        if self.context.scripts:
            self.evaluate(_WATCH)
        self._send("input.performActions", actions=actions)
        self._send("input.releaseActions")
        self._settle()
        if self.context.scripts:
            self._leave()

    def wait_for_selector(self, selector: str, *, state: str = "visible") -> None:
        """Wait until something is there, and seen if asked."""
        wanted = "seen" if state == "visible" else "Boolean"
        self._until(lambda: bool(self.on_found(selector, f"found => found.some({wanted})")), selector)

    def wait_for_load_state(self) -> None:
        """Wait until the page has all its files."""
        self._until(lambda: bool(self.evaluate("() => document.readyState === 'complete'")), "the page")

    def wait_for_url(self, pattern: str) -> None:
        """Wait for an address; a pattern as of file names."""
        self._until(lambda: fnmatch(self.url, pattern), pattern)

    def wait_for_timeout(self, milliseconds: float) -> None:
        """Do nothing."""
        self.context.connection.listen(milliseconds / 1000)

    def query_selector(self, selector: str) -> Found | None:
        """Give what is there now; None for nothing."""
        found = self.locator(selector)
        return found if found.count() else None

    def locator(self, selector: str) -> Found:
        """Give what a selector finds whenever it is asked."""
        return Found(self, selector)

    def inner_text(self, selector: str) -> str:
        """Give what people read there."""
        self.wait_for_selector(selector)
        return self.locator(selector).inner_text()

    def get_attribute(self, selector: str, name: str) -> str | None:
        """Give an attribute of something on the page."""
        return self.locator(selector).get_attribute(name)

    def content(self) -> str:
        """Give the page's source as it stands."""
        return str(self.evaluate("() => document.documentElement.outerHTML"))

    def evaluate(self, script: str, argument: object = None) -> Any:
        """Run a script, or call a function, in the page; give what JSON can hold of the result."""
        if not _IS_FUNCTION.match(script):
            result = self._send("script.evaluate", expression=script, target={"context": self.id}, awaitPromise=False)
            return result["result"].get("value")
        value = self._call(f"() => JSON.stringify(({script})({json.dumps(argument)}) ?? null)")
        return json.loads(value["value"])

    def on_found(self, selector: str, function: str) -> Any:
        """Call a function of the page with what a selector finds there."""
        return self.evaluate(f"() => {{ {_FIND} return ({function})(find({json.dumps(selector)})); }}")

    def close(self) -> None:
        """Close the tab."""
        self.context.connection.heard.remove(self._hear)
        self._send("browsingContext.close")

    def _call(self, function: str) -> dict[str, Any]:
        until = time.monotonic() + _TIMEOUT
        while True:
            try:
                return self._called(function)
            except BidiError:  # a page that is left meanwhile
                if time.monotonic() > until:
                    raise
                self.context.connection.listen(0.05)

    def _called(self, function: str) -> dict[str, Any]:
        # Without scripts a page settles no promise.
        target = {"context": self.id}
        called = self._send("script.callFunction", functionDeclaration=function, target=target, awaitPromise=False)
        assert called["type"] == "success", called
        return dict(called["result"])

    def _send(self, method: str, **params: Any) -> dict[str, Any]:
        where = {} if method.startswith("script.") else {"context": self.id}
        return self.context.connection.send(method, **where, **params)

    def _leave(self) -> None:
        """Wait until a page from which the last press leads is left."""
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
    """A window of its own: a container, whose cookies no other has."""

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
        """Leave it as it is."""

    def cookies(self) -> list[dict[str, Any]]:
        """Give its cookies with name, value and domain."""
        found = self.connection.send("storage.getCookies", partition=self._partition())
        return [{**each, "value": each["value"]["value"]} for each in found["cookies"]]

    def add_cookies(self, cookies: Sequence[dict[str, str]]) -> None:
        """Plant cookies of a name, value and domain."""
        for each in cookies:
            value = {"type": "string", "value": each["value"]}
            planted = {"name": each["name"], "value": value, "domain": each["domain"], "path": "/"}
            self.connection.send("storage.setCookie", cookie=planted, partition=self._partition())

    def close(self) -> None:
        """Close its tabs and forget its cookies."""
        for each in self._pages:
            self.connection.heard.remove(each._hear)
        self.connection.send("browser.removeUserContext", userContext=self.user_context)

    def pages(self) -> list[Page]:
        """Give the tabs that are open, once there is any, whoever opened them."""
        until = time.monotonic() + _TIMEOUT
        while not (tree := self.connection.send("browsingContext.getTree", maxDepth=0)["contexts"]):
            assert time.monotonic() < until, "no window opened"
            self.connection.listen(0.1)
        known = {each.id: each for each in self._pages}
        self._pages = [known.get(each["context"]) or Page(self, each["context"]) for each in tree]
        return self._pages

    def leave(self) -> None:
        """Close every window as its button does, which ends the browser, and wait until it has ended."""
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
    """Start a Firefox that opens the windows and tabs of the last time, with their cookies, and more pages if asked."""
    with started_firefox(profile, *pages, **{"browser.startup.page": 3}) as connection:
        yield Context(connection, "default")


@dataclass(slots=True)
class Firefox:
    """The browser: one process with scripts, and one without once that is asked for."""

    folder: Path
    _stack: ExitStack = field(default_factory=ExitStack)
    _running: dict[bool, Connection] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what was started."""
        self._stack.close()

    def new_context(self, *, java_script_enabled: bool = True, locale: str = "en-GB", **_: Any) -> Context:
        """Open a window; of Playwright's other options none changes it."""
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
    """Give Debian's Firefox, headless, as far as the walks use a browser."""
    with Firefox(tmp_path_factory.mktemp("firefox")) as found:
        yield cast("Browser", found)


@pytest.fixture(scope="module", params=["chromium", pytest.param("firefox", marks=pytest.mark.slow)])
def browser(request: pytest.FixtureRequest) -> Browser:
    """Give each browser in turn; by ``parametrize("browser", ["chromium"], indirect=True)`` a test has one of them."""
    return cast("Browser", request.getfixturevalue(request.param))
