"""Debian's Firefox over WebDriver BiDi: starts it on a profile, sends commands, keeps what it reports.

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

# Firefox asks nobody about updates, studies and portals, and shows no page of its own.
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
    """The browser refused a command: its error code and sentence."""


@dataclass(slots=True)
class Connection:
    """One session with a browser; ``heard`` gets every event."""

    socket: ClientConnection
    process: "Popen[Any]"
    heard: list[Callable[[str, dict[str, Any]], None]] = field(default_factory=list)
    _sent: int = 0
    _events: deque[dict[str, Any]] = field(default_factory=deque)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and give its result; BidiError where it is refused."""
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
        """Hear what comes meanwhile."""
        until = time.monotonic() + seconds
        with suppress(TimeoutError):
            while True:
                self._events.append(self._receive(until - time.monotonic()))
                self._tell()

    def _tell(self) -> None:
        """Pass on what was heard; not while an answer is waited for, since whoever hears it may ask something."""
        while self._events:
            event = self._events.popleft()
            for hear in self.heard:
                hear(event["method"], event["params"])

    def _receive(self, seconds: float) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(timeout=max(seconds, 0.0)))
        return message


@contextmanager
def run_firefox(profile: Path, *pages: str, **preferences: Any) -> Iterator[Connection]:
    """Start Firefox on a profile, with these pages if any, and give a session with it, which ends with the block."""
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
    # What a browser on this profile told before is the port of a server that has ended.
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
    # The second lets a session press what is not on a page: the button that closes a window.
    return {"HOME": str(profile), "MOZ_REMOTE_ALLOW_SYSTEM_ACCESS": "1"}


def _port(process: "Popen[Any]", told: Path) -> int:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError, ValueError):  # not yet there, or not yet whole
            return int(json.loads(told.read_text(encoding="utf-8"))["ws_port"])
        time.sleep(0.05)
    raise AssertionError("Firefox did not start")
