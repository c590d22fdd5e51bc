"""Reads broker.toml and the environment into one tree, and remembers the source of every key."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from broker.configuration.checked_files import KeyPath
from broker.configuration.settings.raw_settings import (
    PREFIX,
    SECRET_KEYS,
    RawSettings,
    SettingsTree,
    list_values,
)
from broker.core.errors import ConfigurationFaults, Fault

CONFIG: Final = "BROKER_CONFIG"  # names the file itself
# Tables of tables: the second part of a key is a name that the administrator chose.
NAMED: Final = frozenset({"upstreams", "services", "feeds"})
# A key with this ending may name a file that contains its value. An address may contain a
# password.
_SECRET_FILES: Final = tuple(f"{key}_file" for key in (*SECRET_KEYS, "url"))
_UNREADABLE: Final = "a secret that could not be read"  # it has a fault already


def read(path: Path | None, environ: Mapping[str, str]) -> RawSettings:
    """Read the file, if there is one, then the environment over it.

    Raises ConfigurationFaults if the file cannot be read at all. Other faults are in the result, so
    that those of the keys are reported together with them.
    """
    raw = RawSettings(_read_file(path) if path else {}, str(path or "environment"))
    for name in sorted(environ):
        if name.startswith(PREFIX) and name != CONFIG:
            key = _read_key(name)
            if key in raw.variables:
                what = f"gives the same key as {raw.variables[key]}"
                raw.faults.append(Fault(name, what, "keep one of the two"))
            raw.variables[key] = name
            _set_key(raw.tree, key, _parse(environ[name]))
    raw.faults.extend(_read_secret_files(raw, path.parent if path else Path()))
    return raw


def _read_file(path: Path) -> SettingsTree:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        what, fix = f"cannot be read: {error.strerror}", f"name another file in {CONFIG}"
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        what, fix = f"is not TOML: {error}", "fix it there"
    raise ConfigurationFaults([Fault(str(path), what, fix)])


def _read_key(name: str) -> KeyPath:
    """Return the key that a variable sets."""
    table, *steps = name.removeprefix(PREFIX).lower().split("__")
    if table in NAMED and steps:
        steps[0] = steps[0].replace("_", "-")
    return (table, *steps)


def _parse(value: str) -> object:
    """Return the value of a variable: lists and tables are JSON, all others a text."""
    if not value.startswith(("[", "{")):
        return value
    try:
        parsed: object = json.loads(value)
    except ValueError:
        return value
    return parsed


def _set_key(tree: SettingsTree, key: KeyPath, value: object) -> None:
    """Set a key of the tree; the keys of a table replace those of the same name only."""
    *above, last = map(str, key)
    for step in above:
        below = tree.get(step)
        if not isinstance(below, dict):
            below = tree[step] = {}
        tree = below
    present = tree.get(last)
    if isinstance(present, dict) and isinstance(value, dict):
        for name, each in value.items():
            _set_key(present, (name,), each)
    else:
        tree[last] = value


def _read_secret_files(raw: RawSettings, base: Path) -> Iterator[Fault]:
    """Replace each ``..._file`` key by the secret in the file. Faults of the secret name the file.

    A variable overrules the file broker.toml.
    """
    for path, table, value in list_values(raw.tree):
        key = str(path[-1])
        if not isinstance(value, str) or not key.endswith(_SECRET_FILES):
            continue
        del table[key]
        secret = key.removesuffix("_file")
        variable = raw.variables.get((*path[:-1], secret))
        if variable and path not in raw.variables:
            continue
        if variable or (secret in table and path not in raw.variables):
            what = f"gives the same key as {variable or secret}"
            yield Fault(raw.where(*path), what, "keep one of the two")
            continue
        named = base / value
        try:
            # Its mode is not checked: container platforms make secrets readable for everybody
            # inside.
            table[secret] = named.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            fix = f"write only the secret into {named}, and let the broker's user read it"
            yield Fault(raw.where(*path), "names a file that cannot be read", fix)
            table[secret] = _UNREADABLE
        raw.variables[*path[:-1], secret] = str(named)
