"""The keys of a checked file's type: which there are at a path, and which an unknown one is near to."""

from typing import Annotated

import pytest
from pydantic import Field

from broker.core.errors import ConfigurationFaults
from broker.files.checked_files import Day, KeyPath, Shape, did_you_mean, key_patterns, known_keys, validated
from broker.files.strict_yaml import read


class Book(Shape):
    """A mapping in a list."""

    title: str
    pages: str = ""


class LoanShape(Shape):
    """A mapping where a text alone would do."""

    to: Annotated[str, Field(min_length=1)]
    until: Day


class Shelf(Shape):
    """A mapping under a name of the file's own."""

    source: str = Field(alias="from", default="")
    books: Annotated[tuple[Book, ...], Field(min_length=1)] = ()
    lent: tuple[Annotated[str, Field(min_length=1)] | LoanShape, ...] = ()


class Library(Shape):
    """The whole file."""

    shelves: dict[str, Shelf]
    labels: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it


def test_the_path_of_every_key_is_known_with_its_alias() -> None:
    """A name of the file's own is NAME, a position in a list is []."""
    assert list(key_patterns(Library)) == [
        ("shelves",),
        ("shelves", "NAME", "from"),
        ("shelves", "NAME", "books"),
        ("shelves", "NAME", "books", "[]", "title"),
        ("shelves", "NAME", "books", "[]", "pages"),
        ("shelves", "NAME", "lent"),
        ("shelves", "NAME", "lent", "[]", "to"),
        ("shelves", "NAME", "lent", "[]", "until"),
        ("labels",),
    ]


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        ((), ("shelves", "labels")),
        (("shelves", "any"), ("from", "books", "lent")),
        (("shelves", "any", "books", 7), ("title", "pages")),
        (("shelves", "any", "books", "title"), ()),
        (("shelves",), ()),
        (("labels",), ()),
    ],
)
def test_a_mapping_has_the_keys_of_its_type(table: KeyPath, keys: tuple[str, ...]) -> None:
    """None where the file chooses the keys, or where there is no mapping."""
    assert known_keys(Library, table) == keys


def test_the_nearest_word_is_offered() -> None:
    """As the file would spell it; nothing is offered where nothing is near."""
    assert did_you_mean("titel", ["title", "pages"]) == "did you mean 'title'?"
    assert did_you_mean("titel", ["title", "pages"], spelt=str) == "did you mean title?"
    assert did_you_mean("xyz", ["title", "pages"]) == ""


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("shelves: {a: {form: x}}", "f.yaml:1: unknown key 'form' (did you mean 'from'?)"),
        ("shelves: {a: {xyz: x}}", "f.yaml:1: unknown key 'xyz' (from, books, lent)"),
        ("shelves:\n  a:\n    books:\n    - pages: 9", "f.yaml:4: shelves.a.books.1.title is missing"),
        ("shelves: {a: {lent: [Asta, {to: Bo}]}}", "f.yaml:1: shelves.a.lent.2.until is missing"),
        (
            "shelves: {a: {lent: [Asta, {to: Bo, until: 31-12-2027}]}}",
            "f.yaml:1: shelves.a.lent.2.until: must be a day like 2027-06-30",
        ),
        ("shelves: {a: {lent: [Asta, '']}}", "f.yaml:1: shelves.a.lent.2: must not be empty"),
        ("shelves: {a: {books: [Emma]}}", "f.yaml:1: shelves.a.books.1: must be a mapping (write {title: ...})"),
        ("shelves: {a: {books: []}}", "f.yaml:1: shelves.a.books: must not be empty"),
        ("shelves: []", "f.yaml:1: shelves: must be a mapping (write key: value)"),
        ("shelves: {a: {0101800007: x}}", "f.yaml:1: unknown key (not shown) (from, books, lent)"),
    ],
)
def test_a_misfit_is_a_fault_with_its_line(written: str, fault: str) -> None:
    """A key that could be a CPR number is not quoted: faults are logged."""
    with pytest.raises(ConfigurationFaults) as caught:
        validated(Library, read(written.encode(), "f.yaml"), "f.yaml")
    assert [str(each) for each in caught.value.faults] == [fault]
