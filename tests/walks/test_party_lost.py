"""A service's metadata runs out under a real broker: everybody else logs in, and a restart starts."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from broker.adapters.saml.gate import xml_times
from broker.core.login.transaction import SKEW
from broker.demo.check import persona_check
from broker.demo.check.http_browser import Browser
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import SERVICES, Ports, Setting, write
from broker.demo.run.running_demo import Running, running
from tests.plugins.demo import free_base

pytestmark = pytest.mark.slow(seconds=30)

LOST = SERVICES["myprint"][2]


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)


def address(demo: Running, path: str) -> str:
    """Give an address of the broker on this machine."""
    return f"http://127.0.0.1:{demo.setting.ports.number('broker')}{path}"


def note(demo: Running) -> str:
    """Give what readiness says of metadata while it is ready."""
    answer = requests.get(address(demo, "/readyz"), timeout=60)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return str(found["metadata"])


def asked_by_lost_service(demo: Running) -> tuple[int, tuple[str | None, str | None]]:
    """Give the answer to a login at the service that is lost."""
    browser = Browser()
    page = browser.get(demo.setting.ports.origin("library") + "/myprint")
    return page.status_code, browser.mark()


def others_log_in(demo: Running) -> None:
    """Log somebody in at another service."""
    browser = Browser()
    persona_check.walk(browser, demo.setting.ports.origin("library"), persona("asta"), "wayf")
    assert persona_check.texts(browser, "//strong[@id='status']/text()") == ("Success",), browser.mark()


def told_lost(setting: Setting) -> list[str]:
    """Give the lines of the log about parties that were lost."""
    lines = (setting.folder / "broker.log").read_text().splitlines()
    return [line for line in lines if '"metadata_lost"' in line]


def ends(setting: Setting, moment: datetime) -> None:
    """Let the metadata of one service end at a moment, with the three minutes by which clocks may differ."""
    path = setting.folder / "metadata" / "myprint.xml"
    written = f' validUntil="{xml_times.write(moment - SKEW)}" entityID='
    path.write_text(path.read_text().replace(" entityID=", written, 1))


@pytest.mark.profile(6)
def test_a_service_that_runs_out_takes_nobody_along(tmp_path: Path) -> None:
    """Nobody but its own people notice: a page says so, readiness and the log name it, and a restart starts."""
    setting = write(tmp_path / "demo", Ports(free_base()), datetime.now(UTC))
    gone = (503, ("error", "service_not_connected"))
    with running(setting) as demo:
        # Not before it runs: on a busy machine a start can take longer than the metadata lasts.
        ends(setting, datetime.now(UTC) + timedelta(seconds=20))
        assert asked_by_lost_service(demo)[0] == 200
        until(lambda: asked_by_lost_service(demo) == gone)
        others_log_in(demo)
        until(lambda: f"{LOST} has no metadata in force: metadata/myprint.xml: it ran out" in note(demo))
        assert "broker_metadata_alarms 1.0" in requests.get(address(demo, "/metrics"), timeout=60).text
        until(lambda: bool(told_lost(setting)))
    lost = told_lost(setting)
    assert all('"level": "error"' in line and LOST in line for line in lost)
    with running(setting) as demo:
        assert asked_by_lost_service(demo) == gone
        others_log_in(demo)
        whole = (setting.folder / "metadata" / "myprint.xml").read_text()
        (setting.folder / "metadata" / "myprint.xml").write_text(whole.replace("validUntil", "data-was", 1))
        until(lambda: "myprint" in note(demo) and "no sound metadata" in note(demo))
        (setting.folder / "metadata" / "myprint.xml").write_text(
            whole.replace(whole[whole.index("validUntil") : whole.index("entityID=")], "", 1)
        )
        until(lambda: note(demo) == "ok" and asked_by_lost_service(demo)[0] == 200)
