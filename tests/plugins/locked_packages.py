"""Links the locked packages of this environment into another one, without a network."""

import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]


def link_locked_packages(packages: Path, lock: str) -> None:
    """Link exactly the packages of a lock file from the environment of the tests into a ``site-packages`` folder."""
    text = (_ROOT / lock).read_text(encoding="utf-8")
    for name in re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE):
        found = distribution(name)
        tops = {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}
        for top in tops:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(found.locate_file(top))))
