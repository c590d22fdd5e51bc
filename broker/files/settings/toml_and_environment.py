"""Reads the configuration's two sources, broker.toml and the environment, and remembers where each key came from."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError

from broker.core.errors import ConfigurationFaults, Fault

PREFIX: Final = "BROKER_"
CONFIG: Final = "BROKER_CONFIG"  # names the file itself
NAMED: Final = frozenset(
    {"upstreams", "services", "feeds"}
)  # tables of tables: the second part is a name of the administrator's
SECRETS: Final = ("secret", "password", "token", "api_key", "url")  # a url may hold a password

SettingsTree = dict[str, Any]
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """Everything that was given, file and environment in one tree; ``names`` is the variable a key came by."""

    tree: SettingsTree
    file: str
    names: Mapping[KeyPath, str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def where(self, place: KeyPath) -> str:
        """Name the place of a key as its writer knows it: the variable, or ``broker.toml:upstreams.wayf.only[0]``."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.names:
                return self.names[place[:length]]
        return f"{self.file}:{dotted(place)}"


def dotted(place: KeyPath) -> str:
    """Write a place as TOML people do: ``upstreams.wayf.institutions[0].scopes``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(
        "."
    )


def variable(place: KeyPath) -> str:
    """Give the environment name of a key: ``BROKER_UPSTREAMS__MY_HUB__CBC``."""
    return PREFIX + "__".join(str(part).replace("-", "_").upper() for part in place)


def read(kind: type[BaseSettings], path: Path | None, environ: Mapping[str, str]) -> Given:
    """Read the file, then the environment over it.

    ``ConfigurationFaults`` where the file cannot be read at all; other faults come back in the
    answer, so that those of the keys can be told beside them.
    """
    tree = _file(path) if path else {}
    base = path.parent if path else Path()
    names: dict[KeyPath, str] = {}
    faults: list[Fault] = []
    for name in sorted(each for each in environ if each.startswith(PREFIX) and each != CONFIG):
        try:
            place, value = _value(name, environ[name], base)
            branch = _branch(kind, place, value)
        except ValueError as fault:
            faults.append(Fault(name, str(fault), "see docs/configuration.md, Environment"))
            continue
        if place in names:
            faults.append(
                Fault(name, f"gives the same key as {names[place]}", "keep one of the two")
            )
        names[place if place[0] in kind.model_fields else place[:1]] = name
        _merge(tree, branch)
    return Given(tree, str(path or "environment"), names, tuple(faults))


def _file(path: Path) -> SettingsTree:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise ConfigurationFaults(
            [Fault(str(path), what, f"name another file in {CONFIG}")]
        ) from None
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise ConfigurationFaults(
            [Fault(str(path), f"is not TOML: {error}", "mend it there")]
        ) from None


def _value(name: str, value: str, base: Path) -> tuple[KeyPath, str]:
    """Give the key that a variable sets, and the value, read from its file for ``..._FILE``."""
    parts = name.removeprefix(PREFIX).lower().split("__")
    last = parts[-1].removesuffix("_file")
    if last != parts[-1] and last.endswith(SECRETS):
        # No check of its mode: container platforms hand secrets out world-readable inside the
        # container.
        parts[-1] = last
        try:
            value = (base / value).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise ValueError("names a file that cannot be read") from None
    if parts[0] in NAMED and len(parts) > 1:
        parts[1] = parts[1].replace("_", "-")
    return tuple(parts), value


def _branch(kind: type[BaseSettings], place: KeyPath, value: str) -> SettingsTree:
    """Give the tree that holds this one value, typed as its key asks; ValueError if it cannot be."""
    if place[0] not in kind.model_fields:
        return {str(place[0]): value}  # told as an unknown key, with what may have been meant
    if place[0] == "library" and len(place) == 2:
        return {"library": {str(place[1]): _text_or_json(value)}}  # a secret of digits stays text
    source = EnvSettingsSource(kind, env_prefix=PREFIX, env_nested_delimiter="__")
    source.env_vars = {PREFIX.lower() + "__".join(map(str, place)): value}
    try:
        return source()
    except SettingsError:
        raise ValueError("is a list or table and therefore written as JSON") from None


def _text_or_json(value: str) -> object:
    if value.startswith(("[", "{")):
        try:
            parsed: object = json.loads(value)
        except ValueError:
            return value
        return parsed
    return value


def _merge(tree: SettingsTree, over: Mapping[str, Any]) -> None:
    """Lay ``over`` upon ``tree``: tables key by key, everything else whole."""
    for key, value in over.items():
        present = tree.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            _merge(present, value)
        else:
            tree[key] = value
