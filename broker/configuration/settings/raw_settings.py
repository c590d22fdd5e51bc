"""The settings as they are written, before they are checked, and the place of every key."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from broker.configuration.checked_files import FILL_IN, KeyPath, did_you_mean
from broker.core.errors import Fault

PREFIX: Final = "BROKER_"
SECRET_KEYS: Final = ("secret", "password", "token", "api_key")

SettingsTree = dict[str, Any]


@dataclass(frozen=True, slots=True, repr=False)
class RawSettings:
    """The settings of file and environment in one tree.

    ``variables`` maps keys to the variable, or the file with a secret, that sets them.
    """

    tree: SettingsTree
    file: str
    variables: dict[KeyPath, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def where(self, *path: str | int) -> str:
        """Return the place where a key was written: its variable, or ``broker.toml:idp.scope``."""
        above = path
        while above:
            if above in self.variables:
                return self.variables[above]
            above = above[:-1]
        return f"{self.file}:{write_path(path)}"


def find_unknown_name(where: str, name: str | None, known: Iterable[str], kind: str) -> "Faults":
    """Yield a fault if ``name`` is not the name of a ``kind``; nothing if it is empty."""
    if name is not None and name not in known:
        fix = did_you_mean(name, known) or f"{kind}s are {', '.join(known) or 'none'}"
        yield Fault(where, f"no {kind} {name}", fix)


def find_repeated(values: Iterable[tuple[str | None, str]], what: str) -> "Faults":
    """Yield a fault for each value that is written at a second place."""
    first: dict[str, str] = {}
    for value, where in values:
        if value is not None and first.setdefault(value, where) != where:
            yield Fault(where, f"{value} {what}", f"it is at {first[value]} too; keep one")


def list_values(table: Any, above: KeyPath = ()) -> "Iterator[tuple[KeyPath, Any, Any]]":
    """Yield the path of every value below a table or a list, what holds it, and the value."""
    for step in list(table) if isinstance(table, dict) else range(len(table)):
        path, value = (*above, step), table[step]
        yield path, table, value
        if isinstance(value, dict | list):
            yield from list_values(value, path)


def find_unfilled(raw: RawSettings) -> "Faults":
    """Yield a fault for every value that still says ``FILL IN``, and what to fill in."""
    for path, _, value in list_values(raw.tree):
        if isinstance(value, str) and value.lstrip().startswith(FILL_IN):
            fix = value.partition(FILL_IN)[2].strip(" :\n")
            if str(path[-1]).endswith(SECRET_KEYS):
                # The value may contain the secret after these words already: do not quote it.
                fix = "with the secret, and nothing else"
            yield Fault(raw.where(*path), "is to be filled in", fix)


Faults = Iterator[Fault]
Where = Callable[..., str]  # RawSettings.where


def write_path(path: KeyPath) -> str:
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
