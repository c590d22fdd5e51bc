"""The dependencies are locked for each purpose, explained, and no more than the server needs."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from deploy import sbom
from tests.plugins.source_files import nodes_of

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "broker" / "demo"
# Makes the packages of the extra `demo` as if they were not installed, and runs the command line.
WITHOUT_EXTRA = """
import sys
for name in {hidden!r}:
    sys.modules[name] = None
sys.argv = ["broker", *{words!r}]
from broker.cli.main import main
main()
"""


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


def find_imported(paths: list[Path]) -> Iterator[str]:
    """Give the packages, as locks name them, of all that these files import."""
    distributions = packages_distributions()
    for path in paths:
        for node in nodes_of(path):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                if top != "broker":
                    yield from map(normalise, distributions.get(top, ()))


def test_each_dependency_is_explained() -> None:
    """docs/dependencies.md says in its table what every package is used for."""
    text = (ROOT / "docs" / "dependencies.md").read_text()
    heads = re.findall(r"^## .*?(?:extra `(\w+)`)?$", text, re.MULTILINE)
    tables = re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]
    rows = [re.findall(r"^\| `([^`]+)` \| .+ \|$", table, re.MULTILINE) for table in tables]
    explained = {head: {normalise(name) for name in table} for head, table in zip(heads, rows, strict=True)}
    assert explained == read_requirements()


@pytest.mark.long("reads the code of the whole package")
def test_what_serves_needs_no_extra() -> None:
    """No package but the demo imports a package that requirements.txt does not lock."""
    rooms = [path for path in (ROOT / "broker").rglob("*.py") if not path.is_relative_to(DEMO)]
    assert set(find_imported(rooms)) - read_locked("requirements.txt") == set()


@pytest.mark.long("reads the code of the whole package")
def test_the_demo_needs_no_more_than_its_extra() -> None:
    """And its lock holds nothing but that beside what serves."""
    assert set(find_imported(list(DEMO.rglob("*.py")))) - read_locked("requirements-demo.txt") == set()
    assert read_requirements()["demo"] & read_locked("requirements.txt") == set()


@pytest.mark.server
@pytest.mark.parametrize("words", [("demo",), ("demo", "--check")], ids=" ".join)
def test_the_demo_without_its_extra_says_what_to_install(words: tuple[str, ...]) -> None:
    """One sentence, no traceback."""
    program = WITHOUT_EXTRA.format(hidden=["aiosmtpd"], words=words)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == 'Error: aiosmtpd is not installed: the demo needs the extra "demo", which "make demo" installs\n'
    )


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
