"""The records of every release so far are read by this one, to the values that were written."""

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import pytest

from broker.core.ports import RecordUnreadable
from broker.core.retention import RecordKind
from broker.use_cases.storage.records import dump, load
from tests.plugins.released_records import FOLDER, OCTETS, TYPES, read_file
from tests.plugins.source_files import ROOT, text_of

OWN_FILE = FOLDER / f"{version('library-identity-broker')}.json"
WITHOUT_VALUE = {"lease", "counter"}


def is_kept(written: Any, read: Any) -> bool:
    """Return whether everything that was written is read, at its place and with its value."""
    if isinstance(written, dict) and isinstance(read, dict):
        return all(name in read and is_kept(value, read[name]) for name, value in written.items())
    if isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        return all(map(is_kept, written, read))
    return bool(written == read)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_the_records_of_a_release_are_read(file: Path) -> None:
    """No field is lost or changed. A field that was added since has its default.

    If the release has no tag yet, write its file again: python -m tests.plugins.released_records.
    """
    types = {each.__name__: each for each in TYPES}
    lost = []
    for name, octets in read_file(file):
        if name in OCTETS:
            assert octets == name.encode()
            continue
        try:
            read = json.loads(dump(load(types[name], octets))[1:])
        except RecordUnreadable:
            read = None
        if not is_kept(json.loads(octets[1:]), read):
            lost.append(name)
    assert lost == []


def test_the_file_of_this_release_has_every_kind_of_record() -> None:
    """Where it is missing: python -m tests.plugins.released_records."""
    assert {name for name, _ in read_file(OWN_FILE)} == {each.__name__ for each in TYPES} | set(OCTETS)
    assert {*TYPES.values(), *OCTETS.values()} == set(get_args(RecordKind)) - WITHOUT_VALUE


def test_every_type_that_is_stored_is_in_the_file() -> None:
    """A type that a module stores must be added to the table of the fixture."""
    stored = re.compile(r"\bRecords\([\w.]+, (\w+)")
    found = {name for path in (ROOT / "broker").rglob("*.py") for name in stored.findall(text_of(path))}
    assert found == {each.__name__ for each in TYPES}
