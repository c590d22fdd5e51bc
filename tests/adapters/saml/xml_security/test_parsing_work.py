"""Limits the work of XML security: the longest message is accepted or refused with little work, whatever it contains."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.server

_LONGEST = 256 * 1024
# The limit is the child's own, in processor time after all is loaded: what is quadratic is killed, not measured.
_CHILD = """
import resource, sys
from broker.core.errors import MessageRefused
from broker.adapters.saml.xml_security import safe_parser, xml_structure_checks
from broker.adapters.saml.xml_security.xml_names import RESPONSE
raw = sys.stdin.buffer.read()
xml_structure_checks._compile_schema()
used = resource.getrusage(resource.RUSAGE_SELF)
spent = int(used.ru_utime + used.ru_stime)
resource.setrlimit(resource.RLIMIT_CPU, (spent + 2, spent + 2))
try:
    safe_parser.parse(raw, RESPONSE)
except MessageRefused as refused:
    print(refused.cause)
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


@pytest.mark.parametrize("name", HOSTILE)
def test_a_long_message_is_little_work(name: str) -> None:
    """256 kB that anybody may post are refused for what they are within the processor time of a few messages."""
    raw, cause = HOSTILE[name]
    assert len(raw) <= _LONGEST
    root = Path(__file__).parents[4]
    ran = subprocess.run([sys.executable, "-c", _CHILD], input=raw, capture_output=True, cwd=root, check=False)
    assert (ran.returncode, ran.stdout.decode().strip()) == (0, cause), ran.stderr.decode()
