"""Two real workers follow a feed that changes keys, breaks, expires and recovers while people log in: all get in."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from broker.adapters.saml.gate import signature
from broker.demo.check import persona_check
from broker.demo.check.http_browser import Browser
from broker.demo.people.personas import Persona, persona
from broker.demo.run.demo_folder import Ports, write
from broker.demo.run.running_demo import Running, running
from broker.demo.saml.key_pair import KeyPair
from broker.demo.upstreams import wayf_hub
from tests.plugins.demo import free_base
from tests.plugins.fed_broker import Fed
from tests.plugins.feed_server import publishing

pytestmark = pytest.mark.slow(seconds=15)

_BROWSERS = 2


@contextmanager
def logging_in(demo: Running) -> Iterator[Callable[[], int]]:
    """Let people log in all the time; give what says how many have, and fail where one did not."""
    done, ending = [0], threading.Event()
    origin = demo.setting.ports.origin("library")

    def again() -> None:
        while not ending.is_set():
            browser = Browser()
            persona_check.walk(browser, origin, persona("asta"), "wayf")
            assert persona_check.texts(browser, "//strong[@id='status']/text()") == ("Success",), browser.mark()
            done[0] += 1

    with ThreadPoolExecutor(_BROWSERS) as pool:
        futures = [pool.submit(again) for _ in range(_BROWSERS)]
        try:
            yield lambda: done[0]
        finally:
            ending.set()
        for each in futures:
            each.result()


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def readiness(demo: Running) -> dict[str, Any]:
    """Ask a worker whether it is ready, which it must be all the time."""
    answer = requests.get(f"http://127.0.0.1:{demo.setting.ports.number('broker')}/readyz", timeout=60)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def metrics(demo: Running) -> str:
    """Read the metrics, of all workers by any of them."""
    return requests.get(f"http://127.0.0.1:{demo.setting.ports.number('broker')}/metrics", timeout=60).text


@pytest.mark.profile(4, 5)
def test_nobody_is_turned_away_while_a_feed_misbehaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The publisher's key and the hub's roll over, the signature breaks, a feed that ran out comes: all log in."""
    now = datetime.now(UTC)
    newer = KeyPair.made("newer-hub", now)
    signs: list[signature.SigningKey] = []  # in place of the hub's own key, the last of these
    answer = wayf_hub.response

    def answered(
        name: str, asked: wayf_hub.ReceivedAuthnRequest, person: Persona | None, key: signature.SigningKey, at: datetime
    ) -> bytes:
        return answer(name, asked, person, signs[-1] if signs else key, at)

    monkeypatch.setattr(wayf_hub, "response", answered)
    setting = write(tmp_path / "demo", Ports(free_base()), now)
    with publishing() as publisher:
        fed = Fed(setting, publisher)
        fed.follow()
        fed.publish()
        with running(setting) as demo, logging_in(demo) as done:

            def goes_on() -> None:
                """Wait for logins that began after all that was before."""
                many = done()
                until(lambda: done() > many + _BROWSERS)

            def told_of(cause: str) -> bool:
                return cause in readiness(demo)["metadata"]

            def taken(octets: bytes) -> None:
                until(lambda: fed.copy.read_bytes() == octets)

            goes_on()
            assert readiness(demo)["metadata"] == "ok"
            taken(fed.publish(keys=(setting.hub, newer)))
            time.sleep(12)  # by then every worker has looked twice, though the machine is busy
            signs.append(signature.SigningKey.of(newer.key.encode(), newer.certificate.encode()))
            goes_on()
            good = fed.publish(by=fed.pinned[1], keys=(newer,))
            taken(good)
            goes_on()
            bad: dict[str, Callable[[], object]] = {
                "feed.digest": lambda: publisher.publish(good.replace(b"/sso", b"/sss")),
                "feed.expired": lambda: fed.publish(days=-1),
            }
            for cause, breaks in bad.items():
                breaks()
                until(partial(told_of, cause))
                goes_on()
                assert fed.copy.read_bytes() == good
            taken(fed.publish(by=fed.pinned[1], keys=(newer,)))
            until(lambda: readiness(demo)["metadata"] == "ok")
            goes_on()
            text, count = metrics(demo), done()
        log = (setting.folder / "broker.log").read_text()
    assert 'broker_metadata_fetches_total{feed="wayf",result="refused"}' in text
    told = [line for line in text.splitlines() if line.startswith("broker_logins_total")]
    assert 0 < count - 2 * _BROWSERS <= sum(float(line.rpartition(" ")[2]) for line in told) <= count + 2 * _BROWSERS
    assert [cause for cause in bad if f'"reason": "{cause}"' in log] == list(bad)
    assert '"metadata_renewed"' in log
