"""Writes the bill of materials of what runs, as CycloneDX JSON, to standard output: ``make sbom``.

Versions and hashes are those of ``requirements.txt``, licences those of the installed packages.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, metadata
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
_ENTRY: Final = re.compile(
    r"^([a-z0-9-]+)==(\S+)((?: \\\n +--hash=sha256:[0-9a-f]{64})+)", re.MULTILINE
)
_LONGEST_NAME: Final = (
    60  # some packages put the whole text of the licence into the field for its name
)
_CLASSIFIER: Final = "License :: OSI Approved :: "


def find_licence(package: PackageMetadata) -> dict[str, Any]:
    """Return the licence that a package states: an SPDX expression, a name, or its classifiers."""
    for expression in package.get_all("License-Expression") or []:
        return {"expression": expression}
    classifiers = package.get_all("Classifier") or []
    named = [each.removeprefix(_CLASSIFIER) for each in classifiers if _CLASSIFIER in each]
    (stated,) = package.get_all("License") or [""]
    if stated in {"", "UNKNOWN"} or len(stated) > _LONGEST_NAME:
        stated = " OR ".join(named)
    if not stated:
        raise SystemExit(f"{package['Name']} states no licence: find it out before it is used")
    return {"license": {"name": stated}}


def list_components(lock: str) -> Iterator[dict[str, Any]]:
    """Yield the component of each entry of a lock file."""
    for name, version, hashes in _ENTRY.findall(lock):
        yield {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
            "licenses": [find_licence(metadata(name))],
            "hashes": [
                {"alg": "SHA-256", "content": each} for each in re.findall(r"[0-9a-f]{64}", hashes)
            ],
        }


def make_document() -> dict[str, Any]:
    """Return the bill of materials of the present version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = {"type": "application", "name": project["name"], "version": project["version"]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {**own, "licenses": [{"license": {"id": project["license"]}}]}},
        "components": list(list_components((ROOT / "requirements.txt").read_text())),
    }


if __name__ == "__main__":
    json.dump(make_document(), sys.stdout, indent=2)
