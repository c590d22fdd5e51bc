"""What is read of a folder while a program writes in it: tests that nothing personal lies there rest on it."""

from pathlib import Path

import pytest

from tests.plugins.lying_files import lying_files


def test_what_gets_its_name_meanwhile_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is written beside its name and moved there: between the two looks it lies under neither."""
    draft, final = tmp_path / "report.draft", tmp_path / "report"
    draft.write_bytes(b"1403044004")
    (tmp_path / "a").touch()
    read = Path.read_bytes

    def reading(path: Path) -> bytes:
        if draft.exists():
            draft.replace(final)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", reading)
    assert dict(lying_files(tmp_path)) == {tmp_path / "a": b"", final: b"1403044004"}


def test_what_is_removed_meanwhile_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database drops its journal; no test fails of it."""
    journal, database = tmp_path / "a-journal", tmp_path / "b"
    journal.touch()
    database.write_bytes(b"x")
    read = Path.read_bytes

    def reading(path: Path) -> bytes:
        journal.unlink(missing_ok=True)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", reading)
    assert dict(lying_files(tmp_path)) == {database: b"x"}
