"""A store that cannot be written answers with a page and a reason, and logins go on the moment it can."""

import errno
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from broker.app import audit_operations
from broker.core.errors import StoreUnavailable
from broker.demo.run.demo_folder import Setting
from tests.plugins.house import Clock, House, mark, standing
from tests.plugins.redis_server import KEEPING, RedisServer

pytestmark = pytest.mark.server

Refusing = Callable[[], None]


@contextmanager
def full_file_system(folder: Path) -> Iterator[tuple[Refusing, Refusing]]:
    """Give how to fill the disk that ``folder`` lies on, and how to make room again.

    A small tmpfs where one can be mounted; else no file of this process may grow, which fails as truly.
    """
    folder.mkdir()
    mounted = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)), capture_output=True, check=False
    )
    if mounted.returncode:
        with limited_files(folder) as both:
            yield both
        return
    filler = folder / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file:
            while room_for_more(file):
                pass

    try:
        yield fill, filler.unlink
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


def room_for_more(file: RawIOBase) -> bool:
    """Write a page to a file, and give whether the disk had room for it."""
    try:
        file.write(b"\0" * 4096)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return False
        raise
    return True


def only_the_store(error: Exception) -> None:
    """Hear what fails in the loop beside the requests: it goes on too."""
    if not isinstance(error, StoreUnavailable):
        raise error


@contextmanager
def limited_files(_: Path) -> Iterator[tuple[Refusing, Refusing]]:
    """Give how to forbid that any file grows, and how to allow it again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield (
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard)),
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)),
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def plain(page: TestResponse) -> str:
    """Give the text of a page, which shows no stack trace."""
    text = page.get_data(as_text=True)
    assert "Traceback" not in text
    assert "sqlite" not in text.lower()
    return text


def refuses_and_recovers(house: House, refuse: Refusing, mend: Refusing, capsys: pytest.CaptureFixture[str]) -> None:
    """Hold a broker to it: 503 with a reason while nothing can be written, and logins before and after."""
    assert mark(house.person().log_in("asta"))[0] == "ask"
    waiting = house.person()
    asking = waiting.log_in("asta")
    client = house.app.test_client()
    assert client.get("/readyz").status_code == 200
    capsys.readouterr()
    refuse()
    try:
        pages = [house.person().ask(), house.person().get("/pin"), waiting.agree(asking)]
        ready = client.get("/readyz")
    finally:
        mend()
    for page in pages:
        assert (page.status_code, mark(page)) == (503, ("error", "store_unavailable"))
        plain(page)
    assert ready.status_code == 503
    assert '"event": "unexpected"' not in capsys.readouterr().out
    assert client.get("/readyz").status_code == 200
    # The page that was answered in vain is as good as before, and so is everybody else's.
    assert house.landing(waiting.agree(asking)).name_id
    person = house.person()
    assert house.landing(person.agree(person.log_in("bo"))).name_id
    assert audit_operations.verified(house.parts).findings == []


@pytest.mark.parametrize("disk", [full_file_system, limited_files])
def test_a_full_disk_is_a_page_and_passes(
    setting: Setting,
    tmp_path: Path,
    clock: Clock,
    disk: Callable[[Path], Iterator[tuple[Refusing, Refusing]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Store and trail lie on it; nothing is torn."""
    folder = tmp_path / "disk"
    with disk(folder) as (fill, free):  # type: ignore[attr-defined]
        folder.mkdir(exist_ok=True)
        with standing(setting, folder, clock, {}, only_the_store) as house:
            refuses_and_recovers(house, fill, free, capsys)


@pytest.mark.parametrize("name", ["maxmemory", "min-replicas-to-write"])
def test_a_store_that_refuses_writes_but_answers_reads_is_a_page_and_passes(
    setting: Setting, tmp_path: Path, clock: Clock, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Redis whose memory is used up, or that has lost its replicas."""
    for folder in ("redis", "house"):
        (tmp_path / folder).mkdir()
    server = RedisServer(tmp_path / "redis", settings=KEEPING).start()

    def setting_to(value: str) -> Refusing:
        def change() -> None:
            with server.client() as client:
                client.config_set(name, value)

        return change

    try:
        environ = {"BROKER_STORE__URL": server.url}
        with standing(setting, tmp_path / "house", clock, environ, only_the_store) as house:
            refuses_and_recovers(house, setting_to("1"), setting_to("0"), capsys)
    finally:
        server.kill()
