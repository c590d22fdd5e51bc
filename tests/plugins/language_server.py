"""Speaks with yaml-language-server as an editor does, over its standard input and output."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, Final

from tests.plugins.interop.passport_peer import NODE
from tests.plugins.programs import started

_SERVER: Final = Path(__file__).parents[2] / ".node/node_modules/yaml-language-server/bin/yaml-language-server"
# It asks for its settings; without the store of schemas it asks nothing of the network.
_SETTINGS: Final = {
    "yaml": {"schemaStore": {"enable": False}, "validate": True, "hover": True, "completion": True},
    "http": {},
}
_CAPABILITIES: Final = {
    "workspace": {"configuration": True},
    "textDocument": {"completion": {"completionItem": {"snippetSupport": True}}},
}


class Editor:
    """An editor with one YAML file open at a time."""

    def __init__(self, running: "Popen[bytes]", folder: Path) -> None:
        """Greet the server; files are edited as if they lay in ``folder``."""
        self._server = running
        self._folder = folder
        self._ids = count(1)
        self._versions = count(1)
        self._asked("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": _CAPABILITIES})
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": _SETTINGS})

    def red_lines(self, name: str, text: str) -> dict[int, str]:
        """Open a file of this text, and give what is said of its lines; the first line is 1."""
        uri = (self._folder / name).as_uri()
        version = next(self._versions)
        opened = {"uri": uri, "languageId": "yaml", "version": version, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": opened})
        told = self._until(lambda said: said.get("params", {}).get("uri") == uri and "diagnostics" in said["params"])
        found = told["params"]["diagnostics"]
        return {each["range"]["start"]["line"] + 1: each["message"] for each in found}

    def hover(self, name: str, line: int, column: int) -> str:
        """Give what is shown of a place in an open file, "" for nothing."""
        shown = self._asked("textDocument/hover", self._at(name, line, column))
        return str(shown["contents"]["value"]) if shown else ""

    def offers(self, name: str, line: int, column: int) -> list[str]:
        """Give what can be completed to at a place in an open file."""
        offered = self._asked("textDocument/completion", self._at(name, line, column))
        return [each["label"] for each in offered["items"]]

    def _at(self, name: str, line: int, column: int) -> dict[str, Any]:
        place = {"line": line - 1, "character": column}
        return {"textDocument": {"uri": (self._folder / name).as_uri()}, "position": place}

    def _asked(self, method: str, params: Mapping[str, Any]) -> Any:
        number = next(self._ids)
        self._send({"id": number, "method": method, "params": params})
        return self._until(lambda said: said.get("id") == number and "method" not in said)["result"]

    def _tell(self, method: str, params: Mapping[str, Any]) -> None:
        self._send({"method": method, "params": params})

    def _until(self, wanted: Any) -> dict[str, Any]:
        """Read on to the message that is wanted; what the server asks meanwhile is answered."""
        while True:
            said = self._read()
            if wanted(said):
                return said
            if "method" in said and "id" in said:
                asked = said.get("params", {}).get("items", ())
                self._send({"id": said["id"], "result": [_SETTINGS.get(each["section"]) for each in asked]})

    def _send(self, message: Mapping[str, Any]) -> None:
        octets = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._server.stdin
        self._server.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(octets), octets))
        self._server.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._server.stdout
        length = 0
        while line := self._server.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the language server has ended"
        message: dict[str, Any] = json.loads(self._server.stdout.read(length))
        return message


@contextmanager
def editing(folder: Path) -> Iterator[Editor]:
    """Run a server for an editor in ``folder``."""
    with started([NODE, str(_SERVER), "--stdio"], {}, stdin=PIPE, stdout=PIPE) as running:
        yield Editor(running, folder)
