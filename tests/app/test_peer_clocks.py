"""The clocks of the peers: what differs by more than the skew is found, whosever it is."""

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from broker.app import peer_clocks
from broker.app.assembly import assemble, now
from broker.app.findings import all_findings
from broker.configuration.settings.config import Config, load
from broker.demo.run.demo_folder import Setting

pytestmark = pytest.mark.server


@contextmanager
def dated(ahead: timedelta | None) -> Iterator[str]:
    """Serve answers whose Date is this far ahead of the time it is; None: they have none that can be read."""

    class Dated(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", "today" if ahead is None else format_datetime(now() + ahead))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Dated) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def told(setting: Setting, *ahead: timedelta | None) -> list[str]:
    """Give the findings where the library system and a feed answer with these clocks."""
    with ExitStack() as stack:
        library, feed = (stack.enter_context(dated(each)) for each in ahead)
        config = configured(setting, library, feed)
        return list(peer_clocks.findings(config))


def configured(setting: Setting, library: str, feed: str) -> Config:
    """Give a configuration with these addresses."""
    feeds = {"BROKER_FEEDS__HUB__URL": f"{feed}/feed.xml", "BROKER_FEEDS__HUB__PINS": '["pin.pem"]'}
    return load(setting.config, {"BROKER_LIBRARY__URL": library, **feeds})


NTP = r"\(keep the clocks by NTP\)"
HOUR = r"3[56]\d\d"  # an answer may lie for a while on a busy machine


@pytest.mark.parametrize(
    ("library", "feed", "finding"),
    [
        (0, 120, None),
        (0, None, None),
        (-3600, 0, f"the clock behind library.url is {HOUR} s behind this machine's {NTP}"),
        (0, 3600, f"the clock behind feeds.hub.url is {HOUR} s ahead of this machine's {NTP}"),
        (7200, 3600, f"this machine's clock is {HOUR} s behind all of library.url, feeds.hub.url {NTP}"),
    ],
)
def test_a_clock_that_differs_by_more_than_the_skew_is_found(
    setting: Setting, library: int, feed: int | None, finding: str | None
) -> None:
    """One peer's is its own; where all differ it is ours; a Date that cannot be read tells nothing."""
    ahead = timedelta(seconds=library), timedelta(seconds=feed) if feed is not None else None
    found = told(setting, *ahead)
    assert len(found) == (finding is not None)
    if finding is not None:
        assert re.fullmatch(finding, found[0])


def test_check_finds_a_clock_that_differs(setting: Setting, tmp_path: Path) -> None:
    """Beside everything else that a careful administrator would want to fix."""
    with dated(timedelta(hours=1)) as library:
        environ = {"BROKER_LIBRARY__URL": library, "BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}"}
        found = all_findings(assemble(load(setting.config, environ)))
    assert len([each for each in found if each.startswith("clock: the clock behind library.url")]) == 1


def test_a_peer_that_does_not_answer_tells_nothing_of_clocks(setting: Setting) -> None:
    """That it is down is found elsewhere."""
    assert list(peer_clocks.findings(configured(setting, "http://127.0.0.1:1", "http://127.0.0.1:1"))) == []
