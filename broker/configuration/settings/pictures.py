"""The pictures on our pages: files of the folder ``pictures`` of the site.

They are served by the broker itself, never loaded from another address.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from broker.core.errors import Fault

FOLDER: Final = "pictures"
_SUFFIXES: Final = (".svg", ".png", ".ico")
_LARGEST: Final = 30_000  # octets: every page loads them


def find_pictures(site: Path) -> list[Path]:
    """Return the files of the folder, without hidden ones."""
    return [path for path in sorted((site / FOLDER).glob("[!.]*")) if path.is_file()]


def find_picture_faults(site: Path, services: Collection[str]) -> Iterator[Fault]:
    """Yield a fault for each file that no page shows, or that is too large."""
    names = ["logo", "favicon", *(f"service-{name}" for name in services)]
    for path in find_pictures(site):
        where = f"{FOLDER}/{path.name}"
        if path.suffix not in _SUFFIXES or path.stem not in names:
            fix = f"names are {', '.join(names)}, with {', '.join(_SUFFIXES)}"
            yield Fault(where, "is no picture of our pages", fix)
        elif path.stat().st_size > _LARGEST:
            yield Fault(where, f"is larger than {_LARGEST // 1000} kB", "make it smaller")
