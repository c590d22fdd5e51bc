"""Replay: one Response is posted three times at once to two workers. One assertion is issued, on either store.

Source: docs/reference/attacks.md#15.
"""

from pathlib import Path

import pytest

from broker.demo.run.running_demo import run_demo
from tests.attacks.parallel_replays import POSTS_PER_RESPONSE, Replays, configure_single_method
from tests.plugins.demo import write_demo
from tests.plugins.example_counts import choose_size

pytestmark = pytest.mark.slow(seconds=10)

# The normal test run needs fewer: a broker that accepts a Response twice does so within the first few posts.
LOGINS = choose_size(80, otherwise=500)


@pytest.mark.attack(15)
@pytest.mark.parametrize(("store", "logins"), [("sqlite", LOGINS), ("redis", LOGINS)])
def test_each_response_is_accepted_once(
    store: str, logins: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Of three parallel posts exactly one is accepted, and each login issues one assertion."""
    url = "sqlite:state/broker.db" if store == "sqlite" else request.getfixturevalue("redis_url")
    setting = write_demo(tmp_path / "demo", store=url)
    configure_single_method(setting)
    with run_demo(setting) as demo:
        replays = Replays(demo)
        replays.run(logins)
    log = (setting.folder / "broker.log").read_text()
    assert replays.statuses[303] == logins
    assert sum(replays.statuses.values()) == POSTS_PER_RESPONSE * logins
    assert set(replays.statuses) <= {303, 400, 410}
    assert len(set(replays.assertions)) == logins
    assert log.count('"event": "issued"') == logins + 1  # plus the login that stored the consent
    assert '"event": "unexpected"' not in log
