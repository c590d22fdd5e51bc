"""Makes the paths of the settings absolute: relative ones begin at the folder of broker.toml."""

from pathlib import Path
from typing import Any, Final

from broker.configuration.settings.raw_settings import RawSettings, list_values

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
    for name, usual in _FOLDERS.items():
        tree[name] = _absolute(tree.get(name, usual), base)
    for path, table, value in list_values(tree):
        key = path[-1]
        if str(key).endswith("_file") or (key in _PATHS and path[0] != "library"):
            table[key] = _absolute(value, base)
    store = tree.setdefault("store", {})
    if isinstance(store, dict):
        url = store.setdefault("url", f"{_SQLITE}{Path(str(tree['state'])) / 'broker.db'}")
        if isinstance(url, str) and url.startswith(_SQLITE) and url != _SQLITE:
            store["url"] = f"{_SQLITE}{base / url.removeprefix(_SQLITE)}"


def _absolute(value: Any, base: Path) -> Any:
    if isinstance(value, list):
        return [_absolute(each, base) for each in value]
    return str(base / value) if isinstance(value, str) and value else value
