"""The dependencies are locked for each purpose, explained, and no more than the server needs."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from deploy import sbom

ROOT = Path(__file__).resolve().parents[2]


def normalise(requirement: str) -> str:
    """Give the name in a requirement as locks write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=;\[ ]", requirement)[0]).lower()


def read_requirements() -> Mapping[str, set[str]]:
    """Give the packages that pyproject.toml asks for: to run, and for each extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {group: {normalise(each) for each in requirements} for group, requirements in groups.items()}


def read_locked(lock: str) -> set[str]:
    """Give the packages of a lock file."""
    return set(re.findall(r"^([a-z0-9-]+)==", (ROOT / lock).read_text(), re.MULTILINE))


def test_each_dependency_is_explained() -> None:
    """docs/dependencies.md says in its table what every package is used for."""
    text = (ROOT / "docs" / "dependencies.md").read_text()
    heads = re.findall(r"^## .*?(?:extra `(\w+)`)?$", text, re.MULTILINE)
    tables = re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]
    rows = [re.findall(r"^\| `([^`]+)` \| .+ \|$", table, re.MULTILINE) for table in tables]
    explained = {head: {normalise(name) for name in table} for head, table in zip(heads, rows, strict=True)}
    assert explained == read_requirements()


def test_the_bill_of_materials_has_every_package_that_runs() -> None:
    """With the version and the hashes of the lock file, and the licence that the package states."""
    document = sbom.make_document()
    components = {each["name"]: each for each in document["components"]}
    lock = (ROOT / "requirements.txt").read_text()
    assert components.keys() == read_locked("requirements.txt")
    assert all(f"{name}=={each['version']} " in lock for name, each in components.items())
    hashes = [each["content"] for component in components.values() for each in component["hashes"]]
    assert sorted(hashes) == sorted(re.findall(r"sha256:(\w+)", lock))
    assert all(component["hashes"] and component["licenses"] for component in components.values())
    assert document["bomFormat"] == "CycloneDX"
