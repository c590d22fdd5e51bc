"""Keeps the functions that address rules compile to: each test makes an application of its own, of the same rules."""

from collections.abc import Callable
from typing import Any, Final

from werkzeug.routing import Rule

Builder = Callable[..., tuple[str, str]]
Compile = Callable[[Rule, bool], Builder]
COMPILE: Final[Compile] = Rule._compile_builder


class Compiled:
    """Compiles as werkzeug does, once in a process what is written the same way.

    What it compiles to is given the rule with each call, and keeps nothing of the one that it was made of.
    """

    def __init__(self, anew: Compile = COMPILE) -> None:
        """Know none."""
        self.anew = anew
        self.known: dict[tuple[str, bool, tuple[Any, ...]], Builder] = {}

    def builder(self, rule: Rule, append_unknown: bool = True) -> Builder:  # noqa: FBT002 - as werkzeug calls it
        """Give the function that builds a rule's addresses; with values of its own, which are compiled in, anew."""
        if rule.defaults:
            return self.anew(rule, append_unknown)
        key = (rule.rule, append_unknown, tuple(rule._trace))
        if key not in self.known:
            self.known[key] = self.anew(rule, append_unknown)
        return self.known[key]


def pytest_configure() -> None:
    """Let every application of this process use it."""
    compiled = Compiled()

    def builder(rule: Rule, append_unknown: bool = True) -> Builder:  # noqa: FBT002 - as above
        return compiled.builder(rule, append_unknown)

    setattr(Rule, "_compile_builder", builder)  # noqa: B010 - a method, which mypy takes for one of its own
