"""A place in a policy file, by which each rule keeps the line that it stands on."""

from collections.abc import Iterable
from dataclasses import dataclass

from broker.core.policy.model import PolicyLine
from broker.files.checked_files import entry_at
from broker.files.strict_yaml import YamlNode


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A place in a policy file: the file's name, the line, and the node there.

    ``node`` is None where nothing stands: the line is then that of the nearest thing above.
    """

    file: str
    node: YamlNode | None
    number: int

    @classmethod
    def top(cls, file: str, root: YamlNode) -> "FilePlace":
        """Return the place of the whole file."""
        return cls(file, root, root.line)

    def below(self, *steps: str | int) -> "FilePlace":
        """Return the place that ``steps`` lead to from here."""
        node = self.node
        number = self.number
        for step in steps:
            entry = entry_at(node, step)
            if entry is None:
                return FilePlace(self.file, None, number)
            node = entry.node
            number = entry.line
        return FilePlace(self.file, node, number)

    @property
    def line(self) -> PolicyLine:
        """Return the line that a rule of this place stands on."""
        return PolicyLine(self.file, self.number)

    def lines_of(self, keys: Iterable[str]) -> dict[str, PolicyLine]:
        """Return the lines of the keys that stand here."""
        return {key: self.below(key).line for key in keys}
