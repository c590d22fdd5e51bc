"""Adds up the CPU time that the application takes inside a server, in a file that others may read meanwhile.

Python imports it by its name at every start where this folder is on ``PYTHONPATH``; ``TIMED_FILE`` is a file of
``SIZE`` octets.
"""

import mmap
import os
import struct
import time
from collections.abc import Iterable
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

SECONDS = struct.Struct("d")
SIZE = mmap.PAGESIZE

if "TIMED_FILE" in os.environ:
    import flask

    with Path(os.environ["TIMED_FILE"]).open("r+b") as file:
        total = mmap.mmap(file.fileno(), SIZE)
    answer = flask.Flask.__call__

    def answer_and_time(self: flask.Flask, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, and add the CPU time of the thread that did."""
        began = time.thread_time()
        try:
            return answer(self, environ, start_response)
        finally:
            (before,) = SECONDS.unpack_from(total)
            SECONDS.pack_into(total, 0, before + time.thread_time() - began)

    flask.Flask.__call__ = answer_and_time  # type: ignore[method-assign]
