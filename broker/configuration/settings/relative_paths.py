"""Makes the paths of the configuration absolute: relative ones begin at the file's folder."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from broker.configuration.settings.raw_settings import RawSettings, SettingsTree

# The folders, with the paths that they have if the file does not name them.
_FOLDERS: Final = {"site": ".", "keys": "keys", "state": "state"}
_SQLITE: Final = "sqlite:"


def resolve_paths(raw: RawSettings, base: Path) -> None:
    """Write every path in ``raw.tree`` as an absolute one, and the defaults of those left out.

    A value of another type is left to the type of its key, which refuses it.
    """
    _write_defaults(raw)
    _resolve(raw.tree, _FOLDERS, base)
    for feed in raw.tables("feeds"):
        _resolve(feed.values, ("ca_file",), base)
        pins = feed.get("pins")
        if isinstance(pins, list):
            feed.values["pins"] = [_absolute(pin, base) for pin in pins]

    message_log = raw.table("message_log").values
    _resolve(message_log, ("public_key",), base)

    library = raw.table("library").values
    for key, value in library.items():
        if key.endswith("_file") and value:
            library[key] = _absolute(value, base)
    _resolve(raw.table("person_register").values, ("certificate", "key", "ca_file"), base)

    _resolve_store(raw.table("store").values, base)


def _write_defaults(raw: RawSettings) -> None:
    for name, path in _FOLDERS.items():
        raw.tree.setdefault(name, path)
    raw.tree.setdefault("store", {})
    state = Path(str(raw.tree["state"]))
    raw.table("store").values.setdefault("url", f"{_SQLITE}{state / 'broker.db'}")


def _resolve(table: SettingsTree, keys: Iterable[str], base: Path) -> None:
    for key in keys:
        if key in table:
            table[key] = _absolute(table[key], base)


def _absolute(value: object, base: Path) -> object:
    if isinstance(value, str):
        return str(base / value)
    return value


def _resolve_store(store: SettingsTree, base: Path) -> None:
    """Make the path absolute that the address of a store holds, if it is a SQLite file."""
    url = store.get("url")
    if not isinstance(url, str):
        return
    file = url.removeprefix(_SQLITE)
    if file not in {url, ""}:
        store["url"] = f"{_SQLITE}{base / file}"
