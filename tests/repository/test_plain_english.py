"""The wording of code, documents and tests follows CONTRIBUTING.md."""

from pathlib import Path
from typing import Final

import pytest

from tests.plugins.plain_english import find_in_file
from tests.plugins.source_files import ROOT

_FOLDERS: Final = ("broker", "docs", "deploy", "bench", "tests")


def find_hits(folder: str) -> list[str]:
    """Return the hits in all modules and documents below a folder."""
    paths = sorted(path for suffix in ("py", "md") for path in Path(ROOT, folder).rglob(f"*.{suffix}"))
    return [hit for path in paths for hit in find_in_file(path)]


@pytest.mark.long("reads the whole repository")
@pytest.mark.parametrize("folder", _FOLDERS)
def test_sentences_name_their_subject_and_functions_begin_with_a_verb(folder: str) -> None:
    """A vague subject, a retired word or a participle as a function name is reworded."""
    hits = find_hits(folder)
    assert not hits, "\n".join(hits)
