"""Address rules that are compiled once in a process build what each of them says, for the application that asks."""

from collections.abc import Mapping

import pytest
from werkzeug.routing import BaseConverter, Map, Rule

from tests.plugins.address_rules import COMPILE, Builder, Compiled


class Shouted(BaseConverter):
    """Writes what stands in its place in capitals."""

    def to_url(self, value: str) -> str:
        """Give it as the address has it."""
        return value.upper()


def bound(text: str, *, loud: bool = False, defaults: Mapping[str, str] | None = None) -> Rule:
    """Give a rule of an application of its own."""
    rule = Rule(text, endpoint="page", defaults=defaults)
    Map([rule], converters={"word": Shouted if loud else BaseConverter})
    return rule


@pytest.fixture
def made() -> list[str]:
    """Give what has been compiled so far."""
    return []


@pytest.fixture
def compiled(made: list[str]) -> Compiled:
    """Give what compiles, and says what."""

    def anew(rule: Rule, append_unknown: bool) -> Builder:
        made.append(rule.rule)
        return COMPILE(rule, append_unknown)

    return Compiled(anew)


def test_a_rule_is_compiled_once_and_writes_as_its_own_application_does(compiled: Compiled, made: list[str]) -> None:
    """Of two that read alike each uses the converters of the application that it stands in."""
    rules = [bound("/a/<word:x>"), bound("/a/<word:x>", loud=True)]
    assert [compiled.builder(rule, False)(rule, x="who") for rule in rules] == [("", "/a/who"), ("", "/a/WHO")]  # noqa: FBT003
    assert made == ["/a/<word:x>"]


def test_what_a_rule_does_not_name_is_asked_for_as_werkzeug_does(compiled: Compiled, made: list[str]) -> None:
    """With further values as a query, and without: two functions of one rule."""
    rule = bound("/a/<word:x>")
    found = [compiled.builder(rule, unknown)(rule, x="who", more="1") for unknown in (True, False)]
    assert found == [("", "/a/who?more=1"), ("", "/a/who")]
    assert len(made) == 2


def test_a_rule_with_a_value_of_its_own_is_compiled_each_time(compiled: Compiled, made: list[str]) -> None:
    """The value is compiled in, by the converter of the application."""
    rules = [bound("/a/<word:x>", loud=loud, defaults={"x": "who"}) for loud in (False, True)]
    assert [compiled.builder(rule, False)(rule) for rule in rules] == [("", "/a/who"), ("", "/a/WHO")]  # noqa: FBT003
    assert len(made) == 2


def test_rules_that_read_differently_are_told_apart(compiled: Compiled) -> None:
    """By the path, and by the host that stands before it."""
    rules = [bound("/a/<word:x>"), bound("/b/<word:x>")]
    assert [compiled.builder(rule, False)(rule, x="who")[1] for rule in rules] == ["/a/who", "/b/who"]  # noqa: FBT003
    below = Rule("/a/<word:x>", endpoint="page", subdomain="below")
    Map([below], converters={"word": BaseConverter})
    assert compiled.builder(below, False)(below, x="who") == ("below", "/a/who")  # noqa: FBT003
