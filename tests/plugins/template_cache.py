"""Keeps compiled templates: each test makes an application of its own, and each worker compiled all of them."""

from pathlib import Path
from typing import Final

import pytest
from flask import Flask
from jinja2.bccache import Bucket, FileSystemBytecodeCache

COMPILED: Final[dict[str, bytes]] = {}


class Kept(FileSystemBytecodeCache):
    """Compiled templates by their name and source, in memory and in a folder that all workers share.

    One that was changed has another checksum and is compiled anew.
    """

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read a template's code, if it has been compiled."""
        if bucket.key in COMPILED:
            bucket.bytecode_from_string(COMPILED[bucket.key])
            return
        super().load_bytecode(bucket)
        if bucket.code is not None:
            COMPILED[bucket.key] = bucket.bytecode_to_string()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template's code."""
        COMPILED[bucket.key] = bucket.bytecode_to_string()
        super().dump_bytecode(bucket)


def folder(config: pytest.Config) -> Path | None:
    """Give the folder that outlasts this run; None where a run keeps nothing."""
    return config.cache.mkdir("templates") if hasattr(config, "cache") else None


def pytest_configure(config: pytest.Config) -> None:
    """Let every application of this process use it."""
    kept = folder(config)
    if kept is not None:
        Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": Kept(str(kept))}
