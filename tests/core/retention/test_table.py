"""The table of records: complete, shown in docs/privacy.md, and the only source of ends."""

import ast
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

import pytest

from broker.core.retention import LIMIT, RECEIPT, TABLE, RecordKind, spell_span
from tests.plugins import privacy_table
from tests.plugins.source_files import ROOT, parse_file

NOW: Final = datetime(2031, 1, 1, tzinfo=UTC)
ROWS: Final = "broker.core.retention"
# Which argument is the end: of a function by its name, of a call that stores a fact by the number of its arguments.
ENDS: Final = {"Content": 1, "Kept": 2, "count": 2, "claim_ownership": 3, "Transaction": 3, "Proved": 3}
STORING: Final = frozenset({"add", "put"})
# Receivers whose methods of these names store no fact with an end.
OTHER: Final = frozenset({"transactions", "store", "_store", "trail", "Limits", "self"})
# Parameters that hand on an end, which is checked where it was made.
HANDED_ON: Final = frozenset({"until", "ends", "window"})
# Modules that forward ends or store nothing.
APART: Final = frozenset(
    {
        "broker/core/login/login_simulation.py",  # simulates logins and stores nothing
        "broker/core/login/given_facts.py",  # describes logins and stores nothing
        "broker/adapters/stores/encrypted_store.py",
        "broker/adapters/stores/redis.py",
        "broker/adapters/stores/sqlite.py",
    }
)


def ends_in(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.AST]]:
    """Yield each expression that becomes an end, with its function."""
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.FunctionDef):
            continue
        for node in ast.walk(scope):
            if isinstance(node, ast.Call):
                yield from ((end, scope) for end in _ends_of(node))


def _ends_of(call: ast.Call) -> Iterator[ast.expr]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    yield from (each.value for each in call.keywords if each.arg == "until")
    place = ENDS.get(name)
    if name in STORING and len(call.args) >= 4 and _receiver(call.func) not in OTHER:
        place = 2
    if place is not None and len(call.args) > place:
        yield call.args[place]


def _receiver(func: ast.expr) -> str:
    of = func.value if isinstance(func, ast.Attribute) else func
    return of.attr if isinstance(of, ast.Attribute) else getattr(of, "id", "")


def is_from_table(end: ast.expr, scope: ast.AST, rows: Mapping[str, str], made: Container[str] = ()) -> bool:
    """Return whether an end comes from a row or from an existing record."""
    if any(_is_an_end(node, rows) for node in ast.walk(end) if isinstance(node, ast.Attribute)):
        return True
    if isinstance(end, ast.Call) and getattr(end.func, "id", "") in made:
        return True
    if isinstance(end, ast.Name) and end.id != "now":
        given = [each.value for each in ast.walk(scope) if isinstance(each, ast.Assign) and _is_named(each, end.id)]
        return all(is_from_table(each, scope, rows, made) for each in given) if given else end.id in HANDED_ON
    return isinstance(end, ast.Constant | ast.Name)  # "now" erases a record


def _is_an_end(node: ast.Attribute, rows: Mapping[str, str]) -> bool:
    of = getattr(node.value, "id", "")
    if node.attr in {"until", "ends"} and of in rows:
        return True
    return node.attr in {"until", "window"} and not of.isupper()


def _is_named(assignment: ast.Assign, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in assignment.targets)


def rows_of(tree: ast.AST) -> dict[str, str]:
    """Return the rows that a file imports."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == ROWS)
    return {each.asname or each.name: each.name for node in imports for each in node.names}


def makers(tree: ast.AST, rows: Mapping[str, str]) -> set[str]:
    """Return the functions of a file that return only ends from rows."""
    found = set()
    for scope in ast.walk(tree):
        if isinstance(scope, ast.FunctionDef):
            returned = [each.value for each in ast.walk(scope) if isinstance(each, ast.Return)]
            if returned and all(each is not None and is_from_table(each, scope, rows) for each in returned):
                found.add(scope.name)
    return found


def list_other_ends() -> list[str]:
    """Return the places of ends that come from no row."""
    folders = ("core", "use_cases", "adapters/stores", "adapters/audit_log", "app")
    files = (path for folder in folders for path in sorted((ROOT / "broker" / folder).rglob("*.py")))
    found = []
    for path in files:
        name = str(path.relative_to(ROOT))
        if name in APART or "policy" in path.parts:
            continue
        tree = parse_file(path)
        rows = rows_of(tree)
        made = makers(tree, rows)
        for end, scope in ends_in(tree):
            if not is_from_table(end, scope, rows, made):
                found.append(f"{name}:{end.lineno}: {ast.unparse(end)}")
    return sorted(set(found))


@pytest.mark.long("reads the code of five folders")
def test_every_end_comes_from_the_table() -> None:
    """A record with another end would be kept for a time that no document states."""
    assert list_other_ends() == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Records(s, T).add(key, fact, now + KEPT, now)", True),
        ("self._records.put(key, fact, now + timedelta(days=9), now)", True),
        ("Content(fact, until=now + KEPT)", True),
        ("Content(fact, RECEIPT.until(now))", False),
        ("store.count(key, 1, LIMIT.ends(now + DAY), now)", False),
        ("store.count(key, 1, now + DAY, now)", True),
        ("Content(fact, record.until)", False),
    ],
)
def test_an_end_from_elsewhere_is_found(line: str, *, found: bool) -> None:
    """In every call that stores a record; ends of rows and of existing records are accepted."""
    tree = ast.parse(f"from {ROWS} import RECEIPT, LIMIT\ndef kept(now, key, fact):\n    {line}\n")
    rows = rows_of(tree)
    assert [is_from_table(end, scope, rows) for end, scope in ends_in(tree)] == [not found]


def test_the_document_shows_the_table() -> None:
    """``python -m tests.plugins.privacy_table`` writes the table of docs/privacy.md."""
    assert privacy_table.read_document() == privacy_table.table()


def test_every_kind_of_record_has_a_row() -> None:
    """A new kind is documented before it is stored."""
    assert {row.kind for row in TABLE} == set(get_args(RecordKind))


# Kinds that several modules use for the same purpose: leases, counters, indexes, sessions and what is read for a person.
SHARED: Final = frozenset({"counter", "index", "lease", "mail", "session", "transaction"})


def test_a_kind_of_record_touches_two_places() -> None:
    """The table names it, and one module writes it. No other part of the program or the documents lists the kinds."""
    places: dict[str, set[str]] = {kind: set() for kind in get_args(RecordKind)}
    for path in sorted((ROOT / "broker").rglob("*.py")):
        for node in ast.walk(parse_file(path)):
            for name in _kinds_named_in(node):
                places.get(name, set()).add(str(path.relative_to(ROOT)))
    assert {kind: found for kind, found in places.items() if len(found) != 1 and kind not in SHARED} == {}
    lists = [path for path in (ROOT / "docs").rglob("*.md") if "`arrival`" in path.read_text(encoding="utf-8")]
    assert [path.name for path in lists] == ["privacy.md"]


def _kinds_named_in(node: ast.AST) -> Iterator[str]:
    """Yield the first argument of a key or a listing, and the value of a constant ``KIND``."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        values: list[ast.expr | None] = [*node.args[:1]] if name in {"Key", "list", "list_all", "claim"} else []
    elif isinstance(node, ast.AnnAssign | ast.Assign):
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        values = [node.value] if str(getattr(target, "id", "")).endswith("KIND") else []
    else:
        return
    yield from (str(each.value) for each in values if isinstance(each, ast.Constant))


def test_a_row_has_a_span_or_names_its_end() -> None:
    """Never both, so that no end is mistaken for another."""
    assert RECEIPT.until(NOW) == NOW + timedelta(days=730)
    assert LIMIT.ends(NOW) == NOW
    for misused in (lambda: LIMIT.until(NOW), lambda: RECEIPT.ends(NOW), lambda: replace(LIMIT, lasts=None).span):
        with pytest.raises(ValueError, match=r"kept|ends"):
            misused()
    assert all((row.lasts is None) is bool(row.long) for row in TABLE)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(days=1), "1 day"),
        (timedelta(days=730), "2 years"),
        (timedelta(days=400), "400 days"),
        (timedelta(minutes=33), "33 minutes"),
        (timedelta(seconds=90), "90 seconds"),
    ],
)
def test_spans_are_described_in_their_largest_whole_unit(span: timedelta, words: str) -> None:
    """Whole numbers only."""
    assert spell_span(span) == words
