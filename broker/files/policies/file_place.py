"""A place in a policy file, by which each rule keeps the line that it stands on."""

from collections.abc import Iterable
from dataclasses import dataclass

from broker.core.policy.model import PolicyLine
from broker.files.checked_files import line
from broker.files.strict_yaml import YamlNode


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A place in a policy file: the file's name, its tree, and the path of keys and positions."""

    file: str
    root: YamlNode
    path: tuple[str | int, ...] = ()

    def below(self, *steps: str | int) -> "FilePlace":
        """Return the place that ``steps`` lead to from here."""
        return FilePlace(self.file, self.root, (*self.path, *steps))

    @property
    def line(self) -> PolicyLine:
        """Return the line that a rule of this place stands on."""
        return PolicyLine(self.file, line(self.root, self.path))

    def lines_of(self, keys: Iterable[str]) -> dict[str, PolicyLine]:
        """Return the lines of the keys that stand here."""
        return {key: self.below(key).line for key in keys}
