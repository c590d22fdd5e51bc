"""The rules of the house, kept by the house: sizes, names, floors, locks, and what may stand in no file."""

import ast
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import Phase, settings

from broker.core.ports import RecordKind
from tests.plugins.code_load import nodes_of, parsed, text_of
from tests.plugins.drawn import at_gate
from tests.plugins.servers import FIXTURES, Unmarked

ROOT = Path(__file__).resolve().parents[2]
BROKER = sorted((ROOT / "broker").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PARTS = ("quick", "test", "slow")
LOCKS = ("requirements.txt", "requirements-demo.txt", "requirements-test.txt")
CPR_SHAPED = re.compile(r"(?<![\w.])(\d{2})(\d{2})(\d{2})[- ]?\d{4}(?![\w.])")
# Put together here, so that this file does not hold what it forbids.
REGISTRIES = tuple("".join(halves) for halves in (("pypi.", "org"), ("python", "hosted"), ("npmjs.", "org")))
INSTALLER = tuple("-".join(halves) for halves in (("index", "url"), ("trusted", "host")))


def is_shown(name: str) -> bool:
    """Say whether people write in a folder or file of this name."""
    return name in {".ci", ".gitignore"} or not (name.startswith(".") or name == "__pycache__")


@cache
def written() -> tuple[Path, ...]:
    """Give every text file that people wrote, and the locks."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = filter(is_shown, folders)  # nor is an environment looked through, which holds thousands of files
        found += [Path(folder, name) for name in files if is_shown(name)]
    return tuple(sorted(path for path in found if path.suffix not in {".mo", ".db", ".xsd"}))


def shown(path: Path) -> str:
    """Name a file as people do."""
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Give every function of a file, methods and inner ones too."""
    for node in nodes_of(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Hold the import law over the package in ``folder``."""
    program = Path(sys.executable).with_name("lint-imports")
    command = [str(program), "--no-cache", str(ROOT / "pyproject.toml")]
    wide = os.environ | {"COLUMNS": "250"}  # so that no contract's name is broken over two lines
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=wide)


def test_packages_begin_with_a_docstring_and_nothing_else() -> None:
    """An __init__.py that does something would run whenever anything in its folder is imported."""
    for path in (ROOT / "broker").rglob("__init__.py"):
        body = parsed(path).body
        assert [type(each) for each in body] in ([], [ast.Expr]), shown(path)


@pytest.mark.slow
def test_every_test_states_a_behaviour() -> None:
    """A failing test says in its docstring what no longer holds."""
    silent = [
        f"{shown(path)}:{each.name}"
        for path in TESTS
        for each in functions(path)
        if each.name.startswith("test_") and not ast.get_docstring(each)
    ]
    assert silent == []


# This test, and what mounts: no package brings the right to.
MAY_SKIP = frozenset({Path(__file__), ROOT / "tests" / "plugins" / "unit_machine.py"})


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    """What a test would skip on this machine, make test installs; only mounts need a root that it may not have."""
    marks = re.compile(r"\b(mark\.(skip|skipif|xfail)|pytest\.(skip|xfail|importorskip))\b")
    assert [shown(path) for path in TESTS if path not in MAY_SKIP and marks.search(text_of(path))] == []


def test_no_test_folder_is_a_package() -> None:
    """Tests are imported by path, so that none can lean on another."""
    assert [shown(path) for path in TESTS if path.name == "__init__.py"] == []


@pytest.mark.long("reads the code of the whole package")
def test_the_core_and_the_flows_read_no_clock() -> None:
    """Time comes in as an argument, which imports alone cannot show."""
    pure = [path for path in BROKER if path.relative_to(ROOT / "broker").parts[0] in {"core", "use_cases"}]
    assert len(pure) > 50
    found = [
        f"{shown(path)}:{node.lineno}"
        for path in pure
        for node in nodes_of(path)
        if isinstance(node, ast.Attribute)
        and node.attr in {"now", "utcnow", "today"}
        and isinstance(node.ctx, ast.Load)
        if isinstance(node.value, ast.Name) and node.value.id in {"datetime", "date"}
    ]
    assert found == []


@pytest.mark.slow
def test_entry_points_are_read_in_one_place() -> None:
    """Installed plugins are found by adapters/connectors.py only: anything that reads them can run foreign code."""
    readers = {
        shown(path)
        for path in BROKER
        for node in nodes_of(path)
        if (
            isinstance(node, ast.ImportFrom)
            and node.module == "importlib.metadata"
            and any(each.name != "version" for each in node.names)
        )
        or (isinstance(node, ast.Import) and any(each.name == "importlib.metadata" for each in node.names))
    }
    assert readers == {"broker/adapters/connectors.py"}


@pytest.mark.server
def test_the_import_law_is_kept() -> None:
    """Every floor imports only from below, and each third-party face stays in its room."""
    answer = lint_imports(ROOT)
    assert answer.returncode == 0, answer.stdout


def test_no_cpr_number_stands_outside_tests_and_demo() -> None:
    """Ten digits that begin with a date are a person, even in a comment or a policy file."""
    found = []
    for path in written():
        if path.is_relative_to(ROOT / "tests") or path.is_relative_to(ROOT / "broker" / "demo"):
            continue
        for day, month, year in CPR_SHAPED.findall(text_of(path)):
            try:
                date(2000 + int(year), int(month), int(day) - 60 if int(day) > 60 else int(day))
            except ValueError:
                continue
            found.append(shown(path))
    assert found == []


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the installer's own set-up; a lock that named a host would overrule it."""
    found = [
        (shown(path), each)
        for path in written()
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
    """What runs in a test or the demo is what runs in service, and nothing that is asked for was left out."""
    run, demo, test = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / each).read_text(), re.MULTILINE)) for each in LOCKS
    )
    assert run.items() <= demo.items() <= test.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for lock, asked in ((run, []), (demo, extras["demo"]), (test, [*extras["demo"], *extras["test"]])):
        bare = {re.split(r"[<>=]", each)[0].replace(".", "-") for each in [*project["dependencies"], *asked]}
        assert bare - lock.keys() == set()


def rule(target: str) -> str:
    """Give what a target of the Makefile needs and does."""
    found = re.search(rf"^{target}: (.+\n(?:\t.+\n)*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return found[1] if found else ""


def test_ci_runs_all_of_make_check() -> None:
    """The parts that .ci/run calls are what make check calls, so neither can drift from the other."""
    parts = rule("check").split()
    assert sorted(re.findall(r"^make (\w+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)) == sorted(parts)


def test_each_test_is_run_by_make_test_or_by_make_slow() -> None:
    """The two choose by one mark and its opposite, over all tests; make quick leaves out more than make test does."""
    chosen = {
        target: re.findall(r'^\t\$\(PYTEST\) -m "([^"]+)".* \$\(ARGS\)$', rule(target), re.MULTILINE)
        for target in PARTS
    }
    assert chosen == {"quick": ["not server and not slow and not long"], "test": ["not slow"], "slow": ["slow"]}
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert options["testpaths"] == ["tests"]
    assert not {"-m", "-k", "--ignore", "--deselect"} & {each.partition("=")[0] for each in options["addopts"]}


@pytest.mark.parametrize(("profile", "size"), [("gate", 3), ("whole", 10), ("few", 10), ("untimed", 10)])
def test_only_the_gate_runs_a_smaller_size(profile: str, size: int) -> None:
    """Whoever runs a test by hand gets the size that is promised, whatever they draw."""
    before = settings.get_current_profile_name()
    settings.load_profile(profile)
    try:
        assert at_gate(3, otherwise=10) == size
    finally:
        settings.load_profile(before)


def test_a_whole_run_draws_anew_and_looks_for_no_smallest_failure() -> None:
    """A failing random test costs no minutes, says how to draw it again, and is made small when run alone."""
    makefile = (ROOT / "Makefile").read_text()
    assert "--hypothesis-profile=$(DRAWN)" in re.findall(r"^PYTEST = (.+)$", makefile, re.MULTILINE)[0]
    assert re.findall(r"^DRAWN .+$", makefile, re.MULTILINE) == ["DRAWN ?= whole"]
    profiles = {name: settings.get_profile(name) for name in ("untimed", "whole", "few", "gate")}
    assert [name for name, each in profiles.items() if Phase.shrink in each.phases] == ["untimed"]
    assert [name for name, each in profiles.items() if each.print_blob] == ["whole", "few", "gate"]


@pytest.mark.server
def test_only_the_gate_draws_by_a_fixed_seed() -> None:
    """A run that a person starts tries other examples each time, also where the variable CI is set; the gate never."""
    code = (
        "import tests.conftest; from hypothesis import settings;"
        "print(*(name for name in ('untimed', 'whole', 'few', 'gate') if settings.get_profile(name).derandomize))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, **extra},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for extra in ({}, {"CI": "true"})
    ]
    assert told == [["gate"], ["gate"]]
    assert (ROOT / ".ci/run").read_text().splitlines().count("export DRAWN=gate") == 1


def test_each_fixture_that_starts_something_is_known_by_its_name() -> None:
    """One that was renamed would leave its tests unmarked, and make quick without a word about why they fail."""
    made = re.compile(r"@pytest\.fixture.*\ndef (\w+)\(")
    assert frozenset(name for path in TESTS for name in made.findall(text_of(path))) >= FIXTURES


def test_a_server_started_by_an_unmarked_test_is_refused() -> None:
    """What make quick runs cannot start a program or listen, even where nobody thought of the mark."""
    with pytest.raises(Unmarked, match=r"subprocess\.Popen in .*test_a_server_started"):
        subprocess.run(["true"], check=True)
    with socket.socket() as listener, pytest.raises(Unmarked, match=r"socket\.bind"):
        listener.bind(("127.0.0.1", 0))


def test_paths_that_documents_name_are_there() -> None:
    """A document that leads to a room, a test or a file leads somewhere."""
    named = re.compile(r"(?<![\w/.-])((?:broker|tests|docs|bench|deploy|policies|attribute_maps)/[\w./-]*\w)")
    found = [
        f"{shown(path)}: {each}"
        for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README" + ".md")]
        for each in named.findall(path.read_text())
        if path.name != "CHANGELOG.md" and not (ROOT / each).exists()
    ]
    assert found == []


def test_the_kinds_of_records_are_documented() -> None:
    """What the store may hold, and for how long, stands in one table for the data protection officer."""
    section = (ROOT / "docs" / "reference" / "design.md").read_text().partition('<a id="kinds"></a>')[2]
    table = section.partition('<a id="')[0]
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE) == list(get_args(RecordKind))
