"""Other workers, and servers of one's own, for the tests that kill them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import broker
from tests.plugins.redis_server import RedisServer

Start = Callable[..., RedisServer]
Worker = Callable[[str, Path, str], subprocess.Popen[str]]


@pytest.fixture
def worker() -> Iterator[Worker]:
    """Give what starts ``worker.py`` on a store's URL and folder; what still runs at the end is killed."""
    started = []

    def start(url: str, folder: Path, work: str) -> subprocess.Popen[str]:
        command = (sys.executable, "-W", "error", str(Path(__file__).with_name("worker.py")), url, str(folder), work)
        environment = {**os.environ, "PYTHONPATH": str(Path(broker.__path__[0]).parent)}
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        started.append(running)
        return running

    yield start
    for running in started:
        running.kill()
        running.communicate()


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Give what starts a server of one's own with these settings; all are killed at the end."""
    servers = []

    def begin(*settings: str) -> RedisServer:
        server = RedisServer(tmp_path_factory.mktemp("own"), settings)
        servers.append(server)
        return server.start()

    yield begin
    for server in servers:
        server.kill()
