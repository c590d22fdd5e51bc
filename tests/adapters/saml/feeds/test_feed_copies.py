"""The copies on disk: nobody else's to read, and whole after a crash at any point."""

import os
import stat
from pathlib import Path

from broker.adapters.saml.feeds.feed_copies import Copies, Note
from broker.adapters.saml.feeds.feed_fetch import Document
from tests.plugins.saml_messages import NOW

DOCUMENT = Document("https://feed.example", "feed")


def _keep(copies: Copies) -> None:
    with copies.lock(), copies.create_file() as made:
        made.write(b"<x/>")
        copies.keep(made, DOCUMENT)
    copies.write_note(DOCUMENT, Note(NOW))


def test_only_the_owner_can_read_and_write_the_copies(tmp_path: Path) -> None:
    """Another writer could restore an older copy."""
    before = os.umask(0)
    try:
        _keep(Copies(tmp_path / "state" / "f"))
    finally:
        os.umask(before)
    found = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "state" / "f").iterdir()}
    assert found == {"feed.xml": 0o600, "feed.json": 0o600}
    assert stat.S_IMODE((tmp_path / "state" / "f").stat().st_mode) == 0o700
