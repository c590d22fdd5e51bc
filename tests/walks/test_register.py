"""The demo with a register of persons: how each look-up ends, and that nothing leaves it which may not."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from click.testing import CliRunner

from broker.cli.main import broker as command
from broker.demo.check import persona_check
from broker.demo.check.http_browser import Browser
from broker.demo.people.register_people import DAGNY, MAJA, REGISTER_PEOPLE, RUNA, rows
from broker.demo.run.running_demo import Running, run_demo
from tests.plugins.demo import write_demo
from tests.plugins.folder_contents import read_folder_contents
from tests.plugins.programs import wait_until

pytestmark = [pytest.mark.server, pytest.mark.slow(seconds=40)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Yield a demo with Datafordeler."""
    folder = tmp_path_factory.mktemp("register") / "demo"
    with run_demo(write_demo(folder, register=True)) as found:
        yield found


def run_command(demo: Running, *words: str, given: str = "") -> bytes:
    """Give what a command of the command line says."""
    done = CliRunner().invoke(command, ["--config", str(demo.setting.config), *words], input=given)
    assert done.exit_code == 0, done.output
    return done.stdout_bytes + done.stderr_bytes


def read(printed: bytes) -> Any:
    """Return the JSON of what a command said; its words for people come after it."""
    return json.JSONDecoder().raw_decode(printed.decode())[0]


def list_staff_outputs(demo: Running) -> Iterator[tuple[str, bytes]]:
    """Yield the outputs for staff and programs: lists and cases, their events, and metrics."""
    yield "enrolments list", run_command(demo, "enrolments", "list")
    rows = run_command(demo, "enrolments", "list", "--json")
    yield "enrolments list --json", rows
    for row in read(rows):
        for shape in ((), ("--json",)):
            shown = run_command(demo, "person", "show", row["person"], *shape)
            yield f"person show {shape}", shown
    yield from events_of_borrowers(demo)
    yield "metrics", Browser().get(f"{demo.setting.ports.origin('broker')}/metrics").content


def events_of_borrowers(demo: Running) -> Iterator[tuple[str, bytes]]:
    """Yield what the audit log shows of each of those who have a borrower, and may have something to hide."""
    hidden = {RUNA.cpr: RUNA.name, DAGNY.cpr: DAGNY.name}
    for row in demo.patrons.patrons.rows():
        name = hidden.get(row["userid"])
        for shape in ((), ("--json",)) if name else ():
            events = run_command(demo, "audit", "show", *shape, "--borrower", str(row["patron_id"]))
            yield f"audit show {name}{''.join(shape)}", events


def list_personal_records(demo: Running) -> Iterator[tuple[str, bytes]]:
    """Yield what is written for somebody who asks what is kept about them."""
    for person in (RUNA, DAGNY):
        assert person.cpr
        yield f"person export {person.name}", run_command(demo, "person", "export", given=person.cpr)


def own_choices(demo: Running) -> Iterator[tuple[str, bytes]]:
    """Yield what the protected person sees of their choices, and the file of them."""
    browser = Browser()
    here = f"{demo.setting.ports.origin('broker')}/my-choices"
    browser.get(f"{here}?with={RUNA.upstream}")
    while browser.mark()[0] != "choices":
        form = browser.forms()[0]
        browser.submit(form, **({"persona": RUNA.name} if "persona" in dict(form.buttons) else {}))
    assert browser.page
    yield "my choices", browser.page.content
    name = browser.page.url.rpartition("login=")[2]
    yield "my choices' file", browser.get(f"{here}?login={name}&format=json").content


def list_stored_and_sent(demo: Running) -> Iterator[tuple[str, bytes]]:
    """Yield what the broker keeps, logs, mails and sends to the library system."""
    folder = demo.setting.folder
    for path, octets in read_folder_contents(folder / "state"):
        yield path.name, octets
    yield "broker.log", (folder / "broker.log").read_bytes()
    for mail in demo.mailbox.mails():
        yield f"mail {mail.subject}", mail.octets + mail.text.encode()
    for row in demo.patrons.patrons.rows():
        yield f"borrower {row['patron_id']}", repr(row).encode()
    yield "access log", "\n".join(demo.patrons.access).encode()
    yield from list_staff_outputs(demo)
    yield from list_personal_records(demo)
    yield from own_choices(demo)


def login_while_down(demo: Running) -> None:
    """Log Maja in while the register is down, until the broker has met that; then it answers again."""
    assert demo.register is not None
    demo.register.faults.down = True
    browser = Browser()
    persona_check.walk(browser, demo.setting.ports.origin("library"), MAJA, demo=demo)
    assert persona_check.texts(browser, "//strong[@id='status']/text()") == ("Success",)
    log = demo.setting.folder / "broker.log"
    wait_until(lambda: b'"register_delayed"' in log.read_bytes())
    demo.register.faults.down = False


def test_nothing_of_the_protected_and_the_dead_leaves_the_register(
    demo: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page, assertion, log line, mail, audit log, store file or borrower holds what only the register has of them.

    Nor does any output of a command, a metric, a case, their own choices or the file of those.

    All else ends as it should, though the register is down at first: no login waits for it, and addresses arrive later.
    """
    login_while_down(demo)
    seen: list[bytes] = []
    monkeypatch.setattr(persona_check, "Browser", partial(Browser, seen=seen))
    reports = list(persona_check.check(demo, REGISTER_PEOPLE))
    everything = [*(("page", each) for each in seen), *list_stored_and_sent(demo)]
    assert [each.persona for each in reports if not each.ok] == []
    ends = {each.persona: each.register for each in reports}
    assert ends["dagny"] == "none"
    assert ends["ulf"] == "none"
    (maja,) = (each for each in demo.patrons.patrons.rows() if each["userid"] == MAJA.cpr)
    written = ("Lindholm", "Bryllupsgade 4", "8000", "Aarhus C")
    assert tuple(maja[field] for field in ("surname", "address", "postal_code", "city")) == written
    hidden = [each for each in rows().values() if each.is_protected or each.status == "doed"]
    marks = [mark for each in hidden for mark in (each.middle, each.address["vejnavn"])]
    assert len(marks) == 4
    assert len(everything) > 4 * len(REGISTER_PEOPLE)
    spoken = dict(everything)
    assert b"broker_register_look_ups_total" in spoken["metrics"]
    assert b'"receipts"' in spoken["my choices' file"] or b"my-loans" in spoken["my choices' file"]
    assert b"register_asked" in spoken["audit show dagny--json"]
    assert b"register_asked" in spoken["audit show runa"]
    assert all(b"my-loans" in spoken[f"person export {each.name}"] for each in (RUNA, DAGNY))
    found = {(place, mark) for place, octets in everything for mark in marks if mark.encode() in octets}
    assert found == set()
