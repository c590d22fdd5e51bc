"""The demo with a register of persons: how each look-up ends, and that nothing leaves it which may not."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import pytest

from broker.demo.check import persona_check
from broker.demo.check.http_browser import Browser
from broker.demo.check.register_check import LookedUp
from broker.demo.people.register_people import MAJA, REGISTER_PEOPLE, rows
from broker.demo.run.demo_folder import Ports, write
from broker.demo.run.running_demo import Running, running
from tests.plugins.demo import free_base

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Give a demo with Datafordeler."""
    folder = tmp_path_factory.mktemp("register") / "demo"
    with running(write(folder, Ports(free_base()), datetime.now(UTC), register="datafordeler")) as found:
        yield found


def listed(demo: Running) -> bytes:
    """Give what staff see of enrolments and cases on the command line."""
    command = [sys.executable, "-m", "broker.cli", "--config", str(demo.setting.config), "enrolments", "list"]
    return subprocess.run(command, check=True, capture_output=True, env=os.environ).stdout


def kept_and_sent(demo: Running) -> Iterator[tuple[str, bytes]]:
    """Yield what the broker keeps, logs, mails and sends to the library system."""
    folder = demo.setting.folder
    for path in [*folder.glob("state/**/*"), folder / "broker.log"]:
        if path.is_file():
            yield path.name, path.read_bytes()
    for mail in demo.mailbox.mails():
        yield f"mail {mail.subject}", mail.octets + mail.text.encode()
    for row in demo.patrons.patrons.rows():
        yield f"borrower {row['patron_id']}", repr(row).encode()
    yield "access log", "\n".join(demo.patrons.access.lines()).encode()
    yield "enrolments list", listed(demo)


def login_while_down(demo: Running) -> None:
    """Log Maja in while the register is down, until the broker has met that; then it answers again."""
    assert demo.register is not None
    demo.register.faults.down = True
    browser = Browser()
    persona_check.walk(browser, demo.setting.ports.origin("library"), MAJA, demo=demo)
    assert persona_check.texts(browser, "//strong[@id='status']/text()") == ("Success",)
    log = demo.setting.folder / "broker.log"
    until = time.monotonic() + 30
    while b'"register_held_up"' not in log.read_bytes():
        assert time.monotonic() < until
        time.sleep(0.05)
    demo.register.faults.down = False


def test_nothing_of_the_protected_and_the_dead_leaves_the_register(
    demo: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page, assertion, log line, mail, trail, store file or borrower holds what only the register has of them.

    All else ends as it should, though the register is down at first: no login waits for it, addresses arrive later,
    the dead person's login is refused, and so is the changed number, each with a case for staff.
    """
    login_while_down(demo)
    seen: list[bytes] = []
    monkeypatch.setattr(persona_check, "Browser", partial(Browser, seen=seen))
    reports = persona_check.check(demo, REGISTER_PEOPLE)
    everything = [*(("page", each) for each in seen), *kept_and_sent(demo)]
    assert [each.persona for each in reports if not each.ok] == []
    ends = {each.persona: each.register for each in reports}
    assert ends["dagny"] == LookedUp("none", "person_dead")
    assert ends["ulf"] == LookedUp("none", "cpr_number_changed")
    (maja,) = (each for each in demo.patrons.patrons.rows() if each["userid"] == MAJA.cpr)
    written = ("Lindholm", "Bryllupsgade 4", "8000", "Aarhus C")
    assert tuple(maja[field] for field in ("surname", "address", "postal_code", "city")) == written
    hidden = [each for each in rows().values() if each.is_protected or each.status == "doed"]
    marks = [mark for each in hidden for mark in (each.middle, each.address["vejnavn"])]
    assert len(marks) == 4
    assert len(everything) > 4 * len(REGISTER_PEOPLE)
    found = {(place, mark) for place, octets in everything for mark in marks if mark.encode() in octets}
    assert found == set()
