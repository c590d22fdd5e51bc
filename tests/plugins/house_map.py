"""Draws the house: floors, folders, the arrows between them, and the longest import lists.

python -m tests.plugins.house_map      (make map)
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import grimp

ROOT: Final = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.plugins.code_load import complexities, python_files, total  # noqa: E402 - ROOT comes first

Arrows = Mapping[str, Iterable[str]]


def imports() -> dict[str, set[str]]:
    """Return the rooms of the broker (modules, with dots, packages left out) and the rooms that they import."""
    graph = grimp.build_graph("broker")
    rooms = {room for room in graph.modules if not graph.find_children(room) and room != "broker"}
    return {room: graph.find_modules_directly_imported_by(room) & rooms for room in rooms}


def folder_of(room: str, depth: int) -> str:
    """Return the folder of a room, ``depth`` names below broker; a room that lies higher is its own."""
    return ".".join(room.split(".")[1 : 1 + depth])


def between(arrows: Arrows, depth: int) -> Counter[tuple[str, str]]:
    """Count the imports between folders."""
    pairs = ((folder_of(room, depth), folder_of(other, depth)) for room, others in arrows.items() for other in others)
    return Counter(pair for pair in pairs if pair[0] != pair[1])


def floors(pairs: Iterable[tuple[str, str]], folders: Iterable[str]) -> list[list[str]]:
    """Return the folders by floors, lowest first: a folder stands one above the highest that it imports."""
    below: dict[str, set[str]] = {folder: set() for folder in folders}
    for importer, imported in pairs:
        below[importer].add(imported)
    levels: dict[str, int] = {}

    def level(folder: str, path: tuple[str, ...] = ()) -> int:
        if folder in path:
            message = f"a circle: {' > '.join((*path, folder))}"
            raise ValueError(message)
        if folder not in levels:
            levels[folder] = 1 + max((level(each, (*path, folder)) for each in below[folder]), default=-1)
        return levels[folder]

    highest = max(level(folder) for folder in below)
    return [sorted(name for name, at in levels.items() if at == floor) for floor in range(highest + 1)]


def drawing(arrows: Arrows) -> Iterable[str]:
    """Yield the lines of the map."""
    files = python_files(ROOT / "broker")
    load = total(files)
    worst = max(each for path in files for _, each in complexities(path.read_text()))
    lines = sum(len(path.read_text().splitlines()) for path in files)
    yield f"{len(arrows)} rooms, {lines} lines, {load.lines} of them code"
    yield (
        f"{load.nodes_a_line:.2f} syntax nodes a line, {load.conditional_a_thousand:.0f} conditional expressions"
        f" a thousand lines, cyclomatic complexity at most {worst}"
    )
    for depth, title in ((1, "Floors of the house"), (2, "Floors of the folders inside")):
        pairs = between(arrows, depth)
        folders = {folder_of(room, depth) for room in arrows}
        stack = floors(pairs, folders)
        yield f"\n{title}: {len(folders)} folders, {len(stack)} floors, {len(pairs)} arrows"
        for number, names in reversed(list(enumerate(stack))):
            yield f"  {number:2}  {' | '.join(names)}"
    yield "\nArrows between the folders of the house (imports)"
    for (importer, imported), count in sorted(between(arrows, 1).items()):
        yield f"  {importer:10} > {imported:10} {count:4}"
    yield "\nThe ten longest import lists (rooms of the broker)"
    for room, others in sorted(arrows.items(), key=lambda each: -len(set(each[1])))[:10]:
        yield f"  {len(set(others)):3}  {room.removeprefix('broker.')}"


if __name__ == "__main__":
    sys.stdout.write("\n".join(drawing(imports())) + "\n")
