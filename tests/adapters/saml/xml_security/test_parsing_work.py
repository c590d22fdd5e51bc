"""Limits the work of XML security: the longest message is accepted or refused with little work, whatever it contains."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.server

_LONGEST = 256 * 1024
# The script forks for each message and limits its processor time: quadratic work is killed, not measured.
_CHILD = """
import os, resource, sys
from pathlib import Path
from broker.core.errors import MessageRefused
from broker.adapters.saml.xml_security import safe_parser, xml_structure_checks
from broker.adapters.saml.xml_security.xml_names import RESPONSE
xml_structure_checks._compile_schema()
for path in sys.argv[1:]:
    if os.fork() == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (2, 2))
        try:
            safe_parser.parse(Path(path).read_bytes(), RESPONSE)
        except MessageRefused as refused:
            print(refused.cause, flush=True)
        os._exit(0)
    if os.wait()[1]:
        print("killed", flush=True)
"""


def _fill_message(head: bytes, unit: bytes, tail: bytes) -> bytes:
    return head + unit * ((_LONGEST - len(head) - len(tail)) // len(unit)) + tail


HOSTILE: dict[str, tuple[bytes, str]] = {
    "prefixes that hold prefixes": (_fill_message(b'<a b="' + b"xmlns:" * 999, b"a", b'"/>'), "xml.root"),
    "declarations without a value": (_fill_message(b'<a b="' + b" xmlns:" * 999, b"a", b'"/>'), "xml.root"),
    "declarations and white space": (_fill_message(b'<a b="' + b" xmlns" * 999, b" ", b'"/>'), "xml.root"),
    "declarations that never end": (
        _fill_message(b"<a b='" + b' xmlns="' * 999, b" ", b"'/>"),
        "xml.relative_namespace",
    ),
    "encodings that are none": (_fill_message(b"<?xml ", b"encoding ", b""), "xml.unreadable"),
    "attributes": (b"<a " + b"".join(b'a%x="" ' % each for each in range(26_000)) + b"/>", "xml.root"),
    "elements": (_fill_message(b"<a>", b"<b/>", b"</a>"), "xml.root"),
    "depth": (_fill_message(b"", b"<a>", b""), "xml.unreadable"),
    "references": (_fill_message(b"<a>", b"&#65;", b"</a>"), "xml.root"),
}


def test_a_long_message_is_little_work(tmp_path: Path) -> None:
    """256 kB that anybody may post are refused for what they are within the processor time of a few messages."""
    paths = []
    for name, (raw, _) in HOSTILE.items():
        assert len(raw) <= _LONGEST
        paths.append(tmp_path / name)
        paths[-1].write_bytes(raw)
    root = Path(__file__).parents[4]
    ran = subprocess.run([sys.executable, "-c", _CHILD, *paths], capture_output=True, text=True, cwd=root, check=True)
    assert dict(zip(HOSTILE, ran.stdout.splitlines(), strict=True)) == {
        name: cause for name, (_, cause) in HOSTILE.items()
    }
