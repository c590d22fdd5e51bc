"""The map of the house: what it prints is what the imports say."""

import pytest

from tests.plugins.house_map import between, drawing, floors, imports

ROOMS = {
    "broker.app.made": {"broker.core.a", "broker.adapters.web.b"},
    "broker.adapters.web.b": {"broker.core.a"},
    "broker.core.a": set(),
}


def test_arrows_are_counted_between_folders() -> None:
    """Imports inside a folder are no arrow; two rooms that import one folder make one arrow of two imports."""
    pairs = between(ROOMS, 1)
    assert pairs == {("app", "core"): 1, ("app", "adapters"): 1, ("adapters", "core"): 1}


def test_a_folder_stands_above_what_it_imports() -> None:
    """The lowest floor imports nothing, and each stands one above the highest that it imports."""
    assert floors(between(ROOMS, 1), ["app", "adapters", "core"]) == [["core"], ["adapters"], ["app"]]


def test_a_circle_has_no_floors() -> None:
    """Two folders that import each other are told, not drawn."""
    with pytest.raises(ValueError, match="a circle"):
        floors([("a", "b"), ("b", "a")], ["a", "b"])


@pytest.mark.slow
def test_the_house_has_floors() -> None:
    """The core lies lowest and the command line highest, and the map ends with the longest import lists."""
    arrows = imports()
    stack = floors(between(arrows, 1), {room.split(".")[1] for room in arrows})
    assert (stack[0], stack[-1]) == (["core"], ["cli"])
    assert len(list(drawing(arrows))[-10:]) == 10
