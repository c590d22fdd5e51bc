"""The strict YAML reader: text stays text, lines are known, surprises are refused with their line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.configuration.checked_files import line
from broker.configuration.strict_yaml import LARGEST, YamlMapping, read
from broker.core.errors import ConfigurationFaults
from broker.core.identity.cpr import looks_like_cpr


def faults(octets: bytes) -> list[str]:
    """Return the faults of ``octets``."""
    with pytest.raises(ConfigurationFaults) as found:
        read(octets, "f.yaml")
    return [str(each) for each in found.value.faults]


def test_every_plain_scalar_is_text() -> None:
    """No scalar becomes a boolean, a time, a number or null.

    Source: docs/reference/policies.md#format.
    """
    written = b"a: no\nb: [on, 12:30, 0101, 0x10, 1e3, ~, null, 2027-06-30, .inf]\nc:\nd: 'x'\n"
    assert read(written, "f.yaml") == {
        "a": "no",
        "b": ["on", "12:30", "0101", "0x10", "1e3", "~", "null", "2027-06-30", ".inf"],
        "c": "",
        "d": "x",
    }


def test_lines_are_found_by_path() -> None:
    """A fault stands where the key stands; a path that leads nowhere ends at the nearest thing above."""
    node = read(b"# first\na:\n  - {x: 1}\n  -\n    y: 2\nb: 3\n", "f.yaml")
    assert [line(node, path) for path in [(), ("a",), ("a", 0), ("a", 1, "y"), ("b",), ("a", 7), ("z", 0)]] == [
        2,
        2,
        3,
        5,
        6,
        2,
        2,
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"a: 1\nb: 2\na: 3\n", ["f.yaml:3: has 'a' twice (the first is in line 1)"]),
        (b"a: &x 1\n", ["f.yaml:1: sets an anchor (remove the word that begins with &)"]),
        (b"a: !!str 1\n", ["f.yaml:1: sets a tag (remove the word that begins with !)"]),
        (b"!!python/object:os.system {}\n", ["f.yaml:1: sets a tag (remove the word that begins with !)"]),
        (b"a: *x\n", ["f.yaml:1: uses an alias (write the value out)"]),
        (b"a: 1\n<<: {b: 2}\n", ["f.yaml:2: uses a merge key (write the keys out)"]),
        (b"? [a]\n: 1\n", ["f.yaml:1: has a key that is not a text"]),
        (b"a: 1\n---\nb: 2\n", ["f.yaml:2: holds a second document (one file is one document)"]),
        (b"%YAML 1.1\n---\na: no\n", ["f.yaml:1: carries a directive (remove the line that begins with %)"]),
        (b"a: 1\nb: \xff\n", ["f.yaml:2: is not UTF-8 (save the file as UTF-8)"]),
        (b"", ["f.yaml:1: is empty"]),
        (b"a: \x00\n", ["f.yaml:1: is not YAML: a forbidden character"]),
        (
            b"a: [1\nb: 2\n",
            [
                (
                    "f.yaml:1: is not YAML: a comma or the closing ] is missing"
                    " (close what [ opens, and put the text between quotes, as in 'this: one')"
                )
            ],
        ),
        (b"a" * (LARGEST + 1), ["f.yaml:1: is larger than 256 KB (split it)"]),
        (
            "a: 1\nb: 2\x85c: 3\n".encode(),
            ["f.yaml:2: holds U+0085, a line break that editors do not show (remove it)"],
        ),
        ("a: 1\u2028b: 2\n".encode(), ["f.yaml:1: holds U+2028, a line break that editors do not show (remove it)"]),
        (b"a:\n\tb: 1\n", ["f.yaml:2: is not YAML: a tab before the text (indent by blanks)"]),
        (b"[" * 100_000, ["f.yaml:1: is not YAML: exceeded maximum nesting depth"]),
        (b"{a: " * 60_000, ["f.yaml:1: is nested deeper than sixteen (flatten it)"]),
    ],
)
def test_surprising_yaml_is_refused_with_its_line(written: bytes, expected: list[str]) -> None:
    """Each refusal of docs/reference/design.md#6, and the bombs."""
    assert faults(written) == expected


@pytest.mark.parametrize(("depth", "good"), [(15, True), (16, True), (17, False)])
def test_nesting_ends_at_sixteen(depth: int, good: bool) -> None:
    """The bound is the one it says."""
    written = b"[" * depth + b"]" * depth
    if good:
        assert line(read(written, "f.yaml"), ()) == 1
    else:
        assert len(faults(written)) == 1


def test_all_refusals_come_at_once() -> None:
    """An administrator sees all faults of a file at once."""
    assert len(faults(b"a: &x 1\nb: *x\nb: !!int 2\n<<: {}\n")) == 5


def test_a_file_of_just_256_kb_is_read() -> None:
    """The limit is not one octet lower than it says."""
    assert isinstance(read(b"a: " + b"x" * (LARGEST - 3), "f.yaml"), YamlMapping)


@pytest.mark.parametrize("written", [b"0101901234: 1\n0101901234: 2\n", b"a: 1\n010190-1234: 1\n010190-1234: 2\n"])
def test_no_fault_quotes_a_number(written: bytes) -> None:
    """Faults are logged; a key that looks like a CPR number is not shown.

    Source: docs/reference/design.md#invariant-4.
    """
    found = faults(written)
    assert "(not shown) twice" in found[-1]
    assert not any(looks_like_cpr(each) for each in found)


@given(st.text("ab:-?[]{},&*!|>'\"%#\n\t \\0~<@`=", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No other error leaves the reader, whatever is written."""
    try:
        node = read(text.encode(), "f.yaml")
    except ConfigurationFaults:
        return
    assert line(node, ()) >= 1


@given(st.binary(max_size=40))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    """Nor whatever lies in the file."""
    try:
        node = read(octets, "f.yaml")
    except ConfigurationFaults:
        return
    assert line(node, ()) >= 1


@given(st.dictionaries(st.text("abc", min_size=1), st.text("xyz 019.:", max_size=6)))
def test_a_quoted_scalar_is_read_as_written(pairs: dict[str, str]) -> None:
    """A quoted scalar is read as it was written."""
    written = "".join(f"{key}: '{value}'\n" for key, value in pairs.items())
    if pairs:
        assert read(written.encode(), "f.yaml") == pairs
