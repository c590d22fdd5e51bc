"""Keeps compiled templates for the whole run: each test makes an application of its own, of the same templates."""

from typing import Final

from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache

COMPILED: Final[dict[str, bytes]] = {}


class Memory(BytecodeCache):
    """Compiled templates by their name and source; one that was changed has another checksum and is compiled anew."""

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read a template's code, if it has been compiled."""
        if bucket.key in COMPILED:
            bucket.bytecode_from_string(COMPILED[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template's code."""
        COMPILED[bucket.key] = bucket.bytecode_to_string()


def pytest_configure() -> None:
    """Let every application of this process use it."""
    Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": Memory()}
