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
    write_path,
)
from broker.core.errors import ConfigurationFaults, Fault

CONFIG: Final = "BROKER_CONFIG"  # names the file itself
# Tables of tables: the second part of a key is a name that the administrator chose.
NAMED: Final = frozenset({"upstreams", "services", "feeds"})
# A key that ends so may name a file that holds its value. An address may hold a password.
_SECRET_FILES: Final = tuple(f"{key}_file" for key in (*SECRET_KEYS, "url"))
_UNREADABLE: Final = "a secret that could not be read"  # it has a fault already


def read(path: Path | None, environ: Mapping[str, str]) -> RawSettings:
    """Read the file, if there is one, then the environment over it.

    ConfigurationFaults if the file cannot be read at all. Other faults are in the result, so that
    those of the keys are reported together with them.
    """
    base = path.parent if path else Path()
    tree = _read_file(path) if path else {}
    variables: dict[KeyPath, str] = {}
    faults: list[Fault] = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == CONFIG:
            continue
        try:
            key, value = _read_variable(name, environ[name], base)
        except ValueError as error:
            faults.append(Fault(name, str(error), "see docs/configuration.md, Environment"))
            continue
        if key in variables:
            what = f"gives the same key as {variables[key]}"
            faults.append(Fault(name, what, "keep one of the two"))
        variables[key] = name
        _set_key(tree, key, value)
    raw = RawSettings(tree, str(path or "environment"), variables, ())
    faults.extend(_read_secret_files(raw, tree, (), base, variables))
    return RawSettings(tree, raw.file, variables, tuple(faults))


def _read_file(path: Path) -> SettingsTree:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        what, fix = f"cannot be read: {error.strerror}", f"name another file in {CONFIG}"
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        what, fix = f"is not TOML: {error}", "fix it there"
    raise ConfigurationFaults([Fault(str(path), what, fix)])


def _read_variable(name: str, value: str, base: Path) -> tuple[KeyPath, object]:
    """Return the key that a variable sets, and the value, read from its file for ``..._FILE``."""
    key = name.removeprefix(PREFIX).lower()
    if key.endswith(_SECRET_FILES):
        key = key.removesuffix("_file")
        value = _read_secret(base / value)
    table, *steps = key.split("__")
    if table in NAMED and steps:
        steps[0] = steps[0].replace("_", "-")
    return (table, *steps), _parse(value)


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


def _read_secret(path: Path) -> str:
    # Its mode is not checked: container platforms make secrets readable for everybody inside.
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise ValueError("names a file that cannot be read") from None


def _read_secret_files(
    raw: RawSettings, table: SettingsTree, above: KeyPath, base: Path, places: dict[KeyPath, str]
) -> Iterator[Fault]:
    """Replace each ``..._file`` key by the secret in the file, unless a variable sets that.

    The file becomes the place of the secret, for its faults.
    """
    for key, value in tuple(table.items()):
        path = (*above, key)
        if isinstance(value, dict):
            yield from _read_secret_files(raw, value, path, base, places)
        if not isinstance(value, str) or not key.endswith(_SECRET_FILES):
            continue
        del table[key]
        secret = key.removesuffix("_file")
        if (*above, secret) in places:
            continue
        where = f"{raw.file}:{write_path(path)}"
        if secret in table:
            yield Fault(where, f"gives the same key as {secret}", "keep one of the two")
            continue
        named = base / value
        try:
            table[secret] = _read_secret(named)
        except ValueError as error:
            fix = f"make {named}, with nothing else in it, for the broker's user to read"
            yield Fault(where, str(error), fix)
            table[secret] = _UNREADABLE
        places[*above, secret] = str(named)
