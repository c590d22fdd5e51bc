"""Follows one value through the rooms: which modules of the broker are called with it, in which order."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from broker.core.identity.canonical_attributes import Attributes

BROKER = Path(__file__).resolve().parents[2] / "broker"
DEEPEST = 7
Carries = Callable[[object], bool]


@dataclass(slots=True)
class ValueWalk:
    """The rooms that a value enters, in order, until the function that ends the walk.

    A room is entered when a function of it is called with the value, unless a function of that room
    that was called with the value still runs (the room has not been left), or no other room was
    entered since (a table of checks of one room is one visit).
    """

    carries: Carries
    end: tuple[str, str]  # module below broker, function
    rooms: list[str] = field(default_factory=list)
    running: dict[FrameType, str] = field(default_factory=dict)
    over: bool = False

    def observe(self, frame: FrameType, event: str, _argument: object) -> None:
        """Note the room of a function that is called with the value; a profile function (sys.setprofile)."""
        if event == "return":
            self.running.pop(frame, None)
        if self.over or event != "call" or (room := room_of(frame)) is None:
            return
        if not any(holds(each, self.carries) for each in arguments(frame)):
            return
        if room not in self.running.values() and room not in self.rooms[-1:]:
            self.rooms.append(room)
        self.running[frame] = room
        self.over = (room, frame.f_code.co_name) == self.end

    @property
    def distinct(self) -> list[str]:
        """Return every room once, in the order in which the value came to them."""
        return list(dict.fromkeys(self.rooms))

    @property
    def returns(self) -> list[str]:
        """Return the rooms that the value came back to in the first half of its way."""
        half = self.rooms[: len(self.rooms) // 2]
        return [room for place, room in enumerate(half) if room in half[:place]]


def arguments(frame: FrameType) -> list[object]:
    """Return what a function was called with, but for the object whose method it is: a value that is read stays."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return [frame.f_locals.get(name) for name in names if name != "self"]


def room_of(frame: FrameType) -> str | None:
    """Return the module of a frame below broker, with dots; None for other code and for the demo."""
    path = frame.f_code.co_filename
    if not path.startswith(f"{BROKER}/"):
        return None
    room = path[len(str(BROKER)) + 1 :].removesuffix(".py").replace("/", ".")
    return None if room.startswith("demo.") else room


def holds(value: object, carries: Carries, depth: int = DEEPEST) -> bool:
    """Say whether a value, or a value inside it, is the one that is followed."""
    if carries(value):
        return True
    return depth > 0 and any(holds(part, carries, depth - 1) for part in parts(value))


def parts(value: object) -> Iterator[Any]:
    """Yield what a plain container or a frozen value of the broker holds; nothing of live objects."""
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, Attributes):
        yield from getattr(value, "_values", {}).values()  # none while it is being made
    elif isinstance(value, tuple | list | set | frozenset):
        yield from value
    elif is_dataclass(value) and not isinstance(value, type) and type(value).__hash__ is not None:  # frozen
        yield from (getattr(value, each.name, None) for each in fields(value))


@contextmanager
def walking(carries: Carries, end: tuple[str, str]) -> Iterator[ValueWalk]:
    """Follow a value through all that this thread does meanwhile."""
    walk = ValueWalk(carries, end)
    sys.setprofile(walk.observe)
    try:
        yield walk
    finally:
        sys.setprofile(None)
