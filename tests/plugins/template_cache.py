"""Caches compiled templates, so that the application of each test does not compile all of them."""

from pathlib import Path
from typing import Final

import pytest
from flask import Flask
from jinja2.bccache import Bucket, FileSystemBytecodeCache

COMPILED: Final[dict[str, bytes]] = {}


class TemplateCache(FileSystemBytecodeCache):
    """A cache of compiled templates, in memory and in a folder that all workers share.

    A changed template has another checksum and is compiled again.
    """

    def load_bytecode(self, bucket: Bucket) -> None:
        """Load the compiled template from memory or the folder."""
        if bucket.key in COMPILED:
            bucket.bytecode_from_string(COMPILED[bucket.key])
            return
        super().load_bytecode(bucket)
        if bucket.code is not None:
            COMPILED[bucket.key] = bucket.bytecode_to_string()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Store a compiled template."""
        COMPILED[bucket.key] = bucket.bytecode_to_string()
        super().dump_bytecode(bucket)


def folder(config: pytest.Config) -> Path | None:
    """Return a folder in pytest's cache; None if the run has no cache."""
    return config.cache.mkdir("templates") if hasattr(config, "cache") else None


def pytest_configure(config: pytest.Config) -> None:
    """Use the cache in every application of this process."""
    kept = folder(config)
    if kept is not None:
        Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": TemplateCache(str(kept))}
