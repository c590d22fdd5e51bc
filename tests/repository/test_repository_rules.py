"""The rules of the repository: names, layers, lock files, and text that no file may contain."""

import ast
import os
import re
import tomllib
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from tests.plugins.source_files import nodes_of, text_of

ROOT = Path(__file__).resolve().parents[2]
BROKER = sorted((ROOT / "broker").rglob("*.py"))
LOCKS = ("requirements.txt", "requirements-demo.txt", "requirements-test.txt")
CPR_SHAPED = re.compile(r"(?<![\w.])(\d{2})(\d{2})(\d{2})[- ]?\d{4}(?![\w.])")
# Put together here, so that this file does not hold what it forbids.
REGISTRIES = tuple("".join(halves) for halves in (("pypi.", "org"), ("python", "hosted"), ("npmjs.", "org")))
INSTALLER = tuple("-".join(halves) for halves in (("index", "url"), ("trusted", "host")))


def is_shown(name: str) -> bool:
    """Say whether people write in a folder or file of this name."""
    return name in {".ci", ".gitignore"} or not (name.startswith(".") or name == "__pycache__")


@cache
def find_files() -> tuple[Path, ...]:
    """Give every text file that people wrote, and the locks."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = filter(is_shown, folders)  # nor is an environment looked through, which holds thousands of files
        found += [Path(folder, name) for name in files if is_shown(name)]
    return tuple(sorted(path for path in found if path.suffix not in {".mo", ".db", ".xsd"}))


def format_path(path: Path) -> str:
    """Name a file as people do."""
    return str(path.relative_to(ROOT))


@pytest.mark.long("reads the code of the whole package")
def test_the_core_and_the_flows_read_no_clock() -> None:
    """Time comes in as an argument, which imports alone cannot show."""
    pure = [path for path in BROKER if path.relative_to(ROOT / "broker").parts[0] in {"core", "use_cases"}]
    assert len(pure) > 50
    found = [
        f"{format_path(path)}:{node.lineno}"
        for path in pure
        for node in nodes_of(path)
        if isinstance(node, ast.Attribute)
        and node.attr in {"now", "utcnow", "today"}
        and isinstance(node.ctx, ast.Load)
        if isinstance(node.value, ast.Name) and node.value.id in {"datetime", "date"}
    ]
    assert found == []


@pytest.mark.long("reads the whole repository")
def test_no_cpr_number_stands_outside_tests_and_demo() -> None:
    """Ten digits that begin with a date are a person, even in a comment or a policy file."""
    found = []
    for path in find_files():
        if path.is_relative_to(ROOT / "tests") or path.is_relative_to(ROOT / "broker" / "demo"):
            continue
        for day, month, year in CPR_SHAPED.findall(text_of(path)):
            try:
                date(2000 + int(year), int(month), int(day) - 60 if int(day) > 60 else int(day))
            except ValueError:
                continue
            found.append(format_path(path))
    assert found == []


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the installer's own set-up; a lock that named a host would overrule it."""
    found = [
        (format_path(path), each)
        for path in find_files()
        for each in (*REGISTRIES, *(() if path.name == "Makefile" else INSTALLER))  # make lock says that they stay out
        if path != Path(__file__) and each in text_of(path)
    ]
    assert found == []


@pytest.mark.parametrize("lock", [*LOCKS, "bench/requirements-satosa.txt"])
def test_every_locked_package_has_hashes(lock: str) -> None:
    """A package that was swapped on its way here does not install."""
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / lock).read_text())
    assert [entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


def test_the_locks_agree_and_hold_every_dependency() -> None:
    """The server, the demo and the tests use the same versions, and no dependency is missing."""
    run, demo, test = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / each).read_text(), re.MULTILINE)) for each in LOCKS
    )
    assert run.items() <= demo.items() <= test.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for lock, asked in ((run, []), (demo, extras["demo"]), (test, [*extras["demo"], *extras["test"]])):
        bare = {re.split(r"[<>=]", each)[0].replace(".", "-") for each in [*project["dependencies"], *asked]}
        assert bare - lock.keys() == set()


def test_paths_that_documents_name_are_there() -> None:
    """A document that leads to a room, a test or a file leads somewhere."""
    named = re.compile(r"(?<![\w/.-])((?:broker|tests|docs|bench|deploy|policies|attribute_maps)/[\w./-]*\w)")
    found = [
        f"{format_path(path)}: {each}"
        for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README" + ".md")]
        for each in named.findall(path.read_text())
        if path.name != "CHANGELOG.md" and not (ROOT / each).exists()
    ]
    assert found == []
