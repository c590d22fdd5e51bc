"""Reads broker.toml and the environment into one tree, and remembers the source of every key."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from pydantic import BaseModel

from broker.configuration.checked_files import KeyPath
from broker.configuration.settings.raw_settings import PREFIX, RawSettings, SettingsTree, write_path
from broker.core.errors import ConfigurationFaults, Fault

CONFIG: Final = "BROKER_CONFIG"  # names the file itself
# Tables of tables: the second part is a name of the administrator's.
NAMED: Final = frozenset({"upstreams", "services", "feeds"})
_OF_CONNECTORS: Final = frozenset({"library", "person_register"})
SECRETS: Final = ("secret", "password", "token", "api_key", "url")  # a url may hold a password
_UNREAD: Final = "a secret that could not be read"  # its own fault is told already
_SECRET_FILES: Final = tuple(f"{key}_file" for key in SECRETS)


def read(kind: type[BaseModel], path: Path | None, environ: Mapping[str, str]) -> RawSettings:
    """Read the file, if there is one, then the environment over it, typed as ``kind`` has it.

    ConfigurationFaults if the file cannot be read at all; other faults are in the result, so that
    those of the keys can be reported beside them.
    """
    tree: SettingsTree = {}
    base = Path()
    if path:
        tree, base = _file(path), path.parent
    variables: dict[KeyPath, str] = {}
    faults: list[Fault] = []
    for name in _variables(environ):
        try:
            key, value = _value(name, environ[name], base)
            branch = _branch(kind, key, value)
        except ValueError as error:
            fault = Fault(name, str(error), "see docs/configuration.md, Environment")
            faults.append(fault)
            continue
        if key in variables:
            what = f"gives the same key as {variables[key]}"
            fault = Fault(name, what, "keep one of the two")
            faults.append(fault)
        if key[0] not in kind.model_fields:
            key = key[:1]
        variables[key] = name
        _merge(tree, branch)
    file = str(path or "environment")
    secrets = _SecretFiles(base, file, variables, faults)
    secrets.read_in(tree, ())
    return RawSettings(tree, file, variables, tuple(faults))


def _variables(environ: Mapping[str, str]) -> list[str]:
    names = {name for name in environ if name.startswith(PREFIX)}
    names.discard(CONFIG)
    return sorted(names)


def _file(path: Path) -> SettingsTree:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        fix = f"name another file in {CONFIG}"
        fault = Fault(str(path), what, fix)
        raise ConfigurationFaults([fault]) from None
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        what = f"is not TOML: {error}"
        fault = Fault(str(path), what, "fix it there")
        raise ConfigurationFaults([fault]) from None


def _value(name: str, value: str, base: Path) -> tuple[KeyPath, str]:
    """Return the key that a variable sets, and the value, read from its file for ``..._FILE``."""
    key = name.removeprefix(PREFIX).lower()
    if key.endswith(_SECRET_FILES):
        key = key.removesuffix("_file")
        value = _secret(base / value)
    table, *steps = key.split("__")
    if table in NAMED and steps:
        steps[0] = steps[0].replace("_", "-")
    return (table, *steps), value


def _secret(path: Path) -> str:
    # No check of its mode: container platforms hand secrets out world-readable inside the
    # container.
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ValueError("names a file that cannot be read") from None
    return text.rstrip("\r\n")


@dataclass(frozen=True, slots=True)
class _SecretFiles:
    """Puts the secrets in place that ``..._file`` keys of broker.toml name, unless a variable does.

    The file becomes the place of the secret, for its faults.
    """

    base: Path
    file: str
    places: dict[KeyPath, str]
    faults: list[Fault]

    def read_in(self, table: SettingsTree, above: KeyPath) -> None:
        """Replace every such key of a table, and of the tables in it."""
        for key, value in tuple(table.items()):
            path = (*above, key)
            if isinstance(value, dict):
                self.read_in(value, path)
            elif isinstance(value, str) and key.endswith(_SECRET_FILES):
                del table[key]
                self._replace(table, path, self.base / value)

    def _replace(self, table: SettingsTree, path: KeyPath, named: Path) -> None:
        secret = str(path[-1]).removesuffix("_file")
        key = (*path[:-1], secret)
        if key in self.places:
            return
        where = f"{self.file}:{write_path(path)}"
        if secret in table:
            self.faults.append(
                Fault(where, f"gives the same key as {secret}", "keep one of the two")
            )
            return
        try:
            table[secret] = _secret(named)
        except ValueError as error:
            fix = f"make {named}, with nothing else in it, for the broker's user to read"
            self.faults.append(Fault(where, str(error), fix))
            table[secret] = _UNREAD
        self.places[key] = str(named)


def _branch(kind: type[BaseModel], key: KeyPath, value: str) -> SettingsTree:
    """Return the tree that holds this value only, of its key's type; ValueError if it cannot be."""
    table, *steps = map(str, key)
    if table not in kind.model_fields:
        return {table: value}  # refused later, as an unknown key
    if table in _OF_CONNECTORS and len(steps) == 1:
        # A secret of digits stays text.
        return {table: {steps[0]: _text_or_json(value)}}
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError  # noqa: PLC0415 - a file alone needs none of it

    # It reads the types of the fields, which every model has.
    settings = cast("type[BaseSettings]", kind)
    source = EnvSettingsSource(settings, env_prefix=PREFIX, env_nested_delimiter="__")
    name = PREFIX.lower() + "__".join((table, *steps))
    source.env_vars = {name: value}
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
