"""Controls Debian's Firefox over WebDriver BiDi: starts it, sends commands and receives events.

Source: W3C WebDriver BiDi, https://w3c.github.io/webdriver-bidi/.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any, Final

from websockets.sync.client import ClientConnection, connect

from tests.plugins.programs import run_program

# Turn off updates, studies, portal detection and start pages.
_QUIET: Final[Mapping[str, Any]] = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.aboutwelcome.enabled": False,
    "browser.startup.homepage": "about:blank",
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.policy.firstRunURL": "",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "termsofuse.bypassNotification": True,
}
_EVENTS: Final = ("log.entryAdded", "browsingContext")
_PORT: Final = "WebDriverBiDiServer.json"
_PATIENCE: Final = 120.0


class BidiError(Exception):
    """Raised when the browser refuses a command; has its error code and message."""


@dataclass(slots=True)
class Connection:
    """A session with a browser; the functions in ``heard`` receive every event."""

    socket: ClientConnection
    process: "Popen[Any]"
    heard: list[Callable[[str, dict[str, Any]], None]] = field(default_factory=list)
    _sent: int = 0
    _events: deque[dict[str, Any]] = field(default_factory=deque)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; raise BidiError if it is refused."""
        self._sent += 1
        number = self._sent
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        until = time.monotonic() + _PATIENCE
        while (message := self._receive(until - time.monotonic())).get("id") != number:
            self._events.append(message)
        self._tell()
        if message["type"] == "error":
            raise BidiError(message["error"], message["message"])
        return dict(message["result"])

    def listen(self, seconds: float) -> None:
        """Receive events for ``seconds``."""
        until = time.monotonic() + seconds
        with suppress(TimeoutError):
            while True:
                self._events.append(self._receive(until - time.monotonic()))
                self._tell()

    def _tell(self) -> None:
        """Pass events to the listeners. Do not do so while waiting for an answer: a listener may send a command."""
        while self._events:
            event = self._events.popleft()
            for hear in self.heard:
                hear(event["method"], event["params"])

    def _receive(self, seconds: float) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(timeout=max(seconds, 0.0)))
        return message


@contextmanager
def run_firefox(profile: Path, *pages: str, **preferences: Any) -> Iterator[Connection]:
    """Start Firefox on a profile with these pages; return a session that ends with the block."""
    profile.mkdir(exist_ok=True)
    lines = [
        f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in {**_QUIET, **preferences}.items()
    ]
    (profile / "user.js").write_text("".join(lines), encoding="utf-8")
    command = [
        "firefox-esr",
        "--headless",
        "--no-remote",
        "--remote-debugging-port=0",
        "--profile",
        str(profile),
        *pages,
    ]
    # Remove the port file of a previous browser on this profile.
    (profile / _PORT).unlink(missing_ok=True)
    with ExitStack() as stack:
        process = stack.enter_context(run_program(command, _environment(profile), stdout=DEVNULL, stderr=DEVNULL))
        address = f"ws://127.0.0.1:{_port(process, profile / _PORT)}/session"
        socket = stack.enter_context(connect(address, max_size=None, open_timeout=_PATIENCE))
        connection = Connection(socket, process)
        connection.send("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
        connection.send("session.subscribe", events=list(_EVENTS))
        yield connection


def _environment(profile: Path) -> Mapping[str, str]:
    # The second variable lets a session press buttons of the browser itself, such as the close button.
    return {"HOME": str(profile), "MOZ_REMOTE_ALLOW_SYSTEM_ACCESS": "1"}


def _port(process: "Popen[Any]", told: Path) -> int:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError, ValueError):  # the file is missing or incomplete
            return int(json.loads(told.read_text(encoding="utf-8"))["ws_port"])
        time.sleep(0.05)
    raise AssertionError("Firefox did not start")
