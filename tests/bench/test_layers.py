"""The table of layers by which the benchmark tells where a login's time goes."""

import ast
import inspect
import sys
from pathlib import Path

import pytest

from bench.layers import FLOW, FRAMEWORK, GATE, LAYERS, ROOMS, Rooms, prefixes
from bench.picture import Bar, drawn
from broker.adapters.saml.gate import safe_parser
from broker.core.login import next_step

ROOT = Path(__file__).resolve().parents[2]


def names(tree: ast.Module) -> set[str]:
    """Return the qualified names of a file's functions, classes and methods."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
    return found


@pytest.mark.parametrize("place", [place for place, _ in prefixes()])
def test_every_place_of_the_table_is_there(place: str) -> None:
    """A room that has moved is moved in the table too, or its time would be counted elsewhere without a word."""
    room, _, function = place.partition(":")
    path = ROOT / room
    assert path.is_dir() if room.endswith("/") else path.is_file()
    if function:
        assert function in names(ast.parse(path.read_text(encoding="utf-8")))


def test_no_place_stands_in_two_layers() -> None:
    """The time of a room is counted once."""
    places = [place for place, _ in prefixes()]
    assert len(places) == len(set(places))


def test_every_room_that_a_login_may_enter_has_a_layer() -> None:
    """What has none would be counted as the framework's."""
    covered = tuple(str(ROOT / place.partition(":")[0]) for place, _ in prefixes())
    rooms = [
        *ROOT.glob("broker/adapters/*/*.py"),
        *ROOT.glob("broker/core/**/*.py"),
        *ROOT.glob("broker/use_cases/**/*.py"),
    ]
    outside = {"library_systems", "mail", "registers"}  # asked at a first login and by background work
    left = [str(room) for room in rooms if room.parent.name not in outside and not str(room).startswith(covered)]
    assert left == []


@pytest.mark.parametrize(("called", "layer"), [(safe_parser.parse, GATE), (next_step.next_step, FLOW)])
def test_a_moment_belongs_to_the_innermost_room(called: object, layer: str) -> None:
    """A library's time is its caller's, and a caller's own is not that of the room that called it."""
    code = inspect.unwrap(called).__code__  # type: ignore[arg-type]
    assert Rooms()._of(code.co_filename, code.co_qualname) == layer


def test_what_no_room_called_is_the_frameworks() -> None:
    """The time of routing, before any view is called, is not lost."""
    assert Rooms().layer(sys._getframe()) == FRAMEWORK


def test_the_picture_shows_every_layer_with_its_time() -> None:
    """Each layer has its block and its name, and a bar its sum."""
    bars = (Bar("GET", dict.fromkeys(ROOMS, 0.5)), Bar("server", {"server": 1.25}))
    picture = drawn("A login", LAYERS, bars)
    assert all(f"<title>{layer} " in picture for layer in LAYERS)
    assert ">1.25 ms</text>" in picture
    assert len(
        {line.split('fill="')[1][:7] for line in picture.splitlines() if "<title>" in line and "fill=" in line}
    ) == len(LAYERS)
