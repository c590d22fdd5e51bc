"""Reads broker.toml and the environment into one tree, and remembers the source of every key."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError

from broker.core.errors import ConfigurationFaults, Fault
from broker.files.checked_yaml import KeyPath
from broker.files.settings.raw_settings import PREFIX, RawSettings, SettingsTree

CONFIG: Final = "BROKER_CONFIG"  # names the file itself
# Tables of tables: the second part is a name of the administrator's.
NAMED: Final = frozenset({"upstreams", "services", "feeds"})
SECRETS: Final = ("secret", "password", "token", "api_key", "url")  # a url may hold a password


def read(kind: type[BaseSettings], path: Path | None, environ: Mapping[str, str]) -> RawSettings:
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
            faults.append(Fault(name, str(error), "see docs/configuration.md, Environment"))
            continue
        if key in variables:
            what = f"gives the same key as {variables[key]}"
            faults.append(Fault(name, what, "keep one of the two"))
        known = key[0] in kind.model_fields
        variables[key if known else key[:1]] = name
        _merge(tree, branch)
    file = str(path or "environment")
    return RawSettings(tree, file, variables, tuple(faults))


def _variables(environ: Mapping[str, str]) -> list[str]:
    names = [name for name in environ if name.startswith(PREFIX)]
    return sorted(set(names) - {CONFIG})


def _file(path: Path) -> SettingsTree:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        fault = Fault(str(path), what, f"name another file in {CONFIG}")
        raise ConfigurationFaults([fault]) from None
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        fault = Fault(str(path), f"is not TOML: {error}", "mend it there")
        raise ConfigurationFaults([fault]) from None


def _value(name: str, value: str, base: Path) -> tuple[KeyPath, str]:
    """Return the key that a variable sets, and the value, read from its file for ``..._FILE``."""
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


def _branch(kind: type[BaseSettings], key: KeyPath, value: str) -> SettingsTree:
    """Return the tree that holds this value only, of its key's type; ValueError if it cannot be."""
    if key[0] not in kind.model_fields:
        return {str(key[0]): value}  # refused later, as an unknown key
    if key[0] == "library" and len(key) == 2:
        return {"library": {str(key[1]): _text_or_json(value)}}  # a secret of digits stays text
    source = EnvSettingsSource(kind, env_prefix=PREFIX, env_nested_delimiter="__")
    source.env_vars = {PREFIX.lower() + "__".join(map(str, key)): value}
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
