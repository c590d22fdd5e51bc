"""Makes the paths of the settings absolute: relative ones begin at the folder of broker.toml."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from broker.configuration.settings.raw_settings import RawSettings

# The folders, with the paths that they have if the file does not name them.
_FOLDERS: Final = {"site": ".", "keys": "keys", "state": "state"}
# Keys of our tables that hold a path or a list of paths. In the table of a library system, whose
# connector chooses the keys, only ``..._file`` is a path.
_PATHS: Final = frozenset({"pins", "public_key", "certificate", "key", "ca_file"})
_SQLITE: Final = "sqlite:"


def resolve_paths(raw: RawSettings, base: Path) -> None:
    """Write every path in ``raw.tree`` as an absolute one, and the default paths.

    A value of another type is left as it is: the type of its key refuses it.
    """
    tree = raw.tree
    for name, path in _FOLDERS.items():
        tree[name] = _absolute(tree.get(name, path), base)
    for name, table in tree.items():
        _resolve_table(table, () if name == "library" else _PATHS, base)
    store = tree.setdefault("store", {})
    if isinstance(store, dict):
        url = store.setdefault("url", f"{_SQLITE}{Path(str(tree['state'])) / 'broker.db'}")
        if isinstance(url, str) and url.startswith(_SQLITE) and url != _SQLITE:
            store["url"] = f"{_SQLITE}{base / url.removeprefix(_SQLITE)}"


def _resolve_table(table: Any, paths: Collection[str], base: Path) -> None:
    if not isinstance(table, dict):
        return
    for key, value in table.items():
        _resolve_table(value, paths, base)
        if key in paths or key.endswith("_file"):
            table[key] = _absolute(value, base)


def _absolute(value: Any, base: Path) -> Any:
    if isinstance(value, list):
        return [_absolute(each, base) for each in value]
    return str(base / value) if isinstance(value, str) and value else value
