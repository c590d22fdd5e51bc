"""The table of what is kept: whole, told in docs/privacy.md, and the only place that an end comes from."""

import ast
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

import pytest

from broker.core.ports import RecordKind
from broker.core.retention import LIMIT, RECEIPT, TABLE, spell_span
from tests.plugins import privacy_table
from tests.plugins.code_load import ROOT, parsed

NOW: Final = datetime(2031, 1, 1, tzinfo=UTC)
ROWS: Final = "broker.core.retention"
# Which argument is the end: of a function by its name, of a call that stores a fact by the number of its arguments.
ENDS: Final = {"Content": 1, "Kept": 2, "count": 2, "claim_ownership": 3, "Transaction": 3, "Proved": 3}
STORING: Final = frozenset({"add", "put"})
# What is called so and stores no fact with an end of its own.
OTHER: Final = frozenset({"transactions", "store", "_store", "trail", "Limits", "self"})
# Whoever calls these has made the end already, and is looked at itself.
HANDED_ON: Final = frozenset({"until", "ends", "window"})
# Forwarding stores, and where a release that was overtaken reads a time that is no end.
APART: Final = frozenset(
    {
        "broker/core/login/login_simulation.py",  # a login that is played stores nothing
        "broker/core/login/given_facts.py",  # nor does one that is described
        "broker/adapters/stores/encrypted_store.py",
        "broker/adapters/stores/redis.py",
        "broker/adapters/stores/sqlite.py",
    }
)


def ends_in(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.AST]]:
    """Give each expression that becomes an end, with the function that it stands in."""
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
    """Give whether an end is a row's, or that of a record which has one already."""
    if any(_is_an_end(node, rows) for node in ast.walk(end) if isinstance(node, ast.Attribute)):
        return True
    if isinstance(end, ast.Call) and getattr(end.func, "id", "") in made:
        return True
    if isinstance(end, ast.Name) and end.id != "now":
        given = [each.value for each in ast.walk(scope) if isinstance(each, ast.Assign) and _is_named(each, end.id)]
        return all(is_from_table(each, scope, rows, made) for each in given) if given else end.id in HANDED_ON
    return isinstance(end, ast.Constant | ast.Name)  # a record of now is erased


def _is_an_end(node: ast.Attribute, rows: Mapping[str, str]) -> bool:
    of = getattr(node.value, "id", "")
    if node.attr in {"until", "ends"} and of in rows:
        return True
    return node.attr in {"until", "window"} and not of.isupper()


def _is_named(assignment: ast.Assign, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in assignment.targets)


def rows_of(tree: ast.AST) -> dict[str, str]:
    """Give the rows that a file names."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == ROWS)
    return {each.asname or each.name: each.name for node in imports for each in node.names}


def makers(tree: ast.AST, rows: Mapping[str, str]) -> set[str]:
    """Give the functions of a file that return nothing but ends of rows."""
    found = set()
    for scope in ast.walk(tree):
        if isinstance(scope, ast.FunctionDef):
            returned = [each.value for each in ast.walk(scope) if isinstance(each, ast.Return)]
            if returned and all(each is not None and is_from_table(each, scope, rows) for each in returned):
                found.add(scope.name)
    return found


def strangers() -> list[str]:
    """Give the places of ends that no row gives."""
    folders = ("core", "use_cases", "adapters/stores", "adapters/audit_log", "app")
    files = (path for folder in folders for path in sorted((ROOT / "broker" / folder).rglob("*.py")))
    found = []
    for path in files:
        name = str(path.relative_to(ROOT))
        if name in APART or "policy" in path.parts:
            continue
        tree = parsed(path)
        rows = rows_of(tree)
        made = makers(tree, rows)
        for end, scope in ends_in(tree):
            if not is_from_table(end, scope, rows, made):
                found.append(f"{name}:{end.lineno}: {ast.unparse(end)}")
    return sorted(set(found))


@pytest.mark.long("reads the code of five folders")
def test_every_end_comes_from_the_table() -> None:
    """A record with another expiry would be kept for an undocumented time."""
    assert strangers() == []


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
def test_an_end_that_no_row_gives_is_seen(line: str, *, found: bool) -> None:
    """Sums of the moment are seen in every call that stores; a row's end and a record's own are let be."""
    tree = ast.parse(f"from {ROWS} import RECEIPT, LIMIT\ndef kept(now, key, fact):\n    {line}\n")
    rows = rows_of(tree)
    assert [is_from_table(end, scope, rows) for end, scope in ends_in(tree)] == [not found]


def test_the_document_shows_the_table() -> None:
    """docs/privacy.md is generated: python -m tests.plugins.privacy_table."""
    assert privacy_table.shown() == privacy_table.table()


def test_every_kind_of_record_has_a_row() -> None:
    """The rows are in the order of the kinds."""
    assert list(dict.fromkeys(row.kind for row in TABLE)) == sorted(
        get_args(RecordKind), key=[row.kind for row in TABLE].index
    )


def test_a_row_ends_by_itself_or_by_what_it_names() -> None:
    """Never by both, so that no end passes for another."""
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
def test_spans_are_spelled_in_their_largest_whole_unit(span: timedelta, words: str) -> None:
    """As people say them."""
    assert spell_span(span) == words
