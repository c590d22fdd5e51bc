"""Policy files and site rules in the layout that all have: keys in order, usual indents."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from broker.core.errors import ConfigurationFaults, Fault
from broker.files.checked_files import KeyPath, Shape, known_keys, plain
from broker.files.policies.file_schema import PolicyShape
from broker.files.policies.property_schema import SiteRuleShape
from broker.files.strict_yaml import YamlEntry, YamlMapping, YamlNode, YamlSequence, read
from broker.files.yaml_layout import UnsettledLayoutError, laid_out

_SCHEMA: Final = "# yaml-language-server:"  # editors look for it in the first line
_DASH: Final = "- "
_MOST_TURNS: Final = 9


@dataclass(frozen=True, slots=True)
class FileFormat:
    """The format of a file: its keys are those of ``shape``; ``listed``, it is a list of such.

    ``chosen`` are the mappings whose other keys the file chooses: they stand as they were written.
    """

    shape: type[Shape]
    chosen: frozenset[tuple[str, ...]]
    listed: bool = False

    def keys(self, path: KeyPath) -> tuple[str, ...]:
        """Return the keys of the mapping at a path, in their order."""
        return known_keys(self.shape, path[1:] if self.listed else path)


POLICY: Final = FileFormat(PolicyShape, frozenset({("match",), ("examples", "login")}))
SITE_RULES: Final = FileFormat(SiteRuleShape, frozenset({("when",)}), listed=True)


def formatted(octets: bytes, name: str, form: FileFormat = POLICY) -> str:
    """Return a file in the usual layout; it says the same, with each comment and empty line.

    ``name`` is what faults call the file. ConfigurationFaults for what is not YAML of its
    format, and for a line that no layout is known for: there nothing is changed.
    """
    said = plain(read(octets, name))
    try:
        text = laid_out(octets.decode())
        ordered = _settled(text, name, form)
    except UnsettledLayoutError as unsettled:
        raise _unsettled(f"{name}:{unsettled.line}") from None
    for candidate in (ordered, text):
        if _says(candidate, name) == said:
            return candidate
    raise _unsettled(name)


def _settled(text: str, name: str, form: FileFormat) -> str:
    """Return the text in order, laid out again until no comment moves any more."""
    for _ in range(_MOST_TURNS):
        ordered = laid_out(_ordered(text, name, form))
        if ordered == text:
            break
        text = ordered
    return text


def _unsettled(where: str) -> ConfigurationFaults:
    mend = "write each key on a line of its own, as the shipped files do"
    return ConfigurationFaults([Fault(where, "is written in a way that is not formatted", mend)])


def _says(text: str, name: str) -> object:
    try:
        return plain(read(text.encode(), name))
    except ConfigurationFaults:
        return None


def _ordered(text: str, name: str, form: FileFormat) -> str:
    """Return the text with the keys of each mapping in the order of the format."""
    lines = text.split("\n")
    # Each turn puts one mapping in order, and lines move: so the file is read again.
    for _ in range(len(lines)):
        try:
            root = read("\n".join(lines).encode(), name)
        except ConfigurationFaults:
            return text
        found = next(_unordered(root, (), lines, form), None)
        if found is None:
            break
        lines = _in_order(lines, *found)
    return "\n".join(lines)


def _unordered(
    node: YamlNode, path: KeyPath, lines: list[str], form: FileFormat
) -> Iterator[tuple[YamlMapping, list[YamlEntry]]]:
    """Yield the mappings that are out of order, with their entries in order."""
    if isinstance(node, YamlSequence):
        for at, item in enumerate(node.nodes):
            yield from _unordered(item, (*path, at), lines, form)
    elif isinstance(node, YamlMapping):
        names = tuple(step for step in path if isinstance(step, str))
        ranks = {key: at for at, key in enumerate(form.keys(path))}
        wanted = sorted(node.entries, key=lambda entry: ranks.get(entry.key, len(ranks)))
        moves = names not in form.chosen and wanted != list(node.entries)
        if moves and _one_a_line(node, lines):
            yield node, wanted
        for entry in node.entries:
            yield from _unordered(entry.node, (*path, entry.key), lines, form)


def _one_a_line(node: YamlMapping, lines: list[str]) -> bool:
    """Return whether each entry begins a line, and none of them stands in braces."""
    above = lines[: node.entries[0].line - 1]
    if above and above[-1].rstrip().endswith("{"):
        return False
    return all(
        lines[entry.line - 1].lstrip(" -").startswith(f"{entry.key}:") for entry in node.entries
    )


def _in_order(lines: list[str], node: YamlMapping, wanted: list[YamlEntry]) -> list[str]:
    """Return the lines with the entries of one mapping in another order, each with its comments."""
    last = node.entries[-1].line - 1
    column = _indent(lines[last])
    starts = [_with_comments(lines, entry.line - 1, column) for entry in node.entries]
    dashed = lines[node.entries[0].line - 1].lstrip(" ").startswith(_DASH)
    if dashed or starts[0] < 0:
        starts[0] = node.entries[0].line - 1
    ends = [*starts[1:], _end(lines, last, column)]
    chunks = {
        entry.key: lines[start:end]
        for entry, start, end in zip(node.entries, starts, ends, strict=True)
    }
    if dashed:
        first = chunks[node.entries[0].key]
        first[0] = " " * column + first[0].lstrip(" -")
    moved = [line for entry in wanted for line in chunks[entry.key]]
    if dashed:
        at = next(at for at, line in enumerate(moved) if line.strip().startswith(wanted[0].key))
        moved[at] = " " * (column - len(_DASH)) + _DASH + moved[at].lstrip()
    return [*lines[: starts[0]], *moved, *lines[ends[-1] :]]


def _with_comments(lines: list[str], at: int, column: int) -> int:
    """Return the first of the empty lines and comments above a line that belong to it."""
    while at > 0 and not lines[at - 1].startswith(_SCHEMA):
        above = lines[at - 1]
        belongs = not above.strip() or (above.lstrip().startswith("#") and _indent(above) == column)
        if not belongs:
            break
        at -= 1
    return at


def _end(lines: list[str], last: int, column: int) -> int:
    """Return the line behind a mapping whose last entry begins in the line ``last``."""
    end = last + 1
    for at in range(last + 1, len(lines)):
        if not lines[at].strip():
            continue
        if _indent(lines[at]) <= column and not lines[at].lstrip().startswith("#"):
            break
        if _indent(lines[at]) < column:
            break
        end = at + 1
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
