"""The settings as written, before any check, and the place where every key was written."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from broker.configuration.checked_files import FILL_IN, KeyPath
from broker.core.errors import Fault

PREFIX: Final = "BROKER_"
SECRET_KEYS: Final = ("secret", "password", "token", "api_key")

SettingsTree = dict[str, Any]


@dataclass(frozen=True, slots=True, repr=False)
class RawSettings:
    """Both sources in one tree.

    ``variables`` has the environment names, or files with a secret, of the keys they set.
    """

    tree: SettingsTree
    file: str
    variables: Mapping[KeyPath, str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def where(self, path: KeyPath) -> str:
        """Return the place where a key was written: its variable, or ``broker.toml:idp.scope``."""
        above = path
        while above:
            if above in self.variables:
                return self.variables[above]
            above = above[:-1]
        return f"{self.file}:{dotted(path)}"

    def table(self, name: str) -> "RawTable":
        """Return the table of that name; an empty one where there is none, or no table."""
        values = self.tree.get(name)
        if not isinstance(values, dict):
            values = {}
        return RawTable(self, (name,), values)

    def tables(self, name: str) -> "Iterator[RawTable]":
        """Yield the tables below the table of that name: the upstreams, the services, the feeds."""
        for key, values in self.table(name).values.items():
            if isinstance(values, dict):
                yield RawTable(self, (name, key), values)


@dataclass(frozen=True, slots=True, repr=False)
class RawTable:
    """A table as written, and its path: ``("upstreams", "wayf")``."""

    settings: RawSettings
    path: KeyPath
    values: SettingsTree

    @property
    def name(self) -> str:
        """Return the name that the administrator chose for the table."""
        return str(self.path[-1])

    def get(self, key: str) -> Any:
        """Return the value of a key; None where it is not written."""
        return self.values.get(key)

    def text(self, key: str) -> str | None:
        """Return the value of a key; None where it is no text."""
        value = self.values.get(key)
        if not isinstance(value, str):
            return None
        return value

    def texts(self, key: str) -> list[str]:
        """Return the texts in the list of a key; none where it is no list."""
        value = self.values.get(key)
        if not isinstance(value, list):
            return []
        return [item for item in value if isinstance(item, str)]

    def where(self, *steps: str | int) -> str:
        """Return the place where the table was written, or the key that ``steps`` lead to in it."""
        return self.settings.where(self.path + steps)


def unfilled(raw: RawSettings) -> tuple[Fault, ...]:
    """Return a fault for every value that still says ``FILL IN``, and what to fill in."""
    return tuple(_unfilled(raw, (), raw.tree))


def _unfilled(raw: RawSettings, path: KeyPath, value: object) -> "Faults":
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _unfilled(raw, (*path, key), below)
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _unfilled(raw, (*path, index), below)
    elif isinstance(value, str) and value.lstrip().startswith(FILL_IN):
        _, _, wanted = value.partition(FILL_IN)
        fix = wanted.strip(" :\n")
        if str(path[-1]).endswith(SECRET_KEYS):
            # The secret itself may stand behind the words already: it goes into no journal.
            fix = "with the secret, and nothing else beside it"
        yield Fault(raw.where(path), "is to be filled in", fix)


Faults = Iterator[Fault]
Check = Callable[[RawSettings], Faults]


def dotted(path: KeyPath) -> str:
    """Write a path as TOML does: ``upstreams.wayf.institutions[0].scopes``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}"
    return text.lstrip(".")


def variable(path: KeyPath) -> str:
    """Return the environment name of a key: ``BROKER_UPSTREAMS__MY_HUB__CBC``."""
    steps = [str(step).replace("-", "_") for step in path]
    return PREFIX + "__".join(steps).upper()
