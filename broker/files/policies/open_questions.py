"""The questions that a draft leaves open in a policy file: with one of them it is not used."""

from collections.abc import Iterator

from broker.core.errors import Fault
from broker.files.checked_files import FILL_IN
from broker.files.strict_yaml import YamlMapping, YamlNode, YamlScalar, YamlSequence


def open_questions(node: YamlNode, name: str) -> Iterator[Fault]:
    """Yield each value that begins with ``FILL IN``, with its key and what is asked.

    ``name`` is what faults call the file.
    """
    # Hardly a file has one, and the way to each of a thousand files' values is long.
    if _asks(node):
        yield from _questions(node, name, ())


def _asks(node: YamlNode) -> bool:
    if isinstance(node, YamlScalar):
        return node.text.startswith(FILL_IN)
    if isinstance(node, YamlSequence):
        return any(map(_asks, node.nodes))
    return any(_asks(entry.node) for entry in node.entries)


def _questions(node: YamlNode, name: str, path: tuple[str, ...]) -> Iterator[Fault]:
    match node:
        case YamlScalar() if node.text.startswith(FILL_IN):
            asked = node.text.removeprefix(FILL_IN).strip(" :")
            yield Fault(f"{name}:{node.line}", f"{'.'.join(path)} is to be filled in", asked)
        case YamlSequence():
            for number, item in enumerate(node.nodes, 1):
                yield from _questions(item, name, (*path, str(number)))
        case YamlMapping():
            for entry in node.entries:
                yield from _questions(entry.node, name, (*path, entry.key))
