"""Gives another environment the locked packages of this one, without a network."""

import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]


def link_locked_packages(packages: Path, lock: str) -> None:
    """Link what a lock file names from the environment of the tests to a folder ``site-packages``, and nothing else."""
    text = (_ROOT / lock).read_text(encoding="utf-8")
    for name in re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE):
        found = distribution(name)
        tops = {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}
        for top in tops:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(found.locate_file(top))))
