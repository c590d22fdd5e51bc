"""The cases of a large installation: a full store, a feed of ten thousand entities, a thousand policy files."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Final

from bench import metadata, policy
from bench.brokers import SQLITE, Setup, broker_running, make_row, measure_broker
from bench.browsers import UniversityLogin
from bench.figures import Row
from broker.adapters.saml.keys import key_ring
from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.adapters.stores.open_store import open_store
from broker.core.ports import Key, Write
from broker.core.retention import RecordKind
from broker.demo.run.demo_folder import Setting

_LOGINS: Final = 160
_KINDS: Final[tuple[RecordKind, ...]] = ("person", "index")
_RECORDS: Final = 100_000
_A_TURN: Final = 1_000
_MORE: Final = 1.1  # times the CPU of a login in a small installation that one in a large may need


def rows() -> Iterator[Row]:
    """Measure a login in a small installation, and then in each that is large in one way."""
    with broker_running(Setup()) as demo:
        login = UniversityLogin.for_setting(demo.setting)
        small = measure_broker(demo, login, _LOGINS)
        yield make_row("a small installation", small)
        written = fill(demo.setting)
        found = measure_broker(demo, login, _LOGINS)
        yield make_row(f"with {written:,} persons and index entries", found, most_cpu=_MORE * small.cpu_ms)
    with feed_served() as feed, broker_running(Setup(prepare=feed)) as demo:
        found = measure_broker(demo, UniversityLogin.for_setting(demo.setting), _LOGINS)
        yield make_row("with a live feed of 10,000 entities", found, most_cpu=_MORE * small.cpu_ms)
    with broker_running(Setup(prepare=_many_policies)) as demo:
        found = measure_broker(demo, UniversityLogin.for_setting(demo.setting), _LOGINS)
        yield make_row("with 1,000 policy files", found, most_cpu=_MORE * small.cpu_ms)


def fill(setting: Setting) -> int:
    """Write copies of the records that a login has left, under other groups, and return how many."""
    ring = key_ring.load(setting.folder / "keys")
    store = EncryptedStore(open_store(SQLITE, setting.folder), ring.sealing, ring.sealing_id)
    now = datetime.now(UTC)
    written = 0
    for kind in _KINDS:
        key, kept = next(iter(store.list(kind, None, now)))
        for _ in range(_RECORDS // _A_TURN):
            first, *others = [
                Write(Key(kind, _other(key.group), key.name), kept._replace(version=secrets.token_hex(8)), None)
                for _ in range(_A_TURN)
            ]
            store.put_many(first, others, now)
            written += _A_TURN
    return written


def _other(group: str) -> str:
    """Return a random group of the same shape, which belongs to no person."""
    return re.sub(r"[0-9a-f]{8,}", lambda found: secrets.token_hex(len(found[0]))[: len(found[0])], group)


class _Feed:
    """A publisher of one file, and the change to a broker's folder that makes it follow the feed."""

    def __init__(self, folder: Path) -> None:
        serving = partial(_QuietServing, directory=str(folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), serving)
        self.folder = folder

    def __call__(self, setting: Setting) -> None:
        """Take the hub out of the metadata folder, and publish it in a feed among ten thousand others."""
        hub = setting.folder / "metadata" / "hub.xml"
        metadata.write(self.folder, others=hub.read_text().partition("?>")[2] or hub.read_text())
        hub.unlink()
        (setting.folder / "feed.pem").write_text((self.folder / "publisher.pem").read_text())
        address = f"http://127.0.0.1:{self.server.server_port}/feed.xml"
        table = f'[feeds.large]\nurl = "{address}"\npins = ["feed.pem"]\n\n'
        text = setting.config.read_text()
        setting.config.write_text(text.replace("[upstreams.wayf]", f"{table}[upstreams.wayf]", 1))


class _QuietServing(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def feed_served() -> Iterator[_Feed]:
    """Serve a feed as long as the block lasts."""
    with TemporaryDirectory(prefix="bench-feed-") as folder:
        feed = _Feed(Path(folder))
        Thread(target=feed.server.serve_forever, daemon=True).start()
        try:
            yield feed
        finally:
            feed.server.shutdown()
            feed.server.server_close()


def _many_policies(setting: Setting) -> None:
    policy.write(setting.folder / "policies")
